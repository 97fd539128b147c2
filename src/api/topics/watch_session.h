/*
 * api/topics/watch_session: watch sessions in Postgres: what a client watches and how far it has come. Any worker serves
 * any session. A session is forgotten ttl_ms after its last use without a stream.
 *
 * The stream that opened last owns the session: each opening raises its generation, saves of older ones change nothing.
 *
 * Owns     nothing; what is read lives in the arena.
 * Threads  the one that was given conn.
 * Limits   the number of sessions of a tenant, exact over all workers.
 * Errors   ERR_THROTTLED with the detail {"limit":"max_watch_sessions","max":…}; ERR_NOT_FOUND; those of db/conn.
 */
#ifndef TIDEGATE_API_TOPICS_WATCH_SESSION_H
#define TIDEGATE_API_TOPICS_WATCH_SESSION_H

#include "api/topics/watch_options.h"
#include "log/topic.h"

enum { WATCH_ID_BYTES = 16 };

#define WATCH_ID_PREFIX "wid_"

typedef struct watch_id {
	unsigned char bytes[WATCH_ID_BYTES];
} watch_id;

/* A topic of a session, and the last seq that was delivered of it. */
typedef struct watch_session_topic {
	str name;
	int64_t topic_id;
	int64_t seq;
} watch_session_topic;

typedef struct watch_session {
	int64_t tenant_id;
	str key_id; /* "" = made without one */
	watch_options options;
	int32_t heartbeat_ms;
	watch_session_topic *topics;
	size_t topic_count;
	int64_t generation;
} watch_session;

void watch_id_make(watch_id *out);
void watch_id_write(buf *out, const watch_id *id);     /* "wid_…" */
bool watch_id_read(str text, arena *a, watch_id *out); /* false: no such id can be */
bool watch_id_read_hex(str text, watch_id *out);       /* as in a notification */
bool watch_id_equal(const watch_id *a, const watch_id *b);

/* most = 0: no limit. */
bool watch_session_create(log_conn *conn, const watch_id *id, const watch_session *s, int64_t most, int64_t ttl_ms,
						  err *e) MUST_CHECK;
bool watch_session_owner(log_conn *conn, const watch_id *id, int64_t ttl_ms, arena *a, int64_t *tenant_id, str *key_id,
						 err *e) MUST_CHECK;
/* For a new stream. Owner and tenant are not filled in. */
bool watch_session_open(log_conn *conn, const watch_id *id, int64_t ttl_ms, arena *a, watch_session *out,
						err *e) MUST_CHECK;
/* Removes some of those whose time is over. */
bool watch_session_forget(log_conn *conn, int64_t ttl_ms, err *e) MUST_CHECK;
bool watch_session_count(log_conn *conn, int64_t tenant_id, int64_t ttl_ms, int64_t *count, err *e) MUST_CHECK;

#endif
