#include "api/httpmq/subscription.h"

#include "api/gate.h"
#include "api/httpmq/delivery.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/members.h"
#include "api/httpmq/take.h"
#include "api/httpmq/wire.h"
#include "api/pump.h"
#include "auth/watch.h"
#include "base/clock.h"
#include "db/conn.h"
#include "http/stream.h"
#include "sql/httpmq_consumer.h"

#include <string.h>

enum {
	TURN_TAKES = 16, /* of one run: others want the reader, too */
	ARENA_BYTES = 8 << 20,
	HEAD_BYTES_MAX = 64 << 10,
	RECENT_MAX = 512, /* deliveries remembered for being undone */
	UNDO_MS = 500,    /* older ones were read, whatever became of the connection */
	RETRY_MS = 250,   /* after passing trouble */
	YIELD_MS = 10,    /* another member of the group may take its turn meanwhile */
	WAKE_MS_MOST = 60000,
};

typedef struct recent {
	httpmq_delivery delivery;
	int64_t pushed_ms; /* 0: not pushed yet */
	frame *frame;      /* until it is pushed */
} recent;

typedef struct subscription {
	api *api;
	const log_topic *topic;
	const auth_principal *principal;
	http_stream *stream;
	pump *pump;
	_Atomic(auth_watch *) watch; /* whoever takes it stops it */
	str consumer;                /* in `texts`, as are the next two */
	str request_id;
	str line_head; /* of every line, up to the sequences */
	char *texts;
	take_request take;
	bool has_details;
	bool is_member; /* of a group */
	httpmq_member member;

	/* the pump's */
	arena *arena;
	recent recents[RECENT_MAX]; /* a ring */
	uint64_t recent_end;        /* of all that were ever taken; the last RECENT_MAX are in the ring */
	uint64_t recent_pushed;     /* of them, how many the stream has taken */
	bool has_ended;

	atomic_size_t references;       /* the stream's, the pump's, the opener's */
	_Atomic(const char *) ends_for; /* a sentence; NULL = goes on */
	atomic_bool is_open;
	atomic_bool is_closed;
} subscription;

static void unref(subscription *s)
{
	if (atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1) {
		for (size_t i = 0; i < RECENT_MAX; i++) {
			frame_unref(s->recents[i].frame);
		}
		httpmq_members_remove(s->api->httpmq_members, &s->member);
		http_stream_unref(s->stream);
		pump_unref(s->pump);
		log_topic_unref(s->topic);
		auth_principal_unref(s->principal);
		arena_free(s->arena);
		free(s->texts);
		free(s);
	}
}

/* ---- called by the stream ---- */

static void on_drain(void *context)
{
	subscription *s = context;
	pump_kick(s->pump);
}

static void end(subscription *s, const char *why)
{
	const char *none = NULL;
	atomic_compare_exchange_strong(&s->ends_for, &none, why);
	pump_kick(s->pump);
}

static void on_shutdown(void *context)
{
	end(context, "this server stops; subscribe again");
}

static void on_expire(void *context)
{
	end(context, "the credential has expired; subscribe again with a new one");
}

static void on_credential_end(void *context, const err *e)
{
	subscription *s = context;
	slog_err(s->api->slog, SLOG_INFO, "httpmq", "a subscription ends with its credential", e);
	end(s, "the credential is no longer valid; subscribe again with another one");
}

static void on_closed(void *context, http_stream_end_reason reason)
{
	subscription *s = context;
	(void)reason;
	atomic_store(&s->is_closed, true);
	auth_watch_stop(atomic_exchange(&s->watch, NULL));
	pump_kick(s->pump);
	unref(s);
}

/* ---- the pump ---- */

static recent *recent_at(subscription *s, uint64_t number)
{
	return &s->recents[number % RECENT_MAX];
}

/* NULL when memory is out. */
static frame *encode(const subscription *s, const take_message *m)
{
	buf line;
	buf_init(&line, DELIVERY_BYTES_MAX);
	buf_append_str(&line, s->line_head);
	delivery_write(&line, m);
	if (s->has_details) {
		buf_append_str(&line, STR(",\"published_subject\":"));
		httpmq_write_string(&line, m->subject);
		delivery_write_details(&line, m);
	}
	buf_append_str(&line, STR("}\n"));
	frame *f = line.failed ? NULL : frame_new(buf_str(&line));
	buf_dispose(&line);
	return f;
}

typedef enum step { STEP_ON, STEP_IDLE, STEP_FULL, STEP_YIELD, STEP_FAILED } step;

/* Hands over what was taken. STEP_FULL: the client has to read first, or is gone. */
static step push_taken(subscription *s)
{
	while (s->recent_pushed < s->recent_end) {
		recent *r = recent_at(s, s->recent_pushed);
		if (r->frame == NULL || http_stream_push(s->stream, r->frame) != HTTP_PUSH_OK) {
			return STEP_FULL;
		}
		frame_unref(r->frame);
		r->frame = NULL;
		r->pushed_ms = clock_now_ms();
		s->recent_pushed++;
	}
	return STEP_ON;
}

static step take_and_push(subscription *s, log_conn *conn, int64_t *due_in_ms, err *e)
{
	take_result taken;
	arena_reset(s->arena);
	if (http_stream_is_closed(s->stream)) {
		return STEP_IDLE;
	}
	if (!take_messages(conn, &s->take, s->arena, &taken, e)) {
		return STEP_FAILED;
	}
	*due_in_ms = taken.due_in_ms;
	if (taken.is_replaced) {
		return err_set(e, ERR_FENCED, "another subscriber has taken over; a consumer without a group has one at a time")
				   ? STEP_ON
				   : STEP_FAILED;
	}
	s->take.insists = taken.has_yielded;
	for (size_t i = 0; i < taken.count; i++) {
		*recent_at(s, s->recent_end) =
			(recent){.delivery = taken.messages[i].delivery, .frame = encode(s, &taken.messages[i])};
		s->recent_end++;
	}
	if (push_taken(s) == STEP_FULL) {
		return STEP_FULL;
	}
	return taken.has_yielded ? STEP_YIELD : taken.has_more ? STEP_ON : STEP_IDLE;
}

/* What did not reach the client. */
static void undo_lost(subscription *s, log_conn *conn)
{
	httpmq_delivery lost[RECENT_MAX];
	size_t count = 0;
	int64_t since_ms = clock_now_ms() - UNDO_MS;
	uint64_t first = s->recent_end > RECENT_MAX ? s->recent_end - RECENT_MAX : 0;
	bool has_lost = http_stream_has_lost(s->stream);
	err e;
	for (uint64_t i = first; i < s->recent_end; i++) {
		const recent *r = recent_at(s, i);
		if (i >= s->recent_pushed || (has_lost && r->pushed_ms >= since_ms)) {
			lost[count++] = r->delivery;
		}
	}
	if (count == 0) {
		return;
	}
	if (consumer_undo(conn, s->topic->topic_id, s->consumer, lost, count, &e)) {
		log_wake(s->api->log, s->topic->topic_id, 0);
	} else if (e.code != ERR_GROUP_NOT_FOUND) {
		slog_err(s->api->slog, SLOG_INFO, "httpmq", "deliveries that reached nobody wait for their ack_wait", &e);
	}
}

static void leave_group(subscription *s, log_conn *conn)
{
	err e;
	db_params p;
	httpmq_members_remove(s->api->httpmq_members, &s->member);
	db_params_init(&p);
	db_param_i64(&p, s->topic->topic_id);
	db_param_str(&p, s->consumer);
	db_param_i64(&p, s->member.number);
	db_param_i64(&p, MEMBER_LIFE_MS);
	if (!db_do(conn, &SQL_HTTPMQ_MEMBER_LEAVE, &p, NULL, &e)) {
		slog_err(s->api->slog, SLOG_DEBUG, "httpmq", "a member of a group is forgotten later", &e);
	}
}

static pump_next leave(subscription *s, log_conn *conn)
{
	undo_lost(s, conn);
	if (s->is_member) {
		leave_group(s, conn);
	}
	unref(s);
	return PUMP_DONE;
}

/* The last line; on_closed kicks once more. */
static pump_next finish(subscription *s, const err *e)
{
	buf line;
	buf_init(&line, HEAD_BYTES_MAX);
	httpmq_write_failure(&line, s->request_id, httpmq_code_of(e), e);
	buf_append_byte(&line, '\n');
	frame *last = line.failed ? NULL : frame_new(buf_str(&line));
	buf_dispose(&line);
	s->has_ended = true;
	http_stream_end(s->stream, last);
	frame_unref(last);
	return PUMP_WAIT;
}

static pump_next finish_for(subscription *s, const char *why)
{
	err e;
	err_set(&e, ERR_SHUTTING_DOWN, "%s", why);
	return finish(s, &e);
}

/* Passing trouble: the database is away, or the server is busy. */
static bool is_passing(const err *e)
{
	return e->code == ERR_UNAVAILABLE || e->code == ERR_TIMEOUT || e->code == ERR_NOT_READY ||
		   e->code == ERR_THROTTLED || e->code == ERR_NO_MEMORY || e->code == ERR_OUTCOME_UNKNOWN;
}

static void wait_for(const subscription *s, int64_t in_ms)
{
	if (in_ms >= 0) {
		pump_kick_at(s->pump, clock_now_ms() + (in_ms < WAKE_MS_MOST ? in_ms : WAKE_MS_MOST));
	}
}

static pump_next serve(subscription *s, log_conn *conn)
{
	err e = {0};
	int64_t due_in_ms = -1;
	/* Register first, then look. */
	if (!pump_watch(s->pump, s->topic->topic_id, 0)) {
		return finish_for(s, "the server has no memory left for another subscription; try again later");
	}
	step result = push_taken(s);
	for (int i = 0; i < TURN_TAKES && result == STEP_ON; i++) {
		result = take_and_push(s, conn, &due_in_ms, &e);
	}
	switch (result) {
	case STEP_ON:
		pump_kick(s->pump);
		break;
	case STEP_YIELD:
		wait_for(s, YIELD_MS);
		break;
	case STEP_FAILED:
		if (!is_passing(&e)) {
			return finish(s, &e);
		}
		wait_for(s, RETRY_MS);
		break;
	case STEP_IDLE:
		wait_for(s, due_in_ms);
		break;
	case STEP_FULL:
		wait_for(s, -1);
		break;
	}
	return PUMP_WAIT;
}

static pump_next run(void *context, log_conn *conn)
{
	subscription *s = context;
	const char *why = atomic_load(&s->ends_for);
	if (!atomic_load(&s->is_open)) {
		return PUMP_WAIT; /* the opener kicks again */
	}
	if (atomic_load(&s->is_closed)) {
		if (s->stream == NULL) {
			unref(s);
			return PUMP_DONE;
		}
		return leave(s, conn);
	}
	if (s->has_ended) {
		return PUMP_WAIT;
	}
	if (why == NULL && atomic_load(&s->api->is_stopping)) {
		why = "this server stops; subscribe again";
	}
	return why != NULL ? finish_for(s, why) : serve(s, conn);
}

/* No job can be had, but the subscription goes on as soon as there is one; when it is over, what was lost waits for its time. */
static pump_next refuse(void *context, const err *e)
{
	subscription *s = context;
	bool is_over = !atomic_load(&s->is_open) || atomic_load(&s->is_closed) || atomic_load(&s->ends_for) != NULL ||
				   atomic_load(&s->api->is_stopping);
	if (!is_over && is_passing(e)) {
		return PUMP_WAIT;
	}
	if (s->stream != NULL) {
		(void)finish(s, e);
	}
	unref(s);
	return PUMP_DONE;
}

/* ---- opening ---- */

static bool set_texts(subscription *s, const subscription_request *q, str request_id)
{
	buf texts;
	buf_init(&texts, HEAD_BYTES_MAX);
	buf_append_str(&texts, q->consumer);
	buf_append_str(&texts, request_id);
	size_t head = texts.len;
	buf_append_str(&texts, STR("{\"success\":true,\"request_id\":"));
	httpmq_write_string(&texts, request_id);
	buf_append_str(&texts, STR(",\"stream\":"));
	httpmq_write_string(&texts, q->stream);
	buf_append_str(&texts, STR(",\"subject\":"));
	httpmq_write_string(&texts, q->subject);
	buf_append_str(&texts, STR(",\"consumer\":"));
	httpmq_write_string(&texts, q->consumer);
	buf_append_str(&texts, STR(","));
	size_t len = 0;
	s->texts = buf_detach(&texts, &len);
	buf_dispose(&texts);
	if (s->texts == NULL) {
		return false;
	}
	s->consumer = (str){s->texts, q->consumer.len};
	s->request_id = (str){s->texts + q->consumer.len, request_id.len};
	s->line_head = (str){s->texts + head, len - head};
	return true;
}

/* With three references, or NULL with *e filled. */
static subscription *subscription_new(http_exchange *x, const subscription_request *q, err *e)
{
	subscription *s = calloc(1, sizeof *s);
	if (s == NULL) {
		goto fail;
	}
	atomic_init(&s->references, 1);
	atomic_init(&s->watch, NULL);
	atomic_init(&s->ends_for, NULL);
	atomic_init(&s->is_open, false);
	atomic_init(&s->is_closed, false);
	s->api = api_of(x);
	s->topic = log_topic_ref(q->topic);
	s->principal = auth_principal_ref(gate_principal(x));
	s->arena = arena_new(ARENA_BYTES);
	s->is_member = q->is_member;
	s->has_details = q->has_details;
	if (s->principal == NULL || s->arena == NULL || !set_texts(s, q, httpmq_request_id(x))) {
		goto fail;
	}
	s->take = (take_request){.engine = s->api->log,
							 .topic = s->topic,
							 .consumer = s->consumer,
							 .generation = q->generation,
							 .member = q->member,
							 .most = TAKE_MESSAGES};
	s->pump = pump_new(s->api, (pump_body){run, refuse, s}, e);
	if (s->pump == NULL) {
		unref(s);
		return NULL;
	}
	atomic_store(&s->references, 3);
	return s;
fail:
	if (s != NULL) {
		unref(s);
	}
	err_set(e, ERR_NO_MEMORY, "the server has no memory left for another subscription; try again later");
	return NULL;
}

static void watch_credential(subscription *s)
{
	auth_watch *w = auth_watch_start(s->api->auth, s->principal, on_credential_end, s);
	if (w == NULL) {
		end(s, "the server has no memory left for another subscription; try again later");
	}
	atomic_store(&s->watch, w);
	if (atomic_load(&s->is_closed)) {
		auth_watch_stop(atomic_exchange(&s->watch, NULL));
	}
}

void subscription_open(http_exchange *x, const subscription_request *request)
{
	err e;
	subscription *s = subscription_new(x, request, &e);
	log_topic_unref(request->topic);
	if (s == NULL) {
		http_send_error(x, &e);
		return;
	}
	http_stream_options options = {
		.content_type = "text/event-stream",
		.stall_ms = (uint32_t)s->api->config->stream_stall_ms,
		.max_age_ms = gate_credential_ms(x),
		.place = &s->stream,
		.context = s,
		.on_drain = on_drain,
		.on_expire = on_expire,
		.on_shutdown = on_shutdown,
		.on_closed = on_closed,
	};
	http_reply_header(x, STR("Cache-Control"), STR("no-cache"));
	http_reply_header(x, STR("X-Accel-Buffering"), STR("no"));
	if (s->is_member) {
		s->member = (httpmq_member){.topic_id = s->topic->topic_id, .consumer = s->consumer, .number = request->member};
		httpmq_members_add(s->api->httpmq_members, &s->member);
	} else {
		/* Whoever was served before looks, and finds that it is not any more. */
		log_wake(s->api->log, s->topic->topic_id, 0);
	}
	/* The reply: x and the request are gone behind it. */
	if (http_stream_open(x, &options) != NULL) {
		watch_credential(s);
	} else {
		atomic_store(&s->is_closed, true);
		unref(s); /* the stream's: it never was */
	}
	atomic_store(&s->is_open, true);
	pump_kick(s->pump);
	unref(s);
}
