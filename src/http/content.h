/*
 * http/content: content encodings of request bodies, undone piece by piece while they arrive; gzip for replies.
 *
 * gzip (one or more members), zstd and lz4 frames (one or more), snappy's framing format with its checksums.
 *
 * Owns     the decoder's state until content_free(). Output goes to the caller's buf.
 * Threads  one at a time.
 * Limits   the caller says how long the output may get; decoding stops there, so a bomb costs nothing.
 *          A zstd window over 8 MiB counts as corrupt (RFC 8878 asks for no more).
 */
#ifndef TIDEGATE_HTTP_CONTENT_H
#define TIDEGATE_HTTP_CONTENT_H

#include "base/buf.h"

typedef struct content content;

typedef enum content_encoding {
	CONTENT_IDENTITY,
	CONTENT_GZIP,
	CONTENT_ZSTD,
	CONTENT_LZ4,
	CONTENT_SNAPPY,
	CONTENT_UNKNOWN /* also several encodings on top of each other */
} content_encoding;

typedef enum content_result { CONTENT_OK, CONTENT_CORRUPT, CONTENT_TOO_LARGE, CONTENT_NO_MEMORY } content_result;

/* What the server takes, for Accept-Encoding. */
#define CONTENT_ENCODINGS "gzip, zstd, lz4, snappy"

content_encoding content_encoding_parse(str header);
/* A decoder of one of the four. NULL: out of memory. */
content *content_new(content_encoding encoding);
void content_free(content *c); /* accepts NULL */
/* Appends what `in` decodes to. TOO_LARGE: `out` would pass max_bytes; what fits was appended. After any other answer
 * than OK the decoder is only good for content_free(). */
content_result content_feed(content *c, str in, uint64_t max_bytes, buf *out);
/* OK when the input ended where an encoded body may end, CORRUPT when it was cut short. */
content_result content_finish(const content *c);

/* Appends `plain` as one gzip member, level 1. False: out of memory or `out` failed. */
bool content_gzip(str plain, buf *out);

#endif
