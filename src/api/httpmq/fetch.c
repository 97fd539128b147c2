/*
 * POST /v1/data/stream/S/consumer/C/fetch: the next messages of a pull consumer, now or as soon as there is one. What is
 * answered waits for its acknowledgement like a message that was pushed.
 */
#include "api/api.h"
#include "api/httpmq/delivery.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/take.h"
#include "api/httpmq/wire.h"
#include "api/operation.h"
#include "api/pump.h"
#include "base/clock.h"

enum { BATCH_DEFAULT = 1, EXPIRES_S_MAX = 60, ARENA_BYTES = 8 << 20 };

typedef struct fetch {
	api_operation op;
	str consumer;
	int64_t batch;
	int64_t expires_ns; /* 0: what there is */
	arena *arena;       /* of one look */
	take_result taken;
	pump *pump;
	int64_t deadline_ms; /* on clock_now_ms() */
	bool is_watching;
} fetch;

static bool look(api_operation *op, log_conn *conn, err *e)
{
	fetch *f = (fetch *)op;
	const take_request request = {.engine = api_of(op->x)->log,
								  .topic = op->topic,
								  .consumer = f->consumer,
								  .is_pull = true,
								  .most = (size_t)f->batch};
	arena_reset(f->arena);
	bool ok = take_messages(conn, &request, f->arena, &f->taken, e);
	/* A stale entry of the cache knows another stream, or none, by this name. */
	op->is_doubtful = !ok && e->code == ERR_GROUP_NOT_FOUND;
	return ok;
}

static pump_next end(fetch *f)
{
	pump_unref(f->pump);
	arena_free(f->arena);
	return PUMP_DONE;
}

static pump_next answer(fetch *f)
{
	buf *out = http_reply_body(f->op.x);
	httpmq_begin(f->op.x);
	buf_append_str(out, STR(",\"messages\":["));
	for (size_t i = 0; i < f->taken.count; i++) {
		buf_append_str(out, i > 0 ? STR(",{\"subject\":") : STR("{\"subject\":"));
		httpmq_write_string(out, f->taken.messages[i].subject);
		buf_append_byte(out, ',');
		delivery_write(out, &f->taken.messages[i]);
		delivery_write_details(out, &f->taken.messages[i]);
		buf_append_byte(out, '}');
	}
	buf_append_str(out, STR("]}"));
	pump_next next = end(f);
	api_reply(&f->op);
	return next;
}

static pump_next refuse(void *context, const err *e)
{
	fetch *f = context;
	pump_next next = end(f);
	api_fail(&f->op, e);
	return next;
}

static void wait_on(const fetch *f, int64_t now_ms)
{
	int64_t due_ms = f->taken.due_in_ms >= 0 ? now_ms + f->taken.due_in_ms : f->deadline_ms;
	pump_kick_at(f->pump, due_ms < f->deadline_ms ? due_ms : f->deadline_ms);
}

static pump_next look_and_wait(void *context, log_conn *conn)
{
	fetch *f = context;
	err e;
	f->taken = (take_result){.count = 0};
	while (!http_peer_is_gone(f->op.x)) {
		int64_t now_ms = clock_now_ms();
		bool is_stopping = atomic_load(&api_of(f->op.x)->is_stopping);
		if (!api_attempt(&f->op, conn, &e)) {
			return refuse(f, &e);
		}
		if (f->taken.count > 0 || is_stopping || (now_ms >= f->deadline_ms && !f->taken.has_more)) {
			break;
		}
		if (f->taken.has_more) {
			/* There is more to be looked through; others want the reader, too. */
			pump_kick(f->pump);
			return PUMP_WAIT;
		}
		if (f->is_watching) {
			wait_on(f, now_ms);
			return PUMP_WAIT;
		}
		/* Register first, then look once more: what came in between is seen by one of the two. */
		if (!pump_watch(f->pump, f->op.topic->topic_id, 0)) {
			break;
		}
		f->is_watching = true;
	}
	return answer(f);
}

static bool read_body(fetch *f, err *e)
{
	body b;
	str key;
	f->batch = BATCH_DEFAULT;
	if (!httpmq_body_begin(&b, f->op.x, e)) {
		return false;
	}
	while (httpmq_body_next(&b, &key)) {
		if (httpmq_key_is(key, "batch")) {
			body_integer(&b, "batch", 1, TAKE_MESSAGES, &f->batch);
		} else if (httpmq_key_is(key, "expires")) {
			body_integer(&b, "expires", 0, EXPIRES_S_MAX * INT64_C(1000) * HTTPMQ_NS_PER_MS, &f->expires_ns);
		} else {
			body_skip(&b);
		}
	}
	return httpmq_body_end(&b);
}

void httpmq_fetch(http_exchange *x)
{
	err e;
	str stream;
	str consumer;
	if (!httpmq_take_name(x, 0, "stream", &stream) || !httpmq_take_name(x, 1, "consumer", &consumer)) {
		return;
	}
	fetch *f = api_operation_new(x, sizeof *f, look);
	if (f == NULL) {
		return;
	}
	f->op.topic_name = stream;
	f->consumer = consumer;
	if (!read_body(f, &e)) {
		api_fail(&f->op, &e);
		return;
	}
	f->deadline_ms = clock_now_ms() + f->expires_ns / HTTPMQ_NS_PER_MS;
	f->arena = arena_new(ARENA_BYTES);
	f->pump = f->arena != NULL ? pump_new(api_of(x), (pump_body){look_and_wait, refuse, f}, &e) : NULL;
	if (f->arena == NULL) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	if (f->pump == NULL) {
		arena_free(f->arena);
		api_fail(&f->op, &e);
		return;
	}
	pump_kick(f->pump);
}
