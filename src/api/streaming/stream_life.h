/*
 * api/streaming/stream_life: what the two kinds of live streams (live.c, leased.c) have in common: headers and last
 * events.
 *
 * Threads  any. Frames: one reference for the caller.
 */
#ifndef TIDEGATE_API_STREAMING_STREAM_LIFE_H
#define TIDEGATE_API_STREAMING_STREAM_LIFE_H

#include "api/streaming/stream_form.h"
#include "http/exchange.h"

/* Why a stream ends on this side: `reason` of the event "end". */
#define STREAM_END_SHUTDOWN "shutting_down"      /* connect again, to another worker */
#define STREAM_END_EXPIRED  "credential_expired" /* its time is over */
#define STREAM_END_REVOKED  "credential_ended"   /* it was revoked, replaced, or asked for only since then */
#define STREAM_END_MEMORY   "no_memory"

enum { STREAM_LAST_FRAME_BYTES_MAX = 64 << 10 };

/* Headers that keep proxies from holding events back. */
void stream_add_headers(http_exchange *x);
/* The event that says why the stream ends: "error" when e is given, else "end" with the reason. NULL without memory. */
frame *stream_last_frame(const stream_form *form, const char *reason, const err *e, str position);

#endif
