/*
 * api/streaming/live: a reader of its own: every record from a position on, as a stream that never ends by itself.
 *
 * The log pushes shared frames into the HTTP stream. When the stream is full the log keeps the reader's place and goes
 * on at on_drain. Whatever ends the stream on this side tells the position to go on from.
 */
#ifndef TIDEGATE_API_STREAMING_LIVE_H
#define TIDEGATE_API_STREAMING_LIVE_H

#include "api/operation.h"
#include "api/streaming/stream_request.h"

/* Replies. `start` fits the operation's topic and may live in the exchange's arena. */
void live_open(api_operation *op, const stream_request *request, const log_position *start);

/* What the two kinds of streams have in common: how long the caller's credential lasts, in ms; 0 = for ever. */
uint32_t live_credential_ms(const http_exchange *x);
/* Headers that keep proxies from holding events back. */
void live_add_headers(http_exchange *x);
/* A frame of the form's text, NULL for an empty one or without memory. */
frame *live_frame(const char *text);
/* The event that says why the stream ends: an error when e is given, else a reason to connect again. NULL without
 * memory. */
frame *live_last_frame(const stream_form *form, const char *reason, const err *e, str position);

#endif
