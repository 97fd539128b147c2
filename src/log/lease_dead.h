/*
 * log/lease_dead: what a turn takes out of its topic: acknowledged records, and those that were delivered too often, which
 * go to the dead letter topic. All in the turn's transaction: a dead letter is in exactly one of the two.
 *
 * Heads are locked after the consumer's lock, and in the order of topic ids, as everybody does.
 *
 * Threads  the turn's. Limits: LEASE_DEAD_MAX dead letters a turn; the next ones wait for the next turn. Errors: those of
 * db/conn, ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_LOG_LEASE_DEAD_H
#define TIDEGATE_LOG_LEASE_DEAD_H

#include "log/lease_turn.h"

enum { LEASE_DEAD_MAX = 1000 };

typedef struct lease_dead {
	lease_entry *entry;
	log_record record;
} lease_dead;

typedef enum lease_dead_verdict {
	LEASE_DEAD_NO,     /* may be delivered once more */
	LEASE_DEAD_YES,    /* noted */
	LEASE_DEAD_LATER,  /* neither: it stays as it is */
	LEASE_DEAD_FAILED, /* memory is out */
} lease_dead_verdict;

/* About a record that is to be delivered again. The entry must live as long as the turn. */
lease_dead_verdict lease_dead_judge(lease_turn *t, lease_entry *entry, const log_record *record);
/* Moves the dead, deletes what was acknowledged. */
bool lease_dead_bury(lease_turn *t, err *e) MUST_CHECK;
/* After a failure and the rollback: true when the dead letter topic was missing, and a further try makes sense. */
bool lease_dead_is_missing(lease_turn *t, const err *e);

#endif
