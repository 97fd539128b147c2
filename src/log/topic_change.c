/*
 * log/topic_change: creating, altering and deleting topics.
 *
 * Whatever changes the heads of a topic locks all of them first, in order, as appends do: an append sees all of the
 * change, or none of it.
 */
#include <string.h>

#include "log/lease_book.h"
#include "log/private.h"
#include "log/retain.h"
#include "log/route_step.h"
#include "log/rows.h"
#include "log/topic_row.h"
#include "sql/batch.h"
#include "sql/head.h"
#include "sql/router.h"
#include "sql/topic.h"

enum { CHANGE_ARENA_BYTES = 4 << 20 };

static bool is_plain(const log_topic_config *c)
{
	return c->cap_records == 0 && c->cap_bytes == 0 && c->durability != LOG_EPHEMERAL;
}

static void bind_config(db_params *p, const log_topic_config *c)
{
	db_param_i32(p, (int32_t)c->durability);
	db_param_bool(p, c->discard_old);
	db_param_bool(p, c->auto_priority);
	db_param_bool(p, c->auto_create);
	db_param_bool(p, c->dedupe_node);
	db_param_bool(p, c->leases_durable);
	if (c->has_priority) {
		db_param_i32(p, c->priority);
	} else {
		db_param_null(p);
	}
	db_param_i64(p, c->ttl_ms);
	db_param_i64(p, c->cap_records);
	db_param_i64(p, c->cap_bytes);
	db_param_i64(p, c->idempotency_window_ms);
	db_param_i64(p, c->lease_ms);
	db_param_i64(p, c->claim_jitter_ms);
	db_param_i64(p, c->max_deliveries);
	db_param_str(p, c->dead_letter);
}

static bool add_heads(db_conn *conn, int64_t topic_id, int32_t first, int32_t end, const log_topic_config *config,
					  err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i32(&p, first);
	db_param_i32(&p, end);
	db_param_bool(&p, is_plain(config));
	db_param_bool(&p, config->durability == LOG_EPHEMERAL);
	if (!db_do(conn, &SQL_HEAD_INSERT, &p, NULL, e)) {
		return false;
	}
	return config->durability != LOG_EPHEMERAL || head_mark(conn, topic_id, LOG_ALL_PARTITIONS, e);
}

static bool do_by_id(db_conn *conn, const db_query *query, int64_t id, int64_t *affected, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, id);
	return db_do(conn, query, &p, affected, e);
}

/* This worker and the others, also when the change may have been lost: looking again costs little. */
static void tell_changed(log_engine *engine, const log_topic *t)
{
	shared_map_remove(engine->topics, t);
	log_topic_changed(engine, t->topic_id);
}

void log_topic_changed(log_engine *engine, int64_t topic_id)
{
	notify_topic_changed(engine->link, topic_id);
	wake_topic(engine->wakes, topic_id, LOG_ALL_PARTITIONS);
}

/* ---- create ---- */

/* How many topics a tenant may have; 0 = no limit. */
static bool read_limit(log_engine *engine, db_conn *conn, const db_params *tenant, int64_t *most, err *e)
{
	db_result *r = NULL;
	if (!db_run(conn, &SQL_TOPIC_LIMIT, tenant, &r, e)) {
		return false;
	}
	*most = db_rows(r) == 1 ? db_i64(r, 0, 0) : engine->options.max_topics;
	db_result_free(r);
	return true;
}

static bool check_count(log_engine *engine, db_conn *conn, int64_t tenant_id, err *e)
{
	db_params p;
	db_result *r = NULL;
	int64_t most = 0;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	if (!read_limit(engine, conn, &p, &most, e)) {
		return false;
	}
	if (most == 0) {
		return true;
	}
	if (!db_do(conn, &SQL_TOPIC_LOCK_TENANT, &p, NULL, e) || !db_run(conn, &SQL_TOPIC_COUNT, &p, &r, e)) {
		return false;
	}
	int64_t count = db_i64(r, 0, 0);
	db_result_free(r);
	if (count >= most) {
		err_set(e, ERR_THROTTLED,
				"this tenant has %lld topics, as many as it may have; delete some, or have the limit raised",
				(long long)count);
		err_detail(e, "{\"limit\":\"max_topics\",\"max\":%lld}", (long long)most);
		return false;
	}
	return true;
}

/* The topic's row. *topic_id is 0 when the name is taken. */
static bool insert_row(log_engine *engine, db_conn *conn, const log_topic_spec *spec, int64_t *topic_id, err *e)
{
	db_params p;
	db_result *r = NULL;
	if (!check_count(engine, conn, spec->tenant_id, e)) {
		return false;
	}
	db_params_init(&p);
	db_param_i64(&p, spec->tenant_id);
	db_param_str(&p, spec->name);
	db_param_i32(&p, (int32_t)spec->origin);
	db_param_i32(&p, (int32_t)spec->config.kind);
	db_param_i32(&p, spec->partitions);
	db_param_i32(&p, spec->replication_factor);
	bind_config(&p, &spec->config);
	if (!db_run(conn, &SQL_TOPIC_INSERT, &p, &r, e)) {
		return false;
	}
	*topic_id = db_rows(r) == 1 ? db_i64(r, 0, 0) : 0;
	db_result_free(r);
	return true;
}

bool topic_insert(log_engine *engine, db_conn *conn, const log_topic_spec *spec, bool *created, err *e)
{
	int64_t topic_id = 0;
	if (!insert_row(engine, conn, spec, &topic_id, e)) {
		return false;
	}
	*created = topic_id != 0;
	return !*created || add_heads(conn, topic_id, 0, spec->partitions, &spec->config, e);
}

/* The head of a topic that begins with something. *committed_ms is the time of its first append. */
static bool add_started_head(db_conn *conn, int64_t topic_id, const log_topic_spec *spec, const log_topic_start *start,
							 int64_t *committed_ms, err *e)
{
	db_params p;
	db_result *r = NULL;
	uint32_t count = start->records != NULL ? start->records->count : 0;
	int64_t value_bytes = 0;
	int64_t bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		value_bytes += (int64_t)start->records->values[i].len;
		bytes += (int64_t)rows_record_bytes(start->records, i);
	}
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_bool(&p, is_plain(&spec->config) && !start->is_closed);
	db_param_bool(&p, start->is_closed);
	db_param_i64(&p, start->offset + count);
	db_param_i64(&p, start->byte + value_bytes);
	db_param_i64(&p, start->offset);
	db_param_i64(&p, count);
	db_param_i64(&p, bytes);
	if (!db_run(conn, &SQL_HEAD_INSERT_STARTED, &p, &r, e)) {
		return false;
	}
	*committed_ms = db_i64(r, 0, 0);
	db_result_free(r);
	return true;
}

static bool add_records(db_conn *conn, int64_t topic_id, const log_topic_start *start, int64_t committed_ms, err *e)
{
	const row_piece piece = {start->records, NULL, start->records->count};
	buf scratch;
	row r;
	int64_t offset = start->offset;
	int64_t byte = start->byte;
	bool ok = true;
	buf_init(&scratch, ROW_SCRATCH_BYTES);
	row_writer w = {.pieces = &piece, .piece_count = 1, .scratch = &scratch};
	while (ok && rows_next(&w, &r)) {
		db_params p;
		rows_bind_placed(&r, &(row_place){topic_id, 0, offset, byte, committed_ms, 0}, &p);
		ok = scratch.failed ? err_set(e, ERR_NO_MEMORY, "out of memory for a row")
							: db_do(conn, &SQL_BATCH_INSERT, &p, NULL, e);
		offset += r.records;
		byte += (int64_t)r.value_bytes;
	}
	buf_dispose(&scratch);
	return ok;
}

bool log_topic_insert(log_engine *engine, log_conn *conn, const log_topic_spec *spec, const log_topic_start *start,
					  int64_t *topic_id, err *e)
{
	int64_t committed_ms = 0;
	if (!insert_row(engine, conn, spec, topic_id, e)) {
		return false;
	}
	return *topic_id == 0 ||
		   (add_started_head(conn, *topic_id, spec, start, &committed_ms, e) &&
			(start->records == NULL || start->records->count == 0 ||
			 add_records(conn, *topic_id, start, committed_ms, e))) ||
		   err_frame(e, "log_topic_insert");
}

bool log_topic_create(log_engine *engine, log_conn *conn, const log_topic_spec *spec, const log_topic **out,
					  bool *created, err *e)
{
	bool made = false;
	err missing;
	/* Most calls find it; only a new name pays for a transaction. A topic that is deleted between the two looks is made
	 * anew. */
	for (int attempt = 0; attempt < 3; attempt++) {
		if (log_topic_find(engine, conn, spec->tenant_id, spec->name, out, &missing)) {
			*created = made;
			return true;
		}
		if (missing.code != ERR_TOPIC_NOT_FOUND) {
			*e = missing;
			return false;
		}
		if (!db_begin(conn, e) || !topic_insert(engine, conn, spec, &made, e) || !db_commit(conn, e)) {
			db_rollback(conn);
			return err_frame(e, "log_topic_create");
		}
	}
	*e = missing;
	return false;
}

/* ---- alter ---- */

/* Loss by the old rules is written down before the new ones count, so that a looser rule brings nothing back. */
static bool settle(db_conn *conn, int64_t topic_id, head *heads, size_t count, const head_rules *rules, err *e)
{
	for (size_t i = 0; i < count; i++) {
		bool changed = false;
		if (!head_settle_crash(conn, topic_id, &heads[i], &changed, e) ||
			!retain_expire(conn, topic_id, &heads[i], rules, e) || !retain_evict(conn, topic_id, &heads[i], rules, e)) {
			return false;
		}
	}
	return true;
}

static bool change_storage(db_conn *conn, int64_t topic_id, head *heads, size_t count, const log_topic_config *config,
						   err *e)
{
	bool ephemeral = config->durability == LOG_EPHEMERAL;
	db_params p;
	if (heads[0].is_ephemeral != ephemeral &&
		!do_by_id(conn, ephemeral ? &SQL_TOPIC_MOVE_TO_EPHEMERAL : &SQL_TOPIC_MOVE_FROM_EPHEMERAL, topic_id, NULL, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		heads[i].is_ephemeral = ephemeral;
	}
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_bool(&p, is_plain(config));
	db_param_bool(&p, ephemeral);
	return db_do(conn, &SQL_HEAD_SET_RULES, &p, NULL, e) &&
		   (!ephemeral || head_mark(conn, topic_id, LOG_ALL_PARTITIONS, e));
}

static bool update_topic(db_conn *conn, const log_topic *t, const log_topic_config *config, int32_t partitions, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	db_param_i32(&p, partitions);
	bind_config(&p, config);
	return db_do(conn, &SQL_TOPIC_UPDATE, &p, NULL, e);
}

static bool alter(db_conn *conn, const log_topic *t, const log_topic_config *config, int32_t partitions, arena *a,
				  err *e)
{
	head *heads = NULL;
	size_t count = 0;
	head_rules rules;
	/* Whoever acknowledges jobs relies on where they are stored. */
	bool is_queue = t->config.kind == LOG_KIND_QUEUE;
	if ((is_queue && !lease_book_lock(conn, t->topic_id, STR(""), 0, e)) ||
		!head_lock(conn, t->topic_id, NULL, 0, a, &heads, &count, &rules, e)) {
		return false;
	}
	if (count == 0) {
		return topic_err_not_found(t->name, e);
	}
	if (partitions == 0) {
		partitions = (int32_t)count;
	}
	if (partitions < (int32_t)count) {
		return err_set(e, ERR_INVALID_REQUEST, "the topic has %zu partitions, and partitions can only grow", count);
	}
	if (!settle(conn, t->topic_id, heads, count, &rules, e) ||
		!change_storage(conn, t->topic_id, heads, count, config, e)) {
		return false;
	}
	rules.ttl_ms = config->ttl_ms;
	rules.cap_records = config->cap_records;
	rules.cap_bytes = config->cap_bytes;
	rules.discard_old = config->discard_old;
	if (!settle(conn, t->topic_id, heads, count, &rules, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!head_update(conn, &heads[i], t->topic_id, e)) {
			return false;
		}
	}
	return update_topic(conn, t, config, partitions, e) &&
		   (partitions == (int32_t)count || add_heads(conn, t->topic_id, (int32_t)count, partitions, config, e));
}

bool log_topic_alter(log_engine *engine, log_conn *conn, const log_topic *t, const log_topic_config *config,
					 int32_t partitions, const log_topic **out, err *e)
{
	bool ok = false;
	if (config->kind != t->config.kind) {
		return err_set(e, ERR_INVALID_REQUEST, "the type of a topic is fixed when it is created");
	}
	arena *a = arena_new(CHANGE_ARENA_BYTES);
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	ok = db_begin(conn, e) && alter(conn, t, config, partitions, a, e) && db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	arena_free(a);
	shared_map_remove(engine->topics, t);
	if (ok || e->code == ERR_OUTCOME_UNKNOWN) {
		tell_changed(engine, t);
	}
	if (!ok) {
		return err_frame(e, "log_topic_alter");
	}
	return log_topic_find(engine, conn, t->tenant_id, t->name, out, e);
}

/* ---- delete ---- */

bool log_topic_lock(log_conn *conn, int64_t topic_id, bool *exists, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	/* Routers' rows are locked before heads, by everyone. */
	if (!do_by_id(conn, &SQL_ROUTER_LOCK_OF_TOPIC, topic_id, NULL, e) ||
		!db_run(conn, &SQL_HEAD_LOCK_FIRST, &p, &r, e)) {
		return false;
	}
	*exists = db_rows(r) == 1;
	db_result_free(r);
	return true;
}

bool log_topic_close(log_conn *conn, int64_t topic_id, err *e)
{
	return do_by_id(conn, &SQL_HEAD_CLOSE, topic_id, NULL, e);
}

bool log_topic_discard(log_conn *conn, int64_t topic_id, bool *discarded, err *e)
{
	static const db_query *const QUERIES[] = {
		&SQL_TOPIC_DELETE_HEADS,    &SQL_TOPIC_DELETE_IDEMPOTENCY,      &SQL_TOPIC_DELETE_PRODUCERS,
		&SQL_TOPIC_DELETE_GROUPS,   &SQL_TOPIC_DELETE_GROUP_PARTITIONS, &SQL_TOPIC_DELETE_MARKS,
		&SQL_ROUTER_DELETE_OF_TOPIC};
	int64_t affected = 0;
	if (!do_by_id(conn, &SQL_TOPIC_DELETE, topic_id, &affected, e)) {
		if (strcmp(e->sqlstate, "23503") == 0) {
			err_set(e, ERR_TOPIC_IN_USE,
					"other streams were forked from this one and still read it; delete them first");
		}
		return false;
	}
	*discarded = affected == 1;
	if (!*discarded) {
		return true;
	}
	for (size_t i = 0; i < sizeof QUERIES / sizeof QUERIES[0]; i++) {
		if (!do_by_id(conn, QUERIES[i], topic_id, NULL, e)) {
			return false;
		}
	}
	return do_by_id(conn, &SQL_TOPIC_DISCARD, topic_id, NULL, e);
}

/* In the caller's transaction. Routers go first, as their rows are locked before heads. */
static bool remove_topic(db_conn *conn, const log_topic *t, bool only_empty, arena *a, log_topic_removal *out, err *e)
{
	head *heads = NULL;
	size_t count = 0;
	head_rules rules;
	if (!route_delete_of_topic(conn, t, a, &out->routers, &out->router_count, e) ||
		!head_lock(conn, t->topic_id, NULL, 0, a, &heads, &count, &rules, e) ||
		(only_empty && !settle(conn, t->topic_id, heads, count, &rules, e))) {
		return false;
	}
	for (size_t i = 0; only_empty && i < count; i++) {
		out->records += heads[i].live_records;
	}
	return out->records > 0 || log_topic_discard(conn, t->topic_id, &out->deleted, e);
}

bool log_topic_remove(log_engine *engine, log_conn *conn, const log_topic *t, bool only_empty, arena *a,
					  log_topic_removal *out, err *e)
{
	log_topic_removal removed = {0};
	bool ok = db_begin(conn, e) && remove_topic(conn, t, only_empty, a, &removed, e);
	if (ok && removed.records > 0) {
		db_rollback(conn);
		*out = (log_topic_removal){.records = removed.records};
		return true;
	}
	ok = ok && db_commit(conn, e);
	if (ok || e->code == ERR_OUTCOME_UNKNOWN) {
		tell_changed(engine, t);
	}
	if (!ok) {
		db_rollback(conn);
		return err_frame(e, "log_topic_remove");
	}
	*out = removed;
	return true;
}

bool log_topic_delete(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, bool *deleted, err *e)
{
	const log_topic *t = NULL;
	log_topic_removal removed = {0};
	if (!topic_fetch(conn, tenant_id, name, &t, e)) {
		if (e->code != ERR_TOPIC_NOT_FOUND) {
			return false;
		}
		*deleted = false;
		return true;
	}
	arena *a = arena_new(CHANGE_ARENA_BYTES);
	bool ok = a != NULL ? log_topic_remove(engine, conn, t, false, a, &removed, e)
						: err_set(e, ERR_NO_MEMORY, "out of memory");
	if (ok) {
		*deleted = removed.deleted;
	}
	arena_free(a);
	log_topic_unref(t);
	return ok;
}
