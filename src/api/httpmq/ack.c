/*
 * POST /v1/data/stream/S/consumer/C/ack, …/nack: applied to the stored consumer before the answer, from any connection and at
 * any worker. 200 says that it was heard: what is not pending is passed over.
 */
#include "api/api.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/waiting.h"
#include "api/httpmq/wire.h"
#include "api/operation.h"
#include "log/wake.h"

#define DELAY_NS_MAX (INT64_C(24) * 3600 * 1000 * HTTPMQ_NS_PER_MS)

typedef struct ack {
	api_operation op;
	str consumer;
	httpmq_delivery delivery;
	int64_t delay_ns; /* nack: from now on */
} ack;

/* Nothing is found through a stale entry of the cache either: the database may know another stream of this name. */
static bool check_found(const api_operation *op, bool was_pending, err *e)
{
	return was_pending || op->is_fresh || err_set(e, ERR_TOPIC_NOT_FOUND, "the stream is gone");
}

static bool run_ack(api_operation *op, log_conn *conn, err *e)
{
	ack *a = (ack *)op;
	consumer_acked acked;
	if (!consumer_ack(conn, op->topic->topic_id, a->consumer, a->delivery.sequence, &acked, e)) {
		return false;
	}
	if (acked.has_freed) {
		log_wake(api_of(op->x)->log, op->topic->topic_id, 0);
	}
	return check_found(op, acked.was_pending, e);
}

static bool run_nack(api_operation *op, log_conn *conn, err *e)
{
	ack *a = (ack *)op;
	bool was_pending = false;
	int64_t delay_ms = a->delay_ns / HTTPMQ_NS_PER_MS + (a->delay_ns % HTTPMQ_NS_PER_MS > 0);
	if (!consumer_nack(conn, op->topic->topic_id, a->consumer, &a->delivery, delay_ms, &was_pending, e)) {
		return false;
	}
	if (was_pending) {
		log_wake(api_of(op->x)->log, op->topic->topic_id, 0);
	}
	return check_found(op, was_pending, e);
}

static void reply_done(api_operation *op)
{
	httpmq_begin(op->x);
	buf_append_byte(http_reply_body(op->x), '}');
	api_reply(op);
}

static bool read_body(http_exchange *x, ack *a, err *e)
{
	body b;
	str key;
	httpmq_delivery *d = &a->delivery;
	if (!httpmq_body_begin(&b, x, e)) {
		return false;
	}
	while (httpmq_body_next(&b, &key)) {
		if (httpmq_key_is(key, "stream")) {
			body_unsigned(&b, "stream", &d->sequence);
		} else if (httpmq_key_is(key, "consumer")) {
			body_unsigned(&b, "consumer", &d->consumer_sequence);
		} else if (a->op.run == run_nack && httpmq_key_is(key, "delay")) {
			body_integer(&b, "delay", 0, DELAY_NS_MAX, &a->delay_ns);
		} else {
			body_skip(&b);
		}
	}
	if (!httpmq_body_end(&b)) {
		return false;
	}
	return (d->sequence > 0 && d->consumer_sequence > 0) ||
		   err_set(e, ERR_INVALID_REQUEST,
				   "stream and consumer must be the sequences that came with the message, 1 or more");
}

/* The stream is looked for without the operation: an unknown one is no error. */
static bool run_unknown(api_operation *op, log_conn *conn, err *e)
{
	(void)op;
	(void)conn;
	(void)e;
	return true;
}

static bool make_topic(api_operation *op, log_conn *conn, err *e)
{
	(void)conn;
	(void)e;
	op->run = run_unknown;
	return true;
}

static void start(http_exchange *x, api_run_fn *run)
{
	err e;
	str stream;
	str consumer;
	if (!httpmq_take_name(x, 0, "stream", &stream) || !httpmq_take_name(x, 1, "consumer", &consumer)) {
		return;
	}
	ack *a = api_operation_new(x, sizeof *a, run);
	if (a == NULL) {
		return;
	}
	a->op.topic_name = stream;
	a->op.make_topic = make_topic;
	a->consumer = consumer;
	if (read_body(x, a, &e)) {
		api_run_then(&a->op, reply_done);
	} else {
		api_fail(&a->op, &e);
	}
}

void httpmq_ack(http_exchange *x)
{
	start(x, run_ack);
}

void httpmq_nack(http_exchange *x)
{
	start(x, run_nack);
}
