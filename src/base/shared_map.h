/*
 * base/shared_map: what is known about things, for many threads to look up: a bounded map of immutable values that count
 * their references.
 *
 * A value is read from elsewhere before it is put here, and may have changed meanwhile. So whoever fills the map takes the
 * moment first, and a value that was read before the latest removal is not kept:
 *
 *   uint64_t read_at = shared_map_now(m);
 *   const thing *t = read_thing(…);
 *   shared_map_put(m, t, read_at);
 *
 * Owns     a reference to each value it holds; what get() returns is a reference of the caller's.
 * Threads  any.
 * Limits   `most` values; beyond, all are forgotten and it starts afresh.
 * Errors   none: what memory does not suffice for is not remembered.
 */
#ifndef TIDEGATE_BASE_SHARED_MAP_H
#define TIDEGATE_BASE_SHARED_MAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct shared_map_kind {
	int (*compare)(const void *left, const void *right); /* by what makes the key */
	void (*ref)(const void *value);
	void (*unref)(void *value);
	size_t most;
} shared_map_kind;

typedef struct shared_map shared_map;

shared_map *shared_map_new(const shared_map_kind *kind); /* NULL when memory is out; the kind is borrowed */
void shared_map_free(shared_map *m);                     /* accepts NULL */

/* The key is a value of which only the key's members count. A reference, or NULL. */
const void *shared_map_get(shared_map *m, const void *key);
uint64_t shared_map_now(shared_map *m);
/* Takes a reference of its own; a value of the same key is replaced. */
void shared_map_put(shared_map *m, const void *value, uint64_t read_at);
void shared_map_remove(shared_map *m, const void *key); /* also what is being read just now */
void shared_map_clear(shared_map *m);                   /* the same for all keys */

#endif
