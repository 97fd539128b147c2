#include "api/httpmq/waiting.h"

#include "api/httpmq/httpmq.h"
#include "api/httpmq/subject.h"
#include "db/columns.h"
#include "db/conn.h"
#include "sql/httpmq_consumer.h"

#include <stdlib.h>

enum { ARRAY_BYTES_MAX = 16 << 20, REGEX_BYTES_MAX = 8 << 10 };

static void bind_name(db_params *p, int64_t topic_id, str name)
{
	db_params_init(p);
	db_param_i64(p, topic_id);
	db_param_str(p, name);
}

bool consumer_err_not_found(str name, err *e)
{
	return err_set(e, ERR_GROUP_NOT_FOUND, "there is no consumer \"%.*s\"; create it first",
				   STR_ARG(str_take(name, HTTPMQ_NAME_MAX)));
}

/* ---- reading ---- */

static bool read_row(const db_result *r, int row, arena *a, httpmq_consumer *c)
{
	*c = (httpmq_consumer){.is_pull = db_bool(r, row, 1),
						   .max_inflight = db_i64(r, row, 2),
						   .max_deliver = db_i64(r, row, 3),
						   .ack_wait_ns = db_i64(r, row, 4),
						   .created_ms = db_i64(r, row, 9),
						   .delivered_c = db_i64(r, row, 10),
						   .scanned = db_i64(r, row, 11),
						   .floor_c = db_i64(r, row, 12),
						   .floor_s = db_i64(r, row, 13),
						   .delivered_ms = db_is_null(r, row, 14) ? 0 : db_i64(r, row, 14),
						   .acked_ms = db_is_null(r, row, 15) ? 0 : db_i64(r, row, 15),
						   .generation = db_i64(r, row, 16),
						   .last_member = db_i64(r, row, 17),
						   .lost_below = db_i64(r, row, 18),
						   .now_ms = db_i64(r, row, 19),
						   .has_holes = db_bool(r, row, 20),
						   .in_flight = db_i64(r, row, 21),
						   .redelivered = db_i64(r, row, 22),
						   .due_ms = db_i64(r, row, 23)};
	return arena_copy_str(a, db_str(r, row, 0), &c->name) && arena_copy_str(a, db_str(r, row, 5), &c->filter) &&
		   arena_copy_str(a, db_str(r, row, 6), &c->group) && arena_copy_str(a, db_str(r, row, 7), &c->notes) &&
		   arena_copy_str(a, db_str(r, row, 8), &c->deliver_subject);
}

static bool err_no_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
}

bool consumers_read(log_conn *conn, int64_t topic_id, str name, arena *a, httpmq_consumer **out, size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	bind_name(&p, topic_id, name);
	if (!db_run(conn, &SQL_HTTPMQ_CONSUMER_GET, &p, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	httpmq_consumer *list = arena_alloc_array(a, rows + 1, sizeof *list);
	bool ok = list != NULL;
	for (size_t i = 0; ok && i < rows; i++) {
		ok = read_row(r, (int)i, a, &list[i]);
	}
	db_result_free(r);
	if (!ok) {
		return err_no_memory(e);
	}
	*out = list;
	*count = rows;
	return true;
}

bool consumer_read(log_conn *conn, int64_t topic_id, str name, arena *a, httpmq_consumer *out, err *e)
{
	httpmq_consumer *list = NULL;
	size_t count = 0;
	if (!consumers_read(conn, topic_id, name, a, &list, &count, e)) {
		return false;
	}
	if (count == 0) {
		return consumer_err_not_found(name, e);
	}
	*out = list[0];
	return true;
}

bool consumer_lock(log_conn *conn, int64_t topic_id, str name, err *e)
{
	db_params p;
	bind_name(&p, topic_id, name);
	return db_do(conn, &SQL_HTTPMQ_CONSUMER_LOCK, &p, NULL, e);
}

/* The pending ones are only looked at when one of them may be due. */
bool consumer_count(log_conn *conn, int64_t topic_id, httpmq_consumer *c, httpmq_counts *out, err *e)
{
	db_params p;
	db_result *r = NULL;
	*out = (httpmq_counts){.in_flight = c->in_flight, .redelivered = c->redelivered};
	if (c->in_flight == 0) {
		return true;
	}
	out->next_due_ms = c->due_ms;
	if (c->due_ms > c->now_ms) {
		return true;
	}
	bind_name(&p, topic_id, c->name);
	db_param_i64(&p, c->now_ms);
	if (!db_run(conn, &SQL_HTTPMQ_PENDING_COUNT_DUE, &p, &r, e)) {
		return false;
	}
	out->due = db_i64(r, 0, 0);
	out->next_due_ms = db_i64(r, 0, 1);
	db_result_free(r);
	if (out->due > 0) {
		return true;
	}
	c->due_ms = out->next_due_ms;
	bind_name(&p, topic_id, c->name);
	db_param_i64(&p, c->due_ms);
	return db_do(conn, &SQL_HTTPMQ_CONSUMER_WAIT, &p, NULL, e);
}

/* The results of BEGIN and of the lock say nothing. */
static bool skip_results(log_conn *conn, int count, err *e)
{
	for (int i = 0; i < count; i++) {
		db_result *r = NULL;
		if (!db_pipeline_next(conn, &r, e)) {
			return false;
		}
		db_result_free(r);
	}
	return true;
}

bool consumer_begin(log_conn *conn, int64_t topic_id, str name, arena *a, httpmq_consumer *out, httpmq_counts *counts,
					err *e)
{
	db_params p;
	db_result *rows = NULL;
	bool ok = false;
	bind_name(&p, topic_id, name);
	if (!db_pipeline_start(conn, e) || !db_pipeline_begin(conn, e) ||
		!db_pipeline_send(conn, &SQL_HTTPMQ_CONSUMER_LOCK, &p, e) ||
		!db_pipeline_send(conn, &SQL_HTTPMQ_CONSUMER_GET, &p, e) || !db_pipeline_flush(conn, e) ||
		!skip_results(conn, 2, e) || !db_pipeline_next(conn, &rows, e) || !db_pipeline_finish(conn, e)) {
		goto out;
	}
	if (db_rows(rows) == 0) {
		consumer_err_not_found(name, e);
	} else {
		ok = (read_row(rows, 0, a, out) || err_no_memory(e)) && consumer_count(conn, topic_id, out, counts, e);
	}
out:
	db_result_free(rows);
	return ok;
}

/* ---- leaving ---- */

static void bind_settle(db_params *p, int64_t topic_id, str name, str sequences, bool is_ack)
{
	bind_name(p, topic_id, name);
	db_param_str(p, sequences);
	db_param_bool(p, is_ack);
}

/* The floor follows. Nothing changes when none of them is pending. */
static bool settle(log_conn *conn, int64_t topic_id, str sequences, httpmq_consumer *c, err *e)
{
	db_params p;
	db_result *r = NULL;
	bind_settle(&p, topic_id, c->name, sequences, false);
	if (!db_run(conn, &SQL_HTTPMQ_PENDING_SETTLE, &p, &r, e)) {
		return false;
	}
	if (db_rows(r) == 1) {
		c->floor_c = db_i64(r, 0, 1);
		c->floor_s = db_i64(r, 0, 2);
		c->in_flight = db_i64(r, 0, 3);
		c->redelivered = db_i64(r, 0, 4);
	}
	db_result_free(r);
	return true;
}

/* Every pending message is behind the floor. */
static bool may_be_over(const httpmq_consumer *c)
{
	return c->in_flight > 0 &&
		   (c->has_holes || c->lost_below > c->floor_s || (c->max_deliver > 0 && c->due_ms <= c->now_ms));
}

bool consumer_drop_over(log_conn *conn, int64_t topic_id, httpmq_consumer *c, bool *dropped, err *e)
{
	db_params p;
	db_result *r = NULL;
	buf bytes;
	db_array_builder sequences;
	*dropped = false;
	if (!may_be_over(c)) {
		return true;
	}
	bind_name(&p, topic_id, c->name);
	db_param_i64(&p, c->now_ms);
	db_param_i64(&p, c->max_deliver);
	db_param_i64(&p, c->lost_below);
	db_param_bool(&p, c->has_holes);
	if (!db_run(conn, &SQL_HTTPMQ_PENDING_OVER, &p, &r, e)) {
		return false;
	}
	*dropped = db_rows(r) > 0;
	buf_init(&bytes, ARRAY_BYTES_MAX);
	db_array_begin(&sequences, &bytes, DB_INT8);
	for (int i = 0; i < db_rows(r); i++) {
		db_array_add_i64(&sequences, db_i64(r, i, 0));
	}
	db_array_end(&sequences);
	db_result_free(r);
	bool ok = bytes.failed ? err_no_memory(e) : !*dropped || settle(conn, topic_id, buf_str(&bytes), c, e);
	buf_dispose(&bytes);
	return ok;
}

/* ---- acknowledging ---- */

/* BEGIN, the lock, the statement, COMMIT: one round trip. *out: its result. */
static bool run_acks(log_conn *conn, int64_t topic_id, str name, str sequences, db_result **out, err *e)
{
	db_params lock;
	db_params p;
	bind_name(&lock, topic_id, name);
	bind_settle(&p, topic_id, name, sequences, true);
	return db_pipeline_start(conn, e) && db_pipeline_begin(conn, e) &&
		   db_pipeline_send(conn, &SQL_HTTPMQ_CONSUMER_LOCK, &lock, e) &&
		   db_pipeline_send(conn, &SQL_HTTPMQ_PENDING_SETTLE, &p, e) && db_pipeline_commit(conn, e) &&
		   db_pipeline_flush(conn, e) && skip_results(conn, 2, e) && db_pipeline_next(conn, out, e) &&
		   skip_results(conn, 1, e) && db_pipeline_finish(conn, e);
}

static int compare_acks(const void *left, const void *right)
{
	int64_t a = ((const httpmq_acked *)left)->sequence;
	int64_t b = ((const httpmq_acked *)right)->sequence;
	return a < b ? -1 : a > b ? 1 : 0;
}

/* They are in order. Whoever names a message twice acknowledges it once: the answer is the same for both. */
static void mark_acked(httpmq_acked *acks, size_t count, str sequences)
{
	db_array_reader gone;
	httpmq_acked key = {0};
	db_array_open(&gone, sequences);
	while (db_array_next_i64(&gone, &key.sequence)) {
		httpmq_acked *found = bsearch(&key, acks, count, sizeof *acks, compare_acks);
		while (found != NULL && found > acks && found[-1].sequence == key.sequence) {
			found--;
		}
		for (; found != NULL && found < acks + count && found->sequence == key.sequence; found++) {
			found->was_pending = true;
		}
	}
}

bool consumer_ack(log_conn *conn, int64_t topic_id, str name, httpmq_acked *acks, size_t count, bool *has_freed, err *e)
{
	db_result *r = NULL;
	buf bytes;
	db_array_builder sequences;
	buf_init(&bytes, ARRAY_BYTES_MAX);
	qsort(acks, count, sizeof *acks, compare_acks);
	db_array_begin(&sequences, &bytes, DB_INT8);
	for (size_t i = 0; i < count; i++) {
		acks[i].was_pending = false;
		db_array_add_i64(&sequences, acks[i].sequence);
	}
	db_array_end(&sequences);
	bool ok = bytes.failed ? err_no_memory(e) : run_acks(conn, topic_id, name, buf_str(&bytes), &r, e);
	if (!ok) {
		db_rollback(conn);
	}
	*has_freed = ok && db_rows(r) == 1 && db_bool(r, 0, 0);
	if (ok && db_rows(r) == 1) {
		mark_acked(acks, count, db_str(r, 0, 5));
	}
	db_result_free(r);
	buf_dispose(&bytes);
	return ok;
}

static bool nack(log_conn *conn, int64_t topic_id, str name, const httpmq_delivery *delivery, int64_t delay_ms,
				 int64_t *found, err *e)
{
	db_params p;
	bind_name(&p, topic_id, name);
	db_param_i64(&p, delivery->sequence);
	db_param_i64(&p, delivery->consumer_sequence);
	db_param_i64(&p, delay_ms);
	return db_begin(conn, e) && consumer_lock(conn, topic_id, name, e) &&
		   db_do(conn, &SQL_HTTPMQ_PENDING_NACK, &p, found, e) && db_commit(conn, e);
}

bool consumer_nack(log_conn *conn, int64_t topic_id, str name, const httpmq_delivery *delivery, int64_t delay_ms,
				   bool *was_pending, err *e)
{
	int64_t found = 0;
	if (!nack(conn, topic_id, name, delivery, delay_ms, &found, e)) {
		db_rollback(conn);
		return false;
	}
	*was_pending = found == 1;
	return true;
}

bool consumer_drop_erased(log_conn *conn, int64_t topic_id, str name, arena *a, err *e)
{
	httpmq_consumer c;
	httpmq_counts counts;
	bool dropped = false;
	bool ok = consumer_begin(conn, topic_id, name, a, &c, &counts, e);
	if (ok) {
		c.has_holes = true;
		ok = consumer_drop_over(conn, topic_id, &c, &dropped, e) && db_commit(conn, e);
	}
	if (!ok) {
		db_rollback(conn);
	}
	return ok;
}

/* ---- undoing ---- */

static int compare_newest_first(const void *left, const void *right)
{
	int64_t a = ((const httpmq_delivery *)left)->consumer_sequence;
	int64_t b = ((const httpmq_delivery *)right)->consumer_sequence;
	return a > b ? -1 : a < b ? 1 : 0;
}

/* Those that are due now; of them, messages that were never delivered before: the newest first, in *out. */
static bool make_due(log_conn *conn, int64_t topic_id, str name, const httpmq_delivery *list, size_t count, arena *a,
					 httpmq_delivery **out, size_t *out_count, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_columns c;
	db_columns_init(&c, ARRAY_BYTES_MAX);
	for (int column = 0; column < 2; column++) {
		db_array_builder *array = db_columns_begin(&c, DB_INT8);
		for (size_t i = 0; i < count; i++) {
			db_array_add_i64(array, column == 0 ? list[i].sequence : list[i].consumer_sequence);
		}
		db_columns_end(&c);
	}
	bind_name(&p, topic_id, name);
	bool ok = db_columns_bind(&c, &p, e) && db_run(conn, &SQL_HTTPMQ_PENDING_UNDO, &p, &r, e);
	db_columns_dispose(&c);
	if (!ok) {
		return false;
	}
	httpmq_delivery *fresh = arena_alloc_array(a, (size_t)db_rows(r) + 1, sizeof *fresh);
	*out_count = 0;
	for (int i = 0; fresh != NULL && i < db_rows(r); i++) {
		if (db_i64(r, i, 2) == 0) {
			fresh[(*out_count)++] = (httpmq_delivery){db_i64(r, i, 0), db_i64(r, i, 1)};
		}
	}
	db_result_free(r);
	if (fresh == NULL) {
		return err_no_memory(e);
	}
	qsort(fresh, *out_count, sizeof *fresh, compare_newest_first);
	*out = fresh;
	return true;
}

static bool undo(log_conn *conn, int64_t topic_id, str name, const httpmq_delivery *list, size_t count, arena *a,
				 err *e)
{
	httpmq_consumer c;
	httpmq_counts counts;
	httpmq_delivery *fresh = NULL;
	size_t fresh_count = 0;
	if (!consumer_begin(conn, topic_id, name, a, &c, &counts, e) ||
		!make_due(conn, topic_id, name, list, count, a, &fresh, &fresh_count, e)) {
		return false;
	}
	for (size_t i = 0; i < fresh_count && fresh[i].consumer_sequence == c.delivered_c; i++) {
		db_params p;
		bind_name(&p, topic_id, name);
		db_param_i64(&p, fresh[i].sequence);
		db_param_i64(&p, fresh[i].consumer_sequence);
		if (!db_do(conn, &SQL_HTTPMQ_PENDING_FORGET, &p, NULL, e)) {
			return false;
		}
		c.delivered_c--;
	}
	return db_commit(conn, e);
}

bool consumer_undo(log_conn *conn, int64_t topic_id, str name, const httpmq_delivery *list, size_t count, err *e)
{
	arena *a = arena_new(ARRAY_BYTES_MAX);
	if (a == NULL) {
		return err_no_memory(e);
	}
	bool ok = undo(conn, topic_id, name, list, count, a, e);
	if (!ok) {
		db_rollback(conn);
	}
	arena_free(a);
	return ok;
}

/* ---- what is there ---- */

bool consumer_unsent(log_conn *conn, const log_topic *t, const httpmq_consumer *c, int64_t *out, err *e)
{
	db_params p;
	db_result *r = NULL;
	buf regex;
	buf_init(&regex, REGEX_BYTES_MAX);
	httpmq_filter_regex(&regex, c->filter);
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	db_param_i64(&p, c->scanned);
	db_param_str(&p, c->filter.len > 0 ? buf_str(&regex) : STR_NONE);
	bool ok = regex.failed ? err_no_memory(e) : db_run(conn, &SQL_HTTPMQ_CONSUMER_WAITING, &p, &r, e);
	buf_dispose(&regex);
	if (!ok) {
		return false;
	}
	/* A record of another API has no subject: it counts as one of the topic's name. */
	bool takes_untagged = httpmq_subject_matches(c->filter, t->name);
	bool is_there = db_rows(r) == 1;
	int64_t stored = is_there ? db_i64(r, 0, 0) : 0;
	if (c->filter.len == 0) {
		*out = stored;
	} else {
		*out = is_there ? db_i64(r, 0, 2) + (takes_untagged ? stored - db_i64(r, 0, 1) : 0) : 0;
	}
	db_result_free(r);
	return true;
}

bool consumer_start(log_conn *conn, const log_topic *t, str filter, int64_t first_sequence, int64_t *out, err *e)
{
	db_params p;
	db_result *r = NULL;
	buf regex;
	if (filter.len == 0) {
		*out = first_sequence > 0 ? first_sequence - 1 : 0;
		return true;
	}
	buf_init(&regex, REGEX_BYTES_MAX);
	httpmq_filter_regex(&regex, filter);
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	db_param_str(&p, buf_str(&regex));
	bool ok = regex.failed ? err_no_memory(e) : db_run(conn, &SQL_HTTPMQ_CONSUMER_FIRST, &p, &r, e);
	buf_dispose(&regex);
	if (ok) {
		*out = db_is_null(r, 0, 0) ? 0 : db_i64(r, 0, 0);
		db_result_free(r);
	}
	return ok;
}
