/*
 * buffer: bytes that grow, with the text forms that requests are made of.
 *
 * Owns     its bytes; tgi_buffer_dispose() frees them. {0} is an empty buffer.
 * Threads  one at a time.
 * Limits   BUFFER_BYTES_MAX.
 * Errors   `failed` is set when memory or the limit ends; appending then does nothing. Check once, at the end.
 */
#ifndef TG_BUFFER_H
#define TG_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUFFER_BYTES_MAX ((size_t)1 << 30)

typedef struct buffer {
	char *ptr;
	size_t len;
	size_t capacity;
	bool failed;
} buffer;

void tgi_buffer_dispose(buffer *b);
void tgi_buffer_clear(buffer *b); /* keeps the memory */
bool tgi_buffer_reserve(buffer *b, size_t more);
void tgi_buffer_append(buffer *b, const void *bytes, size_t len);
void tgi_buffer_text(buffer *b, const char *text);
void tgi_buffer_integer(buffer *b, int64_t value);
void tgi_buffer_json_string(buffer *b, const void *utf8, size_t len); /* with its quotes */
void tgi_buffer_url_segment(buffer *b, const char *text);             /* percent-encoded */
bool tgi_buffer_is_text(const void *bytes, size_t len);               /* well-formed UTF-8, as RFC 3629 has it */

#endif
