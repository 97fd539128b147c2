/*
 * api/durable/fetch: a GET of a stream, whichever way it reads: once (get.c), as a long poll (long_poll.c), as an event
 * stream (events.c).
 *
 * Life     in the exchange's arena, as every operation; the stream's reference goes with the reply.
 * Threads  one at a time.
 */
#ifndef TIDEGATE_API_DURABLE_FETCH_H
#define TIDEGATE_API_DURABLE_FETCH_H

#include "api/durable/durable.h"
#include "api/durable/read.h"

typedef struct durable_fetch {
	api_operation op;
	const durable_stream *stream; /* NULL until it was found */
	durable_from from;            /* as it was asked */
	durable_from at;              /* where the next look begins */
	durable_read read;
	durable_state state; /* of a HEAD */
} durable_fetch;

/* Runs with the stream; a failed one leaves nothing behind. */
bool durable_fetch_with_stream(durable_fetch *f, log_conn *conn, bool (*run)(durable_fetch *f, log_conn *conn, err *e),
							   err *e) MUST_CHECK;
/* Reads what there is behind f->at into the reply. */
bool durable_fetch_run(api_operation *op, log_conn *conn, err *e) MUST_CHECK;
/* Sends it: 200 or 304. */
void durable_fetch_reply(api_operation *op);
/* The error, and the stream is released. */
void durable_fetch_fail(durable_fetch *f, const err *e);

/* The live ways, with op.topic_name, from and at filled in. They reply. `live` and `offset` are given. */
void durable_long_poll(durable_fetch *f);
void durable_events(durable_fetch *f);

#endif
