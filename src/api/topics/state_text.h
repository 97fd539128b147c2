/*
 * api/topics/state_text: what a topic holds as this dialect's JSON, in pieces without braces.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_TOPICS_STATE_TEXT_H
#define TIDEGATE_API_TOPICS_STATE_TEXT_H

#include "base/buf.h"
#include "log/read.h"
#include "log/state.h"

/* "topic":"name" */
void state_write_name(buf *out, str name);
/* "head_seq":9,"earliest_seq":3 */
void state_write_seqs(buf *out, int64_t end_offset, int64_t start_offset);
/* "count":7,"bytes":96 */
void state_write_sizes(buf *out, const log_state *s);
/* Why a gap came about: "cap", "ttl", "mixed" or "source_trim". */
const char *state_gap_reason(const log_gap *gap);
/* The priority in force, from -1000 to 1000. last_read_ms 0 = never. */
int64_t state_priority(const log_topic_config *c, int64_t last_read_ms, int64_t now_ms);

#endif
