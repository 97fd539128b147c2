/*
 * bench/chunk: takes the chunked transfer coding off an HTTP/1.1 body, piece by piece, without copying.
 *
 * Owns     nothing: pieces point into the input.
 * Threads  one at a time.
 */
#ifndef TIDEGATE_CLI_BENCH_CHUNK_H
#define TIDEGATE_CLI_BENCH_CHUNK_H

#include "base/str.h"

typedef enum chunk_state {
	CHUNK_SIZE,      /* in the hexadecimal size; the initial state */
	CHUNK_EXTENSION, /* behind it, up to the end of the line */
	CHUNK_DATA,      /* `left` bytes of data to come */
	CHUNK_DATA_END,  /* the line end behind the data */
	CHUNK_TRAILER,   /* trailer lines behind the last chunk, at the start of one */
	CHUNK_TRAILER_LINE,
	CHUNK_FINISHED
} chunk_state;

typedef struct chunk_decoder {
	chunk_state state;
	uint64_t left;
	uint32_t digits;
} chunk_decoder;

typedef enum chunk_event {
	CHUNK_MORE,  /* the input is used up */
	CHUNK_PIECE, /* *piece is data; call again */
	CHUNK_END,   /* the body is complete; *input is what follows it */
	CHUNK_BROKEN
} chunk_event;

void chunk_init(chunk_decoder *d);
/* Takes what it uses off the front of *input. */
chunk_event chunk_next(chunk_decoder *d, str *input, str *piece);

#endif
