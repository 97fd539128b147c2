/*
 * log/lease_turn: everything that waits for one consumer, done in one transaction: acknowledgements, returns and
 * extensions in their order, then the claims, which are dealt what is ready.
 *
 *   lease_turn t;
 *   lease_turn_init(&t, engine, conn, arena);
 *   lease_turn_run(&t, ops, count);      each op has its answer, or its error; some may have to wait on
 *   … done of each …
 *   lease_turn_dispose(&t);              what jobs point to goes
 *
 * Threads  the one that was given conn.
 * Limits   LEASE_TURN_OPS operations, LEASE_TURN_JOBS records (or one claim), about LEASE_TURN_BYTES of them. Claims beyond
 *          get less than they asked for.
 */
#ifndef TIDEGATE_LOG_LEASE_TURN_H
#define TIDEGATE_LOG_LEASE_TURN_H

#include "log/lease.h"
#include "log/lease_book.h"
#include "log/lease_deal.h"
#include "log/read.h"

enum { LEASE_TURN_OPS = 512, LEASE_TURN_JOBS = 4096, LEASE_TURN_BYTES = 32 << 20, LEASE_TURN_PAGES = 4096 };

/* A record that was dealt. */
typedef struct lease_dealt {
	uint32_t share; /* index of the claim */
	log_lease_job job;
} lease_dealt;

typedef struct lease_turn {
	log_engine *engine;
	log_conn *conn;
	arena *arena;
	lease_book book;

	/* what was read: the records that were dealt point into it */
	log_page *pages[LEASE_TURN_PAGES];
	size_t page_count;
	uint64_t bytes;

	lease_dealt *dealt;
	size_t dealt_count;
	size_t dealt_max;
	log_lease **claims; /* one per share */
	lease_share *shares;
	size_t claim_count;

	/* records that the transaction removes from the queue */
	int64_t *erased;
	size_t erased_count;
	struct lease_dead *dead; /* those of them that go to the dead letter topic */
	size_t dead_count;
	const log_topic *dead_letter; /* a reference */
	bool dead_letter_is_missing;
	bool dead_letter_is_source; /* routers copy from there */
	bool dead_letter_failed;    /* they stay where they are */
} lease_turn;

void lease_turn_init(lease_turn *t, log_engine *engine, log_conn *conn, arena *a);
void lease_turn_run(lease_turn *t, log_lease **ops, size_t count);
void lease_turn_dispose(lease_turn *t);

#endif
