/*
 * http/exchange: one request and its one reply, whatever the transport (HTTP/1.1 now, HTTP/2 by the same type).
 *
 * Life     headers read → the server's gate (authentication, limits) → body read → the route's handler → reply.
 *          The gate ends with http_admit() or a reply. The handler ends with exactly one reply: http_send(),
 *          http_send_error() or http_stream_open(). After its reply an exchange must not be touched.
 * Owns     the request's bytes, its arena and the reply's buffer, until the reply is sent.
 * Threads  one at a time. Gate and handler run on a server thread and must not block: slow work is handed, with the
 *          exchange, to another thread, which replies from there.
 * Limits   arena and bodies are capped by http_server_options.
 */
#ifndef TIDEGATE_HTTP_EXCHANGE_H
#define TIDEGATE_HTTP_EXCHANGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

typedef struct http_exchange http_exchange;
typedef struct http_route http_route;
typedef struct http_dialect http_dialect;

typedef enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_OTHER
} http_method;

/* ---- the request: views valid until the reply ---- */

http_method http_request_method(const http_exchange *x);
str http_request_raw_path(const http_exchange *x);  /* as sent, before '?', not decoded */
str http_request_raw_query(const http_exchange *x); /* after '?', not decoded; STR_NONE without one */
/* A `{name}` of the route's pattern, percent-decoded; `{name...}` keeps its slashes. */
str http_request_param(const http_exchange *x, size_t index);
/* Value without surrounding blanks, name compared without case; STR_NONE (ptr NULL) when absent, while a header that is
 * present but empty has a non-NULL ptr. Of several lines of one name the first counts. */
str http_request_header(const http_exchange *x, str name);
size_t http_request_header_count(const http_exchange *x, str name);
/* Every line, in the order sent, for index 0, 1, …; false behind the last one. Over HTTP/2 names are in lower case. */
bool http_request_header_at(const http_exchange *x, size_t index, str *name, str *value);
/* Form-decoded value of the first `name` in the query; false when absent. A broken escape is kept as it is. */
bool http_request_query(const http_exchange *x, str name, str *value);
size_t http_request_query_count(const http_exchange *x, str name);
/* The whole body, transfer and content encoding undone. Empty in the gate. */
str http_request_body(const http_exchange *x);
/* Media type before any ';', trimmed; STR_NONE without a Content-Type. */
str http_request_media_type(const http_exchange *x);
str http_request_peer(const http_exchange *x);       /* "127.0.0.1:1234", for logs */
bool http_request_is_secure(const http_exchange *x); /* came over TLS to this process */
str http_request_id(const http_exchange *x);         /* X-Request-Id as sent (when sane) or a generated one */
const http_route *http_request_route(const http_exchange *x);
const http_dialect *http_request_dialect(const http_exchange *x);
bool http_request_path_exists(const http_exchange *x); /* a route takes it, perhaps with another method */
arena *http_arena(http_exchange *x);
void *http_app(const http_exchange *x);          /* http_server_options.app */
int64_t http_started_us(const http_exchange *x); /* clock_now_us() when the headers were complete */

/* A value kept for the life of the exchange by the gate (the principal). */
void http_set_principal(http_exchange *x, const void *principal);
const void *http_principal(const http_exchange *x);

/* Called once, when the exchange has its reply or its client has gone: for what is counted per request. `bytes`: of the
 * request's body, decoded, and of the reply's. One an exchange; any thread; it must not block, and must not touch x. */
void http_on_end(http_exchange *x, void (*on_end)(void *context, uint64_t bytes), void *context);
/* In the gate: the body may have that many bytes, where this is less than what the server and the route allow. A larger
 * one is refused with the detail {"limit":…,"max":…}; `limit` is a literal. */
void http_limit_body(http_exchange *x, uint64_t max_bytes, const char *limit);

/* True when the client is seen to have gone. A cheap look at the socket, for long waits. */
bool http_peer_is_gone(http_exchange *x);

/* ---- the gate's ending ---- */

void http_admit(http_exchange *x);

/* ---- the reply: any thread, exactly once ---- */

enum { HTTP_REPLY_HEADERS_MAX = 32 };

buf *http_reply_body(http_exchange *x); /* empty at first, capped by max_reply_bytes */
/* Both texts are copied. False when the arena is full, a text holds CR, LF or NUL, the value is empty, or
 * HTTP_REPLY_HEADERS_MAX are there already. Content-Length, Transfer-Encoding and Connection are the server's own and
 * refused. */
bool http_reply_header(http_exchange *x, str name, str value);
bool http_reply_has_header(const http_exchange *x, str name); /* added before, name compared without case */
/* For write_error of a dialect: sends the error with another status than the code's own. */
void http_set_error_status(http_exchange *x, int status);
/* Sends status, headers and the reply body (none for 204, 304 and HEAD). A failed body buffer becomes a 500. */
void http_send(http_exchange *x, int status, const char *content_type);
/* Lets the dialect write the error's body and status; adds Retry-After where the code has one. */
void http_send_error(http_exchange *x, const err *e);

#endif
