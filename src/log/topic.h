/*
 * log/topic: topics and their configuration; names resolved to ids.
 *
 * A topic is found by (tenant, name). Its id is new for every incarnation, so that whatever is keyed by it (heads,
 * batches, groups) can never be taken for a later topic of the same name.
 *
 * The cache: a worker remembers topics it has seen. It may be behind: an append or read through a stale entry finds
 * no head and says ERR_TOPIC_NOT_FOUND; the caller forgets the entry and looks again once (log_topic_forget).
 *
 * Owns     a log_topic is immutable and reference-counted.
 * Threads  any; functions that take a log_conn run on the thread that was given it.
 * Errors   ERR_TOPIC_NOT_FOUND, ERR_TOPIC_EXISTS_INCOMPATIBLE, ERR_THROTTLED (max_topics), and those of db/conn.
 */
#ifndef TIDEGATE_LOG_TOPIC_H
#define TIDEGATE_LOG_TOPIC_H

#include "base/arena.h"
#include "base/err.h"
#include "log/record.h"

typedef struct log_engine log_engine;
typedef struct db_conn log_conn; /* a database session lent to a job; opaque outside log */

typedef enum log_durability { LOG_EPHEMERAL, LOG_MEMORY, LOG_DISK, LOG_FSYNC } log_durability;
typedef enum log_kind { LOG_KIND_LOG, LOG_KIND_QUEUE } log_kind;
typedef enum log_origin {
	LOG_STREAMING,
	LOG_TOPICS,
	LOG_DURABLE,
	LOG_HTTPMQ
} log_origin; /* the dialect that made it */

/* The configuration object of the topics contract, section 3. */
typedef struct log_topic_config {
	log_kind kind;
	log_durability durability;
	bool discard_old; /* else an append to a full topic is refused */
	bool auto_priority;
	bool auto_create;
	bool dedupe_node;
	bool leases_durable;
	bool has_priority;
	int32_t priority;
	int64_t ttl_ms; /* 0 = off, as for the caps */
	int64_t cap_records;
	int64_t cap_bytes;
	int64_t idempotency_window_ms;
	int64_t lease_ms;
	int64_t claim_jitter_ms;
	int64_t max_deliveries;
	str dead_letter; /* ptr NULL = none */
} log_topic_config;

/* The defaults of the topics contract, with the durability class given. */
log_topic_config log_topic_config_default(log_durability durability);
bool log_topic_config_equal(const log_topic_config *a, const log_topic_config *b);

typedef struct log_topic {
	int64_t topic_id;
	int64_t tenant_id;
	str name;
	log_origin origin;
	int32_t partitions;
	int32_t replication_factor;
	int64_t created_ms;
	log_topic_config config;
} log_topic;

const log_topic *log_topic_ref(const log_topic *t); /* returns t */
void log_topic_unref(const log_topic *t);           /* accepts NULL */

/* From the cache, with a reference for the caller; NULL when it has to be looked up with log_topic_find(). */
const log_topic *log_topic_cached(log_engine *engine, int64_t tenant_id, str name);
void log_topic_forget(log_engine *engine, const log_topic *t);

/* From the database; the cache learns it. *out gets a reference. ERR_TOPIC_NOT_FOUND with the detail {"topic":…}. */
bool log_topic_find(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, const log_topic **out,
					err *e) MUST_CHECK;

typedef struct log_topic_spec {
	int64_t tenant_id;
	str name;
	log_origin origin;
	int32_t partitions;
	int32_t replication_factor;
	log_topic_config config;
} log_topic_spec;

/* Creates, or finds the one that is there: *created tells. Of racing creators exactly one gets true. Comparing what is
 * there with what was asked is the dialect's business. */
bool log_topic_create(log_engine *engine, log_conn *conn, const log_topic_spec *spec, const log_topic **out,
					  bool *created, err *e) MUST_CHECK;
/* Replaces the configuration and grows the partitions (0 = as they are). A tighter retention acts at once. *out is the
 * new state. ERR_INVALID_REQUEST: fewer partitions than there are; a change of kind. */
bool log_topic_alter(log_engine *engine, log_conn *conn, const log_topic *t, const log_topic_config *config,
					 int32_t partitions, const log_topic **out, err *e) MUST_CHECK;

/* ---- inside the caller's transaction: for a dialect that keeps state of its own beside a topic ---- */

enum { LOG_TOPICS_MAX = 2000 }; /* in one call */

/* What a topic of one partition begins with. */
typedef struct log_topic_start {
	int64_t offset; /* of its first record */
	int64_t byte;
	const log_columns *records; /* one append, or NULL */
	bool is_closed;
} log_topic_start;

/* Makes a topic of one partition that is not ephemeral. *topic_id is 0 when the name is taken. The caches learn it with
 * log_topic_find() after the commit. */
bool log_topic_insert(log_engine *engine, log_conn *conn, const log_topic_spec *spec, const log_topic_start *start,
					  int64_t *topic_id, err *e) MUST_CHECK;
/* Locks topics of one tenant, LOG_TOPICS_MAX at most: the heads of partition 0 against appends and deletion, and the
 * routers; before any row that a dialect keeps. *found tells how many there are. */
bool log_topic_lock(log_conn *conn, const int64_t *topic_ids, size_t count, size_t *found, err *e) MUST_CHECK;
/* No append any more. */
bool log_topic_close(log_conn *conn, int64_t topic_id, err *e) MUST_CHECK;
/* Everything of these incarnations, after log_topic_lock(). *discarded tells how many there were. ERR_TOPIC_IN_USE. */
bool log_topic_discard(log_conn *conn, const int64_t *topic_ids, size_t count, size_t *discarded, err *e) MUST_CHECK;
/* After the commit, also of one whose outcome is unknown: other workers look again, whoever waits is woken. What this
 * worker's cache holds is found out to be stale, or forgotten with log_topic_forget(). */
void log_topic_changed(log_engine *engine, int64_t topic_id);

/* ---- */

/* *deleted is false when there was none. ERR_TOPIC_IN_USE: another topic is built on it (a durable stream's fork).
 * Everything keyed by the topic goes; batches of large topics in the background. */
bool log_topic_delete(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, bool *deleted,
					  err *e) MUST_CHECK;

typedef struct log_topic_removal {
	bool deleted;
	int64_t records; /* live ones that kept it from being deleted */
	str *routers;    /* names of the routers that went with it, ascending */
	size_t router_count;
} log_topic_removal;
/* The same for this very topic, and tells about it, in the arena. only_empty: nothing is deleted if it has live records. */
bool log_topic_remove(log_engine *engine, log_conn *conn, const log_topic *t, bool only_empty, arena *a,
					  log_topic_removal *out, err *e) MUST_CHECK;

/* Names ascend bytewise, strictly after `after`, only those with `prefix`; at most `limit`. Topics are references in an
 * arena array. */
bool log_topic_list(log_engine *engine, log_conn *conn, int64_t tenant_id, str prefix, str after, uint32_t limit,
					arena *a, const log_topic ***out, size_t *count, err *e) MUST_CHECK;

typedef struct log_partition_info {
	int32_t partition;
	int64_t start_offset;   /* earliest kept record, end_offset when none */
	int64_t end_offset;     /* next to be assigned */
	int64_t records;        /* live */
	int64_t bytes;          /* live payload: keys, values, headers, metas */
	int64_t last_append_ms; /* 0 = never */
	bool is_closed;
} log_partition_info;

/* One entry per partition in order, in the arena. Expiry is settled first, so the numbers are exact. */
bool log_topic_partitions(log_engine *engine, log_conn *conn, const log_topic *t, arena *a, log_partition_info **out,
						  size_t *count, err *e) MUST_CHECK;
/* First offset whose record has timestamp_ms or a later commit time; end offset when none. */
bool log_topic_offset_at(log_engine *engine, log_conn *conn, const log_topic *t, int32_t partition,
						 int64_t timestamp_ms, int64_t *offset, err *e) MUST_CHECK;

#endif
