/*
 * log/route_cycle: whether a new router would close a loop. Pure.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_LOG_ROUTE_CYCLE_H
#define TIDEGATE_LOG_ROUTE_CYCLE_H

#include "base/arena.h"

typedef struct route_edge {
	str source;
	str dest;
} route_edge;

/* Whether `dest` reaches `source` over the edges. Then *path is source, dest, …, source, a shortest such way, in the
 * arena. A full arena answers true with an empty path. */
bool route_closes_cycle(const route_edge *edges, size_t count, str source, str dest, arena *a, const str **path,
						size_t *length);

#endif
