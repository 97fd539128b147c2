#include "log/erase.h"

#include <stdlib.h>
#include <string.h>

#include "db/columns.h"
#include "log/lease_book.h"
#include "log/retain.h"
#include "log/rows.h"
#include "sql/erase.h"

enum {
	OFFSETS_AT_ONCE = 2000,
	ROWS_AT_ONCE = 256, /* of which arrays are made anew in one statement: 16 MiB */
	WHOLE_ROWS_AT_ONCE = 400,
	STEP_ARENA_BYTES = 1 << 20,
	ARRAY_BYTES_MAX = 1 << 20,
	ROW_BYTES_MAX = 64 << 10, /* a byte per record of one row */
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

/* The rows that hold what is to be erased, and which of their elements. */
typedef struct hits {
	buf lasts;
	buf masks;
	int64_t rows;
	int64_t last; /* of the last row */
} hits;

static bool find_rows(step *s, const int64_t *offsets, size_t count, db_result **out, err *e)
{
	db_params p;
	db_columns c;
	db_columns_init(&c, ARRAY_BYTES_MAX);
	db_columns_add_i64(&c, offsets, count);
	db_params_init(&p);
	db_param_i64(&p, s->topic_id);
	db_param_i32(&p, s->head->partition);
	bool ok = db_columns_bind(&c, &p, e);
	db_param_i64(&p, ROWS_AT_ONCE);
	ok = ok && db_run(s->conn, of(s->head, &SQL_ERASE_FIND_ROWS, &SQL_ERASE_FIND_ROWS_EPHEMERAL), &p, out, e);
	db_columns_dispose(&c);
	return ok;
}

/* Marks the offsets that lie in each row. Rows and offsets ascend. */
static bool mark(const step *s, const db_result *rows, const int64_t *offsets, size_t count, hits *h, err *e)
{
	db_array_builder lasts;
	db_array_builder masks;
	buf mask;
	size_t at = 0;
	int64_t floor = head_floor(s->head);
	buf_init(&mask, ROW_BYTES_MAX);
	db_array_begin(&lasts, &h->lasts, DB_INT8);
	db_array_begin(&masks, &h->masks, DB_BYTEA);
	h->rows = db_rows(rows);
	for (int i = 0; i < db_rows(rows); i++) {
		h->last = db_i64(rows, i, 0);
		int64_t base = db_i64(rows, i, 1);
		size_t span = (size_t)(h->last - base + 1);
		buf_clear(&mask);
		if (!buf_reserve(&mask, span)) {
			break;
		}
		memset(mask.ptr, 0, span);
		mask.len = span;
		for (; at < count && offsets[at] <= h->last; at++) {
			if (offsets[at] >= base && offsets[at] >= floor) {
				mask.ptr[offsets[at] - base] = 1;
			}
		}
		db_array_add_i64(&lasts, h->last);
		db_array_add_str(&masks, buf_str(&mask));
	}
	db_array_end(&lasts);
	db_array_end(&masks);
	bool ok = !mask.failed && !h->lasts.failed && !h->masks.failed;
	buf_dispose(&mask);
	return ok || err_set(e, ERR_NO_MEMORY, "out of memory");
}

static bool erase_hits(step *s, const hits *h, err *e)
{
	db_params p;
	db_result *r = NULL;
	if (h->rows == 0) {
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, s->topic_id);
	db_param_i32(&p, s->head->partition);
	db_param_str(&p, buf_str(&h->lasts));
	db_param_str(&p, buf_str(&h->masks));
	db_param_i64(&p, head_floor(s->head));
	if (!db_run(s->conn, of(s->head, &SQL_ERASE_RECORDS, &SQL_ERASE_RECORDS_EPHEMERAL), &p, &r, e)) {
		return false;
	}
	take(s, db_i64(r, 0, 0), db_i64(r, 0, 1));
	db_result_free(r);
	return true;
}

static int compare_offsets(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left;
	int64_t b = *(const int64_t *)right;
	return a < b ? -1 : a > b ? 1 : 0;
}

/* Ascending offsets, some rows at a time. */
static bool erase_some(step *s, const int64_t *offsets, size_t count, err *e)
{
	hits h = {.rows = ROWS_AT_ONCE};
	size_t at = 0;
	bool ok = true;
	buf_init(&h.lasts, ARRAY_BYTES_MAX);
	buf_init(&h.masks, (size_t)ROWS_AT_ONCE * ROW_BYTES_MAX);
	while (ok && at < count && h.rows == ROWS_AT_ONCE) {
		db_result *rows = NULL;
		buf_clear(&h.lasts);
		buf_clear(&h.masks);
		ok = find_rows(s, offsets + at, count - at, &rows, e) && mark(s, rows, offsets + at, count - at, &h, e) &&
			 erase_hits(s, &h, e);
		db_result_free(rows);
		while (at < count && offsets[at] <= h.last) {
			at++;
		}
	}
	buf_dispose(&h.lasts);
	buf_dispose(&h.masks);
	return ok;
}

/* Any number, in any order: each row is touched once. */
static bool erase_all(step *s, int64_t *offsets, size_t count, err *e)
{
	qsort(offsets, count, sizeof *offsets, compare_offsets);
	for (size_t at = 0; at < count;) {
		size_t n = count - at < OFFSETS_AT_ONCE ? count - at : OFFSETS_AT_ONCE;
		if (!erase_some(s, offsets + at, n, e)) {
			return false;
		}
		at += n;
	}
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

/* *out is malloc'd. */
static bool find_tagged(step *s, const log_tag_match *m, int64_t **out, size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	char bytes[TAG_BYTES_MAX];
	bool is_prefix = m->kind == LOG_TAG_PREFIX;
	str end = is_prefix ? end_of_prefix(m->text, bytes) : STR_NONE;
	const db_query *find = !is_prefix        ? &SQL_ERASE_FIND_EQUAL
						   : end.ptr == NULL ? &SQL_ERASE_FIND_FROM
											 : &SQL_ERASE_FIND_BETWEEN;
	db_params_init(&p);
	db_param_i64(&p, s->topic_id);
	db_param_i32(&p, s->head->partition);
	db_param_str(&p, m->text.ptr != NULL ? m->text : STR(""));
	if (end.ptr != NULL) {
		db_param_str(&p, end);
	}
	db_param_i64(&p, head_floor(s->head));
	db_param_i64(&p, s->below);
	db_param_i64(&p, LOG_ERASE_STEP);
	if (!db_run(s->conn, find, &p, &r, e)) {
		return false;
	}
	*count = (size_t)db_rows(r);
	*out = malloc((*count + 1) * sizeof **out);
	for (size_t i = 0; *out != NULL && i < *count; i++) {
		(*out)[i] = db_i64(r, (int)i, 0);
	}
	db_result_free(r);
	return *out != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
}

static bool erase_tagged(step *s, const log_tag_match *m, err *e)
{
	int64_t *offsets = NULL;
	size_t count = 0;
	if (m->text.len > TAG_BYTES_MAX) {
		return true; /* nobody has such a tag */
	}
	bool ok = find_tagged(s, m, &offsets, &count, e) && erase_all(s, offsets, count, e);
	free(offsets);
	s->more = count == LOG_ERASE_STEP && s->erased > 0;
	return ok;
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
	bool is_queue = q->topic->config.kind == LOG_KIND_QUEUE;
	if (!db_begin(conn, e) || (is_queue && !lease_book_lock(conn, s->topic_id, STR(""), q->partition, e)) ||
		!head_lock(conn, s->topic_id, &q->partition, 1, a, &s->head, &count, &rules, e)) {
		goto out;
	}
	if (count == 0) {
		err_set(e, ERR_TOPIC_NOT_FOUND, "there is no such topic");
		goto out;
	}
	*below = *below < s->head->next_offset ? *below : s->head->next_offset;
	s->below = *below;
	ok = settle(s, &rules, e) && (q->match != NULL ? erase_tagged(s, q->match, e) : erase_range(s, e)) &&
		 (!is_queue || s->erased == 0 || lease_book_forget_erased(conn, s->topic_id, q->partition, s->below, e)) &&
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
