/*
 * GET with live=long-poll: what there is, or the first that comes, or 204 after a while.
 */
#include "api/durable/cursor.h"
#include "api/durable/fetch.h"
#include "api/durable/keep.h"
#include "api/durable/reply.h"
#include "api/pump.h"
#include "base/clock.h"
#include "base/id.h"

typedef struct long_poll {
	durable_fetch *fetch;
	pump *pump;
	durable_kept *kept;
	int64_t deadline_ms; /* on clock_now_ms() */
	bool is_watching;
} long_poll;

static void release(long_poll *p)
{
	durable_unkeep(p->kept);
	pump_unref(p->pump);
}

static void reply_cursor(http_exchange *x)
{
	str requested = STR_NONE;
	if (!http_request_query(x, STR("cursor"), &requested)) {
		requested = STR_NONE;
	}
	durable_reply_number(x, STR("Stream-Cursor"),
						 durable_cursor_answer(requested, durable_cursor_now(), id_random_u64()));
}

static void reply_nothing(durable_fetch *f)
{
	http_exchange *x = f->op.x;
	durable_reply_offset(x, f->read.next);
	durable_reply_true(x, STR("Stream-Up-To-Date"));
	if (f->read.is_closed) {
		durable_reply_true(x, STR("Stream-Closed"));
	}
	buf_clear(http_reply_body(x));
	durable_finish(&f->op, f->stream, 204);
}

static pump_next answer(long_poll *p)
{
	durable_fetch *f = p->fetch;
	release(p);
	reply_cursor(f->op.x);
	if (f->read.messages > 0) {
		durable_fetch_reply(&f->op);
	} else {
		reply_nothing(f);
	}
	return PUMP_DONE;
}

static pump_next refuse(long_poll *p, const err *e)
{
	durable_fetch *f = p->fetch;
	release(p);
	durable_fetch_fail(f, e);
	return PUMP_DONE;
}

/* One look, from where the last one ended. */
static bool look(long_poll *p, log_conn *conn, err *e)
{
	durable_fetch *f = p->fetch;
	durable_stream_unref(f->stream);
	f->stream = NULL;
	if (!api_attempt(&f->op, conn, e)) {
		return false;
	}
	/* From here on it is this incarnation, and this place, that is waited at. */
	f->op.is_fresh = true;
	if (f->read.messages == 0) {
		f->at.kind = DURABLE_FROM_TOKEN;
		f->at.offset = f->read.next;
	}
	return true;
}

static pump_next look_and_wait(void *context, log_conn *conn)
{
	long_poll *p = context;
	durable_fetch *f = p->fetch;
	err e;
	for (;;) {
		bool is_last = clock_now_ms() >= p->deadline_ms || atomic_load(&api_of(f->op.x)->is_stopping) ||
					   http_peer_is_gone(f->op.x);
		if (!look(p, conn, &e)) {
			return refuse(p, &e);
		}
		if (f->read.messages > 0 || f->read.is_closed || is_last) {
			return answer(p);
		}
		if (p->is_watching) {
			pump_kick_at(p->pump, p->deadline_ms);
			return PUMP_WAIT;
		}
		/* Register first, then look once more: what came in between is seen by one of the two. */
		if (!pump_watch(p->pump, f->op.topic->topic_id, 0)) {
			return answer(p);
		}
		p->is_watching = true;
		p->kept = durable_keep(api_of(f->op.x), f->stream);
	}
}

static pump_next refuse_to_wait(void *context, const err *e)
{
	return refuse(context, e);
}

void durable_long_poll(durable_fetch *f)
{
	err e;
	api *a = api_of(f->op.x);
	long_poll *p = arena_alloc_zero(http_arena(f->op.x), sizeof *p);
	if (p == NULL) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		api_fail(&f->op, &e);
		return;
	}
	p->fetch = f;
	p->deadline_ms = clock_now_ms() + a->config->durable_long_poll_ms;
	p->pump = pump_new(a, (pump_body){look_and_wait, refuse_to_wait, p}, &e);
	if (p->pump == NULL) {
		api_fail(&f->op, &e);
		return;
	}
	pump_kick(p->pump);
}
