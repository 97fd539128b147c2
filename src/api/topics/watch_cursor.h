/*
 * api/topics/watch_cursor: the `id` of a watch event: where its reader is in every topic of its session, as base64url of
 * {"topic":position,…}. Clients may decode it and may make their own.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_TOPICS_WATCH_CURSOR_H
#define TIDEGATE_API_TOPICS_WATCH_CURSOR_H

#include "base/arena.h"
#include "base/buf.h"

/* Collects the map in `json`: begin, add …, end. `member` is the name, quoted, with its colon. */
void watch_cursor_begin(buf *json);
void watch_cursor_add(buf *json, str member, int64_t seq);
void watch_cursor_end(buf *json, buf *out);

typedef struct watch_place {
	str topic;
	int64_t seq;
} watch_place;

/* False for anything but a map of names to positions. A name that occurs twice is there twice. */
bool watch_cursor_read(str id, arena *a, watch_place **out, size_t *count);

#endif
