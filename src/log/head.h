/*
 * log/head: the row of a partition, locked by the transaction that is about to change it.
 *
 * Threads  the one that was given conn. Errors: those of db/conn.
 */
#ifndef TIDEGATE_LOG_HEAD_H
#define TIDEGATE_LOG_HEAD_H

#include "db/conn.h"
#include "log/topic.h"

typedef struct head {
	int32_t partition;
	bool is_plain;
	bool is_closed;
	bool is_ephemeral;
	int64_t next_offset;
	int64_t next_byte;
	int64_t last_ms;
	int64_t cap_floor;
	int64_t ttl_floor;
	int64_t source_floor; /* below it, records were lost before a router could copy them */
	int64_t live_records;
	int64_t live_bytes;
	str sequence_token; /* ptr NULL = none */
	bool is_source;     /* routers copy from here */
} head;

/* What the topic's configuration says, as of after the lock. */
typedef struct head_rules {
	int64_t ttl_ms;
	int64_t cap_records;
	int64_t cap_bytes;
	int64_t record_overhead; /* what cap_bytes counts of a record besides its bytes */
	int64_t idempotency_window_ms;
	int64_t now_ms; /* Postgres's clock */
	bool discard_old;
} head_rules;

static inline int64_t head_floor(const head *h)
{
	int64_t floor = h->cap_floor > h->ttl_floor ? h->cap_floor : h->ttl_floor;
	return floor > h->source_floor ? floor : h->source_floor;
}

/* Two statements of an open pipeline: lock the heads, in order (partitions NULL = all of the topic), then read the
 * rules. */
bool head_send_lock(db_conn *conn, int64_t topic_id, const int32_t *partitions, size_t count, err *e) MUST_CHECK;
/* Their results. Fewer heads than asked for means that the topic, or a partition, is gone. */
bool head_receive_lock(db_conn *conn, arena *a, head **heads, size_t *count, head_rules *rules, err *e) MUST_CHECK;
/* Both, in a pipeline of their own inside the caller's transaction. */
bool head_lock(db_conn *conn, int64_t topic_id, const int32_t *partitions, size_t partition_count, arena *a,
			   head **heads, size_t *count, head_rules *rules, err *e) MUST_CHECK;
/* A crash of Postgres empties the unlogged batches of ephemeral topics, and their marks: where the mark is missing, all
 * below the head is lost. Changes the locked head in memory and sets its mark again; *changed becomes true if it did.
 */
bool head_settle_crash(db_conn *conn, int64_t topic_id, head *h, bool *changed, err *e) MUST_CHECK;
/* From here on a missing mark means a crash. partition: one, or LOG_ALL_PARTITIONS. */
bool head_mark(db_conn *conn, int64_t topic_id, int32_t partition, err *e) MUST_CHECK;
/* Parameters of SQL_HEAD_UPDATE. */
void head_bind_update(const head *h, int64_t topic_id, db_params *p);
bool head_update(db_conn *conn, const head *h, int64_t topic_id, err *e) MUST_CHECK;

#endif
