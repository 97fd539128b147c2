/*
 * POST: append, close. Checked on the server's thread, committed by a lane, answered from there. A stream that expires is
 * looked at by a reader first; one that turns out to be closed, or a duplicate that counts as an access, afterwards.
 */
#include "api/allowance.h"
#include "api/durable/durable.h"
#include "api/durable/fields.h"
#include "api/durable/messages.h"
#include "api/durable/reply.h"
#include "api/gate.h"

typedef struct post {
	api_operation op;
	const durable_stream *stream;
	str content_type;
	bool is_closing;
	log_producer producer;
	str seq;
	err refusal; /* what is wrong with the body */
	log_append append;
} post;

static void begin(api_operation *op);

/* ---- the answer ---- */

static void release(post *p)
{
	durable_stream_unref(p->stream);
	p->stream = NULL;
}

static void fail(post *p, const err *e)
{
	release(p);
	api_fail(&p->op, e);
}

static durable_offset tail_of(const post *p)
{
	return (durable_offset){p->append.end_offset, p->append.end_byte};
}

static void refuse(post *p)
{
	http_exchange *x = p->op.x;
	log_append *a = &p->append;
	if (a->error.code == ERR_TOPIC_CLOSED) {
		err_set(&a->error, ERR_TOPIC_CLOSED, "the stream is closed: nothing can be added to it any more");
		durable_reply_true(x, STR("Stream-Closed"));
		durable_reply_offset(x, tail_of(p));
	} else if (a->error.code == ERR_PRODUCER_FENCED) {
		durable_reply_number(x, STR("Producer-Epoch"), a->producer_state.epoch);
	} else if (a->error.code == ERR_PRODUCER_SEQUENCE_GAP) {
		durable_reply_number(x, STR("Producer-Expected-Seq"), a->producer_state.sequence + 1);
		durable_reply_number(x, STR("Producer-Received-Seq"), p->producer.sequence);
	}
	fail(p, &a->error);
}

static void answer(api_operation *op)
{
	post *p = (post *)op;
	http_exchange *x = op->x;
	const log_append *a = &p->append;
	if (a->error.code != ERR_NONE) {
		refuse(p);
		return;
	}
	bool has_producer = p->producer.id.ptr != NULL;
	durable_reply_offset(x, tail_of(p));
	if (a->is_closed) {
		durable_reply_true(x, STR("Stream-Closed"));
	}
	if (has_producer) {
		durable_reply_number(x, STR("Producer-Epoch"), a->producer_state.epoch);
		durable_reply_number(x, STR("Producer-Seq"), a->producer_state.sequence);
	}
	bool is_new_data = has_producer && !a->is_duplicate && http_request_body(x).len > 0;
	durable_finish(op, p->stream, is_new_data ? 200 : 204);
}

/* ---- after the commit ---- */

/* Closed may mean softly deleted; a duplicate is an access that no record bears witness of. */
static bool run_settle(api_operation *op, log_conn *conn, err *e)
{
	post *p = (post *)op;
	durable_state state = {.is_expired = false};
	bool ok = durable_state_get(conn, p->stream->topic_id, &state, e) && durable_state_check(&state, e) &&
			  (p->append.error.code != ERR_NONE || durable_stream_touch(conn, p->stream, &state, e));
	if (!ok) {
		release(p);
	}
	return ok;
}

static void finish(log_append *append)
{
	post *p = append->context;
	bool is_refused = append->error.code != ERR_NONE;
	bool was_closed = append->error.code == ERR_TOPIC_CLOSED || (append->is_duplicate && append->is_closed);
	if (append->error.code == ERR_TOPIC_NOT_FOUND && !p->op.is_fresh) {
		release(p);
		p->op.then = begin;
		if (api_with_topic_again(&p->op, &append->error)) {
			return;
		}
		durable_err_absent(&append->error);
	}
	if (was_closed || (!is_refused && append->is_duplicate && p->stream->has_ttl)) {
		p->op.is_fresh = true;
		p->op.run = run_settle;
		api_run_then(&p->op, answer);
	} else {
		answer(&p->op);
	}
}

/* ---- the append ---- */

/* What is wrong with the body for this stream, and when that is to be said. */
static log_refusal_stage judge_body(post *p, log_columns *columns)
{
	http_exchange *x = p->op.x;
	str body = http_request_body(x);
	str media_type;
	*columns = (log_columns){.count = 0};
	if (body.len == 0) {
		return LOG_REFUSE_NOT;
	}
	if (!durable_media_type(http_arena(x), p->content_type, &media_type)) {
		err_set(&p->refusal, ERR_NO_MEMORY, "out of memory; try again");
		return LOG_REFUSE_IF_OPEN;
	}
	if (!str_equal(media_type, p->stream->media_type)) {
		err_set(&p->refusal, ERR_CONTENT_TYPE_MISMATCH, "this stream takes %.*s; send that",
				STR_ARG(str_take(p->stream->media_type, 100)));
		return LOG_REFUSE_IF_OPEN;
	}
	if (!durable_messages_split(body, p->stream->media, http_arena(x), columns, &p->refusal)) {
		return LOG_REFUSE_LAST;
	}
	if (columns->count == 0) {
		err_set(&p->refusal, ERR_INVALID_REQUEST, "an empty array appends nothing; send at least one message");
		return LOG_REFUSE_LAST;
	}
	return LOG_REFUSE_NOT;
}

static void submit(api_operation *op)
{
	post *p = (post *)op;
	log_columns columns;
	log_refusal_stage stage = judge_body(p, &columns);
	err e;
	p->append = (log_append){.topic = op->topic,
							 .columns = columns,
							 .producer = p->producer,
							 .sequence_token = p->seq,
							 .close = p->is_closing,
							 .refusal_stage = stage,
							 .refusal = &p->refusal,
							 .arena = http_arena(op->x),
							 .done = finish,
							 .context = p};
	api *a = api_of(op->x);
	if (!allowance_append(a, gate_principal(op->x), &columns, &e) || !log_append_submit(a->log, &p->append, &e)) {
		fail(p, &e);
	}
}

/* ---- before it ---- */

static bool run_look(api_operation *op, log_conn *conn, err *e)
{
	post *p = (post *)op;
	durable_state state = {.is_expired = false};
	if (!durable_stream_find(api_of(op->x), conn, op->topic, &p->stream, e)) {
		return false;
	}
	if (!durable_stream_expires(p->stream) ||
		(durable_state_get(conn, p->stream->topic_id, &state, e) && durable_state_check(&state, e))) {
		return true;
	}
	release(p);
	return false;
}

/* With the topic. What is remembered of the stream spares the look, unless it can expire. */
static void begin(api_operation *op)
{
	post *p = (post *)op;
	p->stream = op->topic->partitions == 1 ? durable_stream_cached(api_of(op->x), op->topic) : NULL;
	if (p->stream != NULL && !durable_stream_expires(p->stream)) {
		submit(op);
		return;
	}
	release(p);
	op->run = run_look;
	api_run_then(op, submit);
}

static bool read_head(post *p, err *e)
{
	http_exchange *x = p->op.x;
	return durable_read_path(x, &p->op.topic_name, e) && durable_field_closed(x, &p->is_closing, e) &&
		   durable_field_producer(x, &p->producer, e) && durable_field_seq(x, &p->seq, e) &&
		   durable_field_content_type(x, &p->content_type, e);
}

bool durable_post_check(http_exchange *x, err *e)
{
	post p = {.op.x = x};
	return read_head(&p, e);
}

static bool check_body(const post *p, err *e)
{
	str body = http_request_body(p->op.x);
	if (body.len == 0 && !p->is_closing) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "there is no body; send a message, or Stream-Closed: true to close the stream");
	}
	if (body.len > 0 && p->content_type.ptr == NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "send a Content-Type, the one that the stream was created with");
	}
	return true;
}

void durable_post(http_exchange *x)
{
	err e;
	post *p = api_operation_new(x, sizeof *p, run_look);
	if (p == NULL) {
		return;
	}
	if (read_head(p, &e) && check_body(p, &e)) {
		api_with_topic(&p->op, begin);
	} else {
		api_fail(&p->op, &e);
	}
}
