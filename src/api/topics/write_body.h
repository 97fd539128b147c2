/*
 * api/topics/write_body: the body of a write as columns for the log, in one walk, without a tree. Shared by
 * POST /v0/topics/{topic} and the WebSocket's publish, whose messages hold the same members among others.
 *
 * Owns     nothing: texts point into the body or live in the arena.
 * Threads  any.
 * Limits   write_limits, each at least 1; at most LOG_RECORDS_PER_APPEND_MAX records.
 * Errors   ERR_INVALID_REQUEST, ERR_BATCH_TOO_LARGE, ERR_RECORD_TOO_LARGE; ERR_PAYLOAD_TOO_LARGE when the arena is full.
 */
#ifndef TIDEGATE_API_TOPICS_WRITE_BODY_H
#define TIDEGATE_API_TOPICS_WRITE_BODY_H

#include "base/arena.h"
#include "base/err.h"
#include "log/topic.h"

enum { WRITE_META_KEYS_MAX = 64, WRITE_KEY_BYTES_MAX = 256 };

typedef struct write_limits {
	uint32_t records;
	uint64_t record_bytes; /* compact data and meta */
	uint64_t meta_bytes;
	uint64_t tag_bytes;
	uint64_t node_bytes;
} write_limits;

typedef struct write_body {
	log_columns columns; /* values, and tags, nodes, metas as far as there are any */
	str idempotency_key; /* ptr NULL = none */
	bool has_create;
	bool create;
	bool has_config;
	log_topic_config config; /* the defaults without one */
	bool disable_backpressure;
} write_body;

bool write_body_read(str text, arena *a, const write_limits *limits, write_body *out, err *e) MUST_CHECK;

/* The payload of all records: data and meta. */
uint64_t write_body_bytes(const write_body *w);

#endif
