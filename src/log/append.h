/*
 * log/append: group commit. An operation is queued on its topic's lane; the lane commits everything it finds there in
 * one transaction and then answers each.
 *
 * Order    offsets are assigned under the heads' row locks in the inserting transaction: commit order = offset order.
 * Atomic   all records of one operation become durable together, or none. Records of one operation in one partition
 *          get consecutive offsets.
 * Owns     the caller owns the operation and everything it points to, until done was called.
 * Threads  submit: any. done: a lane thread; it must not block. Called exactly once after a successful submit.
 * Limits   lane_queue_bytes per lane: submit fails with ERR_THROTTLED, but for is_first. LOG_RECORDS_PER_APPEND_MAX.
 * Errors   (op->error) ERR_TOPIC_NOT_FOUND  the topic is gone; a stale cache entry looks the same (see log/topic)
 *          ERR_TOPIC_FULL, ERR_TOPIC_CLOSED, ERR_PRODUCER_FENCED, ERR_PRODUCER_SEQUENCE_GAP, ERR_SEQUENCE_CONFLICT,
 *          ERR_INVALID_REQUEST (new epoch with seq > 0), ERR_RECORD_TOO_LARGE (over a refusing topic's whole cap)
 *          ERR_UNAVAILABLE: nothing was written. ERR_OUTCOME_UNKNOWN: it may have been written.
 */
#ifndef TIDEGATE_LOG_APPEND_H
#define TIDEGATE_LOG_APPEND_H

#include "log/topic.h"

typedef struct log_append log_append;

/* Where the records of one partition went. */
typedef struct log_append_result {
	int32_t partition;
	uint32_t count;
	int64_t base_offset;
} log_append_result;

typedef struct log_producer {
	str id; /* ptr NULL = none */
	int64_t epoch;
	int64_t sequence;
} log_producer;

/* When an error that the caller has found already is due, among the engine's own. */
typedef enum log_refusal_stage {
	LOG_REFUSE_NOT,
	LOG_REFUSE_IF_OPEN, /* after "closed", before the producer and the sequence token */
	LOG_REFUSE_LAST,    /* after everything else: duplicates and conflicts come first */
} log_refusal_stage;

struct log_append {
	/* in */
	const log_topic *topic;
	log_columns columns;
	const uint32_t *partition_of; /* per record, each < topic->partitions; NULL: all go to `partition` */
	int32_t partition;
	str idempotency_key; /* ptr NULL = none */
	log_producer producer;
	str sequence_token; /* durable's Stream-Seq; ptr NULL = none */
	bool close;         /* close the partition with this append; columns.count may be 0 */
	bool is_first;      /* what its topic was made for: a full queue takes it, too */
	log_refusal_stage refusal_stage;
	const err *refusal; /* what is wrong with the records, which are then left out */
	arena *arena;       /* for what the engine allocates on the operation's behalf */
	void (*done)(log_append *op);
	void *context;

	/* out, when done is called */
	err error;                  /* code ERR_NONE = committed */
	bool is_duplicate;          /* answered from an earlier identical operation */
	log_append_result *results; /* one per partition touched, ascending */
	uint32_t result_count;
	const uint16_t
		*result_of;     /* per record: index into results; NULL when there is one result. A duplicate's own layout. */
	int64_t end_offset; /* single-partition operations: the partition's next offset */
	int64_t end_byte;
	int64_t committed_ms;
	log_producer producer_state; /* after the operation; for a duplicate the highest accepted */
	bool is_closed;
	bool feeds_routers; /* the topic is the source of some */

	/* the lane's */
	log_append *next;
	size_t queued_bytes;
};

bool log_append_submit(log_engine *engine, log_append *op, err *e) MUST_CHECK;

#endif
