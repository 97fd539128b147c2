/*
 * api/durable/sse: messages as server-sent events. Each event of data is followed by one of control:
 *
 *   event: data
 *   data:hello world
 *
 *   event: control
 *   data:{"streamNextOffset":"…","streamCursor":"3340000","upToDate":true}
 *
 *   JSON       an event holds what was read together, as one array
 *   text/…     an event a message; one that ends inside a UTF-8 character is joined by the next
 *   all else   an event a message, in base64
 *
 * Payload never breaks out: every line of it is a `data:` line of its own, whatever ends its lines.
 *
 * Threads  any; the formats are constants.
 * Errors   buf.failed.
 */
#ifndef TIDEGATE_API_DURABLE_SSE_H
#define TIDEGATE_API_DURABLE_SSE_H

#include "api/durable/stream.h"
#include "base/frame.h"
#include "log/tail.h"

/* Frames are shared by all readers, and their cursor is the present one. */
const log_format *durable_sse_format(durable_media media);
bool durable_sse_is_base64(durable_media media);

typedef struct durable_control {
	durable_offset next;
	int64_t cursor; /* not told when closed */
	bool is_up_to_date;
	bool is_closed;
} durable_control;
void durable_sse_write_control(buf *out, const durable_control *c);

/* The events for a reader whose cursor is not below `least`: the same frame, or a copy with that cursor. With a
 * reference; NULL when memory is out. */
frame *durable_sse_with_cursor(frame *f, int64_t least);

#endif
