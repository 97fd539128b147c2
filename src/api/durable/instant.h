/*
 * api/durable/instant: RFC 3339 date-times.
 *
 * Threads  any.
 * Limits   years 0000 to 9999; milliseconds, what is finer is cut off; a leap second counts as the next one.
 */
#ifndef TIDEGATE_API_DURABLE_INSTANT_H
#define TIDEGATE_API_DURABLE_INSTANT_H

#include "base/buf.h"

/* `2026-01-31T12:00:00Z`, a fraction and an offset `+01:00` are fine. Milliseconds since the epoch. */
bool durable_instant_parse(str text, int64_t *ms);
/* In UTC; milliseconds only where there are some. */
void durable_instant_print(buf *out, int64_t ms);

#endif
