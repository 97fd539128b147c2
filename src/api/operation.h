/*
 * api/operation: the one way in which a handler reaches the log: find the topic, do something with it on a thread that
 * may wait for the database, reply.
 *
 *   typedef struct describe { api_operation op; … } describe;       what the handler parsed lives behind the operation
 *   describe *d = api_operation_new(x, sizeof *d, run_describe);    in the exchange's arena; NULL: answered
 *   d->op.topic_name = http_request_param(x, 0);
 *   api_run(&d->op);                                                run_describe() fills http_reply_body(), maybe
 * op->status
 *
 * A topic comes from the cache when it is there. A cached one may be gone or have changed: whatever fails with
 * ERR_TOPIC_NOT_FOUND, or sets is_doubtful, is tried once more with the topic that the database knows now.
 *
 * Life     the operation dies with its exchange: by api_reply(), api_fail(), or inside api_run().
 * Owns     a reference to its topic.
 * Threads  one at a time, as its exchange.
 */
#ifndef TIDEGATE_API_OPERATION_H
#define TIDEGATE_API_OPERATION_H

#include "api/api.h"

typedef struct api_operation api_operation;

/* With the topic, if one is named, and an empty reply body. False: *e is the answer, or the reason to try once more,
 * and whatever the reply body holds is dropped. */
typedef bool api_run_fn(api_operation *op, log_conn *conn, err *e);

struct api_operation {
	http_exchange *x;
	api_run_fn *run;
	/* Called when the topic does not exist: sets op->topic (with a reference), or fails. NULL: ERR_TOPIC_NOT_FOUND. */
	api_run_fn *make_topic;
	void (*then)(api_operation *op); /* api_run_then()'s or api_with_topic()'s */
	str topic_name;                  /* ptr NULL: the operation is not about one topic */
	const log_topic *topic;          /* set while run() runs */
	bool is_fresh;                   /* the topic was looked up in the database, not only in the cache */
	bool is_doubtful;                /* set by what fails for a reason that a stale topic may have, too */
	int status;                      /* of the reply; 200 unless run() sets it */
	const char *content_type;        /* of the reply; NULL: application/json */
};

/* `bytes` zeroed bytes that begin with an api_operation. NULL: no memory, answered. */
void *api_operation_new(http_exchange *x, size_t bytes, api_run_fn *run);

/* As a job: resolve, run, reply. */
void api_run(api_operation *op);
/* The same with `then` in the place of the reply: it sees to that. */
void api_run_then(api_operation *op, void (*then)(api_operation *op));
/* The same without the reply, for a caller that has a session already. */
bool api_attempt(api_operation *op, log_conn *conn, err *e) MUST_CHECK;

/* Calls `then` with the topic, at once when it is cached, else from a job. `then` sees to the reply. */
void api_with_topic(api_operation *op, void (*then)(api_operation *op));
/* After `then` failed with *e: true when the topic was only a stale entry of the cache, and `then` is called again. */
bool api_with_topic_again(api_operation *op, const err *e);

void api_reply(api_operation *op); /* http_reply_body() with op->status */
void api_fail(api_operation *op, const err *e);

/* ^[A-Za-z0-9][A-Za-z0-9._:-]{0,254}$, what a topic may be called when it is made. */
bool api_topic_name_is_valid(str name);
/* What some dialect may have called a topic; nothing else is looked up. */
bool api_topic_name_can_exist(str name);
/* False with *e filled, and the operation doubtful, when the topic has no such partition. */
bool api_check_partition(api_operation *op, int64_t partition, err *e) MUST_CHECK;
bool api_set_topic_name_invalid(err *e);        /* returns false */
bool api_set_topic_not_found(err *e, str name); /* returns false */

#endif
