/*
 * http/route: the table that maps method and path to a handler, and what a dialect adds to every reply.
 *
 * A pattern is a path whose segments are literals, `{name}` (one segment, percent-decoded, may hold any decoded
 * byte but is never empty) or, last, `{name...}` (one or more segments, each possibly empty: `/a/{rest...}` takes `/a/`
 * with an empty parameter). Literals win over parameters. Matching is bytewise on the decoded segment. HEAD falls back
 * on GET. OPTIONS without a route of its own is answered by the server (CORS preflight, 204). Unknown path: 404
 * not_found; known path, other method: 405 method_not_allowed with Allow.
 *
 * Threads  built before the server starts, immutable afterwards.
 * Limits   16 segments, 4 parameters a pattern.
 */
#ifndef TIDEGATE_HTTP_ROUTE_H
#define TIDEGATE_HTTP_ROUTE_H

#include "http/exchange.h"

typedef void http_handler(http_exchange *x);

enum {
	HTTP_BODY_NONE = 0,     /* a body is read and dropped */
	HTTP_BODY_ACCEPTED = 1, /* read up to max_body_bytes of the route and of the server */
};

struct http_route {
	http_method method;
	const char *pattern;
	const char *name; /* metrics and logs: "produce" */
	http_handler *handler;
	int body;                /* HTTP_BODY_* */
	uint64_t max_body_bytes; /* after decoding, where that is less than the server's; 0 = the server's */
	uint32_t scopes;         /* for the gate: a set of AUTH_SCOPE_*; 0 = any valid credential */
	bool is_open;            /* for the gate: no credential needed */
	bool is_probe;           /* for the gate: none needed either, unless the configuration wants one */
	bool is_counted;         /* for the gate: requests of one key that are under way are limited */
	bool token_in_query;     /* for the gate: ?token= is accepted (event streams) */
	/* What is wrong with an admitted request but for its body: asked before the body is refused as too large, and said
	 * instead. On a server's thread, must not block; may be NULL. */
	bool (*check_head)(http_exchange *x, err *e);
};

struct http_dialect {
	const char *name;   /* "streaming" */
	const char *docs;   /* where it is described; NULL: docs/<name>.md */
	const char *prefix; /* paths that begin so are this dialect's, also for 404 and 405: "/topics" */
	const http_route *routes;
	size_t route_count;
	/* Fills http_reply_body() with the error's text and returns its content type. */
	const char *(*write_error)(http_exchange *x, const err *e);
	/* Adds headers to every reply of the dialect, streams and errors included; may be NULL. */
	void (*decorate)(http_exchange *x);
	/* The gate also judges requests without a route (http_request_route() is NULL then): 401 comes before 404 and 405.
	 */
	bool gate_unknown;
	/* For the gate, with gate_unknown: the scopes of a path (as sent) that no route takes. NULL: any valid credential. */
	uint32_t (*unknown_scopes)(str path);
	/* HEAD and OPTIONS are methods like any other: 405 without a route of their own. */
	bool is_strict;
};

#endif
