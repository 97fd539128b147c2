/*
 * batch: records on their way to one partition, and what became of them.
 *
 * Owns     the packets to send. Counted references: the producer's, one for each output; the last frees it.
 * Threads  tgi_batch_add() and `packets` belong to the producer (under its lock, then its thread alone); tgi_batch_finish() is
 *          called once; tgi_batch_wait() by anybody.
 * Units    sizes by Fluvio's formula: uncompressed, as its protocol would encode the records.
 * Limits   BATCH_RECORDS_MAX records.
 */
#ifndef TG_BATCH_H
#define TG_BATCH_H

#include "buffer.h"
#include "tidegate.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	BATCH_RECORDS_MAX = 10000, /* the server's for a request */
	BATCH_HEAD_BYTES = 61,
};

typedef struct batch {
	struct batch *next; /* in the producer's queue */
	uint64_t id;        /* ascending in the order of opening, over all partitions */
	int32_t partition;
	uint32_t records;
	size_t bytes;         /* by the formula, head included */
	int64_t created_ms;   /* timestamp of its first record */
	int64_t opened_at_ms; /* monotonic */
	buffer packets;       /* the body of its request */

	atomic_uint references;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t finished;
	bool is_finished;
	tg_error error; /* kind TG_OK = stored */
	int64_t base_offset;
} batch;

batch *tgi_batch_new(int32_t partition, int64_t timestamp_ms, int64_t now_ms); /* NULL: no memory */
void tgi_batch_ref(batch *b);
void tgi_batch_unref(batch *b); /* NULL is fine */

/* What the message would add to a batch; in one of its own when b is NULL. */
size_t tgi_batch_record_bytes(const batch *b, const tg_message *message);
/* The timestamp must be set. False: no memory; the batch is as before. */
bool tgi_batch_add(batch *b, const tg_message *message);

/* error NULL = stored from base_offset on. */
void tgi_batch_finish(batch *b, int64_t base_offset, const tg_error *error);
/* TG_OK: finished. TG_TIMEOUT. */
tg_status tgi_batch_wait(batch *b, int64_t timeout_ms);

#endif
