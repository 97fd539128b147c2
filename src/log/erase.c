#include "log/erase.h"

#include <string.h>

#include "db/array.h"
#include "log/retain.h"
#include "log/rows.h"
#include "sql/erase.h"

enum {
	OFFSETS_AT_ONCE = 2000,
	ROWS_AT_ONCE = 256, /* of which arrays are made anew in one statement: 16 MiB */
	WHOLE_ROWS_AT_ONCE = 400,
	STEP_ARENA_BYTES = 1 << 20,
	TAG_BYTES_MAX = 4096
};

/* One step: a transaction that holds the head. */
typedef struct step {
	db_conn *conn;
	int64_t topic_id;
	head *head;
	int64_t below;
	int64_t erased;
	bool more; /* there may be more to do, in another step */
} step;

static const db_query *of(const head *h, const db_query *logged, const db_query *ephemeral)
{
	return h->is_ephemeral ? ephemeral : logged;
}

static void take(step *s, int64_t records, int64_t bytes)
{
	s->erased += records;
	s->head->live_records -= records;
	s->head->live_bytes = s->head->live_records > 0 ? s->head->live_bytes - bytes : 0;
}

/* ---- single records ---- */

static bool bind_offsets(const step *s, const int64_t *offsets, size_t count, buf *array, db_params *p, err *e)
{
	db_array_builder builder;
	buf_clear(array);
	db_array_begin(&builder, array, DB_INT8);
	for (size_t i = 0; i < count; i++) {
		db_array_add_i64(&builder, offsets[i]);
	}
	db_array_end(&builder);
	db_params_init(p);
	db_param_i64(p, s->topic_id);
	db_param_i32(p, s->head->partition);
	db_param_str(p, buf_str(array));
	db_param_i64(p, head_floor(s->head));
	db_param_i64(p, ROWS_AT_ONCE);
	return !array->failed || err_set(e, ERR_NO_MEMORY, "out of memory");
}

static size_t drop_done(int64_t *offsets, size_t count, int64_t done)
{
	size_t left = 0;
	for (size_t i = 0; i < count; i++) {
		if (offsets[i] > done) {
			offsets[left++] = offsets[i];
		}
	}
	return left;
}

/* Uses up the list. */
static bool erase_some(step *s, int64_t *offsets, size_t count, err *e)
{
	const db_query *query = of(s->head, &SQL_ERASE_RECORDS, &SQL_ERASE_RECORDS_EPHEMERAL);
	buf array;
	bool ok = true;
	buf_init(&array, 64 + 12 * (size_t)OFFSETS_AT_ONCE);
	while (ok && count > 0) {
		db_params p;
		db_result *r = NULL;
		ok = bind_offsets(s, offsets, count, &array, &p, e) && db_run(s->conn, query, &p, &r, e);
		if (ok) {
			take(s, db_i64(r, 0, 0), db_i64(r, 0, 1));
			count = db_is_null(r, 0, 2) ? 0 : drop_done(offsets, count, db_i64(r, 0, 2));
		}
		db_result_free(r);
	}
	buf_dispose(&array);
	return ok;
}

bool log_erase_offsets(db_conn *conn, int64_t topic_id, head *h, const int64_t *offsets, size_t count, int64_t *erased,
					   err *e)
{
	int64_t some[OFFSETS_AT_ONCE];
	step s = {.conn = conn, .topic_id = topic_id, .head = h};
	for (size_t at = 0; at < count;) {
		size_t n = count - at < OFFSETS_AT_ONCE ? count - at : OFFSETS_AT_ONCE;
		memcpy(some, offsets + at, n * sizeof *some);
		if (!erase_some(&s, some, n, e)) {
			return err_frame(e, "log_erase_offsets");
		}
		at += n;
	}
	*erased = s.erased;
	return true;
}

/* ---- by range ---- */

/* Erases what of [from, below) lies in the row that holds `at`. */
static bool erase_in_row_at(step *s, int64_t at, int64_t from, err *e)
{
	db_params p;
	db_result *r = NULL;
	int64_t offsets[ROW_RECORDS];
	size_t count = 0;
	db_params_init(&p);
	db_param_i64(&p, s->topic_id);
	db_param_i32(&p, s->head->partition);
	db_param_i64(&p, at);
	if (!db_run(s->conn, of(s->head, &SQL_ERASE_ROW_AT, &SQL_ERASE_ROW_AT_EPHEMERAL), &p, &r, e)) {
		return false;
	}
	if (db_rows(r) == 1) {
		int64_t first = db_i64(r, 0, 0) > from ? db_i64(r, 0, 0) : from;
		int64_t end = db_i64(r, 0, 1) < s->below ? db_i64(r, 0, 1) + 1 : s->below;
		for (; first < end && count < ROW_RECORDS; first++) {
			offsets[count++] = first;
		}
	}
	db_result_free(r);
	return erase_some(s, offsets, count, e);
}

static bool erase_whole_rows(step *s, int64_t from, err *e)
{
	int64_t rows = WHOLE_ROWS_AT_ONCE;
	while (rows == WHOLE_ROWS_AT_ONCE && s->erased < LOG_ERASE_STEP) {
		db_params p;
		db_result *r = NULL;
		db_params_init(&p);
		db_param_i64(&p, s->topic_id);
		db_param_i32(&p, s->head->partition);
		db_param_i64(&p, from);
		db_param_i64(&p, s->below);
		db_param_i64(&p, WHOLE_ROWS_AT_ONCE);
		if (!db_run(s->conn, of(s->head, &SQL_ERASE_ROWS, &SQL_ERASE_ROWS_EPHEMERAL), &p, &r, e)) {
			return false;
		}
		rows = db_i64(r, 0, 0);
		take(s, db_i64(r, 0, 1), db_i64(r, 0, 2));
		db_result_free(r);
	}
	s->more = rows == WHOLE_ROWS_AT_ONCE;
	return true;
}

/* The row that a floor cuts, the rows in between, and the row that the end cuts. */
static bool erase_range(step *s, err *e)
{
	int64_t floor = head_floor(s->head);
	if (s->below <= floor || s->head->live_records == 0) {
		return true;
	}
	if (!erase_in_row_at(s, floor, floor, e) || !erase_whole_rows(s, floor, e)) {
		return false;
	}
	return s->more || s->below >= s->head->next_offset || erase_in_row_at(s, s->below, floor, e);
}

/* ---- by tag ---- */

/* The first text behind all that begin with the prefix; ptr NULL when there is none. */
static str end_of_prefix(str prefix, char *bytes)
{
	size_t len = prefix.len;
	while (len > 0 && (unsigned char)prefix.ptr[len - 1] == 0xff) {
		len--;
	}
	if (len == 0) {
		return STR_NONE;
	}
	memcpy(bytes, prefix.ptr, len);
	bytes[len - 1] = (char)((unsigned char)bytes[len - 1] + 1);
	return (str){bytes, len};
}

static bool find_tagged(step *s, const log_tag_match *m, int64_t *offsets, size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	char bytes[TAG_BYTES_MAX];
	bool is_prefix = m->kind == LOG_TAG_PREFIX;
	db_params_init(&p);
	db_param_i64(&p, s->topic_id);
	db_param_i32(&p, s->head->partition);
	db_param_str(&p, m->text.ptr != NULL ? m->text : STR(""));
	if (is_prefix) {
		db_param_str(&p, end_of_prefix(m->text, bytes));
	}
	db_param_i64(&p, head_floor(s->head));
	db_param_i64(&p, s->below);
	db_param_i64(&p, OFFSETS_AT_ONCE);
	if (!db_run(s->conn, is_prefix ? &SQL_ERASE_FIND_PREFIX : &SQL_ERASE_FIND_EQUAL, &p, &r, e)) {
		return false;
	}
	*count = (size_t)db_rows(r);
	for (size_t i = 0; i < *count; i++) {
		offsets[i] = db_i64(r, (int)i, 0);
	}
	db_result_free(r);
	return true;
}

static bool erase_tagged(step *s, const log_tag_match *m, err *e)
{
	int64_t offsets[OFFSETS_AT_ONCE];
	size_t count = OFFSETS_AT_ONCE;
	if (m->text.len > TAG_BYTES_MAX) {
		return true; /* nobody has such a tag */
	}
	while (count == OFFSETS_AT_ONCE && s->erased < LOG_ERASE_STEP) {
		int64_t before = s->erased;
		if (!find_tagged(s, m, offsets, &count, e) || !erase_some(s, offsets, count, e)) {
			return false;
		}
		if (s->erased == before) {
			break;
		}
	}
	s->more = count == OFFSETS_AT_ONCE && s->erased >= LOG_ERASE_STEP;
	return true;
}

/* ---- a step ---- */

static bool settle(step *s, const head_rules *rules, err *e)
{
	bool changed = false;
	return head_settle_crash(s->conn, s->topic_id, s->head, &changed, e) &&
		   retain_expire(s->conn, s->topic_id, s->head, rules, e) &&
		   retain_evict(s->conn, s->topic_id, s->head, rules, e);
}

/* *below becomes the end of what was there at the first step. */
static bool run_step(log_conn *conn, const log_erase_request *q, int64_t *below, step *s, err *e)
{
	size_t count = 0;
	head_rules rules;
	bool ok = false;
	arena *a = arena_new(STEP_ARENA_BYTES);
	*s = (step){.conn = conn, .topic_id = q->topic->topic_id};
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (!db_begin(conn, e) || !head_lock(conn, s->topic_id, &q->partition, 1, a, &s->head, &count, &rules, e)) {
		goto out;
	}
	if (count == 0) {
		err_set(e, ERR_TOPIC_NOT_FOUND, "there is no such topic");
		goto out;
	}
	*below = *below < s->head->next_offset ? *below : s->head->next_offset;
	s->below = *below;
	ok = settle(s, &rules, e) && (q->match != NULL ? erase_tagged(s, q->match, e) : erase_range(s, e)) &&
		 head_update(conn, s->head, s->topic_id, e) && db_commit(conn, e);
out:
	if (!ok) {
		db_rollback(conn);
	}
	s->head = NULL;
	arena_free(a);
	return ok;
}

bool log_erase(log_engine *engine, log_conn *conn, const log_erase_request *request, int64_t *erased, err *e)
{
	step s = {.more = true};
	int64_t below = request->below;
	int64_t total = 0;
	(void)engine;
	while (s.more) {
		if (!run_step(conn, request, &below, &s, e)) {
			return err_frame(e, "log_erase");
		}
		total += s.erased;
	}
	*erased = total;
	return true;
}
