/*
 * producer_impl: what the calling threads (producer.c) and the background thread (sender.c) share.
 *
 *   open batch --full, flush--> queue --sender--> in flight --answer--> finished
 *              --linger, when nothing else of the partition waits or flies--^ retried in place
 *
 * One batch of a partition is in flight at a time, so order holds across retries. When one fails for good, all that
 * wait behind it fail with the same error, and the partition refuses records until tg_clear_errors().
 */
#ifndef TG_PRODUCER_IMPL_H
#define TG_PRODUCER_IMPL_H

#include "batch.h"
#include "call.h"

enum { PRODUCER_ID_BYTES = 32 };

struct tg_producer_config {
	size_t batch_size;
	size_t max_request_size;
	size_t batch_queue_size;
	int64_t queue_timeout_ms;
	int64_t linger_ms;
	tg_compression compression;
	int64_t timeout_ms;
	tg_delivery delivery;
	bool idempotence;
	tg_retry_policy retry;
	tg_partitioner partitioner;
	void *partitioner_context;
	int32_t partition;
	bool hash_empty_key;
	tg_batch_callback callback;
	void *callback_context;
};

/* Under the producer's lock, but for what the sender's thread has to itself. */
typedef struct lane {
	uint32_t partition;
	batch *open;
	batch *first; /* of the queue */
	batch *last;
	size_t queued;
	batch *flying; /* taken from the queue, not finished */
	bool has_failed;
	tg_error failure;
	int64_t epoch;    /* of its producer id; a new one begins at sequence 0 */
	int64_t sequence; /* of the batch that flies, or flies next */

	/* the sender's */
	call call;
	buffer packed; /* the compressed body */
	bool is_under_way;
	uint32_t retries;
	int64_t first_try_at_ms;
	int64_t retry_at_ms;
} lane;

struct tg_producer {
	tg_client *client;
	tg_producer_config config;
	char *path;             /* of produce */
	char *description_path; /* of the description */
	char id[PRODUCER_ID_BYTES + 1];
	CURLM *multi;
	pthread_t thread;

	pthread_mutex_t lock;   /* of everything below and of the lanes */
	pthread_cond_t changed; /* a batch left a queue, was finished, or the producer stops */
	lane **lanes;
	uint32_t lane_count; /* partitions of the topic; grows */
	uint64_t next_batch_id;
	uint32_t keyless; /* records without a key so far, wrapping */
	bool is_stopping;
	bool was_used; /* since the partitions were counted last */
};

/* Both under the lock. */
bool tgi_producer_add_lanes(tg_producer *p, uint32_t count); /* false: no memory; some may have been added */
void tgi_producer_close_batch(lane *l);                      /* open batch, if any, to the queue */

void *tgi_sender_run(void *producer); /* the thread, until is_stopping */

#endif
