#include "log/topic.h"

#include "base/jwrite.h"
#include "log/private.h"
#include "log/retain.h"
#include "log/route.h"
#include "log/topic_row.h"
#include "sql/head.h"
#include "sql/retain.h"
#include "sql/topic.h"

log_topic_config log_topic_config_default(log_durability durability)
{
	return (log_topic_config){.kind = LOG_KIND_LOG,
							  .durability = durability,
							  .discard_old = true,
							  .auto_priority = true,
							  .auto_create = true,
							  .dedupe_node = true,
							  .idempotency_window_ms = 120000,
							  .lease_ms = 30000};
}

bool log_topic_config_equal(const log_topic_config *a, const log_topic_config *b)
{
	return a->kind == b->kind && a->durability == b->durability && a->discard_old == b->discard_old &&
		   a->auto_priority == b->auto_priority && a->auto_create == b->auto_create &&
		   a->dedupe_node == b->dedupe_node && a->leases_durable == b->leases_durable &&
		   a->has_priority == b->has_priority && (!a->has_priority || a->priority == b->priority) &&
		   a->ttl_ms == b->ttl_ms && a->cap_records == b->cap_records && a->cap_bytes == b->cap_bytes &&
		   a->idempotency_window_ms == b->idempotency_window_ms && a->lease_ms == b->lease_ms &&
		   a->claim_jitter_ms == b->claim_jitter_ms && a->max_deliveries == b->max_deliveries &&
		   (a->dead_letter.ptr == NULL) == (b->dead_letter.ptr == NULL) && str_equal(a->dead_letter, b->dead_letter);
}

/* ---- rows ---- */

/* The columns of SQL_TOPIC_GET and SQL_TOPIC_LIST. */
static const log_topic *topic_from_row(const db_result *r, int row)
{
	log_topic t = {.topic_id = db_i64(r, row, 0),
				   .tenant_id = db_i64(r, row, 1),
				   .name = db_str(r, row, 2),
				   .origin = (log_origin)db_i32(r, row, 3),
				   .partitions = db_i32(r, row, 5),
				   .replication_factor = db_i32(r, row, 6),
				   .created_ms = db_i64(r, row, 7),
				   .config = {.kind = (log_kind)db_i32(r, row, 4),
							  .durability = (log_durability)db_i32(r, row, 8),
							  .discard_old = db_bool(r, row, 9),
							  .auto_priority = db_bool(r, row, 10),
							  .auto_create = db_bool(r, row, 11),
							  .dedupe_node = db_bool(r, row, 12),
							  .leases_durable = db_bool(r, row, 13),
							  .has_priority = !db_is_null(r, row, 14),
							  .priority = db_i32(r, row, 14),
							  .ttl_ms = db_i64(r, row, 15),
							  .cap_records = db_i64(r, row, 16),
							  .cap_bytes = db_i64(r, row, 17),
							  .idempotency_window_ms = db_i64(r, row, 18),
							  .lease_ms = db_i64(r, row, 19),
							  .claim_jitter_ms = db_i64(r, row, 20),
							  .max_deliveries = db_i64(r, row, 21),
							  .dead_letter = db_str(r, row, 22)}};
	return topic_new(&t);
}

bool topic_err_not_found(str name, err *e)
{
	buf quoted;
	err_set(e, ERR_TOPIC_NOT_FOUND, "there is no such topic; create it first");
	buf_init(&quoted, ERR_DETAIL_MAX - 32);
	jwrite_string(&quoted, name);
	if (!quoted.failed) {
		err_detail(e, "{\"topic\":%.*s}", STR_ARG(buf_str(&quoted)));
	}
	buf_dispose(&quoted);
	return false;
}

bool topic_fetch(db_conn *conn, int64_t tenant_id, str name, const log_topic **out, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, name.ptr != NULL ? name : STR(""));
	if (!db_run(conn, &SQL_TOPIC_GET, &p, &r, e)) {
		/* A name with a NUL cannot be stored, so it is nobody's. */
		return e->code == ERR_INVALID_REQUEST ? topic_err_not_found(name, e) : false;
	}
	const log_topic *t = db_rows(r) == 1 ? topic_from_row(r, 0) : NULL;
	bool is_there = db_rows(r) == 1;
	db_result_free(r);
	if (!is_there) {
		return topic_err_not_found(name, e);
	}
	if (t == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	*out = t;
	return true;
}

/* ---- finding ---- */

const log_topic *log_topic_cached(log_engine *engine, int64_t tenant_id, str name)
{
	const log_topic key = {.tenant_id = tenant_id, .name = name};
	return shared_map_get(engine->topics, &key);
}

void log_topic_forget(log_engine *engine, const log_topic *t)
{
	shared_map_remove(engine->topics, t);
}

bool log_topic_find(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, const log_topic **out, err *e)
{
	const log_topic *t = NULL;
	uint64_t before = shared_map_now(engine->topics);
	if (!topic_fetch(conn, tenant_id, name, &t, e)) {
		return false;
	}
	shared_map_put(engine->topics, t, before);
	*out = t;
	return true;
}

bool log_topic_list(log_engine *engine, log_conn *conn, int64_t tenant_id, str prefix, str after, uint32_t limit,
					arena *a, const log_topic ***out, size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	size_t n = 0;
	(void)engine;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, prefix.ptr != NULL ? prefix : STR(""));
	db_param_str(&p, after.ptr != NULL ? after : STR(""));
	db_param_i64(&p, limit);
	if (!db_run(conn, &SQL_TOPIC_LIST, &p, &r, e)) {
		return false;
	}
	const log_topic **list = arena_alloc_array(a, (size_t)db_rows(r) + 1, sizeof *list);
	while (list != NULL && n < (size_t)db_rows(r)) {
		list[n] = topic_from_row(r, (int)n);
		if (list[n] == NULL) {
			break;
		}
		n++;
	}
	bool ok = list != NULL && n == (size_t)db_rows(r);
	db_result_free(r);
	if (!ok) {
		for (size_t i = 0; list != NULL && i < n; i++) {
			log_topic_unref(list[i]);
		}
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	*out = list;
	*count = n;
	return true;
}

/* ---- what it holds ---- */

static bool settle_all(log_conn *conn, const log_topic *t, err *e)
{
	bool is_unsettled = t->config.ttl_ms > 0 || t->config.durability == LOG_EPHEMERAL;
	for (int32_t i = 0; is_unsettled && i < t->partitions; i++) {
		if (!retain_settle(conn, t->topic_id, i, e)) {
			return false;
		}
	}
	return true;
}

/* The heads; of a topic that routers copy to, after it was brought up to date. */
static bool fetch_info(log_engine *engine, log_conn *conn, const log_topic *t, db_result **out, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	if (!settle_all(conn, t, e) || !db_run(conn, &SQL_HEAD_INFO, &p, &r, e)) {
		return false;
	}
	if (db_rows(r) == 0 || !db_bool(r, 0, 7)) {
		*out = r;
		return true;
	}
	db_result_free(r);
	return log_route_catch_up(engine, conn, t->topic_id, e) && settle_all(conn, t, e) &&
		   db_run(conn, &SQL_HEAD_INFO, &p, out, e);
}

bool log_topic_partitions(log_engine *engine, log_conn *conn, const log_topic *t, arena *a, log_partition_info **out,
						  size_t *count, err *e)
{
	db_result *r = NULL;
	if (!fetch_info(engine, conn, t, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	log_partition_info *list = arena_alloc_array(a, rows + 1, sizeof *list);
	for (size_t i = 0; list != NULL && i < rows; i++) {
		list[i] = (log_partition_info){.partition = db_i32(r, (int)i, 0),
									   .end_offset = db_i64(r, (int)i, 1),
									   .records = db_i64(r, (int)i, 2),
									   .bytes = db_i64(r, (int)i, 3),
									   .last_append_ms = db_i64(r, (int)i, 4),
									   .is_closed = db_bool(r, (int)i, 5),
									   .start_offset = db_i64(r, (int)i, 6)};
	}
	db_result_free(r);
	if (list == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (rows == 0) {
		return topic_err_not_found(t->name, e);
	}
	*out = list;
	*count = rows;
	return true;
}

bool log_topic_offset_at(log_engine *engine, log_conn *conn, const log_topic *t, int32_t partition,
						 int64_t timestamp_ms, int64_t *offset, err *e)
{
	db_params p;
	db_result *r = NULL;
	(void)engine;
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	db_param_i32(&p, partition);
	db_param_i64(&p, timestamp_ms);
	if (!db_run(conn, &SQL_HEAD_OFFSET_AT, &p, &r, e)) {
		return false;
	}
	bool is_there = db_rows(r) == 1;
	if (is_there) {
		*offset = db_i64(r, 0, 0);
	}
	db_result_free(r);
	return is_there || topic_err_not_found(t->name, e);
}
