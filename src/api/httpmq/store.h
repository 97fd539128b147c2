/*
 * api/httpmq/store: streams as the database has them.
 *
 * Threads  the one that was given conn. Errors: those of db/conn, ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_HTTPMQ_STORE_H
#define TIDEGATE_API_HTTPMQ_STORE_H

#include "log/topic.h"

/* As given; -1 (max_age_ns: 0) = none. */
typedef struct httpmq_limits {
	int64_t max_consumers;
	int64_t max_msgs;
	int64_t max_bytes;
	int64_t max_age_ns;
	int64_t max_msgs_per_subject;
	int64_t max_msg_size;
} httpmq_limits;

typedef struct httpmq_stream {
	int64_t topic_id;
	str name;
	int64_t created_ms;
	const str *subjects;
	size_t subject_count;
	httpmq_limits limits;
} httpmq_stream;

/* Those of the tenant, by name, in the arena; name.ptr NULL = all. */
bool httpmq_streams_read(log_conn *conn, int64_t tenant_id, str name, arena *a, httpmq_stream **out, size_t *count,
						 err *e) MUST_CHECK;
/* One. ERR_TOPIC_NOT_FOUND. */
bool httpmq_stream_read(log_conn *conn, int64_t tenant_id, str name, arena *a, httpmq_stream *out, err *e) MUST_CHECK;

/* Inside the caller's transaction, which holds the tenant's lock. */
bool httpmq_streams_lock(log_conn *conn, int64_t tenant_id, err *e) MUST_CHECK;
bool httpmq_stream_insert(log_conn *conn, int64_t tenant_id, const httpmq_stream *s, err *e) MUST_CHECK;
bool httpmq_stream_set_subjects(log_conn *conn, int64_t topic_id, const str *subjects, size_t count, err *e) MUST_CHECK;
bool httpmq_stream_set_limits(log_conn *conn, int64_t topic_id, const httpmq_limits *limits, err *e) MUST_CHECK;
/* Other workers look again once the transaction is committed. */
bool httpmq_streams_notify(log_conn *conn, int64_t tenant_id, err *e) MUST_CHECK;

/* What the topic of a stream is to be like; what the limits do not say is as in `base`. */
log_topic_config httpmq_topic_config(const log_topic_config *base, const httpmq_limits *limits);
/* The limits of a topic that has become a stream. */
void httpmq_limits_of_topic(const log_topic_config *config, httpmq_limits *limits);

/* Keeps the newest messages of a subject, or of every subject (ptr NULL): whole transactions of its own. */
bool httpmq_trim(log_engine *engine, log_conn *conn, const log_topic *t, str subject, int64_t keep, err *e) MUST_CHECK;

#endif
