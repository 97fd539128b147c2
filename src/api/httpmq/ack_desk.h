/*
 * api/httpmq/ack_desk: acknowledgements that wait at this worker, many of them in one transaction: while one commits, the
 * next ones gather, by consumer.
 *
 * Owns     an operation and what it points to are the caller's until `done` was called, exactly once.
 * Threads  submit: any. done: the submitter's own, or a reader thread; it must not block.
 * Limits   ACK_DESK_GROUP acknowledgements a transaction. Each waiting one is a request, whose number the server limits.
 * Errors   (error) those of db/conn, ERR_NO_MEMORY, those of log_engine_submit(): nothing was acknowledged, or, after
 *          ERR_OUTCOME_UNKNOWN, perhaps. A message that is not pending is none.
 */
#ifndef TIDEGATE_API_HTTPMQ_ACK_DESK_H
#define TIDEGATE_API_HTTPMQ_ACK_DESK_H

#include "log/engine.h"

enum { ACK_DESK_GROUP = 512 };

typedef struct httpmq_ack_desk httpmq_ack_desk;
typedef struct httpmq_ack_wait httpmq_ack_wait;

struct httpmq_ack_wait {
	/* in */
	int64_t topic_id;
	str consumer;
	int64_t sequence;
	void (*done)(httpmq_ack_wait *ack);

	/* out */
	err error;
	bool was_pending;

	httpmq_ack_wait *next; /* the desk's */
};

httpmq_ack_desk *httpmq_ack_desk_new(log_engine *engine); /* NULL: no memory */
void httpmq_ack_desk_free(httpmq_ack_desk *desk);
void httpmq_ack_desk_submit(httpmq_ack_desk *desk, httpmq_ack_wait *ack);

#endif
