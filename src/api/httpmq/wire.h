/*
 * api/httpmq/wire: how this dialect writes: the envelope of every reply, errors, times, and JSON that is ASCII only.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_API_HTTPMQ_WIRE_H
#define TIDEGATE_API_HTTPMQ_WIRE_H

#include "api/body.h"
#include "http/exchange.h"

/* A quoted string, ASCII only; bytes that are no UTF-8 become '?'. */
void httpmq_write_string(buf *out, str s);
/* JSON text, ASCII only, the same otherwise. */
void httpmq_write_json(buf *out, str text);
/* RFC 3339 in UTC, without trailing zeros; 0 is the beginning of 1970. */
void httpmq_write_time(buf *out, int64_t unix_ms);
/* "0001-01-01T00:00:00Z": never. */
void httpmq_write_never(buf *out);

/* The caller's Httpmq-Request-ID, or one made for this exchange: always the same for one exchange. In its arena. */
str httpmq_request_id(http_exchange *x);
/* For http_dialect.decorate: the request id as a header, on routed requests. */
void httpmq_decorate(http_exchange *x);

/* {"success":true,"request_id":"…" into the reply; what follows begins with a comma. httpmq_send() closes it. */
void httpmq_begin(http_exchange *x);
void httpmq_send(http_exchange *x);
/* Sends a success without more. */
void httpmq_send_done(http_exchange *x);

/* A whole failure envelope. */
void httpmq_write_failure(buf *out, str request_id, int code, const err *e);
/* For http_dialect.write_error. A publish fails with 400 whatever the reason, with the real code inside. */
const char *httpmq_write_error(http_exchange *x, const err *e);
/* The code that the contract has for an error. */
int httpmq_code_of(const err *e);

/* A name in the path, checked; false: answered. An encoded slash leads nowhere. */
bool httpmq_take_name(http_exchange *x, size_t index, const char *what, str *out);
/* A subject in the path, checked likewise. */
bool httpmq_take_subject(http_exchange *x, size_t index, str *out);
/* Whether a message may have it: ERR_INVALID_REQUEST. */
bool httpmq_subject_check(str subject, err *e) MUST_CHECK;

/* Opens the JSON object of a body, whatever its Content-Type. End it with httpmq_body_end(): what follows is ignored. */
bool httpmq_body_begin(body *b, http_exchange *x, err *e) MUST_CHECK;
bool httpmq_body_end(const body *b) MUST_CHECK;
/* The next member that is not null. */
bool httpmq_body_next(body *b, str *key);
bool httpmq_key_is(str key, const char *name); /* without case */

#endif
