/*
 * log/lease_gather: finds records that are ready, leases them, and deals them to the claims of a turn: first those that were
 * handed out before, then new ones, by offset within each. What has been delivered too often goes to the turn's dead.
 *
 * Threads  the turn's. Errors: ERR_NO_MEMORY, those of log/read and db/conn.
 */
#ifndef TIDEGATE_LOG_LEASE_GATHER_H
#define TIDEGATE_LOG_LEASE_GATHER_H

#include "log/lease_turn.h"

bool lease_gather(lease_turn *t, lease_share *shares, size_t share_count, err *e) MUST_CHECK;

/* Records of entries, whose offsets ascend: calls take() with each, record NULL when it is gone. take() returns false to
 * stop. */
typedef bool lease_take(lease_turn *t, lease_entry *entry, const log_record *record, void *context);
bool lease_read_entries(lease_turn *t, lease_entry *entries, size_t count, lease_take *take, void *context,
						err *e) MUST_CHECK;

#endif
