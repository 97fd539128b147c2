/*
 * api/httpmq/delivery: a delivered message as JSON, from its sequences on: what lines and fetched messages have in common.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_HTTPMQ_DELIVERY_H
#define TIDEGATE_API_HTTPMQ_DELIVERY_H

#include "api/httpmq/take.h"

enum { DELIVERY_BYTES_MAX = 4 << 20 }; /* of one, escapes and base64 included */

/* "sequence":{…},"b64_msg":"…" */
void delivery_write(buf *out, const take_message *m);
/* ,"timestamp":"…","deliveries":n and, when it has some, ,"headers":[["name","value"],…] */
void delivery_write_details(buf *out, const take_message *m);

#endif
