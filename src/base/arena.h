/*
 * base/arena: memory that lives as long as one request.
 *
 * Owns     everything allocated from it, until arena_free() or arena_reset().
 * Threads  one at a time; handing a request to another thread hands over its arena.
 * Limits   max_bytes over all allocations; passing it gives NULL, never an abort.
 * Note     sanitizer builds call malloc per allocation, so that misuse is visible.
 */
#ifndef TIDEGATE_BASE_ARENA_H
#define TIDEGATE_BASE_ARENA_H

#include "base/str.h"

typedef struct arena arena;

arena *arena_new(size_t max_bytes); /* NULL when out of memory */
void arena_free(arena *a);          /* accepts NULL */
void arena_reset(arena *a);         /* frees all allocations, keeps the arena */
size_t arena_used(const arena *a);

/* Aligned for any type, not cleared. NULL when the cap is passed or memory is out. */
void *arena_alloc(arena *a, size_t bytes);
void *arena_alloc_zero(arena *a, size_t bytes);
/* count * bytes with an overflow check. */
void *arena_alloc_array(arena *a, size_t count, size_t bytes);
/* A copy of s; false when the cap is passed. */
bool arena_copy_str(arena *a, str s, str *out);
/* NUL-terminated copy for a library's door; NULL when s holds a NUL or the cap is passed. */
char *arena_copy_c(arena *a, str s);

#endif
