/*
 * bench/reply: reads one HTTP/1.1 reply that arrives in parts, with a Content-Length or in chunks.
 *
 * The caller keeps all bytes of the reply in one block, which may move between calls; a chunked body is put together
 * in place, so that a finished body is always contiguous.
 *
 * Owns     nothing.
 * Threads  one at a time.
 * Limits   REPLY_HEAD_MAX bytes of status line and headers. Replies whose body ends with the connection are refused,
 *          as a load generator has no use for them; so are interim (1xx) ones.
 */
#ifndef TIDEGATE_CLI_BENCH_REPLY_H
#define TIDEGATE_CLI_BENCH_REPLY_H

#include "cli/bench/chunk.h"

enum { REPLY_HEAD_MAX = 16384 };

typedef enum reply_event { REPLY_MORE, REPLY_DONE, REPLY_BROKEN } reply_event;

typedef struct reply_head {
	int status;
	bool is_chunked;
	bool has_length;
	bool closes; /* Connection: close */
	uint64_t length;
} reply_head;

typedef struct reply {
	reply_head head;
	bool has_head;
	size_t searched; /* the end of the head is not before this */
	size_t body_start;
	size_t body_len; /* decoded so far */
	size_t used;     /* raw bytes that were looked at */
	chunk_decoder chunks;
} reply;

/* The bytes up to and with the empty line, or 0 when it is not there yet. */
size_t reply_head_bytes(str text, size_t searched);
bool reply_head_parse(str text, reply_head *out);

void reply_init(reply *r);
/* bytes: everything received of this reply so far. */
reply_event reply_feed(reply *r, char *bytes, size_t len);
str reply_body(const reply *r, const char *bytes);
/* How many more bytes the reply is known to need; 0 = unknown. */
size_t reply_missing(const reply *r, size_t len);

#endif
