/*
 * POST /v1/data/stream/S/consumer/C/ack, …/nack: applied to the stored consumer before the answer, from any connection and at
 * any worker. 200 says that it was heard: what is not pending is passed over.
 */
#include "api/api.h"
#include "api/httpmq/ack_desk.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/waiting.h"
#include "api/httpmq/wire.h"
#include "api/operation.h"
#include "log/wake.h"

#include <stddef.h>

#define DELAY_NS_MAX (INT64_C(24) * 3600 * 1000 * HTTPMQ_NS_PER_MS)

typedef struct ack {
	api_operation op;
	httpmq_ack_wait wait; /* ack: at the desk */
	str consumer;
	httpmq_delivery delivery;
	int64_t delay_ns; /* nack: from now on */
} ack;

/* Nothing is found through a stale entry of the cache either: the database may know another stream of this name. */
static bool check_found(const api_operation *op, bool was_pending, err *e)
{
	return was_pending || op->is_fresh || err_set(e, ERR_TOPIC_NOT_FOUND, "the stream is gone");
}

static void reply_done(api_operation *op)
{
	httpmq_begin(op->x);
	buf_append_byte(http_reply_body(op->x), '}');
	api_reply(op);
}

/* ---- acknowledging: what waits shares a transaction ---- */

static void on_acked(httpmq_ack_wait *wait)
{
	ack *a = (ack *)((char *)wait - offsetof(ack, wait));
	err e = wait->error;
	if (e.code == ERR_NONE && check_found(&a->op, wait->was_pending, &e)) {
		reply_done(&a->op);
	} else if (!api_with_topic_again(&a->op, &e)) {
		api_fail(&a->op, &e);
	}
}

/* An unknown stream is no error. */
static void with_topic(api_operation *op)
{
	ack *a = (ack *)op;
	if (op->topic == NULL) {
		reply_done(op);
		return;
	}
	a->wait = (httpmq_ack_wait){
		.topic_id = op->topic->topic_id, .consumer = a->consumer, .sequence = a->delivery.sequence, .done = on_acked};
	httpmq_ack_desk_submit(api_of(op->x)->httpmq_acks, &a->wait);
}

/* ---- giving back ---- */

static bool run_nack(api_operation *op, log_conn *conn, err *e)
{
	ack *a = (ack *)op;
	bool was_pending = false;
	int64_t delay_ms = a->delay_ns / HTTPMQ_NS_PER_MS + (a->delay_ns % HTTPMQ_NS_PER_MS > 0);
	if (op->topic == NULL) {
		return true;
	}
	if (!consumer_nack(conn, op->topic->topic_id, a->consumer, &a->delivery, delay_ms, &was_pending, e)) {
		return false;
	}
	if (was_pending) {
		log_wake(api_of(op->x)->log, op->topic->topic_id, 0);
	}
	return check_found(op, was_pending, e);
}

/* ---- the requests ---- */

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

/* The stream is looked for, and not found. */
static bool make_topic(api_operation *op, log_conn *conn, err *e)
{
	(void)op;
	(void)conn;
	(void)e;
	return true;
}

/* NULL: answered. */
static ack *ack_new(http_exchange *x, api_run_fn *run)
{
	err e;
	str stream;
	str consumer;
	if (!httpmq_take_name(x, 0, "stream", &stream) || !httpmq_take_name(x, 1, "consumer", &consumer)) {
		return NULL;
	}
	ack *a = api_operation_new(x, sizeof *a, run);
	if (a == NULL) {
		return NULL;
	}
	a->op.topic_name = stream;
	a->op.make_topic = make_topic;
	a->consumer = consumer;
	if (!read_body(x, a, &e)) {
		api_fail(&a->op, &e);
		return NULL;
	}
	return a;
}

void httpmq_ack(http_exchange *x)
{
	ack *a = ack_new(x, NULL);
	if (a != NULL) {
		api_with_topic(&a->op, with_topic);
	}
}

void httpmq_nack(http_exchange *x)
{
	ack *a = ack_new(x, run_nack);
	if (a != NULL) {
		api_run_then(&a->op, reply_done);
	}
}
