#include "log/head.h"

#include "db/array.h"
#include "sql/erase.h"
#include "sql/head.h"

bool head_send_lock(db_conn *conn, int64_t topic_id, const int32_t *partitions, size_t count, err *e)
{
	db_params p;
	buf array;
	bool ok = false;
	buf_init(&array, 64 + 8 * LOG_PARTITIONS_MAX);
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	if (partitions == NULL) {
		db_param_null(&p);
	} else {
		db_array_builder builder;
		db_array_begin(&builder, &array, DB_INT4);
		for (size_t i = 0; i < count; i++) {
			db_array_add_i32(&builder, partitions[i]);
		}
		db_array_end(&builder);
		db_param_str(&p, buf_str(&array));
	}
	if (array.failed) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
	} else if (db_pipeline_send(conn, &SQL_HEAD_LOCK, &p, e)) {
		db_params_init(&p);
		db_param_i64(&p, topic_id);
		ok = db_pipeline_send(conn, &SQL_HEAD_RULES, &p, e);
	}
	buf_dispose(&array);
	return ok;
}

bool head_receive_lock(db_conn *conn, arena *a, head **heads, size_t *count, head_rules *rules, err *e)
{
	db_result *r = NULL;
	bool ok = false;
	if (!db_pipeline_next(conn, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	head *list = arena_alloc_zero(a, (rows + 1) * sizeof *list);
	if (list == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	for (size_t i = 0; i < rows; i++) {
		int row = (int)i;
		list[i] = (head){.partition = db_i32(r, row, 0),
						 .is_plain = db_bool(r, row, 1),
						 .is_closed = db_bool(r, row, 2),
						 .is_ephemeral = db_bool(r, row, 3),
						 .next_offset = db_i64(r, row, 4),
						 .next_byte = db_i64(r, row, 5),
						 .last_ms = db_i64(r, row, 6),
						 .cap_floor = db_i64(r, row, 7),
						 .ttl_floor = db_i64(r, row, 8),
						 .live_records = db_i64(r, row, 9),
						 .live_bytes = db_i64(r, row, 10),
						 .source_floor = db_i64(r, row, 13),
						 .is_source = db_bool(r, row, 14)};
		str token = db_str(r, row, 11);
		if (token.ptr != NULL && !arena_copy_str(a, token, &list[i].sequence_token)) {
			err_set(e, ERR_NO_MEMORY, "out of memory");
			goto out;
		}
	}
	db_result_free(r);
	r = NULL;
	if (!db_pipeline_next(conn, &r, e)) {
		goto out;
	}
	*rules = (head_rules){0};
	if (db_rows(r) == 1) {
		*rules = (head_rules){.ttl_ms = db_i64(r, 0, 0),
							  .cap_records = db_i64(r, 0, 1),
							  .cap_bytes = db_i64(r, 0, 2),
							  .discard_old = db_bool(r, 0, 3),
							  .idempotency_window_ms = db_i64(r, 0, 4),
							  .now_ms = db_i64(r, 0, 5),
							  .record_overhead = db_i32(r, 0, 7) == LOG_HTTPMQ ? LOG_HTTPMQ_RECORD_OVERHEAD : 0};
		*count = rows;
	} else {
		*count = 0;
	}
	*heads = list;
	ok = true;
out:
	db_result_free(r);
	return ok;
}

bool head_lock(db_conn *conn, int64_t topic_id, const int32_t *partitions, size_t partition_count, arena *a,
			   head **heads, size_t *count, head_rules *rules, err *e)
{
	return db_pipeline_start(conn, e) && head_send_lock(conn, topic_id, partitions, partition_count, e) &&
		   db_pipeline_flush(conn, e) && head_receive_lock(conn, a, heads, count, rules, e) &&
		   db_pipeline_finish(conn, e);
}

bool head_mark(db_conn *conn, int64_t topic_id, int32_t partition, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	if (partition == LOG_ALL_PARTITIONS) {
		db_param_null(&p);
	} else {
		db_param_i32(&p, partition);
	}
	return db_do(conn, &SQL_HEAD_MARK_EPHEMERAL, &p, NULL, e);
}

bool head_settle_crash(db_conn *conn, int64_t topic_id, head *h, bool *changed, err *e)
{
	db_params p;
	db_result *r = NULL;
	if (!h->is_ephemeral) {
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i32(&p, h->partition);
	if (!db_run(conn, &SQL_HEAD_HAS_MARK, &p, &r, e)) {
		return false;
	}
	bool has_mark = db_bool(r, 0, 0);
	db_result_free(r);
	if (has_mark) {
		return true;
	}
	h->cap_floor = h->next_offset;
	h->live_records = 0;
	h->live_bytes = 0;
	*changed = true;
	db_param_i64(&p, h->next_offset);
	return db_do(conn, &SQL_ERASE_FORGET_TAGS, &p, NULL, e) && head_mark(conn, topic_id, h->partition, e);
}

void head_bind_update(const head *h, int64_t topic_id, db_params *p)
{
	db_params_init(p);
	db_param_i64(p, topic_id);
	db_param_i32(p, h->partition);
	db_param_i64(p, h->next_offset);
	db_param_i64(p, h->next_byte);
	db_param_i64(p, h->last_ms);
	db_param_i64(p, h->cap_floor);
	db_param_i64(p, h->ttl_floor);
	db_param_i64(p, h->live_records);
	db_param_i64(p, h->live_bytes);
	db_param_bool(p, h->is_closed);
	db_param_str(p, h->sequence_token);
	db_param_i64(p, h->source_floor);
}

bool head_update(db_conn *conn, const head *h, int64_t topic_id, err *e)
{
	db_params p;
	head_bind_update(h, topic_id, &p);
	return db_do(conn, &SQL_HEAD_UPDATE, &p, NULL, e);
}
