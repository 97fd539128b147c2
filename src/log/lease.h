/*
 * log/lease: leased delivery of single records: a record is handed to one holder until a deadline, and comes back unless it
 * was acknowledged.
 *
 * Per (topic, consumer, partition) there are a cursor, the leases in flight with their delivery counts, and what was
 * returned or postponed. A queue is the consumer with the empty name: there an acknowledgement deletes the record, and
 * the rules are the topic's (lease_ms, claim_jitter_ms, max_deliveries, dead_letter).
 *
 * Group    whatever waits at one worker for one consumer is served in one transaction under pg_advisory_xact_lock: any
 *          worker serves any call, many small calls cost one commit, a death releases everything (log/lease_turn).
 * Time     the database's. A lease is over when its deadline has passed, at the next look: no timer is involved.
 * Owns     the operation and all it points to are the caller's until `done` was called. `jobs` and their records are
 *          valid only inside `done`.
 * Threads  submit: any. done: a reader thread; it must not block. Called exactly once after a successful submit.
 * Limits   LOG_LEASE_WAITING_MAX operations wait per consumer: submit fails with ERR_THROTTLED. A claim is given at most
 *          LOG_LEASE_CLAIM_BYTES, or one record.
 * Errors   (op->error) ERR_TOPIC_NOT_FOUND: the topic is gone; a stale cache entry looks the same. ERR_UNAVAILABLE,
 *          ERR_TIMEOUT: nothing was changed. ERR_OUTCOME_UNKNOWN: perhaps it was. Submit fails with ERR_SHUTTING_DOWN
 *          while the server stops; LOG_LEASE_NACK goes through even then.
 */
#ifndef TIDEGATE_LOG_LEASE_H
#define TIDEGATE_LOG_LEASE_H

#include "log/engine.h"

enum {
	LOG_LEASE_WAITING_MAX = 20000,
	LOG_LEASE_CLAIM_MAX = 1000,      /* records of one claim */
	LOG_LEASE_CLAIM_BYTES = 8 << 20, /* of one claim */
	LOG_LEASE_REFS_MAX = 1000,       /* records named by one operation */
};

typedef enum log_lease_action {
	LOG_LEASE_CLAIM,  /* wants records; with refs: those it holds already, which count */
	LOG_LEASE_ACK,    /* done with; a queue's record is deleted */
	LOG_LEASE_NACK,   /* back, ready after delay_ms */
	LOG_LEASE_EXTEND, /* lease_ms more from now on */
} log_lease_action;

/* One record that an operation is about. */
typedef struct log_lease_ref {
	int64_t offset;
	int64_t number;      /* of the lease; 0: whichever the holder has */
	bool stands;         /* out: it was leased so, and the action took place */
	int64_t deadline_ms; /* out, of LOG_LEASE_EXTEND */
} log_lease_ref;

typedef struct log_lease_job {
	log_record record;
	int64_t number;      /* of the lease; > 0, never given twice for a topic */
	int64_t deadline_ms; /* wall clock of the database */
	int64_t deliveries;  /* this one included */
} log_lease_job;

typedef struct log_lease_counts {
	int64_t ready; /* neither leased nor postponed */
	int64_t in_flight;
	int64_t dead_lettered;
} log_lease_counts;

typedef struct log_lease log_lease;

struct log_lease {
	/* in */
	log_lease_action action;
	const log_topic *topic;
	str consumer; /* ptr NULL or empty: the queue */
	int32_t partition;
	str holder;
	log_lease_ref *refs; /* at most LOG_LEASE_REFS_MAX; a record that is named twice counts once */
	size_t ref_count;
	uint32_t max;     /* of LOG_LEASE_CLAIM: records held at one time, those of refs included */
	int64_t lease_ms; /* of LOG_LEASE_CLAIM, LOG_LEASE_EXTEND; > 0 */
	int64_t delay_ms; /* of LOG_LEASE_NACK */
	void (*done)(log_lease *op);
	void *context;

	/* out, when done is called */
	err error;
	log_lease_job *jobs; /* offsets ascend */
	size_t job_count;
	log_lease_counts counts; /* after everything that was served together */
	int64_t due_in_ms;       /* until then nothing leased or postponed becomes ready by itself; -1: there is none */

	/* the desk's */
	log_lease *next;
	int64_t claim_id;      /* its place in a claim window; 0: none */
	int64_t next_claim_id; /* the same, once the turn is committed */
	int64_t wait_ms;       /* until that window is over; 0: answered */
};

bool log_lease_submit(log_engine *engine, log_lease *op, err *e) MUST_CHECK;

/* How things stand now, exactly, expiry included. ERR_TOPIC_NOT_FOUND. */
bool log_lease_describe(log_engine *engine, log_conn *conn, const log_topic *t, str consumer, int32_t partition,
						log_lease_counts *out, err *e) MUST_CHECK;

#endif
