#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_BYTES = 256, DECIMAL_MAX = 20 /* of UINT64_MAX, and of INT64_MIN with its sign */ };

void buf_init(buf *b, size_t max_bytes)
{
	/* One byte beyond capacity is always allocated, see grow(). */
	*b = (buf){.max_bytes = max_bytes < PTRDIFF_MAX ? max_bytes : PTRDIFF_MAX - 1};
}

void buf_dispose(buf *b)
{
	free(b->ptr);
	*b = (buf){.max_bytes = b->max_bytes};
}

void buf_clear(buf *b)
{
	b->len = 0;
	b->failed = false;
}

/* `needed` is at most max_bytes. */
static bool grow(buf *b, size_t needed)
{
	size_t capacity = b->capacity < BUF_FIRST_BYTES / 2 ? BUF_FIRST_BYTES : b->capacity * 2;
	if (capacity < needed) {
		capacity = needed;
	}
	if (capacity > b->max_bytes) {
		capacity = b->max_bytes;
	}
	/* The spare byte takes the terminator that vsnprintf insists on. */
	char *ptr = realloc(b->ptr, capacity + 1);
	if (ptr == NULL) {
		return false;
	}
	b->ptr = ptr;
	b->capacity = capacity;
	return true;
}

bool buf_reserve(buf *b, size_t bytes)
{
	if (b->failed) {
		return false;
	}
	if (bytes <= b->capacity - b->len) {
		return true;
	}
	if (bytes > b->max_bytes - b->len || !grow(b, b->len + bytes)) {
		b->failed = true;
	}
	return !b->failed;
}

void buf_append(buf *b, const void *bytes, size_t len)
{
	if (len > 0 && buf_reserve(b, len)) {
		memcpy(b->ptr + b->len, bytes, len);
		b->len += len;
	}
}

void buf_append_str(buf *b, str s)
{
	buf_append(b, s.ptr, s.len);
}

void buf_append_byte(buf *b, char byte)
{
	if (buf_reserve(b, 1)) {
		b->ptr[b->len++] = byte;
	}
}

static void append_decimal(buf *b, uint64_t magnitude, bool is_negative)
{
	char text[DECIMAL_MAX];
	size_t at = sizeof text;
	do {
		text[--at] = (char)('0' + magnitude % 10);
		magnitude /= 10;
	} while (magnitude > 0);
	if (is_negative) {
		text[--at] = '-';
	}
	buf_append(b, text + at, sizeof text - at);
}

void buf_append_u64(buf *b, uint64_t value)
{
	append_decimal(b, value, false);
}

void buf_append_i64(buf *b, int64_t value)
{
	append_decimal(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void buf_printf(buf *b, const char *format, ...)
{
	if (b->failed) {
		return;
	}
	va_list args;
	va_list again;
	va_start(args, format);
	va_copy(again, args);
	/* The spare byte makes room + 1 right; before the first allocation there is not even that. */
	size_t room = b->capacity - b->len;
	bool is_allocated = b->ptr != NULL;
	int needed = vsnprintf(is_allocated ? b->ptr + b->len : NULL, is_allocated ? room + 1 : 0, format, args);
	if (needed < 0) {
		b->failed = true;
	} else if (needed > 0 && buf_reserve(b, (size_t)needed)) {
		if (!is_allocated || (size_t)needed > room) {
			vsnprintf(b->ptr + b->len, (size_t)needed + 1, format, again);
		}
		b->len += (size_t)needed;
	}
	va_end(again);
	va_end(args);
}

str buf_str(const buf *b)
{
	return (str){b->ptr, b->len};
}

char *buf_detach(buf *b, size_t *len)
{
	if (b->len == 0 || b->failed) {
		*len = 0;
		return NULL;
	}
	char *bytes = b->ptr;
	*len = b->len;
	*b = (buf){.max_bytes = b->max_bytes};
	return bytes;
}
