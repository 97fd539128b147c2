/*
 * log/group_key: the advisory lock of a (topic, group, partition). Two that share a key by chance wait for each other;
 * nothing worse.
 */
#ifndef TIDEGATE_LOG_GROUP_KEY_H
#define TIDEGATE_LOG_GROUP_KEY_H

#include "db/conn.h"
#include "log/group.h"

int64_t group_key(int64_t topic_id, str group, int32_t partition);

/* What is stored of a partition for a group. */
typedef struct group_state {
	bool exists;
	int64_t committed_offset;
	int64_t handed_offset;
	str holder; /* ptr NULL = free; borrowed from the result */
	int64_t lease_until_ms;
	int64_t now_ms;
} group_state;

static inline bool group_is_leased(const group_state *s)
{
	return s->exists && s->holder.ptr != NULL && s->lease_until_ms > s->now_ms;
}

/* Statement and result of SQL_GROUP_STATE in an open pipeline. The holder is copied into the arena. */
bool group_send_state(db_conn *conn, int64_t topic_id, str group, int32_t partition, err *e) MUST_CHECK;
bool group_receive_state(db_conn *conn, arena *a, group_state *out, err *e) MUST_CHECK;

#endif
