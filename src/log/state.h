/*
 * log/state: what partition 0 of a topic holds, exactly, as of now: routers bring it up to date first, and what has
 * expired is settled.
 *
 * Threads  the one that was given conn, outside of transactions unless said otherwise. Errors: those of db/conn.
 */
#ifndef TIDEGATE_LOG_STATE_H
#define TIDEGATE_LOG_STATE_H

#include "log/topic.h"

typedef struct log_state {
	int64_t topic_id;
	int64_t start_offset;   /* the first live record; end_offset when there is none */
	int64_t end_offset;     /* next to be assigned */
	int64_t records;        /* live */
	int64_t bytes;          /* of live ones: keys, values, headers, metas */
	int64_t last_append_ms; /* 0 = never */
	int64_t last_read_ms;   /* as written by log_state_touch(); 0 = never */
	int64_t now_ms;         /* Postgres's clock */
} log_state;

/* In the order of the ids, in the arena; topics that are no more are left out. */
bool log_state_read(log_engine *engine, log_conn *conn, const int64_t *topic_ids, size_t count, arena *a,
					log_state **out, size_t *out_count, err *e) MUST_CHECK;
/* The same without settling, also inside of a transaction. */
bool log_state_peek(log_conn *conn, const int64_t *topic_ids, size_t count, arena *a, log_state **out,
					size_t *out_count, err *e) MUST_CHECK;
/* One topic. ERR_TOPIC_NOT_FOUND. */
bool log_state_read_one(log_engine *engine, log_conn *conn, const log_topic *t, arena *a, log_state *out,
						err *e) MUST_CHECK;
/* They were read now. */
bool log_state_touch(log_conn *conn, const int64_t *topic_ids, size_t count, err *e) MUST_CHECK;

#endif
