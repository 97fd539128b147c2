/*
 * http/websocket: a connection that became a WebSocket (RFC 6455): text messages both ways.
 *
 * Built on http/stream: messages out are frames in its bounded queue, what comes in is read by its thread. Pings are
 * answered, fragments put together, and whatever breaks the protocol (an unmasked frame, text that is no UTF-8, a
 * message over max_message_bytes) ends the connection with the close code that RFC 6455 has for it.
 *
 * Owns     itself by reference count: one for the server, one for the opener, which it drops with websocket_unref()
 *          after on_closed at the earliest.
 * Threads  send, close, pause, unref: any. Callbacks: a stream thread, never two at once for one connection; they must
 *          not block. on_closed is the last one, called exactly once. A callback can come before websocket_open() has
 *          returned: `place` lets the context know its connection by then.
 * Limits   max_message_bytes in; the stream's queue out. Subprotocols and extensions are not offered.
 */
#ifndef TIDEGATE_HTTP_WEBSOCKET_H
#define TIDEGATE_HTTP_WEBSOCKET_H

#include "http/stream.h"

typedef struct websocket websocket;

typedef enum websocket_code {
	WEBSOCKET_NORMAL = 1000,
	WEBSOCKET_GOING_AWAY = 1001,
	WEBSOCKET_POLICY = 1008,
	WEBSOCKET_INTERNAL = 1011
} websocket_code;

enum { WEBSOCKET_HEAD_MAX = 10, WEBSOCKET_REASON_MAX = 123 };

typedef struct websocket_options {
	size_t max_message_bytes;
	uint32_t ping_ms;  /* a ping after that long without other output; 0 = none */
	uint32_t stall_ms; /* 0 = 30 000 */
	uint32_t max_age_ms;
	websocket **place;
	void *context;
	void (*on_text)(void *context, str text); /* valid for the call */
	void (*on_binary)(void *context);         /* a binary message came, and was dropped */
	void (*on_drain)(void *context);          /* room again after HTTP_PUSH_FULL */
	void (*on_expire)(void *context);         /* max_age_ms passed; may be NULL */
	void (*on_shutdown)(void *context);       /* send a last message and close */
	void (*on_closed)(void *context, http_stream_end_reason reason);
} websocket_options;

/* Answers the handshake with 101: x must not be touched afterwards. NULL when refused: 400 for a request that is no
 * handshake of version 13, and what http_stream_open() refuses. */
websocket *websocket_open(http_exchange *x, const websocket_options *options);
/* A text message; the bytes are shared, only its head is made anew. As http_stream_push(). */
http_push websocket_send(websocket *w, frame *text);
/* While paused no more is read from the client; what was read already still comes. */
void websocket_pause(websocket *w, bool is_paused);
/* Sends what is queued, then `last` (a text message, may be NULL), then the close frame. */
void websocket_close(websocket *w, websocket_code code, str reason, frame *last);
void websocket_unref(websocket *w); /* accepts NULL */

/* The head of an unmasked, final frame of `bytes` bytes; its length. */
size_t websocket_write_head(char out[WEBSOCKET_HEAD_MAX], unsigned opcode, size_t bytes);
/* Sec-WebSocket-Accept for a Sec-WebSocket-Key. */
void websocket_write_accept(buf *out, str key);

#endif
