/*
 * log/route_copy: what a router makes of a record. Pure.
 *
 * Threads  any. Errors: false or STR_NONE when the arena is full.
 */
#ifndef TIDEGATE_LOG_ROUTE_COPY_H
#define TIDEGATE_LOG_ROUTE_COPY_H

#include "base/arena.h"
#include "log/record.h"
#include "log/route.h"

/* Where a copy comes from. */
typedef struct route_origin {
	str router;
	str source;
	int64_t source_id;
	int64_t source_epoch; /* when the source was made */
	int64_t source_seq;
} route_origin;

/* False: the router passes over the record, silently. */
bool route_takes(const log_router *r, const log_record *record);

/* router:<router>:<source_topic_id>:<source_epoch>:<source_seq>, the name of one copy. */
bool route_key(arena *a, const route_origin *origin, str *out) MUST_CHECK;
/* The meta (ptr NULL = none) with the member _topics_router. One that is no object, or has no room for another member,
 * becomes _topics_original_meta beside it. */
bool route_mark_meta(arena *a, str meta, const route_origin *origin, str key, str *out) MUST_CHECK;

#endif
