/*
 * api/durable/stream: a topic as a durable stream.
 *
 * What never changes of an incarnation (content type, expiry rule, fork segments) is a durable_stream: read once and
 * remembered by topic_id, so that it cannot be stale. What changes is a durable_state: asked for when it matters. A
 * softly deleted stream is closed as well: whoever sees "closed" asks for the state.
 *
 * A topic that another dialect made has no row of its own: it is application/json from the topics dialect, else
 * application/octet-stream, has no expiry and no ancestors, and one partition.
 *
 * Owns     a durable_stream is immutable and reference-counted.
 * Threads  any; functions that take a log_conn run on the thread that was given it.
 * Limits   DURABLE_STREAMS_CACHED streams are remembered; then the cache starts afresh.
 * Errors   ERR_TOPIC_NOT_FOUND: absent; ERR_GONE: hidden; ERR_TOPIC_EXISTS_INCOMPATIBLE: several
 *          partitions; those of db/conn.
 */
#ifndef TIDEGATE_API_DURABLE_STREAM_H
#define TIDEGATE_API_DURABLE_STREAM_H

#include "api/api.h"
#include "api/durable/offset.h"
#include "base/shared_map.h"
#include "log/topic.h"

enum { DURABLE_DEPTH_MAX = 64 };

typedef enum durable_media {
	DURABLE_MEDIA_BYTES,
	DURABLE_MEDIA_TEXT, /* text/… */
	DURABLE_MEDIA_JSON  /* application/json: a message is a JSON text */
} durable_media;

/* Records below `until`, and not below the segment before it, are this topic's. */
typedef struct durable_segment {
	int64_t topic_id;
	durable_offset until;
} durable_segment;

typedef struct durable_stream {
	int64_t topic_id;
	bool is_native;   /* this dialect made it */
	str content_type; /* as it was given */
	str media_type;   /* of it, in lower case */
	durable_media media;
	bool has_ttl;
	bool has_expiry;
	int64_t ttl_s;
	int64_t expires_ms;
	durable_offset start;            /* of its own records; below are those of its ancestors */
	size_t segment_count;            /* ancestors that hold something of it, the oldest first */
	const durable_segment *segments; /* `until` ascends strictly */
	/* as a fork was asked for */
	bool is_fork;
	str source_name;
	durable_offset anchor;
	int64_t sub_offset;
	int32_t depth; /* all ancestors */
} durable_stream;

typedef enum durable_presence {
	DURABLE_THERE,
	DURABLE_HIDDEN, /* deleted or expired, and a fork that has not ended reads it */
	DURABLE_ABSENT  /* deleted or expired; what is left of it, its forks have ended too */
} durable_presence;

/* As of one moment. */
typedef struct durable_state {
	durable_presence presence;
	bool is_expired;
	bool is_deleted;  /* softly */
	bool is_closed;   /* also when softly deleted */
	bool has_forks;   /* also such as have ended */
	bool wants_touch; /* the last access is long enough ago to be written again */
	durable_offset tail;
	int64_t parent_id; /* of a fork; 0: none */
} durable_state;

/* What is known of streams: durable_stream by topic_id. */
extern const shared_map_kind DURABLE_STREAMS_KNOWN;

const durable_stream *durable_stream_ref(const durable_stream *s); /* returns s */
void durable_stream_unref(const durable_stream *s);                /* accepts NULL */

/* From memory, with a reference for the caller; NULL when it has to be looked up. */
const durable_stream *durable_stream_cached(const api *a, const log_topic *t);
/* From memory or the database. The stream may have expired or be deleted: see durable_state_check(). */
bool durable_stream_find(const api *a, log_conn *conn, const log_topic *t, const durable_stream **out,
						 err *e) MUST_CHECK;
/* Whether a request has to ask for the state before it does anything. */
bool durable_stream_expires(const durable_stream *s);

bool durable_state_get(log_conn *conn, int64_t topic_id, durable_state *out, err *e) MUST_CHECK;
/* Fails unless the stream is there: ERR_GONE when it is hidden, ERR_TOPIC_NOT_FOUND when it is absent. */
bool durable_state_check(const durable_state *state, err *e) MUST_CHECK;
/* An access, written if it is worth it. Only streams with a TTL. */
bool durable_stream_touch(log_conn *conn, const durable_stream *s, const durable_state *state, err *e) MUST_CHECK;
/* The three together, for a request that reads: nothing to do for a stream that does not expire. */
bool durable_stream_enter(log_conn *conn, const durable_stream *s, err *e) MUST_CHECK;

/* The sentence of a stream that is not there; returns false. */
bool durable_err_absent(err *e);
bool durable_err_gone(err *e);

/* What stands before any ';' of a content type, trimmed and in lower case. False: the arena is full. */
bool durable_media_type(arena *a, str content_type, str *out) MUST_CHECK;
durable_media durable_media_of(str media_type);

#endif
