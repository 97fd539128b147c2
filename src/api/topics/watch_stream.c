/*
 * GET /v0/watch/{wid}: the event stream of a session.
 *
 * Two parties hold a stream: the HTTP stream until on_closed, and its opener until it is through; the keeper holds it, too,
 * until its positions are saved. What the log hands over passes the set (its lock), then the HTTP stream.
 */
#include "api/gate.h"
#include "api/operation.h"
#include "api/topics/hub.h"
#include "api/topics/topics.h"
#include "api/topics/watch_cursor.h"
#include "api/topics/watch_topic.h"
#include "auth/auth.h"
#include "auth/watch.h"
#include "base/clock.h"
#include "base/jwrite.h"
#include "http/stream.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { ERROR_BYTES_MAX = 16 << 10, ID_LINE_BYTES_MAX = 32 << 20 };

typedef struct watch_stream {
	watch_kept kept; /* first: the keeper hands it back */
	api *api;
	live_slot *slot;
	const auth_principal *principal;
	http_stream *stream;
	buf id_line; /* under the set's lock */
	auth_watch *credential;
	atomic_size_t references;
	pthread_mutex_t lock; /* guards what follows */
	bool is_open;         /* the opener is through: on_closed cleans up */
	bool is_closed;
} watch_stream;

/* ---- life ---- */

static void unref(watch_stream *w)
{
	if (atomic_fetch_sub_explicit(&w->references, 1, memory_order_acq_rel) == 1) {
		http_stream_unref(w->stream);
		watch_set_free(w->kept.set);
		auth_principal_unref(w->principal);
		buf_dispose(&w->id_line);
		pthread_mutex_destroy(&w->lock);
		free(w);
	}
}

static void ref_kept(watch_kept *k)
{
	atomic_fetch_add_explicit(&((watch_stream *)k)->references, 1, memory_order_relaxed);
}

static void unref_kept(watch_kept *k)
{
	unref((watch_stream *)k);
}

/* ---- ending ---- */

/* `code` is written as it is: a number, or a quoted word. */
static void begin_error(buf *out, const char *code, const char *message)
{
	buf_init(out, ERROR_BYTES_MAX);
	buf_printf(out, "event: error\ndata: {\"code\":%s,\"message\":", code);
	jwrite_string(out, str_from_c(message));
}

/* NULL when memory is out. */
static frame *end_error(buf *out)
{
	buf_append_str(out, STR("}\n\n"));
	frame *f = out->failed ? NULL : frame_new(buf_str(out));
	buf_dispose(out);
	return f;
}

static void end_with(watch_stream *w, const char *code, const char *message)
{
	buf out;
	begin_error(&out, code, message);
	frame *last = end_error(&out);
	http_stream_end(w->stream, last);
	frame_unref(last);
}

static void superseded(watch_kept *k)
{
	end_with((watch_stream *)k, "410",
			 "the session is served by a newer stream, or gone; POST /v0/watch for another one");
}

static void on_shutdown(void *context)
{
	end_with(context, "\"server_shutting_down\"",
			 "the server stops; connect again, it goes on where this stream ended");
}

static void on_expire(void *context)
{
	end_with(context, "401", "the key has expired; connect again with a valid one");
}

static void on_credential_end(void *context, const err *e)
{
	end_with(context, "401", e->message);
}

/* ---- called by the set ---- */

/* What belongs to this connection alone, then the frame that it shares with others. */
static http_push send_event(void *context, watch_set *set, frame *f)
{
	watch_stream *w = context;
	buf_clear(&w->id_line);
	buf_append_str(&w->id_line, STR("id: "));
	watch_set_write_id(set, &w->id_line);
	buf_append_str(&w->id_line, STR("\n"));
	frame *parts[] = {w->id_line.failed ? NULL : frame_new(buf_str(&w->id_line)), f};
	if (parts[0] == NULL) {
		end_with(w, "503", "the server has no memory left for this stream; connect again later");
		return HTTP_PUSH_CLOSED;
	}
	http_push pushed = http_stream_push_all(w->stream, parts, 2);
	frame_unref(parts[0]);
	return pushed;
}

static void on_over(void *context)
{
	const watch_stream *w = context;
	http_stream_end(w->stream, NULL);
}

/* Advice, no end: the other topics go on, and the keeper tries this one again. To a client that is busy it is not told. */
static void advise(watch_stream *w, str topic, const err *e)
{
	buf out;
	begin_error(&out, "429", e->message);
	buf_printf(&out, ",\"retry_after_ms\":%d,\"topics\":[", WATCH_SAVE_MS);
	jwrite_string(&out, topic);
	buf_append_byte(&out, ']');
	frame *advice = end_error(&out);
	if (advice != NULL) {
		(void)http_stream_push(w->stream, advice);
		frame_unref(advice);
	}
}

static void on_failed(void *context, str topic, const err *e)
{
	watch_stream *w = context;
	char code[16];
	if (e->code == ERR_SHUTTING_DOWN) {
		on_shutdown(w);
	} else if (e->code == ERR_THROTTLED) {
		advise(w, topic, e);
	} else {
		snprintf(code, sizeof code, "%d", err_http_status(e->code));
		end_with(w, code, e->message);
	}
}

/* ---- called by the stream ---- */

static void on_drain(void *context)
{
	const watch_stream *w = context;
	watch_set_resume(w->kept.set);
}

static void clean_up(watch_stream *w)
{
	auth_watch_stop(w->credential);
	watch_set_close(w->kept.set);
	live_slots_give_back(w->api->topics->slots, w->slot);
	watch_keeper_close(w->api->topics->keeper, &w->kept);
	unref(w);
}

static void on_closed(void *context, http_stream_end_reason reason)
{
	watch_stream *w = context;
	(void)reason;
	watch_set_freeze(w->kept.set);
	pthread_mutex_lock(&w->lock);
	w->is_closed = true;
	bool is_mine = w->is_open;
	pthread_mutex_unlock(&w->lock);
	if (is_mine) {
		clean_up(w);
	}
}

/* ---- opening ---- */

typedef struct watch_opening {
	api_operation op;
	watch_id id;
	int64_t tenant_id;
	str key_id;
	watch_session session;
	live_slot *slot;
	watch_topic *topics; /* of the session's, in its order */
} watch_opening;

static bool accepts_events(const http_exchange *x)
{
	size_t at;
	str accept = http_request_header(x, STR("Accept"));
	return accept.len == 0 || str_find(accept, STR("text/event-stream"), &at) || str_find(accept, STR("*/*"), &at);
}

/* A client that has not got as far as was sent says so; being ahead changes nothing. */
static void rewind_to(watch_session *s, str last_event_id, arena *a)
{
	watch_place *places;
	size_t count;
	if (!watch_cursor_read(last_event_id, a, &places, &count)) {
		return;
	}
	for (size_t i = 0; i < s->topic_count; i++) {
		for (size_t k = 0; k < count; k++) {
			if (places[k].seq < s->topics[i].seq && str_equal(places[k].topic, s->topics[i].name)) {
				s->topics[i].seq = places[k].seq;
			}
		}
	}
}

static bool find_topics(watch_opening *o, log_conn *conn, err *e)
{
	size_t count = o->session.topic_count;
	arena *memory = http_arena(o->op.x);
	o->topics = arena_alloc_zero(memory, (count + 1) * sizeof *o->topics);
	if (o->topics == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (size_t i = 0; i < count; i++) {
		o->topics[i].name = o->session.topics[i].name;
	}
	return watch_topics_find(api_of(o->op.x), conn, o->tenant_id, o->topics, count, memory, e);
}

static bool open_session(api_operation *op, log_conn *conn, err *e)
{
	watch_opening *o = (watch_opening *)op;
	api *a = api_of(op->x);
	arena *memory = http_arena(op->x);
	int64_t ttl_ms = a->config->topics_watch_session_ttl_ms;
	if (!live_slots_take(a->topics->slots, gate_principal(op->x), &o->slot, e)) {
		return false;
	}
	watch_kept *newest = watch_keeper_newest(a->topics->keeper, &o->id);
	bool ok = watch_session_forget(conn, ttl_ms, e) && watch_session_open(conn, &o->id, ttl_ms, memory, &o->session, e);
	if (!ok && newest != NULL) {
		newest->unref(newest);
	}
	if (ok) {
		watch_keeper_take_over(a->topics->keeper, newest, &o->id, &o->session);
		rewind_to(&o->session, http_request_header(op->x, STR("Last-Event-ID")), memory);
		ok = find_topics(o, conn, e);
	}
	if (!ok) {
		live_slots_give_back(a->topics->slots, o->slot);
	}
	return ok;
}

static bool add_topics(watch_stream *w, const watch_opening *o)
{
	const log_format *format = watch_format_get(w->api->topics->formats, WATCH_EVENTS, &o->session.options);
	bool ok = format != NULL;
	for (size_t i = 0; i < o->session.topic_count && ok; i++) {
		const watch_session_topic *t = &o->session.topics[i];
		const watch_topic *found = &o->topics[i];
		if (found->topic == NULL) {
			ok = watch_set_add_gone(w->kept.set, t->name, t->topic_id, t->seq);
			continue;
		}
		/* Made anew under its name since: whoever has read something of the old one is told. */
		const watch_from from = {.seq = t->seq,
								 .head_seq = found->head_seq,
								 .earliest_seq = found->earliest_seq,
								 .is_recreated = found->topic->topic_id != t->topic_id && t->seq > 0};
		ok = watch_set_add(w->kept.set, found->topic, format, from);
	}
	watch_format_unref(format);
	return ok;
}

/* With two references: the HTTP stream's and the opener's. NULL when memory is out. */
static watch_stream *watch_stream_new(const watch_opening *o)
{
	watch_stream *w = calloc(1, sizeof *w);
	if (w == NULL) {
		return NULL;
	}
	const watch_sink sink = {.send = send_event, .on_over = on_over, .on_failed = on_failed, .context = w};
	w->api = api_of(o->op.x);
	w->kept = (watch_kept){.id = o->id,
						   .generation = o->session.generation,
						   .set = watch_set_new(w->api, WATCH_EVENTS, sink),
						   .superseded = superseded,
						   .ref = ref_kept,
						   .unref = unref_kept};
	w->slot = o->slot;
	w->principal = auth_principal_ref(gate_principal(o->op.x));
	buf_init(&w->id_line, ID_LINE_BYTES_MAX);
	pthread_mutex_init(&w->lock, NULL);
	atomic_init(&w->references, 2);
	if (w->kept.set == NULL || w->principal == NULL || !add_topics(w, o)) {
		unref(w);
		unref(w);
		return NULL;
	}
	return w;
}

static void add_headers(http_exchange *x)
{
	http_reply_header(x, STR("Cache-Control"), STR("no-store"));
	http_reply_header(x, STR("X-Accel-Buffering"), STR("no"));
}

/* The stream is open: reads, and hands over to on_closed. */
static void start(watch_stream *w)
{
	watch_keeper_add(w->api->topics->keeper, &w->kept);
	w->credential = auth_watch_start(w->api->auth, w->principal, on_credential_end, w);
	if (w->credential == NULL) {
		end_with(w, "503", "the server has no memory left for this stream; connect again later");
	} else {
		watch_set_start(w->kept.set);
	}
	pthread_mutex_lock(&w->lock);
	w->is_open = true;
	bool is_late = w->is_closed;
	pthread_mutex_unlock(&w->lock);
	if (is_late) {
		clean_up(w);
	}
	unref(w);
}

static void open_stream(api_operation *op)
{
	const watch_opening *o = (const watch_opening *)op;
	api *a = api_of(op->x);
	live_slot *slot = o->slot;
	watch_stream *w = watch_stream_new(o);
	watch_topics_drop(o->topics, o->session.topic_count);
	if (w == NULL) {
		err e;
		live_slots_give_back(a->topics->slots, slot);
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
		api_fail(op, &e);
		return;
	}
	frame *first = frame_new(STR("retry: 2000\n\n"));
	frame *heartbeat = frame_new(STR(": hb\n\n"));
	http_stream_options options = {
		.content_type = "text/event-stream",
		.first = first,
		.heartbeat = heartbeat,
		.heartbeat_ms = (uint32_t)o->session.heartbeat_ms,
		.stall_ms = (uint32_t)a->config->stream_stall_ms,
		.max_age_ms = gate_credential_ms(op->x),
		.place = &w->stream,
		.context = w,
		.on_drain = on_drain,
		.on_expire = on_expire,
		.on_shutdown = on_shutdown,
		.on_closed = on_closed,
	};
	add_headers(op->x);
	/* The reply: the exchange and the operation are gone behind it. */
	bool is_open = http_stream_open(op->x, &options) != NULL;
	frame_unref(first);
	frame_unref(heartbeat);
	if (is_open) {
		start(w);
	} else {
		live_slots_give_back(a->topics->slots, slot);
		watch_set_close(w->kept.set);
		unref(w); /* the stream's: it never was */
		unref(w);
	}
}

/* ---- who may ---- */

static bool check_owner(const watch_opening *o, err *e)
{
	const auth_principal *p = gate_principal(o->op.x);
	if (p->is_development || (p->tenant_id == o->tenant_id && str_equal(p->key_id, o->key_id))) {
		return gate_check_scopes(o->op.x, AUTH_SCOPE_READ, e);
	}
	return err_set(e, ERR_UNAUTHORIZED, "this watch session was made with another key; open its stream with that one");
}

static void identified(void *context, const err *problem)
{
	watch_opening *o = context;
	err e;
	if (problem != NULL) {
		api_fail(&o->op, problem);
	} else if (!check_owner(o, &e)) {
		api_fail(&o->op, &e);
	} else if (http_request_method(o->op.x) == HTTP_HEAD) {
		/* A look, no stream: the session stays with the one it has. */
		add_headers(o->op.x);
		http_send(o->op.x, 200, "text/event-stream");
	} else {
		o->op.run = open_session;
		api_run_then(&o->op, open_stream);
	}
}

static void identify(api_operation *op)
{
	gate_identify(op->x, identified, op);
}

static bool find_owner(api_operation *op, log_conn *conn, err *e)
{
	watch_opening *o = (watch_opening *)op;
	int64_t ttl_ms = api_of(op->x)->config->topics_watch_session_ttl_ms;
	return watch_session_owner(conn, &o->id, ttl_ms, http_arena(op->x), &o->tenant_id, &o->key_id, e);
}

void topics_watch_stream(http_exchange *x)
{
	err e;
	watch_opening *o = api_operation_new(x, sizeof *o, find_owner);
	if (o == NULL) {
		return;
	}
	if (!accepts_events(x)) {
		err_set(&e, ERR_NOT_ACCEPTABLE, "a watch is a stream of events: accept text/event-stream");
		api_fail(&o->op, &e);
	} else if (!watch_id_read(http_request_param(x, 0), http_arena(x), &o->id)) {
		err_set(&e, ERR_NOT_FOUND, "there is no such watch session; make one with POST /v0/watch");
		api_fail(&o->op, &e);
	} else {
		api_run_then(&o->op, identify);
	}
}
