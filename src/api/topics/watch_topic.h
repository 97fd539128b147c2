/*
 * api/topics/watch_topic: the topics that a watcher names, looked up: who they are, and where they begin and end.
 *
 * Routers that lead to a topic are settled first (log_topic_partitions), so that what was acknowledged upstream counts.
 *
 * Owns     nothing; a found topic comes with a reference for the caller.
 * Threads  the one that was given conn.
 * Errors   ERR_TOPIC_NOT_FOUND with the detail {"topic":…}; those of log/topic.
 */
#ifndef TIDEGATE_API_TOPICS_WATCH_TOPIC_H
#define TIDEGATE_API_TOPICS_WATCH_TOPIC_H

#include "api/api.h"

typedef struct watch_topic {
	const log_topic *topic;
	int64_t head_seq;
	int64_t earliest_seq;
} watch_topic;

bool watch_topic_find(api *a, log_conn *conn, int64_t tenant_id, str name, arena *memory, watch_topic *out,
					  err *e) MUST_CHECK;

#endif
