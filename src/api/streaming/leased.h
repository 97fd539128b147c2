/*
 * api/streaming/leased: a stream that reads as a member of a consumer group: it takes free partitions, delivers their
 * messages, and goes on; the client commits with POST …/commit and the consumer_id that the first event tells.
 *
 * A pump's body takes one frame's worth at a time. A frame that the client has no room for is kept, and pushed first
 * once there is room. What is taken for a client that is found to be gone is given back, so that another member gets it
 * at once; what was delivered before and not committed comes again when its lease ends.
 */
#ifndef TIDEGATE_API_STREAMING_LEASED_H
#define TIDEGATE_API_STREAMING_LEASED_H

#include "api/operation.h"
#include "api/streaming/stream_request.h"

/* Replies. */
void leased_open(api_operation *op, const stream_request *request);

#endif
