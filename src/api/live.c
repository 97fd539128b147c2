#include "api/live.h"

#include "api/gate.h"
#include "auth/watch.h"
#include "base/clock.h"

#include <pthread.h>
#include <string.h>

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
	live_options options; /* without the frames */
	log_position *start;  /* its own, as is the topic's reference */
	log_prior *prior;
	const auth_principal *principal;
	atomic_size_t references;
	pthread_mutex_t lock; /* guards what follows */
	http_stream *stream;
	log_subscription *subscription; /* both NULL until live_open() publishes them */
	auth_watch *watch;
	live_end ends_for; /* with has_early_end: a reason that came before the stream was known */
	bool has_early_end;
	bool is_ending; /* nothing more is pushed */
	bool is_closed;
	bool has_room; /* a drain that came before the subscription was known */
} live;

/* ---- life ---- */

static void unref(live *l)
{
	if (atomic_fetch_sub_explicit(&l->references, 1, memory_order_acq_rel) == 1) {
		http_stream_unref(l->stream);
		log_topic_unref(l->options.topic);
		auth_principal_unref(l->principal);
		free(l->start);
		free(l->prior);
		if (l->options.release != NULL) {
			l->options.release(l->options.context);
		}
		pthread_mutex_destroy(&l->lock);
		free(l);
	}
}

static bool copy_options(live *l, const live_options *o)
{
	l->options = *o;
	l->options.topic = log_topic_ref(o->topic);
	l->options.start = l->start = log_position_copy(o->start);
	l->options.prior = l->prior = o->prior_count > 0 ? malloc(o->prior_count * sizeof *l->prior) : NULL;
	l->options.first = NULL;
	l->options.heartbeat = NULL;
	if (l->prior != NULL) {
		memcpy(l->prior, o->prior, o->prior_count * sizeof *l->prior);
	}
	return l->start != NULL && (l->prior != NULL || o->prior_count == 0);
}

/* With two references; NULL when memory is out, and the options are released. */
static live *new_live(http_exchange *x, const live_options *o)
{
	live *l = calloc(1, sizeof *l);
	if (l == NULL) {
		if (o->release != NULL) {
			o->release(o->context);
		}
		return NULL;
	}
	pthread_mutex_init(&l->lock, NULL);
	l->api = api_of(x);
	l->principal = auth_principal_ref(gate_principal(x));
	atomic_init(&l->references, 2);
	if (!copy_options(l, o) || l->principal == NULL) {
		unref(l);
		unref(l);
		return NULL;
	}
	return l;
}

/* ---- the end ---- */

/* The first reason counts. Nothing is pushed any more. */
static bool begin_end(live *l)
{
	pthread_mutex_lock(&l->lock);
	bool is_first = !l->is_ending && !l->is_closed;
	l->is_ending = true;
	pthread_mutex_unlock(&l->lock);
	return is_first;
}

static void say_last(live *l, live_end why, const err *e, const log_position *at)
{
	frame *last = l->options.last != NULL ? l->options.last(l->options.context, why, e, at) : NULL;
	http_stream_end(l->stream, last);
	frame_unref(last);
}

/* ---- called by the log, under the subscription's lock ---- */

static log_push push_shared(live *l, frame *f)
{
	pthread_mutex_lock(&l->lock);
	http_push pushed = l->is_ending || l->is_closed ? HTTP_PUSH_CLOSED : http_stream_push(l->stream, f);
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
	if (begin_end(l)) {
		say_last(l, LIVE_END_ERROR, e, NULL);
	}
}

static log_push push(void *context, const log_delivery *d)
{
	live *l = context;
	if (d->frame == NULL) {
		if (begin_end(l)) {
			say_last(l, LIVE_END_GAP, NULL, NULL);
		}
		return LOG_PUSH_CLOSED;
	}
	if (l->options.adapt == NULL) {
		return push_shared(l, d->frame);
	}
	frame *own = l->options.adapt(l->options.context, d->frame);
	if (own == NULL) {
		err e;
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for this stream; connect again");
		fail(l, &e);
		return LOG_PUSH_CLOSED;
	}
	log_push pushed = push_shared(l, own);
	frame_unref(own);
	return pushed;
}

static void on_end(void *context)
{
	live *l = context;
	if (begin_end(l)) {
		say_last(l, LIVE_END_CLOSED, NULL, NULL);
	}
}

/* ---- called by the stream and by the credential's watch ---- */

static void end(live *l, live_end why)
{
	pthread_mutex_lock(&l->lock);
	bool is_early = l->stream == NULL;
	log_subscription *s = l->subscription;
	l->ends_for = why;
	l->has_early_end = is_early;
	pthread_mutex_unlock(&l->lock);
	if (is_early || !begin_end(l)) {
		return;
	}
	/* The subscription lives: on_closed ends it, and comes neither while a callback of the stream runs nor, since it
	 * stops the watch first, while the watch's does. Everything before its position was pushed. */
	log_position *at = s != NULL ? log_subscription_position(s) : log_position_copy(l->options.start);
	say_last(l, why, NULL, at);
	free(at);
}

static void on_shutdown(void *context)
{
	end(context, LIVE_END_SHUTDOWN);
}

static void on_expire(void *context)
{
	end(context, LIVE_END_EXPIRED);
}

static void on_credential_end(void *context, const err *e)
{
	live *l = context;
	slog_err(l->api->slog, SLOG_INFO, "live", "a live stream ends with its credential", e);
	end(l, LIVE_END_CREDENTIAL);
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
	const live_options *o = &l->options;
	log_sink sink = {.push = push, .on_error = fail, .context = l, .on_end = o->ends_at_close ? on_end : NULL};
	log_subscription *s =
		log_subscribe_fork(l->api->log, o->topic, o->prior, o->prior_count, o->start, o->format, sink, &e);
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

void live_open(http_exchange *x, const live_options *options)
{
	live *l = new_live(x, options);
	if (l == NULL) {
		err e;
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
		buf_clear(http_reply_body(x));
		http_send_error(x, &e);
		return;
	}
	const config *settings = l->api->config;
	http_stream_options stream_options = {
		.content_type = options->content_type,
		.first = options->first,
		.heartbeat = options->heartbeat,
		.heartbeat_ms = (uint32_t)settings->stream_heartbeat_ms,
		.stall_ms = (uint32_t)settings->stream_stall_ms,
		.max_age_ms = options->max_age_ms,
		.context = l,
		.on_drain = on_drain,
		.on_expire = on_expire,
		.on_shutdown = on_shutdown,
		.on_closed = on_closed,
	};
	http_reply_header(x, STR("X-Accel-Buffering"), STR("no"));
	/* The reply: x is gone behind it. */
	http_stream *stream = http_stream_open(x, &stream_options);
	if (stream == NULL) {
		unref(l); /* the stream's: it never was */
		unref(l);
		return;
	}
	pthread_mutex_lock(&l->lock);
	l->stream = stream;
	bool ends_early = l->has_early_end;
	live_end why = l->ends_for;
	pthread_mutex_unlock(&l->lock);
	if (ends_early) {
		end(l, why);
	} else {
		subscribe(l);
	}
	unref(l);
}
