/*
 * log/lease_meta: the meta object of a dead letter: the job's own members, and where it comes from:
 * "$dead_letter_from" (the queue), "$dead_letter_deliveries", "$dead_letter_src_seq" (texts). Those of an earlier death are
 * replaced.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_LOG_LEASE_META_H
#define TIDEGATE_LOG_LEASE_META_H

#include "base/buf.h"
#include "log/record.h"

void lease_meta_write(buf *out, const log_record *job, str queue, int64_t deliveries);

#endif
