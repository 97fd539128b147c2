/*
 * log/commit: what a lane's thread needs to commit a group of operations; shared by lane, plain and judge.
 *
 * Threads  the lane thread that owns it.
 */
#ifndef TIDEGATE_LOG_COMMIT_H
#define TIDEGATE_LOG_COMMIT_H

#include "log/private.h"
#include "log/rows.h"

typedef struct committer {
	log_engine *engine;
	db_conn *conn;
	arena *arena; /* for one group */
	buf scratch;  /* one row */
} committer;

/* The records of an operation by partition: pieces[i] goes to op->results[i].partition. In the operation's arena. */
bool commit_split(log_append *op, row_piece **pieces, err *e) MUST_CHECK;

/* Whether nothing about the operation asks for a judge. Its head or producer may still: see taken_of. */
bool plain_can_commit(const log_engine *engine, const log_append *op);
/* Commits such operations. taken_of[i] is false for those whose head or producer wants judgement, or is gone: nothing of
 * them was written. False: nothing is known to be committed, *e says why. */
bool plain_commit(committer *c, log_append **ops, size_t count, bool *taken_of, err *e) MUST_CHECK;

/* Judges and commits operations of one topic, in order, in one transaction; fills each op's error and results. */
void judge_commit(committer *c, log_append **ops, size_t count);

#endif
