/*
 * base/buf: a byte buffer that grows up to a stated maximum.
 *
 * Owns     its bytes, until buf_dispose() or buf_detach().
 * Threads  one at a time.
 * Note     what is appended must not point into the buffer itself: it may move.
 * Limits   max_bytes given at init. An append that would pass it, or finds no memory, appends nothing
 *          and makes the buffer `failed`; later appends are ignored. Writers therefore check once, at the end.
 */
#ifndef TIDEGATE_BASE_BUF_H
#define TIDEGATE_BASE_BUF_H

#include "base/str.h"

typedef struct buf {
	char *ptr;
	size_t len;
	size_t capacity;
	size_t max_bytes;
	bool failed;
} buf;

void buf_init(buf *b, size_t max_bytes); /* allocates nothing */
void buf_dispose(buf *b);                /* frees; the buffer may be used again */
void buf_clear(buf *b);                  /* length 0, failed off, memory kept */
bool buf_reserve(buf *b, size_t bytes);  /* room for that many more; false and failed otherwise */
void buf_append(buf *b, const void *bytes, size_t len);
void buf_append_str(buf *b, str s);
void buf_append_byte(buf *b, char byte);
void buf_append_u64(buf *b, uint64_t value); /* decimal */
void buf_append_i64(buf *b, int64_t value);  /* decimal */
void buf_printf(buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
str buf_str(const buf *b); /* a view, valid until the next append */
/* Hands the malloc'd bytes to the caller and empties the buffer; NULL, and nothing changed, when empty or failed. */
char *buf_detach(buf *b, size_t *len);

#endif
