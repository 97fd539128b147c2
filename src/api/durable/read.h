/*
 * api/durable/read: messages of a stream in order, also across the segments of a fork.
 *
 * Reading ends where an append ends: at the first such end at which max_bytes are reached, or at the tail. A stream that
 * grows meanwhile has the tail that the last look at it found.
 *
 * Threads  the one that was given the connection.
 * Limits   max_bytes and one append.
 * Errors   ERR_TOPIC_NOT_FOUND: the stream is gone. ERR_GONE: softly deleted, or retention took what was asked for.
 */
#ifndef TIDEGATE_API_DURABLE_READ_H
#define TIDEGATE_API_DURABLE_READ_H

#include "api/durable/stream.h"

typedef struct durable_read {
	/* in */
	const log_topic *topic;
	const durable_stream *stream;
	durable_from from;
	uint64_t max_bytes; /* > 0 */
	/* One message. `end` is the position after it. False: enough, an append need not end here. */
	bool (*take)(void *context, const log_record *record, durable_offset end);
	void *context;

	/* out */
	durable_offset next; /* the end of the last message taken; without one, the tail */
	durable_offset tail;
	uint32_t messages;
	uint64_t bytes;
	bool is_up_to_date; /* next is the tail */
	bool is_closed;     /* and nothing will follow; only when up to date */
} durable_read;

bool durable_read_run(const api *a, log_conn *conn, durable_read *r, err *e) MUST_CHECK;

/* The value as the stream's media shows it: in a JSON stream what is no JSON (another dialect wrote it) as
 * {"$base64":"…"}. */
void durable_write_message(buf *out, const durable_stream *s, str value);

#endif
