/*
 * api/streaming/offsets: lists of {"partition","offset"}, read and written.
 *
 * Owns     nothing; lists live in the arena. Threads: any.
 */
#ifndef TIDEGATE_API_STREAMING_OFFSETS_H
#define TIDEGATE_API_STREAMING_OFFSETS_H

#include "api/body.h"
#include "log/group.h"

enum { OFFSETS_MAX = 10000 };

/* Reads the array that comes next, the value of `name`; errors stick in the body, too many are ERR_BATCH_TOO_LARGE. */
void offsets_read(body *b, const char *name, log_group_offset **out, size_t *count);
/* [{"partition":0,"offset":7},…] */
void offsets_write(buf *out, const log_group_offset *offsets, size_t count);
/* Ms since 1970; null for 0. */
void offsets_write_time(buf *out, int64_t ms);

/* Strict reads: false when `offset` is not one from the partition's start to its end. ERR_OFFSET_EVICTED,
 * ERR_OFFSET_OUT_OF_RANGE. */
bool offsets_check(int32_t partition, int64_t offset, int64_t start, int64_t end, err *e) MUST_CHECK;

#endif
