/*
 * http/server: listeners, connections, event streams; from bytes to http_exchange and back.
 *
 * Threads  new, start, stop, free: the main thread. Inside: one acceptor, `threads` of libmicrohttpd, as many for
 *          HTTP/2 and as many for TLS if there is any, `stream_threads`.
 * Limits   every one below is enforced; 0 in a field means the default in its comment.
 */
#ifndef TIDEGATE_HTTP_SERVER_H
#define TIDEGATE_HTTP_SERVER_H

#include "base/metric.h"
#include "base/slog.h"
#include "http/route.h"
#include "http/stream.h"

typedef struct http_server http_server;

typedef struct http_server_options {
	const str *listen; /* "127.0.0.1:5470", "[::]:80", ":0" (any free port) */
	size_t listen_count;
	const str *tls_listen; /* the same, with TLS */
	size_t tls_listen_count;
	str tls_certificate_file;    /* PEM, the server's own first, then those between it and a root */
	str tls_key_file;            /* PEM without a passphrase */
	uint32_t threads;            /* 2 */
	uint32_t stream_threads;     /* 1 */
	uint32_t max_connections;    /* 20 000 */
	uint32_t max_streams;        /* 20 000 */
	uint32_t header_timeout_ms;  /* 10 000: a request's line and headers, from its first byte */
	uint32_t idle_timeout_ms;    /* 75 000: a kept connection without a request */
	uint32_t body_timeout_ms;    /* 30 000 without progress of a body in either direction */
	uint32_t min_body_rate;      /* 1024 bytes a second on average after body_timeout_ms */
	uint32_t max_header_bytes;   /* 16 KiB, line and headers */
	uint64_t max_body_bytes;     /* 64 MiB, decoded */
	uint64_t max_reply_bytes;    /* 128 MiB */
	uint64_t max_arena_bytes;    /* 128 MiB a request */
	uint64_t max_buffered_bytes; /* 1 GiB of request bodies in all; beyond, 503 throttled */
	uint64_t stream_queue_bytes; /* 256 KiB a stream */
	str cors_origin;             /* "*"; empty = no CORS headers */
	bool compress_replies;       /* gzip, level 1, for bodies over 1 KiB when the client takes it */
	const http_dialect *const *dialects;
	size_t dialect_count;
	/* Called when the headers of a routed request are complete; ends with http_admit() or a reply. NULL admits all. */
	void (*gate)(http_exchange *x);
	/* Asked before an event stream opens: false refuses it with *e. *hold is given back when the stream has closed, or
	 * did not open after all; any thread, must not block. NULL: only max_streams counts. */
	bool (*hold_stream)(http_exchange *x, void **hold, err *e);
	void (*release_stream)(void *hold);
	void *app;
	slog *log;                /* NULL = silent */
	metric_registry *metrics; /* NULL = a private one */
} http_server_options;

http_server *http_server_new(const http_server_options *options, err *e) MUST_CHECK;
/* Binds and serves. ERR_UNAVAILABLE: an address cannot be bound (the message names it). What is wrong with the files for
 * TLS is http_server_new()'s ERR_INVALID_REQUEST. */
bool http_server_start(http_server *s, err *e) MUST_CHECK;
/* The port of listener `index`, those with TLS after those without; useful when 0 was asked for. */
uint16_t http_server_port(const http_server *s, size_t index);
/* Stops accepting, lets accepted requests finish, asks streams to end with a last frame (on_shutdown), and cuts what
 * is left at the deadline (absolute, clock_now_ms()). Returns true when nothing had to be cut. Exchanges that the
 * application still holds stay valid: they may be replied to until http_server_free(). */
bool http_server_stop(http_server *s, int64_t deadline_ms);
/* After stop; accepts NULL. Waits a moment for exchanges that were not replied to; if some never are, their memory is
 * left alone. Streams may be unreferenced later. */
void http_server_free(http_server *s);

#endif
