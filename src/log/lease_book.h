/*
 * log/lease_book: what is known of one consumer's leases, inside a transaction that holds its lock: the cursor, and the
 * entries that the transaction looks at or changes.
 *
 *   lease_book b = {.conn = …, .arena = …, .topic = …, .consumer = …, .partition = …};
 *   lease_book_begin(&b, engine, offsets, count, &entries, e)           BEGIN, lock, read; settles what is over
 *   lease_book_change(&b, entry, LEASE_HELD)                            counts follow
 *   lease_book_write(&b, entries, count, e)                             changed entries are to be rows
 *   lease_book_erase(&b, offsets, count)                                records are to leave the topic
 *   lease_book_commit(&b, e)                                            all of it, the cursor, and COMMIT
 *
 * What is read at the beginning travels together, and so does what is written: at the end, or before something else is read.
 *
 * Owns     nothing; entries live in the arena.
 * Threads  the one that was given conn.
 * Errors   ERR_TOPIC_NOT_FOUND: the topic or partition is gone. ERR_NO_MEMORY. Those of db/conn. After a failure the
 *          caller rolls back.
 */
#ifndef TIDEGATE_LOG_LEASE_BOOK_H
#define TIDEGATE_LOG_LEASE_BOOK_H

#include "db/conn.h"
#include "log/topic.h"

typedef enum lease_class {
	LEASE_NONE,      /* never handed out, or gone: it has no row */
	LEASE_HELD,      /* leased */
	LEASE_POSTPONED, /* not ready before its time */
	LEASE_RETURNED,  /* ready again */
	LEASE_CLASSES
} lease_class;

typedef struct lease_entry {
	int64_t offset;
	lease_class class;
	str holder; /* ptr NULL unless held */
	int64_t number;
	int64_t free_ms; /* held: one past the deadline; postponed: when it is ready; else 0 */
	int64_t deliveries;
	bool is_changed;
	const void *named_by; /* the operation that had its say about it */
} lease_entry;

enum { LEASE_CURSOR_VALUES = 9 };

/* Entries that are to be written where they changed. */
typedef struct lease_writing {
	lease_entry *entries;
	size_t count;
	struct lease_writing *next;
} lease_writing;

typedef struct lease_book {
	/* in */
	db_conn *conn;
	arena *arena;
	const log_topic *topic;
	str consumer;
	int32_t partition;

	/* the head, as of the lock */
	int64_t now_ms;
	int64_t end_offset;
	int64_t floor;
	int64_t live_records; /* exact again when the transaction is committed */
	bool is_ephemeral;

	/* the topic's rules now, whatever a cache says */
	log_durability durability;
	bool leases_durable;
	int64_t max_deliveries;
	str dead_letter; /* ptr NULL = none */
	int64_t claim_jitter_ms;

	/* the cursor */
	int64_t next_offset;
	int64_t floor_offset;
	int64_t last_number;
	int64_t count[LEASE_CLASSES];
	int64_t due_ms;
	int64_t dead_lettered;
	int64_t window_ends_ms;

	int64_t stored[LEASE_CURSOR_VALUES]; /* the cursor as it was read */

	/* to be written */
	lease_writing *writings;
	const int64_t *erased;
	size_t erased_count;

	bool has_written;     /* rows were written, or will be: by the caller's own statements, too */
	bool freed_some;      /* something became ready, or a holder lost something: others want to know */
	bool must_be_durable; /* the commit holds more than leases */
} lease_book;

/* With the entries of some records, as lease_book_find() gives them. */
bool lease_book_begin(lease_book *b, log_engine *engine, const int64_t *offsets, size_t count, lease_entry **out,
					  err *e) MUST_CHECK;

/* Entries of the offsets, which ascend strictly; those without a row are LEASE_NONE. */
bool lease_book_find(lease_book *b, const int64_t *offsets, size_t count, lease_entry **out, err *e) MUST_CHECK;
/* The first `limit` returned ones from an offset on. */
bool lease_book_find_returned(lease_book *b, int64_t from, size_t limit, lease_entry **out, size_t *count,
							  err *e) MUST_CHECK;

/* A number that no lease of the topic had before. */
int64_t lease_book_number(lease_book *b);
/* The entry's new state; for LEASE_HELD holder, number and deliveries are the caller's to set. */
void lease_book_change(lease_book *b, lease_entry *entry, lease_class class, int64_t free_ms);

int64_t lease_book_ready(const lease_book *b);

/* The entries may change further until they are written. */
bool lease_book_write(lease_book *b, lease_entry *entries, size_t count, err *e) MUST_CHECK;
/* Once a transaction; whoever locks other heads after the queue's locks that before. */
void lease_book_erase(lease_book *b, const int64_t *offsets, size_t count);
bool lease_book_lock_head(lease_book *b, err *e) MUST_CHECK;
bool lease_book_commit(lease_book *b, err *e) MUST_CHECK;

/* topic_id, consumer, partition: the first parameters of every statement about a consumer's leases. */
void lease_book_bind(const lease_book *b, db_params *p);

/* The lock alone, in the caller's transaction: whoever deletes leased records takes it before it locks their head. */
bool lease_book_lock(db_conn *conn, int64_t topic_id, str consumer, int32_t partition, err *e) MUST_CHECK;

/* Behind it, under the head's lock: leases of records below an offset that are gone now go, too. */
bool lease_book_forget_erased(db_conn *conn, int64_t topic_id, int32_t partition, int64_t below, err *e) MUST_CHECK;

/* What is left of a deleted topic, at most `limit` leases at a time. A turn that began before the deletion is over then. */
bool lease_book_bury(db_conn *conn, int64_t topic_id, int64_t limit, bool *more, err *e) MUST_CHECK;

#endif
