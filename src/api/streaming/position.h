/*
 * api/streaming/position: where a live reader is in all its partitions, as the short text of `id:` and Last-Event-ID.
 *
 * Form     base64url of: version 1; two bytes that mark the topic's incarnation; then varints: first partition, count,
 *          the least offset, and per partition how far it is above the least.
 * Owns     nothing; a position that is read lives in the arena.
 * Threads  any.
 */
#ifndef TIDEGATE_API_STREAMING_POSITION_H
#define TIDEGATE_API_STREAMING_POSITION_H

#include "base/arena.h"
#include "base/buf.h"
#include "log/tail.h"

void position_write(buf *out, const log_topic *t, const log_position *p);

typedef enum position_origin {
	POSITION_OF_TOPIC,
	POSITION_OF_EARLIER_TOPIC, /* of one that was deleted, or of a quite other one; *out is untouched */
	POSITION_BROKEN            /* never was a position; *out is untouched */
} position_origin;

position_origin position_read(str text, const log_topic *t, arena *a, log_position **out);
/* All offsets 0. NULL: the arena is full. */
log_position *position_new(arena *a, int32_t first, int32_t count);

#endif
