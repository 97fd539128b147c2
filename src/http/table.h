/*
 * http/table: the routes of all dialects, compiled for matching. See http/route.h for what a pattern means.
 *
 * Owns     its nodes and entries; routes and dialects are borrowed and must outlive it.
 * Threads  immutable after table_new().
 * Limits   16 segments and 4 parameters a pattern; a path may have any number of segments.
 */
#ifndef TIDEGATE_HTTP_TABLE_H
#define TIDEGATE_HTTP_TABLE_H

#include "base/arena.h"
#include "http/route.h"

enum { TABLE_PARAMS_MAX = 4, TABLE_SEGMENTS_MAX = 16, TABLE_METHODS = HTTP_OTHER + 1 };

typedef struct table table;

typedef struct table_entry {
	const http_route *route;
	const http_dialect *dialect;
	size_t index; /* 0 … table_count() - 1, for the caller's own tables */
} table_entry;

typedef struct table_match {
	const table_entry *entry;    /* NULL: no route for this method */
	uint32_t allowed;            /* methods of the path: bit 1 << http_method; 0: unknown path */
	const http_dialect *dialect; /* entry's, or the one whose prefix fits best; NULL without dialects */
	size_t param_count;
	str params[TABLE_PARAMS_MAX];
} table_match;

/* ERR_INTERNAL: a malformed or repeated pattern (a bug of the caller; the message names it). ERR_NO_MEMORY. */
bool table_new(const http_dialect *const *dialects, size_t count, table **out, err *e) MUST_CHECK;
void table_free(table *t); /* accepts NULL */
size_t table_count(const table *t);
const table_entry *table_at(const table *t, size_t index);
/* HEAD takes GET's route when it has none of its own. False: the arena is full. */
bool table_find(const table *t, http_method method, str raw_path, arena *a, table_match *out) MUST_CHECK;

#endif
