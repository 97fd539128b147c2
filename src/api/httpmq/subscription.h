/*
 * api/httpmq/subscription: an endless reply, a line of JSON for each delivery.
 *
 * A pump takes what is to be sent (api/httpmq/take) and pushes it, woken by new messages, acknowledgements, and the next
 * deadline. What is known not to have reached the client is undone when the stream is closed, so that the next subscriber gets
 * it at once; what did keeps its time.
 *
 * Owns     itself, until the client has gone or the last line is written.
 * Threads  open: any.
 * Limits   what is waiting for a client: that of http/stream, and one take.
 */
#ifndef TIDEGATE_API_HTTPMQ_SUBSCRIPTION_H
#define TIDEGATE_API_HTTPMQ_SUBSCRIPTION_H

#include "api/api.h"

/* A subscription that is bound to its consumer. Texts are copied. */
typedef struct subscription_request {
	const log_topic *topic; /* a reference, which is taken over */
	str stream;
	str consumer;
	str subject;        /* every line repeats it */
	int64_t generation; /* of a consumer without a group: only the newest is served */
	int64_t member;     /* names the subscription among its consumer's */
	bool is_member;     /* of a group */
	bool has_details;   /* lines tell more than httpmq's own */
} subscription_request;

/* The reply. */
void subscription_open(http_exchange *x, const subscription_request *request);

#endif
