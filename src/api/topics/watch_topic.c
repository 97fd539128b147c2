#include "api/topics/watch_topic.h"

#include "api/operation.h"
#include "log/state.h"

static void drop(watch_topic *t)
{
	log_topic_unref(t->topic);
	t->topic = NULL;
}

void watch_topics_drop(watch_topic *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		drop(&list[i]);
	}
}

/* Where those that are known begin and end, one question for all; what is no more is forgotten. */
static bool measure(api *a, log_conn *conn, watch_topic *list, size_t count, arena *memory, err *e)
{
	int64_t *ids = arena_alloc_array(memory, count + 1, sizeof *ids);
	log_state *states = NULL;
	size_t id_count = 0;
	size_t state_count = 0;
	if (ids == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (size_t i = 0; i < count; i++) {
		if (list[i].topic != NULL) {
			ids[id_count++] = list[i].topic->topic_id;
		}
	}
	if (id_count > 0 && !log_state_read(a->log, conn, ids, id_count, memory, &states, &state_count, e)) {
		return false;
	}
	/* In the order of the ids, some left out. */
	for (size_t i = 0, at = 0; i < count; i++) {
		if (list[i].topic == NULL) {
			continue;
		}
		if (at < state_count && states[at].topic_id == list[i].topic->topic_id) {
			list[i].head_seq = states[at].end_offset;
			list[i].earliest_seq = states[at].start_offset + 1;
			at++;
		} else {
			log_topic_forget(a->log, list[i].topic);
			drop(&list[i]);
		}
	}
	return true;
}

/* As the database knows it now. */
static bool look_up(api *a, log_conn *conn, int64_t tenant_id, watch_topic *t, arena *memory, err *e)
{
	if (!api_topic_name_can_exist(t->name)) {
		return true;
	}
	if (!log_topic_find(a->log, conn, tenant_id, t->name, &t->topic, e)) {
		return e->code == ERR_TOPIC_NOT_FOUND;
	}
	return measure(a, conn, t, 1, memory, e);
}

bool watch_topics_find(api *a, log_conn *conn, int64_t tenant_id, watch_topic *list, size_t count, arena *memory,
					   err *e)
{
	for (size_t i = 0; i < count; i++) {
		list[i].topic = log_topic_cached(a->log, tenant_id, list[i].name);
	}
	bool ok = measure(a, conn, list, count, memory, e);
	for (size_t i = 0; i < count && ok; i++) {
		ok = list[i].topic != NULL || look_up(a, conn, tenant_id, &list[i], memory, e);
	}
	if (!ok) {
		watch_topics_drop(list, count);
	}
	return ok;
}
