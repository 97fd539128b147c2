/*
 * POST /v1/data/stream/S/consumer/C/ack: applied to the stored consumer before the answer, from any connection and at any
 * worker. 200 says that it was heard: what is not pending is passed over.
 */
#include "api/api.h"
#include "api/httpmq/ack_desk.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/wire.h"
#include "api/operation.h"

#include <stddef.h>

typedef struct ack {
	api_operation op;
	httpmq_ack_wait wait;
} ack;

static void reply_done(api_operation *op)
{
	httpmq_begin(op->x);
	buf_append_byte(http_reply_body(op->x), '}');
	api_reply(op);
}

static void on_acked(httpmq_ack_wait *wait)
{
	ack *a = (ack *)((char *)wait - offsetof(ack, wait));
	err e = wait->error;
	if (e.code == ERR_NONE && !wait->was_pending && !a->op.is_fresh) {
		/* Nothing is found through a stale entry of the cache either: the database may know another stream of this name. */
		err_set(&e, ERR_TOPIC_NOT_FOUND, "the stream is gone");
	}
	if (e.code == ERR_NONE) {
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
	a->wait.topic_id = op->topic->topic_id;
	a->wait.done = on_acked;
	httpmq_ack_desk_submit(api_of(op->x)->httpmq_acks, &a->wait);
}

static bool read_body(http_exchange *x, ack *a, err *e)
{
	body b;
	str key;
	int64_t consumer = 0;
	if (!httpmq_body_begin(&b, x, e)) {
		return false;
	}
	while (httpmq_body_next(&b, &key)) {
		if (httpmq_key_is(key, "stream")) {
			body_unsigned(&b, "stream", &a->wait.sequence);
		} else if (httpmq_key_is(key, "consumer")) {
			body_unsigned(&b, "consumer", &consumer);
		} else {
			body_skip(&b);
		}
	}
	if (!httpmq_body_end(&b)) {
		return false;
	}
	return (a->wait.sequence > 0 && consumer > 0) ||
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

void httpmq_ack(http_exchange *x)
{
	err e;
	str stream;
	str consumer;
	if (!httpmq_take_name(x, 0, "stream", &stream) || !httpmq_take_name(x, 1, "consumer", &consumer)) {
		return;
	}
	ack *a = api_operation_new(x, sizeof *a, NULL);
	if (a == NULL) {
		return;
	}
	a->op.topic_name = stream;
	a->op.make_topic = make_topic;
	a->wait.consumer = consumer;
	if (read_body(x, a, &e)) {
		api_with_topic(&a->op, with_topic);
	} else {
		api_fail(&a->op, &e);
	}
}
