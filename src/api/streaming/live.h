/*
 * api/streaming/live: a reader of its own: every record from a position on, as a stream that never ends by itself
 * (api/live). Whatever ends the stream on this side tells the position to go on from.
 */
#ifndef TIDEGATE_API_STREAMING_LIVE_H
#define TIDEGATE_API_STREAMING_LIVE_H

#include "api/operation.h"
#include "api/streaming/stream_request.h"

/* Replies. `start` fits the operation's topic and may live in the exchange's arena. */
void streaming_live_open(api_operation *op, const stream_request *request, const log_position *start);

#endif
