/*
 * api/durable/cursor: Stream-Cursor: an interval of time, which keeps caches from answering a live request with an old
 * answer. One that comes back too early is set forward by a random distance.
 *
 * Threads  any.
 * Units    intervals of 20 s since 2024-10-09T00:00:00Z.
 */
#ifndef TIDEGATE_API_DURABLE_CURSOR_H
#define TIDEGATE_API_DURABLE_CURSOR_H

#include "base/str.h"

enum { DURABLE_CURSOR_INTERVAL_S = 20, DURABLE_CURSOR_JUMP_MAX_S = 3600 };

int64_t durable_cursor_now(void);
/* What answers a request that sent `requested` (ptr NULL: none): `now`, or more than the request's. */
int64_t durable_cursor_answer(str requested, int64_t now, uint64_t random);

#endif
