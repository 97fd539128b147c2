/*
 * api/durable/reply: the headers of the protocol's answers.
 *
 * Threads  one at a time, as the exchange. What finds no room is left out, which only a full arena can cause.
 */
#ifndef TIDEGATE_API_DURABLE_REPLY_H
#define TIDEGATE_API_DURABLE_REPLY_H

#include "api/durable/path.h"
#include "api/durable/stream.h"

/* http_dialect.decorate: what every answer carries, errors and streams included. */
void durable_decorate(http_exchange *x);

void durable_reply_text(http_exchange *x, str name, str value);
void durable_reply_number(http_exchange *x, str name, int64_t value);
/* Stream-Next-Offset */
void durable_reply_offset(http_exchange *x, durable_offset offset);
void durable_reply_true(http_exchange *x, str name);

durable_path_limits durable_limits(const http_exchange *x);

/* `http://host:port` as the client sees this server: the setting public_url, else what a trusted proxy says of the request
 * (trust_forwarded), else its Host. False: none is there, or `out` failed. */
bool durable_base_url(const http_exchange *x, buf *out);

#endif
