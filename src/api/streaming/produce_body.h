/*
 * api/streaming/produce_body: the messages of one produce request as columns, in one pass over its bytes.
 *
 * What needs no decoding is sliced: keys and values point into the body. Arrays grow geometrically in the arena, and
 * only for the members that are used.
 *
 * Owns     nothing; the batch lives as long as body and arena.
 * Threads  any.
 * Limits   1 to LOG_RECORDS_PER_APPEND_MAX messages, LOG_RECORD_BYTES_MAX a message.
 * Errors   ERR_INVALID_REQUEST, ERR_BATCH_TOO_LARGE, ERR_RECORD_TOO_LARGE, ERR_PAYLOAD_TOO_LARGE (the arena is full);
 * the message names the member: messages[3].key.
 */
#ifndef TIDEGATE_API_STREAMING_PRODUCE_BODY_H
#define TIDEGATE_API_STREAMING_PRODUCE_BODY_H

#include "base/arena.h"
#include "base/err.h"
#include "log/record.h"

enum { PRODUCE_ANY_PARTITION = -1 };

#define PRODUCE_TIMESTAMP_MS_MAX INT64_C(253402300799999) /* the end of the year 9999 */

typedef struct produce_batch {
	log_columns columns;
	const int32_t *partitions; /* what each message asks for, or PRODUCE_ANY_PARTITION; NULL when none asks */
} produce_batch;

/* {"messages":[{"key"?,"value","headers"?,"partition"?,"timestamp"?,"encoding"?}, …]} */
bool produce_decode_json(str body, arena *a, produce_batch *out, err *e) MUST_CHECK;
/* One such message a line; blank lines are skipped. */
bool produce_decode_lines(str body, arena *a, produce_batch *out, err *e) MUST_CHECK;
/* Records as packets (api/streaming/packet). */
bool produce_decode_packets(str body, arena *a, produce_batch *out, err *e) MUST_CHECK;

/* Where the messages go: *one when all go to one partition (then the answer is NULL), else an array in the arena, with
 * *one untouched. A key is hashed; what has no key (or an empty one) takes the next number of `*keyless` modulo
 * partitions. False: ERR_INVALID_REQUEST (no such partition), ERR_PAYLOAD_TOO_LARGE. */
bool produce_place(const produce_batch *batch, uint32_t partition_count, uint32_t first_keyless, arena *a,
				   const uint32_t **partition_of, int32_t *one, err *e) MUST_CHECK;
/* How many messages are placed by their turn rather than by key or wish. */
uint32_t produce_count_keyless(const produce_batch *batch);

#endif
