#include "api/streaming/leased.h"

#include "api/gate.h"
#include "api/live.h"
#include "api/pump.h"
#include "api/streaming/encode.h"
#include "api/streaming/stream_life.h"
#include "auth/watch.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/jwrite.h"
#include "http/stream.h"
#include "log/group.h"

#include <string.h>

enum {
	TURN_TAKES = 16, /* frames of one run: others want the reader, too */
	LOOK_MS = 1000,  /* another member's lease may have ended */
	ARENA_BYTES = 1 << 20,
	FRAME_BYTES_MAX = 128 << 20, /* one record, as large as any dialect takes, escaped, and room to spare */
	CONSUMER_ID_BYTES = 12,      /* of randomness */
	TEXT_BYTES_MAX = 4096,
};

typedef struct leased {
	api *api;
	const stream_form *form;
	const log_topic *topic;
	const auth_principal *principal;
	http_stream *stream;
	pump *pump;
	_Atomic(auth_watch *) watch; /* whoever takes it stops it: on_closed, or leased_open() when that came before */
	str group_id;                /* both in `texts` */
	str consumer_id;
	char *texts;
	int32_t partition;
	log_group_start start;
	int64_t lease_ms;
	frame *pending;                 /* the body's: taken, encoded, not yet pushed */
	arena *arena;                   /* the body's, emptied after every take */
	atomic_size_t references;       /* the stream's, the body's, leased_open()'s */
	_Atomic(const char *) ends_for; /* NULL = goes on */
	atomic_bool is_open;            /* `stream` is known: the body may begin */
	atomic_bool is_closed;
} leased;

static void unref(leased *l)
{
	if (atomic_fetch_sub_explicit(&l->references, 1, memory_order_acq_rel) == 1) {
		http_stream_unref(l->stream);
		pump_unref(l->pump);
		log_topic_unref(l->topic);
		auth_principal_unref(l->principal);
		frame_unref(l->pending);
		arena_free(l->arena);
		free(l->texts);
		free(l);
	}
}

/* ---- called by the stream ---- */

static void on_drain(void *context)
{
	leased *l = context;
	pump_kick(l->pump);
}

static void end(leased *l, const char *reason)
{
	const char *none = NULL;
	atomic_compare_exchange_strong(&l->ends_for, &none, reason);
	pump_kick(l->pump);
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
	leased *l = context;
	slog_err(l->api->slog, SLOG_INFO, "streaming", "a live stream ends with its credential", e);
	end(l, STREAM_END_REVOKED);
}

static void on_closed(void *context, http_stream_end_reason reason)
{
	leased *l = context;
	(void)reason;
	atomic_store(&l->is_closed, true);
	auth_watch_stop(atomic_exchange(&l->watch, NULL));
	pump_kick(l->pump);
	unref(l);
}

/* ---- the body ---- */

/* The topic as it is now: it may have more partitions than when the stream began. */
static void refresh_topic(leased *l)
{
	const log_topic *now = log_topic_cached(l->api->log, l->topic->tenant_id, l->topic->name);
	if (now != NULL && now->topic_id == l->topic->topic_id) {
		const log_topic *before = l->topic;
		l->topic = now;
		now = before;
	}
	log_topic_unref(now);
}

static log_group_take_request take_request(const leased *l)
{
	return (log_group_take_request){
		.topic = l->topic,
		.group = l->group_id,
		.consumer_id = l->consumer_id,
		.partition = l->partition,
		.start = l->start,
		.max_records = LOG_FRAME_RECORDS,
		.max_bytes = LOG_FRAME_BYTES,
		.lease_ms = l->lease_ms,
	};
}

/* NULL when memory is out. */
static frame *encode(leased *l, log_group_take *take)
{
	buf out;
	log_gap gap;
	log_record record;
	buf_init(&out, FRAME_BYTES_MAX);
	for (size_t i = 0; i < take->count; i++) {
		if (log_page_gap(take->pages[i], &gap)) {
			l->form->write_leased_gap(&out, take->partitions[i], &gap);
		}
		while (log_page_next(take->pages[i], &record)) {
			l->form->write_leased(&out, &record);
		}
	}
	frame *f = out.failed ? NULL : frame_new(buf_str(&out));
	buf_dispose(&out);
	return f;
}

typedef enum step {
	STEP_ON,     /* something was taken and pushed */
	STEP_IDLE,   /* there is nothing to take */
	STEP_FULL,   /* the client has to read first */
	STEP_CLOSED, /* the client is gone */
	STEP_FAILED  /* *e says why */
} step;

static step push_pending(leased *l)
{
	if (l->pending == NULL) {
		return STEP_ON;
	}
	switch (http_stream_push(l->stream, l->pending)) {
	case HTTP_PUSH_OK:
		frame_unref(l->pending);
		l->pending = NULL;
		return STEP_ON;
	case HTTP_PUSH_FULL:
		return STEP_FULL;
	case HTTP_PUSH_CLOSED:
		break;
	}
	return STEP_CLOSED;
}

/* One take, one frame. */
static step take_and_push(leased *l, log_conn *conn, err *e)
{
	log_group_take take = {0};
	log_group_take_request request = take_request(l);
	err ignored;
	arena_reset(l->arena);
	if (!log_group_take_records(l->api->log, conn, &request, l->arena, &take, e)) {
		return STEP_FAILED;
	}
	if (take.count == 0) {
		return STEP_IDLE;
	}
	l->pending = encode(l, &take);
	step result = l->pending != NULL ? push_pending(l) : STEP_CLOSED;
	if (result == STEP_CLOSED && !log_group_give_back(l->api->log, conn, &request, &take, &ignored)) {
		slog_err(l->api->slog, SLOG_DEBUG, "streaming", "a lease was left to end by itself", &ignored);
	}
	log_group_take_free(&take);
	return result;
}

static step run_turn(leased *l, log_conn *conn, err *e)
{
	step result = push_pending(l);
	for (int i = 0; i < TURN_TAKES && result == STEP_ON; i++) {
		result = take_and_push(l, conn, e);
	}
	return result;
}

/* The stream's last event; on_closed follows. */
static pump_next finish(leased *l, const char *reason, const err *e)
{
	frame *last = stream_last_frame(l->form, reason, e, STR_NONE);
	http_stream_end(l->stream, last);
	frame_unref(last);
	unref(l);
	return PUMP_DONE;
}

/* Passing trouble: the database is away, or the server is busy. */
static bool is_passing(const err *e)
{
	return e->code == ERR_UNAVAILABLE || e->code == ERR_TIMEOUT || e->code == ERR_NOT_READY || e->code == ERR_THROTTLED;
}

static pump_next run(void *context, log_conn *conn)
{
	leased *l = context;
	err e;
	const char *reason = atomic_load(&l->ends_for);
	if (!atomic_load(&l->is_open)) {
		return PUMP_WAIT; /* leased_open() kicks again */
	}
	if (atomic_load(&l->is_closed)) {
		unref(l);
		return PUMP_DONE;
	}
	if (reason != NULL || atomic_load(&l->api->is_stopping)) {
		return finish(l, reason != NULL ? reason : STREAM_END_SHUTDOWN, NULL);
	}
	/* Register first, then look. */
	if (!pump_watch(l->pump, l->topic->topic_id, l->partition)) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
		return finish(l, NULL, &e);
	}
	refresh_topic(l);
	step result = run_turn(l, conn, &e);
	switch (result) {
	case STEP_ON:
		pump_kick(l->pump);
		break;
	case STEP_CLOSED:
		http_stream_end(l->stream, NULL);
		unref(l);
		return PUMP_DONE;
	case STEP_FAILED:
		if (!is_passing(&e)) {
			return finish(l, NULL, &e);
		}
		break;
	case STEP_IDLE:
	case STEP_FULL:
		break;
	}
	/* Looking also renews the leases of what was delivered and not committed yet. */
	int64_t look_ms = l->lease_ms / 3 < LOOK_MS ? l->lease_ms / 3 : LOOK_MS;
	pump_kick_at(l->pump, clock_now_ms() + look_ms);
	return PUMP_WAIT;
}

static pump_next refuse(void *context, const err *e)
{
	finish(context, NULL, e);
	return PUMP_DONE;
}

/* ---- opening ---- */

/* Copies of the texts, and a name for the consumer if it has none. */
static bool set_texts(leased *l, const stream_request *request)
{
	buf texts;
	buf_init(&texts, TEXT_BYTES_MAX);
	buf_append_str(&texts, request->group_id);
	if (request->consumer_id.ptr != NULL) {
		buf_append_str(&texts, request->consumer_id);
	} else {
		buf_append_str(&texts, STR("stream-"));
		id_append_base64url(&texts, CONSUMER_ID_BYTES);
	}
	size_t len;
	l->texts = buf_detach(&texts, &len);
	buf_dispose(&texts);
	if (l->texts == NULL) {
		return false;
	}
	l->group_id = (str){l->texts, request->group_id.len};
	l->consumer_id = (str){l->texts + request->group_id.len, len - request->group_id.len};
	return true;
}

/* With three references, or NULL with *e filled. */
static leased *leased_new(api_operation *op, const stream_request *request, err *e)
{
	leased *l = calloc(1, sizeof *l);
	if (l == NULL) {
		goto fail;
	}
	l->api = api_of(op->x);
	l->form = request->form;
	l->topic = log_topic_ref(op->topic);
	l->principal = auth_principal_ref(gate_principal(op->x));
	l->partition = request->partition;
	l->start = request->has_start && request->start == START_LATEST ? LOG_FROM_LATEST : LOG_FROM_EARLIEST;
	l->lease_ms = request->lease_ms;
	atomic_init(&l->references, 1);
	atomic_init(&l->watch, NULL);
	atomic_init(&l->ends_for, NULL);
	atomic_init(&l->is_closed, false);
	atomic_init(&l->is_open, false);
	l->arena = arena_new(ARENA_BYTES);
	if (l->principal == NULL || l->arena == NULL || !set_texts(l, request)) {
		goto fail;
	}
	l->pump = pump_new(l->api, (pump_body){run, refuse, l}, e);
	if (l->pump == NULL) {
		unref(l);
		return NULL;
	}
	atomic_store(&l->references, 3);
	return l;
fail:
	if (l != NULL) {
		unref(l);
	}
	err_set(e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
	return NULL;
}

/* The opening, and the event that tells the client who it is in the group. */
static frame *first_frame(const leased *l)
{
	buf members;
	buf out;
	buf_init(&members, TEXT_BYTES_MAX);
	buf_init(&out, TEXT_BYTES_MAX);
	buf_append_str(&members, STR("\"group_id\":"));
	jwrite_string(&members, l->group_id);
	buf_append_str(&members, STR(",\"consumer_id\":"));
	jwrite_string(&members, l->consumer_id);
	buf_append_str(&members, STR(",\"lease_ms\":"));
	buf_append_i64(&members, l->lease_ms);
	buf_append_str(&out, l->form->opening);
	l->form->write_event(&out, "open", STR_NONE, buf_str(&members));
	frame *f = members.failed || out.failed ? NULL : frame_new(buf_str(&out));
	buf_dispose(&members);
	buf_dispose(&out);
	return f;
}

static void watch_credential(leased *l)
{
	auth_watch *w = auth_watch_start(l->api->auth, l->principal, on_credential_end, l);
	if (w == NULL) {
		end(l, STREAM_END_MEMORY);
	}
	atomic_store(&l->watch, w);
	if (atomic_load(&l->is_closed)) {
		auth_watch_stop(atomic_exchange(&l->watch, NULL));
	}
}

void leased_open(api_operation *op, const stream_request *request)
{
	err e;
	http_exchange *x = op->x;
	leased *l = leased_new(op, request, &e);
	if (l == NULL) {
		api_fail(op, &e);
		return;
	}
	frame *first = first_frame(l);
	frame *heartbeat = frame_new(request->form->heartbeat);
	http_stream_options options = {
		.content_type = request->form->content_type,
		.first = first,
		.heartbeat = heartbeat,
		.heartbeat_ms = (uint32_t)l->api->config->stream_heartbeat_ms,
		.stall_ms = (uint32_t)l->api->config->stream_stall_ms,
		.max_age_ms = gate_credential_ms(x),
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
	l->stream = http_stream_open(x, &options);
	frame_unref(first);
	frame_unref(heartbeat);
	if (l->stream != NULL) {
		watch_credential(l);
	} else {
		atomic_store(&l->is_closed, true);
		unref(l); /* the stream's: it never was */
	}
	atomic_store(&l->is_open, true);
	pump_kick(l->pump);
	unref(l);
}
