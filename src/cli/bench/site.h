/*
 * bench/site: a server of the durable streams protocol: the one under test, or another one next to it.
 *
 * Owns     nothing but addresses; a connection is the caller's.
 * Threads  one at a time.
 * Errors   those of bench/peer; ERR_INTERNAL an answer that the protocol does not allow.
 */
#ifndef TIDEGATE_CLI_BENCH_SITE_H
#define TIDEGATE_CLI_BENCH_SITE_H

#include "base/buf.h"
#include "cli/bench/peer.h"

enum { SITE_PATH_MAX = 96, SITE_OFFSET_MAX = 128, SITE_REQUEST_MAX = 1 << 20, SITE_TIMEOUT_MS = 60000 };

typedef struct site {
	peer_address address;
	str api_key; /* ptr NULL = none */
} site;

typedef struct site_stream {
	const site *site;
	const char *content_type;
	char path[SITE_PATH_MAX];
} site_stream;

bool site_create(const site *s, const char *purpose, const char *content_type, site_stream *out, err *e) MUST_CHECK;
bool site_delete(const site_stream *s, err *e) MUST_CHECK;
/* Requests, appended to *out; buf.failed tells. */
void site_render_append(const site_stream *s, str body, buf *out);
void site_render_watch(const site_stream *s, buf *out); /* from the tail on */

/* A walk over a stream, page by page. */
typedef struct site_reader {
	const site_stream *stream;
	peer peer;
	char offset[SITE_OFFSET_MAX];
	bool is_done;
} site_reader;

bool site_reader_open(site_reader *r, const site_stream *s, err *e) MUST_CHECK;
void site_reader_rewind(site_reader *r);
/* The next page, valid until the next call; is_done after the last one. */
bool site_reader_next(site_reader *r, str *page, err *e) MUST_CHECK;
void site_reader_close(site_reader *r);

#endif
