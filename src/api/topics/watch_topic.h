/*
 * api/topics/watch_topic: the topics that a watcher names, looked up: who they are, and where they begin and end.
 *
 * Owns     nothing; a found topic comes with a reference for the caller: watch_topics_drop().
 * Threads  the one that was given conn.
 * Errors   those of log/topic and log/state; that a topic is not there is none.
 */
#ifndef TIDEGATE_API_TOPICS_WATCH_TOPIC_H
#define TIDEGATE_API_TOPICS_WATCH_TOPIC_H

#include "api/api.h"

typedef struct watch_topic {
	str name;               /* in */
	const log_topic *topic; /* NULL: not there */
	int64_t head_seq;
	int64_t earliest_seq;
} watch_topic;

bool watch_topics_find(api *a, log_conn *conn, int64_t tenant_id, watch_topic *list, size_t count, arena *memory,
					   err *e) MUST_CHECK;
void watch_topics_drop(watch_topic *list, size_t count);

#endif
