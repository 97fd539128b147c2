#include "api/streaming/live.h"

#include "api/gate.h"
#include "api/streaming/position.h"
#include "api/streaming/stream_life.h"
#include "auth/watch.h"
#include "http/stream.h"

#include <pthread.h>

/*
 * Two parties hold a live reader: the HTTP stream until on_closed, and live_open() until it is through. The
 * subscription belongs to whichever of them is the later one to see it.
 *
 *   callback of   holds while it runs         takes
 *   the log       the subscription's lock     ours, then the stream's
 *   the stream    nothing                     ours alone; the subscription's without ours
 */
typedef struct live {
	api *api;
	const stream_form *form;
	const log_topic *topic;
	const auth_principal *principal;
	log_position *start;
	atomic_size_t references;
	pthread_mutex_t lock; /* guards what follows */
	http_stream *stream;
	log_subscription *subscription; /* both NULL until live_open() publishes them */
	auth_watch *watch;
	const char *ends_for; /* a reason that came before the stream was known */
	bool is_ending;       /* nothing more is pushed */
	bool is_closed;
	bool has_room; /* a drain that came before the subscription was known */
} live;

/* ---- life ---- */

static void unref(live *l)
{
	if (atomic_fetch_sub_explicit(&l->references, 1, memory_order_acq_rel) == 1) {
		http_stream_unref(l->stream);
		log_topic_unref(l->topic);
		auth_principal_unref(l->principal);
		free(l->start);
		pthread_mutex_destroy(&l->lock);
		free(l);
	}
}

/* With two references; NULL when memory is out. */
static live *new_live(api_operation *op, const stream_request *request, const log_position *start)
{
	live *l = calloc(1, sizeof *l);
	if (l == NULL) {
		return NULL;
	}
	pthread_mutex_init(&l->lock, NULL);
	l->api = api_of(op->x);
	l->form = request->form;
	l->topic = log_topic_ref(op->topic);
	l->principal = auth_principal_ref(gate_principal(op->x));
	l->start = position_copy(start);
	atomic_init(&l->references, 2);
	if (l->principal == NULL || l->start == NULL) {
		unref(l);
		unref(l);
		return NULL;
	}
	return l;
}

/* ---- called by the log ---- */

static log_push push(void *context, const log_delivery *d)
{
	live *l = context;
	pthread_mutex_lock(&l->lock);
	http_push pushed = l->is_ending || l->is_closed ? HTTP_PUSH_CLOSED : http_stream_push(l->stream, d->frame);
	pthread_mutex_unlock(&l->lock);
	switch (pushed) {
	case HTTP_PUSH_OK:
		return LOG_PUSH_OK;
	case HTTP_PUSH_FULL:
		return LOG_PUSH_FULL;
	case HTTP_PUSH_CLOSED:
		break;
	}
	return LOG_PUSH_CLOSED;
}

static void fail(void *context, const err *e)
{
	live *l = context;
	pthread_mutex_lock(&l->lock);
	bool is_first = !l->is_ending && !l->is_closed;
	l->is_ending = true;
	pthread_mutex_unlock(&l->lock);
	if (is_first) {
		frame *last = stream_last_frame(l->form, NULL, e, STR_NONE);
		http_stream_end(l->stream, last);
		frame_unref(last);
	}
}

/* ---- called by the stream and by the credential's watch ---- */

/* Where the reader is: everything before was pushed. Nothing is pushed any more. */
static void write_position(live *l, log_subscription *s, buf *out)
{
	log_position *at = s != NULL ? log_subscription_position(s) : position_copy(l->start);
	if (at != NULL) {
		position_write(out, l->topic, at);
	}
	free(at);
}

static void end(live *l, const char *reason)
{
	pthread_mutex_lock(&l->lock);
	bool is_early = l->stream == NULL;
	bool is_first = !l->is_ending && !l->is_closed;
	log_subscription *s = l->subscription;
	l->ends_for = reason;
	l->is_ending = l->is_ending || !is_early;
	pthread_mutex_unlock(&l->lock);
	if (is_early || !is_first) {
		return;
	}
	/* The subscription lives: on_closed ends it, and comes neither while a callback of the stream runs nor, since it
	 * stops the watch first, while the watch's does. */
	buf position;
	buf_init(&position, STREAM_LAST_FRAME_BYTES_MAX);
	write_position(l, s, &position);
	frame *last = stream_last_frame(l->form, reason, NULL, buf_str(&position));
	http_stream_end(l->stream, last);
	frame_unref(last);
	buf_dispose(&position);
}

static void on_shutdown(void *context)
{
	end(context, STREAM_END_SHUTDOWN);
}

static void on_expire(void *context)
{
	end(context, STREAM_END_EXPIRED);
}

static void on_credential_end(void *context, const err *e)
{
	live *l = context;
	slog_err(l->api->slog, SLOG_INFO, "streaming", "a live stream ends with its credential", e);
	end(l, STREAM_END_REVOKED);
}

static void on_drain(void *context)
{
	live *l = context;
	pthread_mutex_lock(&l->lock);
	log_subscription *s = l->subscription;
	l->has_room = s == NULL;
	pthread_mutex_unlock(&l->lock);
	/* on_closed, which ends the subscription, comes on this thread. */
	if (s != NULL) {
		log_subscription_resume(s);
	}
}

static void on_closed(void *context, http_stream_end_reason reason)
{
	live *l = context;
	(void)reason;
	pthread_mutex_lock(&l->lock);
	log_subscription *s = l->subscription;
	auth_watch *w = l->watch;
	l->is_closed = true;
	pthread_mutex_unlock(&l->lock);
	auth_watch_stop(w);
	log_unsubscribe(s);
	unref(l);
}

/* ---- opening ---- */

/* Makes subscription and watch known to the callbacks; a drain that was missed is made up for first. */
static void publish(live *l, log_subscription *s, auth_watch *w)
{
	pthread_mutex_lock(&l->lock);
	while (l->has_room && !l->is_closed) {
		l->has_room = false;
		pthread_mutex_unlock(&l->lock);
		log_subscription_resume(s);
		pthread_mutex_lock(&l->lock);
	}
	bool is_late = l->is_closed;
	if (!is_late) {
		l->subscription = s;
		l->watch = w;
	}
	pthread_mutex_unlock(&l->lock);
	if (is_late) {
		auth_watch_stop(w);
		log_unsubscribe(s);
	}
}

static void subscribe(live *l)
{
	err e;
	log_sink sink = {.push = push, .on_error = fail, .context = l};
	log_subscription *s = log_subscribe(l->api->log, l->topic, l->start, l->form->format, sink, &e);
	if (s == NULL) {
		fail(l, &e);
		return;
	}
	auth_watch *w = auth_watch_start(l->api->auth, l->principal, on_credential_end, l);
	publish(l, s, w);
	if (w == NULL) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
		fail(l, &e);
	}
}

void live_open(api_operation *op, const stream_request *request, const log_position *start)
{
	http_exchange *x = op->x;
	live *l = new_live(op, request, start);
	if (l == NULL) {
		err e;
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
		api_fail(op, &e);
		return;
	}
	const config *settings = api_of(x)->config;
	frame *first = stream_frame(request->form->opening);
	frame *heartbeat = stream_frame(request->form->heartbeat);
	http_stream_options options = {
		.content_type = request->form->content_type,
		.first = first,
		.heartbeat = heartbeat,
		.heartbeat_ms = (uint32_t)settings->stream_heartbeat_ms,
		.stall_ms = (uint32_t)settings->stream_stall_ms,
		.max_age_ms = stream_credential_ms(x),
		.context = l,
		.on_drain = on_drain,
		.on_expire = on_expire,
		.on_shutdown = on_shutdown,
		.on_closed = on_closed,
	};
	stream_add_headers(x);
	log_topic_unref(op->topic);
	op->topic = NULL;
	/* The reply: x, op and request are gone behind it. */
	http_stream *stream = http_stream_open(x, &options);
	frame_unref(first);
	frame_unref(heartbeat);
	if (stream == NULL) {
		unref(l); /* the stream's: it never was */
		unref(l);
		return;
	}
	pthread_mutex_lock(&l->lock);
	l->stream = stream;
	const char *ends_for = l->ends_for;
	pthread_mutex_unlock(&l->lock);
	if (ends_for != NULL) {
		end(l, ends_for);
	} else {
		subscribe(l);
	}
	unref(l);
}
