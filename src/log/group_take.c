/*
 * log/group_take: handing out records of free partitions under leases.
 */
#include "base/siphash.h"
#include "log/group_key.h"
#include "log/page.h"
#include "log/private.h"
#include "log/topic_row.h"
#include "sql/group.h"

enum { CANDIDATES_MAX = 64 };

int64_t group_key(int64_t topic_id, str group, int32_t partition)
{
	char text[LOG_GROUP_NAME_MAX + 48];
	int head = snprintf(text, sizeof text, "%lld/%d/", (long long)topic_id, partition);
	size_t room = sizeof text - (size_t)head;
	size_t len = group.len < room ? group.len : room;
	memcpy(text + head, group.ptr, len);
	return (int64_t)siphash_key((str){text, (size_t)head + len});
}

bool group_send_state(db_conn *conn, int64_t topic_id, str group, int32_t partition, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_str(&p, group);
	db_param_i32(&p, partition);
	return db_pipeline_send(conn, &SQL_GROUP_STATE, &p, e);
}

bool group_receive_state(db_conn *conn, arena *a, group_state *out, err *e)
{
	db_result *r = NULL;
	bool ok = true;
	if (!db_pipeline_next(conn, &r, e)) {
		return false;
	}
	*out = (group_state){0};
	if (db_rows(r) == 1) {
		*out = (group_state){.exists = true,
							 .committed_offset = db_i64(r, 0, 0),
							 .handed_offset = db_i64(r, 0, 1),
							 .lease_until_ms = db_i64(r, 0, 3),
							 .now_ms = db_i64(r, 0, 4)};
		str holder = db_str(r, 0, 2);
		if (holder.ptr != NULL) {
			ok = arena_copy_str(a, holder, &out->holder);
			if (ok && out->holder.ptr == NULL) {
				out->holder = STR("");
			}
		}
	}
	db_result_free(r);
	return ok || err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* ---- candidates ---- */

static str consumer_of(const log_group_take_request *q)
{
	return q->consumer_id.ptr != NULL ? q->consumer_id : STR("");
}

/* Begins the transaction and lists the partitions worth trying. */
static bool begin(db_conn *conn, const log_group_take_request *q, int32_t *partitions, bool *is_own, size_t *count,
				  err *e)
{
	db_params group;
	db_params p;
	db_result *r = NULL;
	bool at_end = q->start == LOG_FROM_LATEST;
	db_params_init(&group);
	db_param_i64(&group, q->topic->topic_id);
	db_param_str(&group, q->group);
	db_params_init(&p);
	db_param_i64(&p, q->topic->topic_id);
	db_param_str(&p, q->group);
	db_param_str(&p, consumer_of(q));
	db_param_i32(&p, q->partition);
	db_param_i64(&p, CANDIDATES_MAX);
	if (!db_pipeline_start(conn, e) || !db_pipeline_begin(conn, e) ||
		!db_pipeline_send(conn, &SQL_GROUP_ENSURE, &group, e) ||
		(at_end && !db_pipeline_send(conn, &SQL_GROUP_START_AT_END, &group, e)) ||
		!db_pipeline_send(conn, &SQL_GROUP_CANDIDATES, &p, e) || !db_pipeline_flush(conn, e) ||
		!db_pipeline_skip(conn, 1, e) || !db_pipeline_next(conn, &r, e)) {
		return false;
	}
	bool is_there = db_bool(r, 0, 0);
	db_result_free(r);
	if (!is_there) {
		return topic_err_not_found(q->topic->name, e);
	}
	if (!db_pipeline_skip(conn, at_end ? 1 : 0, e) || !db_pipeline_next(conn, &r, e)) {
		return false;
	}
	*count = 0;
	for (int i = 0; i < db_rows(r); i++) {
		partitions[*count] = db_i32(r, i, 0);
		is_own[*count] = db_bool(r, i, 1);
		(*count)++;
	}
	db_result_free(r);
	return db_pipeline_finish(conn, e);
}

/* ---- one partition ---- */

static bool lock_and_look(db_conn *conn, const log_group_take_request *q, int32_t partition, arena *a, bool *is_free,
						  group_state *state, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, group_key(q->topic->topic_id, q->group, partition));
	/* The second statement has a snapshot of its own, taken after the lock. */
	if (!db_pipeline_start(conn, e) || !db_pipeline_send(conn, &SQL_GROUP_TRY_LOCK, &p, e) ||
		!group_send_state(conn, q->topic->topic_id, q->group, partition, e) || !db_pipeline_flush(conn, e) ||
		!db_pipeline_next(conn, &r, e)) {
		return false;
	}
	bool is_locked = db_bool(r, 0, 0);
	db_result_free(r);
	if (!group_receive_state(conn, a, state, e) || !db_pipeline_finish(conn, e)) {
		return false;
	}
	bool is_own = q->consumer_id.ptr != NULL && q->consumer_id.len > 0 && str_equal(state->holder, q->consumer_id);
	*is_free = is_locked && (!group_is_leased(state) || is_own);
	return true;
}

static bool lease(db_conn *conn, const log_group_take_request *q, int32_t partition, int64_t committed, int64_t handed,
				  int64_t *deadline_ms, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, q->topic->topic_id);
	db_param_str(&p, q->group);
	db_param_i32(&p, partition);
	db_param_i64(&p, committed);
	db_param_i64(&p, handed);
	db_param_str(&p, consumer_of(q));
	db_param_i64(&p, q->lease_ms);
	if (!db_run(conn, &SQL_GROUP_LEASE, &p, &r, e)) {
		return false;
	}
	*deadline_ms = db_i64(r, 0, 0);
	db_result_free(r);
	return true;
}

/* Nothing there but deleted or lost records: the position moves over them, nobody is given a lease. */
static bool skip(db_conn *conn, const log_group_take_request *q, int32_t partition, int64_t position, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, q->topic->topic_id);
	db_param_str(&p, q->group);
	db_param_i32(&p, partition);
	db_param_i64(&p, position);
	db_param_i64(&p, position);
	db_param_null(&p);
	db_param_i64(&p, 0);
	db_param_bool(&p, false);
	return db_do(conn, &SQL_GROUP_PUT, &p, NULL, e);
}

static void walk_to_end(log_page *page, uint32_t *records, uint64_t *bytes)
{
	log_record r;
	while (log_page_next(page, &r)) {
		(*records)++;
		*bytes += r.value.len + r.key.len + r.headers.len + r.meta.len;
	}
}

static bool take_partition(log_engine *engine, log_conn *conn, const log_group_take_request *q, int32_t partition,
						   uint32_t *records, uint64_t *bytes, arena *a, log_group_take *out, err *e)
{
	bool is_free = false;
	group_state state;
	log_page *page = NULL;
	log_gap gap;
	uint32_t before = *records;
	if (!lock_and_look(conn, q, partition, a, &is_free, &state, e)) {
		return false;
	}
	if (!is_free) {
		return true;
	}
	bool is_own = group_is_leased(&state);
	int64_t from = is_own ? state.handed_offset : state.committed_offset;
	if (*records >= q->max_records || *bytes >= q->max_bytes) {
		/* Nothing more fits, but what is held is held on to. */
		return !is_own || lease(conn, q, partition, state.committed_offset, from, &out->lease_deadline_ms, e);
	}
	log_read_request read = {.topic = q->topic,
							 .partition = partition,
							 .from = from,
							 .max_records = q->max_records - *records,
							 .max_bytes = q->max_bytes - *bytes,
							 .from_kept = !state.exists};
	if (!log_read(engine, conn, &read, &page, e)) {
		return false;
	}
	walk_to_end(page, records, bytes);
	int64_t position = log_page_position(page);
	bool has_records = *records > before;
	bool ok = true;
	if (!state.exists && log_page_start_offset(page) > from) {
		from = log_page_start_offset(page);
	}
	if (has_records || is_own) {
		int64_t committed = state.exists ? state.committed_offset : from;
		ok = lease(conn, q, partition, committed, position, &out->lease_deadline_ms, e);
	} else if (position > from) {
		ok = skip(conn, q, partition, position, e);
	}
	if (!ok) {
		log_page_free(page);
		return false;
	}
	if (has_records || log_page_gap(page, &gap)) {
		page_rewind(page);
		out->pages[out->count] = page;
		out->partitions[out->count] = partition;
		out->from[out->count] = from;
		out->count++;
	} else {
		log_page_free(page);
	}
	return true;
}

/* ---- the operation ---- */

bool log_group_take_records(log_engine *engine, log_conn *conn, const log_group_take_request *request, arena *a,
							log_group_take *out, err *e)
{
	int32_t partitions[CANDIDATES_MAX];
	bool is_own[CANDIDATES_MAX];
	size_t count = 0;
	uint32_t records = 0;
	uint64_t bytes = 0;
	log_group_take take = {.pages = arena_alloc_zero(a, CANDIDATES_MAX * sizeof *take.pages),
						   .partitions = arena_alloc_zero(a, CANDIDATES_MAX * sizeof *take.partitions),
						   .from = arena_alloc_zero(a, CANDIDATES_MAX * sizeof *take.from)};
	if (take.pages == NULL || take.partitions == NULL || take.from == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (!begin(conn, request, partitions, is_own, &count, e)) {
		goto fail;
	}
	for (size_t i = 0; i < count; i++) {
		bool is_full = records >= request->max_records || bytes >= request->max_bytes;
		if (is_full && !is_own[i]) {
			break;
		}
		if (!take_partition(engine, conn, request, partitions[i], &records, &bytes, a, &take, e)) {
			goto fail;
		}
	}
	if (!db_commit(conn, e)) {
		goto fail;
	}
	*out = take;
	return true;
fail:
	db_rollback(conn);
	log_group_take_free(&take);
	return err_frame(e, "log_group_take_records");
}

void log_group_take_free(log_group_take *t)
{
	for (size_t i = 0; i < t->count; i++) {
		log_page_free(t->pages[i]);
	}
	t->count = 0;
}

bool log_group_give_back(log_engine *engine, log_conn *conn, const log_group_take_request *request,
						 const log_group_take *t, err *e)
{
	if (!db_begin(conn, e)) {
		return false;
	}
	for (size_t i = 0; i < t->count; i++) {
		db_params p;
		log_record ignored;
		while (log_page_next(t->pages[i], &ignored)) {
		}
		db_params_init(&p);
		db_param_i64(&p, request->topic->topic_id);
		db_param_str(&p, request->group);
		db_param_i32(&p, t->partitions[i]);
		db_param_str(&p, consumer_of(request));
		db_param_i64(&p, t->from[i]);
		db_param_i64(&p, log_page_position(t->pages[i]));
		if (!db_do(conn, &SQL_GROUP_GIVE_BACK, &p, NULL, e)) {
			db_rollback(conn);
			return false;
		}
	}
	if (!db_commit(conn, e)) {
		return false;
	}
	for (size_t i = 0; i < t->count; i++) {
		wake_topic(engine->wakes, request->topic->topic_id, t->partitions[i]);
		notify_appended(engine->link, request->topic->topic_id, t->partitions[i]);
	}
	return true;
}
