#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_FIRST_BYTES = 4096, CHUNK_LARGEST_BYTES = 64 * 1024 };

typedef struct chunk {
	struct chunk *next;
	size_t capacity;
	size_t used;
	_Alignas(max_align_t) char bytes[];
} chunk;

struct arena {
	size_t max_bytes;
	size_t used;   /* allocated bytes, each allocation rounded up to the alignment */
	chunk *shared; /* many small allocations each; the first of the list is being filled */
	chunk *single; /* one large allocation each */
};

static chunk *chunk_push(chunk **list, size_t capacity)
{
	chunk *c = malloc(sizeof *c + capacity);
	if (c != NULL) {
		*c = (chunk){.next = *list, .capacity = capacity};
		*list = c;
	}
	return c;
}

static void chunk_free_all(chunk *list)
{
	while (list != NULL) {
		chunk *next = list->next;
		free(list);
		list = next;
	}
}

arena *arena_new(size_t max_bytes)
{
	arena *a = malloc(sizeof *a);
	if (a != NULL) {
		/* No malloc gives more, and below this adding a header cannot overflow. */
		*a = (arena){.max_bytes = max_bytes < PTRDIFF_MAX / 2 ? max_bytes : PTRDIFF_MAX / 2};
	}
	return a;
}

void arena_free(arena *a)
{
	if (a != NULL) {
		chunk_free_all(a->shared);
		chunk_free_all(a->single);
		free(a);
	}
}

void arena_reset(arena *a)
{
	chunk_free_all(a->single);
	a->single = NULL;
	/* The chunk in use is the largest; the next request starts with it. */
	if (a->shared != NULL) {
		chunk_free_all(a->shared->next);
		a->shared->next = NULL;
		a->shared->used = 0;
	}
	a->used = 0;
}

size_t arena_used(const arena *a)
{
	return a->used;
}

/* A quarter of a chunk bounds what is left unused at the end of each. */
static bool is_single(size_t bytes)
{
#ifdef TIDEGATE_SANITIZE
	(void)bytes;
	return true;
#else
	return bytes > CHUNK_LARGEST_BYTES / 4;
#endif
}

static size_t next_chunk_bytes(const arena *a, size_t bytes)
{
	size_t size = a->shared == NULL ? CHUNK_FIRST_BYTES : a->shared->capacity * 2;
	if (size > CHUNK_LARGEST_BYTES) {
		size = CHUNK_LARGEST_BYTES;
	}
	if (size > a->max_bytes - a->used) {
		size = a->max_bytes - a->used;
	}
	return size > bytes ? size : bytes;
}

void *arena_alloc(arena *a, size_t bytes)
{
	const size_t unit = _Alignof(max_align_t);
	/* Rounded up, and never 0, so that every allocation has an address of its own. */
	size_t rounded = bytes == 0 ? unit : (bytes + unit - 1) / unit * unit;
	if (rounded < bytes || rounded > a->max_bytes - a->used) {
		return NULL;
	}
	chunk *c;
	if (is_single(rounded)) {
		c = chunk_push(&a->single, bytes);
	} else {
		c = a->shared;
		if (c == NULL || rounded > c->capacity - c->used) {
			c = chunk_push(&a->shared, next_chunk_bytes(a, rounded));
		}
	}
	if (c == NULL) {
		return NULL;
	}
	void *allocation = c->bytes + c->used;
	c->used += rounded;
	a->used += rounded;
	return allocation;
}

void *arena_alloc_zero(arena *a, size_t bytes)
{
	void *allocation = arena_alloc(a, bytes);
	if (allocation != NULL) {
		memset(allocation, 0, bytes);
	}
	return allocation;
}

void *arena_alloc_array(arena *a, size_t count, size_t bytes)
{
	size_t total;
	return __builtin_mul_overflow(count, bytes, &total) ? NULL : arena_alloc(a, total);
}

bool arena_copy_str(arena *a, str s, str *out)
{
	if (s.ptr == NULL) {
		*out = STR_NONE;
		return true;
	}
	char *copy = arena_alloc(a, s.len);
	if (copy == NULL) {
		return false;
	}
	memcpy(copy, s.ptr, s.len);
	*out = (str){copy, s.len};
	return true;
}

char *arena_copy_c(arena *a, str s)
{
	if (s.len > 0 && memchr(s.ptr, '\0', s.len) != NULL) {
		return NULL;
	}
	char *copy = arena_alloc(a, s.len + 1);
	if (copy != NULL) {
		if (s.len > 0) {
			memcpy(copy, s.ptr, s.len);
		}
		copy[s.len] = '\0';
	}
	return copy;
}
