/*
 * http/exchange_impl: the exchange as the transports (http/h1) and the reply path see it.
 *
 * A *turn* is the time in which the application holds the exchange: gate or handler, from its call until it admits or
 * replies, on whatever thread. Between turns the exchange belongs to its transport's thread alone.
 *
 *   turn      RUNNING ──suspend──▶ WAITING      the function returned, the connection sleeps; transport thread only
 *             RUNNING ──end──────▶ ENDED        ended before the transport suspended: nothing to resume
 *             WAITING ──end──────▶ ENDED        ended later: the ending thread resumes the connection
 *
 * Whoever comes second in the exchange of `turn` acts, so a resume is never lost and never comes twice.
 */
#ifndef TIDEGATE_HTTP_EXCHANGE_IMPL_H
#define TIDEGATE_HTTP_EXCHANGE_IMPL_H

#include "http/content.h"
#include "http/exchange.h"
#include "http/peer.h"
#include "http/table.h"

#include <stdatomic.h>

enum { HEADERS_INLINE = 24, HEADERS_MAX = 256, SERVER_HEADERS_MAX = 10, REQUEST_ID_MAX = 128 };

typedef struct http_server http_server;

typedef struct header_line {
	str name;
	str value;
} header_line;

/* Both NUL-terminated; literals or in the arena. */
typedef struct reply_header {
	const char *name;
	const char *value;
} reply_header;

typedef enum turn_state { TURN_RUNNING, TURN_WAITING, TURN_ENDED } turn_state;

typedef enum turn_ending {
	ENDING_NONE,
	ENDING_ADMITTED,
	ENDING_REPLIED, /* status, reply_headers and reply are ready to be sent */
	ENDING_DETACHED /* the socket went to the stream engine; the transport forgets the connection */
} turn_ending;

/* What an exchange needs from whatever carries it. */
typedef struct http_transport {
	/* The turn ended after the transport had suspended. Any thread; x may be gone when it returns. */
	void (*resume)(http_exchange *x);
	/* A descriptor of the connection's own, for the stream engine: from then on the transport must neither read from
	 * nor write to the socket. -1: none to be had. Any thread, within a turn. */
	int (*detach)(http_exchange *x);
	const peer *(*peer)(const http_exchange *x);
	bool (*peer_is_gone)(const http_exchange *x);
	/* The transport writes the reply's head and delimits its body: what is written to a detached descriptor is the body
	 * alone. */
	bool frames_bodies;
} http_transport;

struct http_exchange {
	/* Set once by exchange_init(). */
	http_server *server;
	const http_transport *transport;
	void *link; /* the transport's own */
	arena *arena;

	/* The request; exchange_reset() clears everything from here to the arrays at the end. */
	_Atomic int turn; /* turn_state */
	turn_ending ending;
	bool has_begun; /* headers seen, counted as in flight */
	bool is_http_1_0;
	bool is_broken; /* malformed so that what follows on the connection cannot be trusted: close after the reply */
	bool wants_gzip;
	int64_t started_us;
	http_method method;
	str method_text;
	str target;
	str path;
	str query;
	header_line *headers;
	size_t header_count;
	table_match match;
	str media_type;
	const void *principal;
	void (*on_end)(void *context, uint64_t bytes); /* http_on_end() */
	void *on_end_context;
	str id;

	/* Its body. */
	content_encoding encoding;
	content *decoder;
	uint64_t content_length; /* when has_length */
	bool has_length;
	bool has_open_body; /* set by a transport that needs neither a length nor chunks for a body */
	bool has_body;      /* the message has a body, possibly of 0 bytes when chunked */
	bool is_body_kept;
	uint64_t body_limit;
	uint64_t caller_body_limit; /* http_limit_body(); 0 = none */
	const char *caller_limit;
	uint64_t body_received; /* encoded bytes */
	uint64_t buffered;      /* its share of the server's budget */
	buf body;

	/* The reply. */
	int status;
	int error_status; /* http_set_error_status() */
	buf reply;
	uint64_t reply_bytes;
	size_t reply_header_count;

	header_line inline_headers[HEADERS_INLINE];
	reply_header reply_headers[HTTP_REPLY_HEADERS_MAX + SERVER_HEADERS_MAX];
	char id_text[REQUEST_ID_MAX];
};

/* ---- life ---- */

bool exchange_init(http_exchange *x, http_server *server, const http_transport *transport, void *link) MUST_CHECK;
/* Counts a finished request and makes the exchange ready for the next one of its connection. */
void exchange_reset(http_exchange *x);
void exchange_dispose(http_exchange *x);
/* Frees what was received of the body, and its share of the server's budget. */
void exchange_drop_body(http_exchange *x);

/* ---- the request, transport thread ---- */

/* False: no room (too many, or the arena is full). */
bool exchange_add_header(http_exchange *x, str name, str value) MUST_CHECK;

/* ---- turns ---- */

/* The application (or the server in its place) gets the exchange. */
void exchange_start_turn(http_exchange *x);
/* Ends it; from any thread. x must not be touched afterwards. */
void exchange_end_turn(http_exchange *x, turn_ending ending);
/* Transport thread, after it suspended the connection: false when the turn ended meanwhile (it must resume itself). */
bool exchange_suspend(http_exchange *x) MUST_CHECK;
bool exchange_turn_has_ended(const http_exchange *x);

/* Adds a header of the server's own, both texts kept by pointer. */
void exchange_reply_header(http_exchange *x, const char *name, const char *value);
const char *exchange_find_reply_header(const http_exchange *x, const char *name);

#endif
