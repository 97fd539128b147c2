/*
 * log/outcome: the answer of an append as bytes, kept with an idempotency key or a producer so that a retry gets the
 * same.
 *
 * Form     results: u32 count, then per result i32 partition, u32 records, i64 base offset; then u32 n and n u16 result
 *          indexes, one per record (n = 0 when there is one result). Big endian.
 * Threads  any. Errors: buf.failed; a malformed or foreign text decodes to false.
 */
#ifndef TIDEGATE_LOG_OUTCOME_H
#define TIDEGATE_LOG_OUTCOME_H

#include "base/buf.h"
#include "log/append.h"

enum { OUTCOME_FIRST_BASE_AT = 12 }; /* bytes before the base offset of the first result */

void outcome_encode(buf *out, const log_append *op);
/* Fills results, result_count and result_of in the operation's arena. False: malformed, or the arena is full. */
bool outcome_decode(str bytes, log_append *op);

#endif
