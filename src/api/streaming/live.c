#include "api/streaming/live.h"

#include "api/envelope.h"
#include "api/gate.h"
#include "api/streaming/position.h"
#include "base/clock.h"
#include "http/stream.h"

#include <pthread.h>

enum { LAST_FRAME_BYTES_MAX = 64 << 10 };

/*
 * Two parties hold a live reader: the HTTP stream until on_closed, and live_open() until it is through. The
 * subscription belongs to whichever of them is the later one to see it.
 *
 *   callback of   holds while it runs         takes
 *   the log       the subscription's lock     ours, then the stream's
 *   the stream    nothing                     ours alone; the subscription's without ours
 */
typedef struct live {
	log_engine *log;
	const stream_form *form;
	const log_topic *topic;
	log_position *start;
	atomic_size_t references;
	pthread_mutex_t lock; /* guards what follows */
	http_stream *stream;
	log_subscription *subscription; /* NULL until live_open() publishes it */
	const char *ends_for;           /* a reason that came before the stream was known */
	bool is_ending;                 /* nothing more is pushed */
	bool is_closed;
	bool has_room; /* a drain that came before the subscription was known */
} live;

/* ---- shared with streams of groups ---- */

uint32_t live_credential_ms(const http_exchange *x)
{
	const auth_principal *principal = gate_principal(x);
	if (principal->deadline_ms == 0) {
		return 0;
	}
	int64_t left_ms = principal->deadline_ms - clock_now_ms();
	return left_ms < 1 ? 1 : left_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)left_ms;
}

void live_add_headers(http_exchange *x)
{
	http_reply_header(x, STR("Cache-Control"), STR("no-store"));
	http_reply_header(x, STR("X-Accel-Buffering"), STR("no"));
}

frame *live_frame(const char *text)
{
	return frame_new(str_from_c(text));
}

frame *live_last_frame(const stream_form *form, const char *reason, const err *e, str position)
{
	buf members;
	buf out;
	buf_init(&members, LAST_FRAME_BYTES_MAX);
	buf_init(&out, LAST_FRAME_BYTES_MAX);
	if (e != NULL) {
		envelope_write_members(&members, e);
	} else {
		buf_printf(&members, "\"reason\":\"%s\"", reason);
	}
	stream_form_write_event(form, &out, e != NULL ? "error" : "end", position, buf_str(&members));
	frame *f = members.failed || out.failed ? NULL : frame_new(buf_str(&out));
	buf_dispose(&members);
	buf_dispose(&out);
	return f;
}

/* ---- life ---- */

static void unref(live *l)
{
	if (atomic_fetch_sub_explicit(&l->references, 1, memory_order_acq_rel) == 1) {
		http_stream_unref(l->stream);
		log_topic_unref(l->topic);
		free(l->start);
		pthread_mutex_destroy(&l->lock);
		free(l);
	}
}

static live *new_live(api_operation *op, const stream_request *request, const log_position *start)
{
	live *l = calloc(1, sizeof *l);
	log_position *copy = position_copy(start);
	if (l == NULL || copy == NULL) {
		free(l);
		free(copy);
		return NULL;
	}
	l->log = api_of(op->x)->log;
	l->form = request->form;
	l->topic = log_topic_ref(op->topic);
	l->start = copy;
	atomic_init(&l->references, 2);
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

/* ---- called by the log ---- */

static log_push push(void *context, frame *f)
{
	live *l = context;
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
	pthread_mutex_lock(&l->lock);
	bool is_first = !l->is_ending && !l->is_closed;
	l->is_ending = true;
	pthread_mutex_unlock(&l->lock);
	if (is_first) {
		frame *last = live_last_frame(l->form, NULL, e, STR_NONE);
		http_stream_end(l->stream, last);
		frame_unref(last);
	}
}

/* ---- called by the stream ---- */

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
	buf position;
	buf_init(&position, LAST_FRAME_BYTES_MAX);
	write_position(l, s, &position);
	frame *last = live_last_frame(l->form, reason, NULL, buf_str(&position));
	http_stream_end(l->stream, last);
	frame_unref(last);
	buf_dispose(&position);
}

static void on_shutdown(void *context)
{
	end(context, "shutting_down");
}

static void on_expire(void *context)
{
	end(context, "credential_expired");
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
	l->subscription = NULL;
	l->is_closed = true;
	pthread_mutex_unlock(&l->lock);
	log_unsubscribe(s);
	unref(l);
}

/* ---- opening ---- */

/* Makes the subscription known to the stream's callbacks; what they missed is made up for first. */
static void publish(live *l, log_subscription *s)
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
	}
	pthread_mutex_unlock(&l->lock);
	if (is_late) {
		log_unsubscribe(s);
	}
}

static void subscribe(live *l)
{
	err e;
	log_sink sink = {.push = push, .on_error = fail, .context = l};
	log_subscription *s = log_subscribe(l->log, l->topic, l->start, l->form->format, sink, &e);
	if (s != NULL) {
		publish(l, s);
	} else {
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
	frame *first = live_frame(request->form->opening);
	frame *heartbeat = live_frame(request->form->heartbeat);
	http_stream_options options = {
		.content_type = request->form->content_type,
		.first = first,
		.heartbeat = heartbeat,
		.heartbeat_ms = (uint32_t)settings->stream_heartbeat_ms,
		.stall_ms = (uint32_t)settings->stream_stall_ms,
		.max_age_ms = live_credential_ms(x),
		.context = l,
		.on_drain = on_drain,
		.on_expire = on_expire,
		.on_shutdown = on_shutdown,
		.on_closed = on_closed,
	};
	live_add_headers(x);
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
