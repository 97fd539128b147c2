/*
 * api/httpmq/stream_body: what a request says about a stream: StreamParam, StreamLimits, lists of subjects.
 *
 * Errors   ERR_INVALID_REQUEST: not what JSON, or a type, should be. ERR_REFUSED: well-formed, but not allowed.
 */
#ifndef TIDEGATE_API_HTTPMQ_STREAM_BODY_H
#define TIDEGATE_API_HTTPMQ_STREAM_BODY_H

#include "api/httpmq/store.h"
#include "http/exchange.h"

/* name, subjects and limits, with defaults for what is absent; in the exchange's arena. */
bool stream_body_read(http_exchange *x, httpmq_stream *out, err *e) MUST_CHECK;
/* Changes those limits that are present. Every one of a new stream may change but max_consumers. */
bool stream_body_read_limits(http_exchange *x, httpmq_limits *limits, err *e) MUST_CHECK;
/* {"subjects":[…]}, at least one. */
bool stream_body_read_subjects(http_exchange *x, const str **out, size_t *count, err *e) MUST_CHECK;

#endif
