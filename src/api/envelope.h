/*
 * api/envelope: errors as the streaming and topics dialects write them:
 * {"error":{"code":"topic_not_found","message":"…","detail":{…}}}.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_API_ENVELOPE_H
#define TIDEGATE_API_ENVELOPE_H

#include "http/exchange.h"

/* The object's inside: "code":…,"message":… and "detail" if there is one, without braces. */
void envelope_write_members(buf *out, const err *e);
/* For http_dialect.write_error. */
const char *envelope_write(http_exchange *x, const err *e);

#endif
