/*
 * log/group: positions of consumer groups: commit, describe, reset, delete.
 */
#include "sql/group.h"
#include "log/group_key.h"
#include "log/private.h"
#include "log/topic_row.h"

/* What a head says of a partition. */
typedef struct bounds {
	int64_t end_offset;
	int64_t start_offset;
} bounds;

static int compare_offsets(const void *left, const void *right)
{
	const log_group_offset *a = left;
	const log_group_offset *b = right;
	if (a->partition != b->partition) {
		return a->partition < b->partition ? -1 : 1;
	}
	return a->offset < b->offset ? -1 : a->offset > b->offset ? 1 : 0;
}

/* Sorted, one entry per partition, the highest. */
static bool normalise(const log_group_offset *offsets, size_t count, arena *a, log_group_offset **out,
					  size_t *out_count, err *e)
{
	log_group_offset *list = arena_alloc_array(a, count + 1, sizeof *list);
	size_t n = 0;
	if (list == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < count; i++) {
		list[i] = offsets[i];
	}
	qsort(list, count, sizeof *list, compare_offsets);
	for (size_t i = 0; i < count; i++) {
		if (n > 0 && list[n - 1].partition == list[i].partition) {
			list[n - 1] = list[i];
		} else {
			list[n++] = list[i];
		}
	}
	*out = list;
	*out_count = n;
	return true;
}

static void bind_group(db_params *p, const log_topic *t, str group)
{
	db_params_init(p);
	db_param_i64(p, t->topic_id);
	db_param_str(p, group);
}

/* Begins a transaction, locks the partitions in order, and reads what is stored and what the heads say. */
static bool lock_partitions(db_conn *conn, const log_topic *t, str group, const log_group_offset *list, size_t count,
							arena *a, group_state *states, bounds *limits, err *e)
{
	db_params p;
	db_result *heads = NULL;
	bind_group(&p, t, group);
	if (!db_pipeline_start(conn, e) || !db_pipeline_begin(conn, e) ||
		!db_pipeline_send(conn, &SQL_GROUP_ENSURE, &p, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		db_params_init(&p);
		db_param_i64(&p, group_key(t->topic_id, group, list[i].partition));
		if (!db_pipeline_send(conn, &SQL_GROUP_LOCK, &p, e)) {
			return false;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!group_send_state(conn, t->topic_id, group, list[i].partition, e)) {
			return false;
		}
	}
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	if (!db_pipeline_send(conn, &SQL_GROUP_HEADS, &p, e) || !db_pipeline_flush(conn, e) ||
		!db_pipeline_skip(conn, count + 2, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!group_receive_state(conn, a, &states[i], e)) {
			return false;
		}
	}
	if (!db_pipeline_next(conn, &heads, e)) {
		return false;
	}
	int rows = db_rows(heads);
	bool ok = rows > 0 || topic_err_not_found(t->name, e);
	for (size_t i = 0; i < count && ok; i++) {
		if (list[i].partition < 0 || list[i].partition >= rows) {
			ok = err_set(e, ERR_INVALID_REQUEST, "partition %d does not exist; the topic has partitions 0 to %d",
						 list[i].partition, rows - 1);
		} else {
			limits[i] = (bounds){db_i64(heads, list[i].partition, 1), db_i64(heads, list[i].partition, 2)};
		}
	}
	db_result_free(heads);
	return ok && db_pipeline_finish(conn, e);
}

static bool put(db_conn *conn, const log_topic *t, str group, int32_t partition, const group_state *s, err *e)
{
	db_params p;
	bind_group(&p, t, group);
	db_param_i32(&p, partition);
	db_param_i64(&p, s->committed_offset);
	db_param_i64(&p, s->handed_offset);
	db_param_str(&p, s->holder);
	db_param_i64(&p, s->lease_until_ms);
	db_param_bool(&p, true);
	return db_pipeline_send(conn, &SQL_GROUP_PUT, &p, e);
}

static bool write_states(db_conn *conn, const log_topic *t, str group, const log_group_offset *list, size_t count,
						 const group_state *states, err *e)
{
	if (!db_pipeline_start(conn, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!put(conn, t, group, list[i].partition, &states[i], e)) {
			return false;
		}
	}
	return db_pipeline_commit(conn, e) && db_pipeline_flush(conn, e) && db_pipeline_skip(conn, count + 1, e) &&
		   db_pipeline_finish(conn, e);
}

/* ---- commit ---- */

static bool commit_one(const log_group_offset *wanted, group_state *s, const bounds *limit, str consumer_id, bool force,
					   err *e)
{
	bool is_named = group_is_leased(s) && s->holder.len > 0;
	if (wanted->offset < 0 || wanted->offset > limit->end_offset) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "offset %lld of partition %d is beyond its end: commit the next offset wanted, %lld at the most",
					   (long long)wanted->offset, wanted->partition, (long long)limit->end_offset);
	}
	if (is_named && !force && !str_equal(s->holder, consumer_id)) {
		return err_set(
			e, ERR_NOT_OWNER,
			"partition %d is held by another consumer of the group; commit with its consumer_id, wait for its lease "
			"to end, or send force",
			wanted->partition);
	}
	int64_t stands = s->exists ? s->committed_offset : 0;
	if (force && wanted->offset < stands) {
		s->handed_offset = wanted->offset;
		s->holder = STR_NONE;
		stands = wanted->offset;
	}
	s->committed_offset = wanted->offset > stands ? wanted->offset : stands;
	if (!s->exists || s->committed_offset >= s->handed_offset || !group_is_leased(s)) {
		/* Everything handed out is done: the partition is free. */
		s->handed_offset = s->committed_offset > s->handed_offset ? s->committed_offset : s->handed_offset;
		s->holder = STR_NONE;
		s->lease_until_ms = 0;
	}
	return true;
}

static void tell_group(log_engine *engine, const log_topic *t, const log_group_offset *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		wake_topic(engine->wakes, t->topic_id, list[i].partition);
		notify_appended(engine->link, t->topic_id, list[i].partition);
	}
}

bool log_group_commit(log_engine *engine, log_conn *conn, const log_group_commit_request *request, arena *a,
					  log_group_offset **out, size_t *out_count, err *e)
{
	const log_topic *t = request->topic;
	log_group_offset *list = NULL;
	size_t n = 0;
	if (!normalise(request->offsets, request->count, a, &list, &n, e)) {
		return false;
	}
	group_state *states = arena_alloc_zero(a, (n + 1) * sizeof *states);
	bounds *limits = arena_alloc_zero(a, (n + 1) * sizeof *limits);
	if (states == NULL || limits == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (!lock_partitions(conn, t, request->group, list, n, a, states, limits, e)) {
		goto fail;
	}
	for (size_t i = 0; i < n; i++) {
		if (!commit_one(&list[i], &states[i], &limits[i], request->consumer_id, request->force, e)) {
			goto fail;
		}
	}
	if (!write_states(conn, t, request->group, list, n, states, e)) {
		goto fail;
	}
	for (size_t i = 0; i < n; i++) {
		list[i].offset = states[i].committed_offset;
	}
	tell_group(engine, t, list, n);
	*out = list;
	*out_count = n;
	return true;
fail:
	db_rollback(conn);
	return err_frame(e, "log_group_commit");
}

bool log_group_reset(log_engine *engine, log_conn *conn, const log_topic *t, str group, const log_group_offset *offsets,
					 size_t count, err *e)
{
	log_group_offset *list = NULL;
	size_t n = 0;
	bool ok = false;
	arena *a = arena_new(1 << 20);
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	group_state *states = arena_alloc_zero(a, (count + 1) * sizeof *states);
	bounds *limits = arena_alloc_zero(a, (count + 1) * sizeof *limits);
	if (states == NULL || limits == NULL || !normalise(offsets, count, a, &list, &n, e)) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!lock_partitions(conn, t, group, list, n, a, states, limits, e)) {
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t offset = list[i].offset > limits[i].end_offset ? limits[i].end_offset : list[i].offset;
		offset = offset < limits[i].start_offset ? limits[i].start_offset : offset;
		states[i] = (group_state){.exists = true, .committed_offset = offset, .handed_offset = offset};
	}
	ok = write_states(conn, t, group, list, n, states, e);
	if (ok) {
		tell_group(engine, t, list, n);
	}
out:
	if (!ok) {
		db_rollback(conn);
	}
	arena_free(a);
	return ok || err_frame(e, "log_group_reset");
}

/* ---- describe ---- */

static bool copy_or_none(arena *a, str text, str *out)
{
	*out = STR_NONE;
	if (text.ptr == NULL) {
		return true;
	}
	if (text.len == 0) {
		*out = STR("");
		return true;
	}
	return arena_copy_str(a, text, out);
}

static bool describe_partition(const db_result *r, int row, arena *a, log_group_partition *out)
{
	bool leased = !db_is_null(r, row, 5) && db_i64(r, row, 6) > db_i64(r, row, 9);
	*out = (log_group_partition){.partition = db_i32(r, row, 2),
								 .has_position = !db_is_null(r, row, 3),
								 .committed_offset = db_i64(r, row, 3),
								 .handed_offset = db_i64(r, row, 4),
								 .end_offset = db_i64(r, row, 7),
								 .start_offset = db_i64(r, row, 8),
								 .committed_ms = db_i64(r, row, 10),
								 .lease_deadline_ms = leased ? db_i64(r, row, 6) : 0};
	return !leased || copy_or_none(a, db_str(r, row, 5), &out->holder);
}

bool log_group_describe(log_engine *engine, log_conn *conn, const log_topic *t, str group, arena *a,
						log_group_info **out, size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	size_t groups = 0;
	bool ok = false;
	(void)engine;
	bind_group(&p, t, group);
	if (!db_run(conn, &SQL_GROUP_LIST, &p, &r, e)) {
		return false;
	}
	int rows = db_rows(r);
	log_group_partition *partitions = arena_alloc_array(a, (size_t)rows + 1, sizeof *partitions);
	log_group_info *list = arena_alloc_array(a, (size_t)rows + 1, sizeof *list);
	if (partitions == NULL || list == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	for (int i = 0; i < rows; i++) {
		str name = db_str(r, i, 0);
		if (groups == 0 || !str_equal(list[groups - 1].group, name)) {
			list[groups] = (log_group_info){.created_ms = db_i64(r, i, 1), .partitions = &partitions[i]};
			if (!arena_copy_str(a, name, &list[groups].group)) {
				err_set(e, ERR_NO_MEMORY, "out of memory");
				goto out;
			}
			groups++;
		}
		if (!describe_partition(r, i, a, &partitions[i])) {
			err_set(e, ERR_NO_MEMORY, "out of memory");
			goto out;
		}
		list[groups - 1].partition_count++;
	}
	if (group.ptr != NULL && groups == 0) {
		err_set(e, ERR_GROUP_NOT_FOUND, "the topic has no such group; a group begins with its first consume or commit");
		goto out;
	}
	*out = list;
	*count = groups;
	ok = true;
out:
	db_result_free(r);
	return ok;
}

bool log_group_delete(log_engine *engine, log_conn *conn, const log_topic *t, str group, err *e)
{
	db_params p;
	int64_t affected = 0;
	(void)engine;
	bind_group(&p, t, group);
	if (!db_begin(conn, e) || !db_do(conn, &SQL_GROUP_DELETE, &p, &affected, e) ||
		!db_do(conn, &SQL_GROUP_DELETE_PARTITIONS, &p, NULL, e) || !db_commit(conn, e)) {
		db_rollback(conn);
		return err_frame(e, "log_group_delete");
	}
	if (affected == 0) {
		return err_set(e, ERR_GROUP_NOT_FOUND, "the topic has no such group");
	}
	return true;
}
