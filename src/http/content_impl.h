/*
 * http/content_impl: what the decoders of http/content share.
 */
#ifndef TIDEGATE_HTTP_CONTENT_IMPL_H
#define TIDEGATE_HTTP_CONTENT_IMPL_H

#include "http/content.h"

/* Room for the next piece of output: at least one byte, at most what max_bytes leaves, a piece at a time. */
static inline content_result content_room(buf *out, uint64_t max_bytes, size_t *room)
{
	enum { PIECE_BYTES = 64 * 1024 };
	if (out->len >= max_bytes) {
		return CONTENT_TOO_LARGE;
	}
	uint64_t left = max_bytes - out->len;
	size_t wanted = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
	if (!buf_reserve(out, wanted)) {
		return CONTENT_NO_MEMORY;
	}
	size_t have = out->capacity - out->len;
	*room = have < left ? have : (size_t)left;
	return CONTENT_OK;
}

/* The snappy framing format. */
typedef struct content_snappy content_snappy;

content_snappy *content_snappy_new(void);
void content_snappy_free(content_snappy *s);
content_result content_snappy_feed(content_snappy *s, str in, uint64_t max_bytes, buf *out);
bool content_snappy_may_end(const content_snappy *s);

#endif
