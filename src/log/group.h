/*
 * log/group: leased delivery to consumer groups: a partition is handed to one consumer at a time.
 *
 * Per (topic, group, partition) there is a committed offset and at most one lease: holder, deadline, and how far
 * records were handed out. Arithmetic on it runs under pg_try_advisory_xact_lock (taking) and pg_advisory_xact_lock
 * (committing), so any worker serves any call, contenders skip rather than queue up, and a death releases everything.
 *
 * Threads  the one that was given conn.
 * Errors   ERR_TOPIC_NOT_FOUND, ERR_GROUP_NOT_FOUND, ERR_NOT_OWNER, ERR_INVALID_REQUEST, those of db/conn.
 */
#ifndef TIDEGATE_LOG_GROUP_H
#define TIDEGATE_LOG_GROUP_H

#include "log/read.h"

enum { LOG_GROUP_NAME_MAX = 255 };

typedef enum log_group_start { LOG_FROM_EARLIEST, LOG_FROM_LATEST } log_group_start;

typedef struct log_group_take_request {
	const log_topic *topic;
	str group;
	str consumer_id;       /* ptr NULL = anonymous: a lease nobody can extend */
	int32_t partition;     /* only this one, or LOG_ALL_PARTITIONS (-1) */
	log_group_start start; /* for partitions the group has no position in yet */
	uint32_t max_records;
	uint64_t max_bytes;
	int64_t lease_ms;
} log_group_take_request;

/* What one call was handed: pages in the order of partitions served. */
typedef struct log_group_take {
	log_page **pages;
	int32_t *partitions;
	int64_t *from; /* position each page was read from */
	size_t count;
	int64_t lease_deadline_ms; /* wall clock of the database */
} log_group_take;

/* Takes free partitions (and the consumer's own) that have records, reads them and leases them, in one transaction. The
 * caller walks each page to its end: exactly what log_page_next() delivers was leased. Arrays live in the arena; the
 * pages are freed with log_group_take_free(). Nothing to give: count 0. */
bool log_group_take_records(log_engine *engine, log_conn *conn, const log_group_take_request *request, arena *a,
							log_group_take *out, err *e) MUST_CHECK;
void log_group_take_free(log_group_take *t);
/* Gives unread leases of a take back (the client is gone): the next call gets the records at once. */
bool log_group_give_back(log_engine *engine, log_conn *conn, const log_group_take_request *request,
						 const log_group_take *t, err *e) MUST_CHECK;

typedef struct log_group_offset {
	int32_t partition;
	int64_t offset; /* next one wanted */
} log_group_offset;

typedef struct log_group_commit_request {
	const log_topic *topic;
	str group;
	str consumer_id;
	const log_group_offset *offsets; /* those of one partition may repeat: the highest counts */
	size_t count;
	bool force; /* backwards, and what another consumer holds */
} log_group_commit_request;

/* Commits. *out: what stands afterwards, one per partition, in ascending order, in the arena. Never backwards unless force.
 * Beyond the end: ERR_INVALID_REQUEST. Held by another consumer: ERR_NOT_OWNER (unless force). All or nothing. Creates the
 * group when it is new. */
bool log_group_commit(log_engine *engine, log_conn *conn, const log_group_commit_request *request, arena *a,
					  log_group_offset **out, size_t *out_count, err *e) MUST_CHECK;

typedef struct log_group_partition {
	int32_t partition;
	bool has_position;
	int64_t committed_offset;
	int64_t committed_ms;  /* when it was last committed or reset, 0 = never */
	int64_t handed_offset; /* records below were handed out */
	int64_t end_offset;
	int64_t start_offset;
	str holder; /* ptr NULL = nobody, "" = anonymous */
	int64_t lease_deadline_ms;
} log_group_partition;

typedef struct log_group_info {
	str group;
	int64_t created_ms;
	log_group_partition *partitions; /* one per partition of the topic, in order */
	size_t partition_count;
} log_group_info;

/* In the arena. group.ptr NULL: all groups of the topic, by name. ERR_GROUP_NOT_FOUND only for a named one. */
bool log_group_describe(log_engine *engine, log_conn *conn, const log_topic *t, str group, arena *a,
						log_group_info **out, size_t *count, err *e) MUST_CHECK;
bool log_group_delete(log_engine *engine, log_conn *conn, const log_topic *t, str group, err *e) MUST_CHECK;
/* What is stored of one partition. ERR_GROUP_NOT_FOUND: nothing is. */
bool log_group_delete_partition(log_engine *engine, log_conn *conn, const log_topic *t, str group, int32_t partition,
								err *e) MUST_CHECK;
/* Sets positions and drops leases. Clamped to what is kept. */
bool log_group_reset(log_engine *engine, log_conn *conn, const log_topic *t, str group, const log_group_offset *offsets,
					 size_t count, err *e) MUST_CHECK;

/* A group's position in one partition, whatever the topic. */
typedef struct log_group_position {
	str topic;
	str group;
	int32_t partition;
	int64_t committed_offset;
	int64_t committed_ms; /* 0 = never */
} log_group_position;

/* Of one group, or with group.ptr NULL of all, in topics whose name begins with `prefix`: by topic, group and partition,
 * bytewise, strictly after `after` (empty names: from the first), at most `limit`. In the arena. */
bool log_group_positions(log_conn *conn, int64_t tenant_id, str group, str prefix, const log_group_position *after,
						 uint32_t limit, arena *a, log_group_position **out, size_t *count, err *e) MUST_CHECK;

#endif
