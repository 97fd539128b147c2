/*
 * api/durable/fork: where a fork begins.
 *
 * The anchor is where it was asked for; a sub-offset goes on from there, at most to the end of the append that follows: over
 * messages in a JSON stream, over bytes in any other, where it may cut a message. Records below `start` stay the
 * source's; what was cut off a message becomes the fork's own first message.
 *
 * Threads  the one that was given the connection, inside the transaction that makes the fork: the source's head is
 *          locked, so that it can neither grow nor go before the fork is there.
 * Limits   DURABLE_DEPTH_MAX ancestors.
 * Errors   ERR_INVALID_REQUEST: the offsets do not fit the source. ERR_TOPIC_NOT_FOUND: no source.
 *          ERR_TOPIC_EXISTS_INCOMPATIBLE: it is softly deleted. Those of db/conn.
 */
#ifndef TIDEGATE_API_DURABLE_FORK_H
#define TIDEGATE_API_DURABLE_FORK_H

#include "api/durable/fields.h"
#include "api/durable/stream.h"

typedef struct durable_fork {
	const log_topic *topic;       /* the source, a reference */
	const durable_stream *source; /* a reference */
	durable_offset anchor;
	durable_offset start;
	str cut; /* in the arena; ptr NULL: no message was cut */
	int32_t depth;
} durable_fork;

bool durable_fork_resolve(const api *a, log_conn *conn, int64_t tenant_id, str source_name,
						  const durable_fork_request *request, arena *room, durable_fork *out, err *e) MUST_CHECK;
void durable_fork_dispose(durable_fork *f);

#endif
