#include "api/topics/watch_topic.h"

#include "api/operation.h"

/* As the database knows it now. */
static bool look_up(api *a, log_conn *conn, int64_t tenant_id, str name, const log_topic **out, err *e)
{
	if (!api_topic_name_can_exist(name)) {
		return api_set_topic_not_found(e, name);
	}
	return log_topic_find(a->log, conn, tenant_id, name, out, e);
}

static bool measure(api *a, log_conn *conn, const log_topic *t, arena *memory, watch_topic *out, err *e)
{
	log_partition_info *partitions = NULL;
	size_t count = 0;
	if (!log_topic_partitions(a->log, conn, t, memory, &partitions, &count, e)) {
		return false;
	}
	*out = (watch_topic){.topic = t,
						 .head_seq = count > 0 ? partitions[0].end_offset : 0,
						 .earliest_seq = count > 0 ? partitions[0].start_offset + 1 : 1};
	return true;
}

bool watch_topic_find(api *a, log_conn *conn, int64_t tenant_id, str name, arena *memory, watch_topic *out, err *e)
{
	const log_topic *t = log_topic_cached(a->log, tenant_id, name);
	if (t != NULL && measure(a, conn, t, memory, out, e)) {
		return true;
	}
	if (t != NULL) {
		if (e->code != ERR_TOPIC_NOT_FOUND) {
			log_topic_unref(t);
			return false;
		}
		/* The cache was behind. */
		log_topic_forget(a->log, t);
		log_topic_unref(t);
		t = NULL;
	}
	if (!look_up(a, conn, tenant_id, name, &t, e)) {
		return false;
	}
	if (measure(a, conn, t, memory, out, e)) {
		return true;
	}
	log_topic_unref(t);
	return e->code == ERR_TOPIC_NOT_FOUND ? api_set_topic_not_found(e, name) : false;
}
