/*
 * http/stream: a reply that goes on: event streams and endless line streams.
 *
 * Frames are queued by any thread and written by the server's stream threads; the queue is bounded. When it is full
 * the pusher keeps its place and goes on at on_drain. A client that takes nothing for stall_ms is cut off.
 *
 * What the client sends meanwhile is dropped, or given to on_input (http/websocket).
 *
 * Owns     a reference per queued frame; itself by reference count: one for the server, one for the opener, which
 *          it drops with http_stream_unref() after on_closed at the earliest.
 * Threads  push, end, unref: any. Callbacks: a stream thread, never two at once for one stream, never while the
 *          caller's push runs on the same thread; they must not block. on_closed is the last one, called exactly once.
 *          A callback can come before http_stream_open() has returned to its caller (the client may leave at once, the
 *          server may stop): `place` lets the context know its stream by then.
 * Limits   queue bytes and streams a server: http_server_options. Over the stream limit http_stream_open answers 429
 *          itself and returns NULL.
 */
#ifndef TIDEGATE_HTTP_STREAM_H
#define TIDEGATE_HTTP_STREAM_H

#include "base/frame.h"
#include "http/exchange.h"

typedef struct http_stream http_stream;

typedef enum http_stream_end_reason {
	HTTP_STREAM_CLIENT_GONE, /* closed or reset by the client */
	HTTP_STREAM_STALLED,     /* did not take data for stall_ms */
	HTTP_STREAM_ENDED,       /* http_stream_end */
	HTTP_STREAM_SHUTDOWN     /* the server's deadline passed */
} http_stream_end_reason;

typedef struct http_stream_options {
	const char *content_type; /* NULL: none */
	frame *first;             /* sent right after the headers, or NULL; the stream takes its own reference */
	frame *heartbeat;         /* sent after heartbeat_ms without other output, or NULL */
	uint32_t heartbeat_ms;
	uint32_t stall_ms;   /* 0 = 30 000 */
	uint32_t max_age_ms; /* on_expire is called after that long; 0 = never */
	http_stream **place; /* set before the first callback can come, NULL when refused; may be NULL */
	void *context;
	void (*on_drain)(void *context);                                 /* room again after HTTP_PUSH_FULL */
	void (*on_expire)(void *context);                                /* max_age_ms passed; may be NULL */
	void (*on_shutdown)(void *context);                              /* push a last frame and end */
	void (*on_input)(void *context, str bytes);                      /* NULL: what the client sends is dropped */
	void (*on_closed)(void *context, http_stream_end_reason reason); /* last call */
} http_stream_options;

enum { HTTP_PUSH_FRAMES_MAX = 4 };

typedef enum http_push { HTTP_PUSH_OK, HTTP_PUSH_FULL, HTTP_PUSH_CLOSED } http_push;

/* Sends the 200 and the headers at once. The reply: x must not be touched afterwards. NULL when refused (answered, and
 * no callback will come). HEAD gets the headers and NULL. Works from any thread, and after any body. */
http_stream *http_stream_open(http_exchange *x, const http_stream_options *options);
/* On OK the stream holds a reference of its own. FULL and CLOSED take nothing. A frame that is larger than the whole
 * queue is taken when the queue is empty. */
http_push http_stream_push(http_stream *s, frame *f);
/* The same for several that belong together: all or none. At most HTTP_PUSH_FRAMES_MAX. */
http_push http_stream_push_all(http_stream *s, frame *const *frames, size_t count);
/* Leaves what the client sends in the socket, or goes on reading it. What was read before may still be given to
 * on_input. For streams with on_input; any thread. */
void http_stream_pause_input(http_stream *s, bool is_paused);
/* Sends what is queued, then `last` (may be NULL), then ends the body properly and closes. */
void http_stream_end(http_stream *s, frame *last);
bool http_stream_is_closed(const http_stream *s);
/* In and after on_closed: what was pushed last may not have reached the client: it was not written, or the client left without
 * reading it. The last frame of http_stream_end() does not count when all before it had been taken. */
bool http_stream_has_lost(const http_stream *s);
void http_stream_unref(http_stream *s); /* accepts NULL */

#endif
