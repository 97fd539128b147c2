/*
 * api/topics/wire: what the requests and answers of this dialect have in common: bodies, query switches, pages of lists,
 * and the `performance` member.
 *
 * Owns     nothing; texts live in the exchange's arena.
 * Threads  one at a time, as the exchange.
 * Errors   ERR_UNSUPPORTED_MEDIA_TYPE, ERR_INVALID_REQUEST; writers: buf.failed.
 */
#ifndef TIDEGATE_API_TOPICS_WIRE_H
#define TIDEGATE_API_TOPICS_WIRE_H

#include "api/body.h"

/* ---- requests ---- */

/* A body with a Content-Type that begins with application/json, or ERR_UNSUPPORTED_MEDIA_TYPE. */
bool wire_check_json(const http_exchange *x, err *e) MUST_CHECK;
/* The same, and opens the object. */
bool wire_begin(body *b, http_exchange *x, err *e) MUST_CHECK;
/* Neither a body nor a Content-Type: where that is allowed it means {}. */
bool wire_is_empty(const http_exchange *x);

/* true/1, false/0; anything else counts as not given. */
bool wire_query_switch(const http_exchange *x, const char *name, bool otherwise);

/* An unsigned number of that width; what is larger than `most` becomes `most`. */
void wire_read_u32(body *b, const char *name, int64_t most, int64_t *out);
void wire_read_u64(body *b, const char *name, int64_t most, int64_t *out);

/* ---- pages of lists ---- */

enum { WIRE_PAGE_DEFAULT = 100, WIRE_PAGE_MAX = 1000 };

typedef struct wire_page {
	uint32_t size;
	str after; /* names up to this one were on earlier pages; "" at the start */
} wire_page;

/* What a cursor names; "" for an empty one. */
bool wire_decode_cursor(arena *a, str cursor, str *after, err *e) MUST_CHECK;
/* page_size, cursor. */
bool wire_read_page(http_exchange *x, wire_page *out, err *e) MUST_CHECK;
/* ,"next_cursor":"…" for the next page, which begins behind `last`. */
void wire_write_cursor(buf *out, str last);

/* ---- answers ---- */

/* "performance":{"server_total_ms":0.3 and it stays open: the caller may add members, and closes it. */
void wire_open_performance(buf *out, const http_exchange *x);
/* The same, closed. */
void wire_write_performance(buf *out, const http_exchange *x);
/* Milliseconds with three decimals. */
void wire_write_ms(buf *out, int64_t microseconds);

#endif
