/*
 * cli/when: durations and times as people write and read them. Threads: any.
 */
#ifndef TIDEGATE_CLI_WHEN_H
#define TIDEGATE_CLI_WHEN_H

#include "base/buf.h"
#include "base/err.h"

/* "30d": a number above 0 and a unit: ms, s, m, h, d, w, y (365 days). "0" alone is 0. ERR_INVALID_REQUEST. */
bool when_parse_duration(str text, int64_t *out_ms, err *e) MUST_CHECK;
/* "2026-05-01 12:30" in UTC; "-" for 0. */
void when_append_time(buf *out, int64_t epoch_ms);
/* "2026-05-01T12:30:59.999Z" as RFC 3339 has it; "NA" for a negative time. */
void when_append_timestamp(buf *out, int64_t epoch_ms);

#endif
