/*
 * api/durable/offset: positions of a stream as the protocol writes them: `cccccccccccccccc_bbbbbbbbbbbbbbbb`, messages and
 * payload bytes before the position, two lower-case hexadecimal numbers of 16 digits. Tokens compare as bytes as they do
 * as pairs.
 *
 * Threads  any.
 * Errors   ERR_INVALID_REQUEST.
 */
#ifndef TIDEGATE_API_DURABLE_OFFSET_H
#define TIDEGATE_API_DURABLE_OFFSET_H

#include "base/err.h"

enum { DURABLE_OFFSET_LEN = 33, DURABLE_OFFSET_SIZE = DURABLE_OFFSET_LEN + 1 };

typedef struct durable_offset {
	int64_t count;
	int64_t bytes;
} durable_offset;

/* A token only. Halves above 2^63 - 1, beyond any stream, become that. */
bool durable_offset_parse(str text, durable_offset *out) MUST_CHECK;
/* NUL-terminated; the answer is a view of `out`. */
str durable_offset_print(durable_offset offset, char out[DURABLE_OFFSET_SIZE]);
int durable_offset_compare(durable_offset a, durable_offset b);

/* Where a read begins. */
typedef enum durable_from_kind {
	DURABLE_FROM_START, /* `-1` */
	DURABLE_FROM_NOW,   /* `now` */
	DURABLE_FROM_TOKEN
} durable_from_kind;

typedef struct durable_from {
	durable_from_kind kind;
	durable_offset offset; /* of a token */
	str text;              /* as it was sent, "-1" when nothing was */
} durable_from;

/* The value of the query's `offset`. */
bool durable_from_parse(str text, durable_from *out, err *e) MUST_CHECK;

#endif
