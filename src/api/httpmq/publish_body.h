/*
 * api/httpmq/publish_body: what a request publishes, as columns for the log: keys and tags are the subjects.
 *
 * Owns     nothing; columns live in the exchange's arena, or are its body.
 * Threads  any.
 * Limits   HTTPMQ_PAYLOAD_MAX a message, HTTPMQ_HEADERS_MAX its headers, HTTPMQ_BATCH_MESSAGES a batch.
 * Errors   ERR_INVALID_REQUEST, ERR_RECORD_TOO_LARGE, ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_HTTPMQ_PUBLISH_BODY_H
#define TIDEGATE_API_HTTPMQ_PUBLISH_BODY_H

#include "http/exchange.h"
#include "log/record.h"

/* One message: the body is base64, line ends anywhere. */
bool publish_body_base64(http_exchange *x, str subject, log_columns *out, err *e) MUST_CHECK;
/* One message: the body is its bytes, and Httpmq-Header-NAME: VALUE its headers, names in lower case. */
bool publish_body_raw(http_exchange *x, str subject, log_columns *out, err *e) MUST_CHECK;
/* {"messages":[{"subject":"…","b64_msg":"…","headers":[["name","value"],…]?}, …]} */
bool publish_body_batch(http_exchange *x, log_columns *out, err *e) MUST_CHECK;

#endif
