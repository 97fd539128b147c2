/*
 * api/body: a JSON object of the control plane, read member by member, with errors that name the member.
 *
 *   body b;
 *   str key;
 *   if (!body_begin(&b, x, e)) …
 *   while (body_next(&b, &key)) {
 *       if (str_equal(key, STR("wait_ms"))) body_integer(&b, "wait_ms", 0, 60000, &wait_ms);
 *       else body_skip(&b);
 *   }
 *   if (!body_end(&b)) …
 *
 * The first error sticks; after it every call does nothing. A repeated member: the last one counts.
 *
 * Owns     nothing; texts point into the body or live in the exchange's arena.
 * Threads  one at a time.
 * Errors   ERR_INVALID_REQUEST; body_begin also ERR_UNSUPPORTED_MEDIA_TYPE.
 */
#ifndef TIDEGATE_API_BODY_H
#define TIDEGATE_API_BODY_H

#include "base/jscan.h"
#include "http/exchange.h"

typedef struct body {
	jscan scan;
	arena *arena;
	err *error;
	bool failed;
} body;

/* application/json, or no Content-Type at all. Other types are refused, with the words that say what is accepted. */
bool body_is_json(const http_exchange *x, err *e) MUST_CHECK;

/* Checks the Content-Type and opens the object. Further objects inside are walked with body_next() as well. */
bool body_begin(body *b, http_exchange *x, err *e) MUST_CHECK;
/* The same for a text that has been read already. */
bool body_begin_text(body *b, str text, arena *a, err *e) MUST_CHECK;
bool body_end(body *b) MUST_CHECK;

bool body_next(body *b, str *key);
void body_skip(body *b);
/* Fails with a sentence about `name`. */
void body_refuse(body *b, const char *name, const char *rule);
/* Consumes a null: for members where it means absent. */
bool body_null(body *b);

void body_integer(body *b, const char *name, int64_t least, int64_t most, int64_t *out);
/* 0 to 2^64 - 1; what does not fit the type is stored as INT64_MAX. */
void body_unsigned(body *b, const char *name, int64_t *out);
void body_bool(body *b, const char *name, bool *out);
/* 1 to most_bytes bytes, without control characters. */
void body_name(body *b, const char *name, size_t most_bytes, str *out);
/* Any string. */
void body_text(body *b, const char *name, str *out);
/* An array's beginning; its elements follow with body_next_element(). */
bool body_array(body *b, const char *name);
bool body_next_element(body *b);
bool body_object(body *b, const char *name);

/* What body_name() accepts. */
bool body_is_name(str text, size_t most_bytes);

#endif
