/*
 * api/streaming/stream_request: what GET /topics/{topic}/stream asks for.
 *
 * Owns     nothing; texts live in the exchange's arena.
 * Errors   ERR_INVALID_REQUEST, ERR_NOT_ACCEPTABLE.
 */
#ifndef TIDEGATE_API_STREAMING_STREAM_REQUEST_H
#define TIDEGATE_API_STREAMING_STREAM_REQUEST_H

#include "api/streaming/stream_form.h"
#include "http/exchange.h"

typedef enum stream_start { START_LATEST, START_EARLIEST, START_AT_OFFSETS, START_AT_CURSOR } stream_start;

typedef struct stream_request {
	const stream_form *form;
	int32_t partition; /* or LOG_ALL_PARTITIONS */
	bool is_strict;    /* offsets that are not kept are errors */
	bool has_start;    /* the query or Last-Event-ID names one */
	stream_start start;
	str offsets; /* numbers with commas between, checked */
	str cursor;
	str group_id;    /* ptr NULL = none: a reader of its own */
	str consumer_id; /* ptr NULL = to be made up */
	int64_t lease_ms;
} stream_request;

bool stream_request_read(const http_exchange *x, stream_request *out, err *e) MUST_CHECK;

#endif
