/*
 * api/durable/messages: a request's body as the messages of one append.
 *
 * JSON: one text, of which an array's elements are a message each, with their own text. Else the body is one message.
 *
 * Owns     columns live in the arena and point into the body.
 * Threads  any.
 * Limits   LOG_ENGINE_RECORDS_MAX messages; DURABLE_JSON_DEPTH of nesting.
 * Errors   ERR_INVALID_REQUEST: no JSON. ERR_PAYLOAD_TOO_LARGE: too many. ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_DURABLE_MESSAGES_H
#define TIDEGATE_API_DURABLE_MESSAGES_H

#include "api/durable/stream.h"
#include "log/record.h"

enum { DURABLE_JSON_DEPTH = 512 };

/* out->count is 0 for an empty body and for `[]`. */
bool durable_messages_split(str body, durable_media media, arena *a, log_columns *out, err *e) MUST_CHECK;

#endif
