/*
 * api/httpmq/consumer_body: what a request says about a consumer: ConsumerParam.
 *
 * Errors   ERR_INVALID_REQUEST: not what JSON, or a type, should be. ERR_REFUSED: well-formed, but not allowed.
 */
#ifndef TIDEGATE_API_HTTPMQ_CONSUMER_BODY_H
#define TIDEGATE_API_HTTPMQ_CONSUMER_BODY_H

#include "api/httpmq/waiting.h"
#include "http/exchange.h"

/* Definition only, with defaults for what is absent and a new deliver_subject; in the exchange's arena. */
bool consumer_body_read(http_exchange *x, httpmq_consumer *out, err *e) MUST_CHECK;

#endif
