/*
 * log/record: one record of the log as a reader sees it, and the columns an appender hands over.
 *
 * Owns     nothing: every str borrows. ptr NULL means absent; a value is never absent.
 * Limits   LOG_* below; the dialects enforce them before an append is submitted, the engine asserts nothing.
 */
#ifndef TIDEGATE_LOG_RECORD_H
#define TIDEGATE_LOG_RECORD_H

#include "base/str.h"

enum {
	LOG_RECORDS_PER_APPEND_MAX = 10000,
	LOG_ENGINE_RECORDS_MAX = 1 << 20, /* what the engine takes in one append, whatever a dialect's own limit */
	LOG_RECORD_BYTES_MAX = 1 << 20,   /* key, value, headers, meta together */
	LOG_PARTITIONS_MAX = 1024,
	LOG_TOPIC_NAME_MAX = 1024,       /* bytes; the dialects have tighter rules */
	LOG_ALL_PARTITIONS = -1,         /* where one partition could be named */
	LOG_HTTPMQ_RECORD_OVERHEAD = 30, /* what a message of that dialect counts besides its bytes */
};

typedef struct log_record {
	int64_t offset;
	int64_t timestamp_ms; /* the producer's when it gave one, else the commit's */
	int64_t committed_ms; /* Postgres's clock, never decreasing along a partition */
	int64_t end_byte;     /* value bytes of the partition up to here, this record's included; what was deleted singly
							 need not count */
	int32_t partition;
	int32_t hops;     /* routers it has passed */
	bool ends_append; /* the last record of one append */
	str key;
	str value;
	str headers; /* compact JSON text: [["name","value"],…] */
	str tag;
	str node;
	str meta; /* compact JSON object */
} log_record;

/* What an append carries, column by column, `count` elements each. Columns other than values may be NULL as a whole: a
 * feature that no record uses costs nothing. */
typedef struct log_columns {
	uint32_t count;
	const str *keys;
	const str *values;
	const str *headers;
	const str *tags;
	const str *nodes;
	const str *metas;
	const int64_t *timestamps_ms; /* element 0 = none given */
} log_columns;

#endif
