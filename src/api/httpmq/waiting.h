/*
 * api/httpmq/waiting: a consumer as the database has it: where it stands, and what was delivered and waits to be acknowledged.
 *
 * Whatever changes a consumer does so under its lock, an advisory one that ends with the transaction: any worker serves any
 * call, a death releases everything, and a look that changes nothing costs no flush.
 *
 * Threads  the one that was given conn. Errors: ERR_GROUP_NOT_FOUND: there is no such consumer. Those of db/conn, ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_HTTPMQ_WAITING_H
#define TIDEGATE_API_HTTPMQ_WAITING_H

#include "log/topic.h"

typedef struct httpmq_consumer {
	str name;
	bool is_pull;
	int64_t max_inflight;
	int64_t max_deliver; /* deliveries of a message; -1 = no limit */
	int64_t ack_wait_ns;
	str filter; /* "" = everything */
	str group;  /* "" = none */
	str notes;
	str deliver_subject;
	int64_t created_ms;

	int64_t delivered_c; /* consumer sequences given so far */
	int64_t scanned;     /* stream sequences looked at */
	int64_t floor_c;
	int64_t floor_s;
	int64_t delivered_ms; /* 0 = never */
	int64_t acked_ms;     /* the same */
	int64_t generation;
	int64_t last_member;

	int64_t in_flight; /* pending messages */
	int64_t redelivered;
	int64_t due_ms; /* none of them is due before */

	int64_t lost_below; /* of the stream: offsets that retention took */
	int64_t now_ms;     /* Postgres's clock */
	bool has_holes;     /* single messages of the stream may be gone */
} httpmq_consumer;

typedef struct httpmq_counts {
	int64_t in_flight;
	int64_t redelivered;
	int64_t due;
	int64_t next_due_ms; /* when the next one will be; 0 = none */
} httpmq_counts;

/* In the arena. name.ptr NULL: all of the stream, by name. */
bool consumers_read(log_conn *conn, int64_t topic_id, str name, arena *a, httpmq_consumer **out, size_t *count,
					err *e) MUST_CHECK;

/* ---- inside the caller's transaction ---- */

/* Until its end nobody else changes the consumer. */
bool consumer_lock(log_conn *conn, int64_t topic_id, str name, err *e) MUST_CHECK;
bool consumer_read(log_conn *conn, int64_t topic_id, str name, arena *a, httpmq_consumer *out, err *e) MUST_CHECK;
/* BEGIN, the lock, the consumer and its counts, in one round trip. */
bool consumer_begin(log_conn *conn, int64_t topic_id, str name, arena *a, httpmq_consumer *out, httpmq_counts *counts,
					err *e) MUST_CHECK;
/* What is not sent again leaves. *dropped tells whether there was any: the counts are to be taken anew. */
bool consumer_drop_over(log_conn *conn, int64_t topic_id, httpmq_consumer *c, bool *dropped, err *e) MUST_CHECK;
bool consumer_count(log_conn *conn, int64_t topic_id, httpmq_consumer *c, httpmq_counts *out, err *e) MUST_CHECK;

/* ---- transactions of their own ---- */

/* An acknowledgement; of a message that is not pending it is passed over. */
typedef struct httpmq_acked {
	int64_t sequence;
	size_t place;     /* the caller's: they are sorted */
	bool was_pending; /* out */
} httpmq_acked;
/* In a transaction of its own. *has_freed: no further message could be delivered before. */
bool consumer_ack(log_conn *conn, int64_t topic_id, str name, httpmq_acked *acks, size_t count, bool *has_freed,
				  err *e) MUST_CHECK;

/* A delivery, named by both of its sequences. */
typedef struct httpmq_delivery {
	int64_t sequence;
	int64_t consumer_sequence;
} httpmq_delivery;
/* The message comes again after so long, if this was its last delivery; else it is passed over. */
bool consumer_nack(log_conn *conn, int64_t topic_id, str name, const httpmq_delivery *delivery, int64_t delay_ms,
				   bool *was_pending, err *e) MUST_CHECK;
/* Messages of the stream were erased: those that were pending leave. */
bool consumer_drop_erased(log_conn *conn, int64_t topic_id, str name, arena *a, err *e) MUST_CHECK;
/* They reached nobody: their messages go to the next subscriber at once. */
bool consumer_undo(log_conn *conn, int64_t topic_id, str name, const httpmq_delivery *list, size_t count,
				   err *e) MUST_CHECK;

/* Stored messages behind what was looked at that the consumer will get. */
bool consumer_unsent(log_conn *conn, const log_topic *t, const httpmq_consumer *c, int64_t *out, err *e) MUST_CHECK;
/* Where a new consumer begins: the sequence before the first one it will get; 0 without any. */
bool consumer_start(log_conn *conn, const log_topic *t, str filter, int64_t first_sequence, int64_t *out,
					err *e) MUST_CHECK;

bool consumer_err_not_found(str name, err *e); /* returns false */

#endif
