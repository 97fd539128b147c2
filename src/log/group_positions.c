/*
 * log/group: stored positions one by one, across topics.
 */
#include "log/group_key.h"
#include "log/private.h"
#include "sql/group.h"

static bool lock_position(log_conn *conn, const log_topic *t, str group, int32_t partition, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, group_key(t->topic_id, group, partition));
	if (!db_run(conn, &SQL_GROUP_LOCK, &p, &r, e)) {
		return false;
	}
	db_result_free(r);
	return true;
}

bool log_group_delete_partition(log_engine *engine, log_conn *conn, const log_topic *t, str group, int32_t partition,
								err *e)
{
	db_params p;
	int64_t affected = 0;
	(void)engine;
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	db_param_str(&p, group);
	db_param_i32(&p, partition);
	if (!db_begin(conn, e) || !lock_position(conn, t, group, partition, e) ||
		!db_do(conn, &SQL_GROUP_DELETE_PARTITION, &p, &affected, e) || !db_commit(conn, e)) {
		db_rollback(conn);
		return err_frame(e, "log_group_delete_partition");
	}
	return affected > 0 ||
		   err_set(e, ERR_GROUP_NOT_FOUND, "the group has no position in partition %d of this topic", partition);
}

bool log_group_positions(log_conn *conn, int64_t tenant_id, str group, str prefix, const log_group_position *after,
						 uint32_t limit, arena *a, log_group_position **out, size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	bool ok = false;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, group);
	db_param_str(&p, prefix);
	db_param_str(&p, after->topic);
	db_param_str(&p, after->group);
	db_param_i32(&p, after->partition);
	db_param_i64(&p, limit);
	if (!db_run(conn, &SQL_GROUP_POSITIONS, &p, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	log_group_position *list = arena_alloc_array(a, rows + 1, sizeof *list);
	ok = list != NULL;
	for (size_t i = 0; i < rows && ok; i++) {
		int row = (int)i;
		list[i] = (log_group_position){
			.partition = db_i32(r, row, 2), .committed_offset = db_i64(r, row, 3), .committed_ms = db_i64(r, row, 4)};
		ok = arena_copy_str(a, db_str(r, row, 0), &list[i].topic) &&
			 arena_copy_str(a, db_str(r, row, 1), &list[i].group);
	}
	db_result_free(r);
	if (!ok) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	*out = list;
	*count = rows;
	return true;
}
