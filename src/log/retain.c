#include "log/retain.h"

#include "sql/erase.h"
#include "sql/retain.h"

enum { ROWS_AT_ONCE = 256, SETTLE_ARENA_BYTES = 1 << 20 };

/* One batch row, counting only what lies at or above the floor. */
typedef struct kept_row {
	int64_t last_offset;
	int64_t base_offset;
	int64_t committed_ms;
	int64_t records;
	int64_t bytes;
} kept_row;

static bool fetch_sizes(db_conn *conn, int64_t topic_id, const head *h, int64_t last_offset, db_result **out, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i32(&p, h->partition);
	db_param_i64(&p, last_offset);
	return db_run(conn, h->is_ephemeral ? &SQL_RETAIN_SIZES_EPHEMERAL : &SQL_RETAIN_SIZES, &p, out, e);
}

/* A row that the floor cuts: counts again, from the records themselves. */
static bool count_above_floor(db_conn *conn, int64_t topic_id, const head *h, kept_row *row, err *e)
{
	db_result *sizes = NULL;
	if (!fetch_sizes(conn, topic_id, h, row->last_offset, &sizes, e)) {
		return false;
	}
	row->records = 0;
	row->bytes = 0;
	for (int i = 0; i < db_rows(sizes); i++) {
		if (db_i64(sizes, i, 0) >= head_floor(h)) {
			row->records++;
			row->bytes += db_i64(sizes, i, 1);
		}
	}
	db_result_free(sizes);
	return true;
}

/* A row that has lost its last live record, though not its last element, to a floor inside it: nothing would ever look
 * at it again. */
static bool delete_row(db_conn *conn, int64_t topic_id, const head *h, const kept_row *row, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i32(&p, h->partition);
	db_param_i64(&p, row->base_offset);
	db_param_i64(&p, row->last_offset + 1);
	db_param_i64(&p, 1);
	return db_do(conn, h->is_ephemeral ? &SQL_ERASE_ROWS_EPHEMERAL : &SQL_ERASE_ROWS, &p, NULL, e);
}

/* All of a row is lost: the floor goes behind its last live record, since what was deleted on purpose is not lost. */
static bool pass_row(db_conn *conn, int64_t topic_id, const head *h, const kept_row *row, int64_t *floor, err *e)
{
	db_result *sizes = NULL;
	int64_t first = row->base_offset > head_floor(h) ? row->base_offset : head_floor(h);
	if (row->records == row->last_offset - first + 1) {
		*floor = row->last_offset + 1;
		return true;
	}
	if (row->records > 0) {
		if (!fetch_sizes(conn, topic_id, h, row->last_offset, &sizes, e)) {
			return false;
		}
		*floor = db_rows(sizes) > 0 ? db_i64(sizes, db_rows(sizes) - 1, 0) + 1 : *floor;
		db_result_free(sizes);
	}
	return *floor > row->last_offset || delete_row(conn, topic_id, h, row, e);
}

/* What is beyond the caps. */
typedef struct excess {
	int64_t records;
	int64_t bytes;
	int64_t overhead; /* of a record, in `bytes` */
} excess;

/* Cuts inside a row: drops its oldest live records while either cap is passed. */
static bool evict_inside(db_conn *conn, int64_t topic_id, head *h, const kept_row *row, excess *over, err *e)
{
	db_result *sizes = NULL;
	int64_t floor = head_floor(h);
	if (!fetch_sizes(conn, topic_id, h, row->last_offset, &sizes, e)) {
		return false;
	}
	int i = 0;
	for (; i < db_rows(sizes) && (over->records > 0 || over->bytes > 0); i++) {
		int64_t offset = db_i64(sizes, i, 0);
		int64_t bytes = db_i64(sizes, i, 1);
		if (offset >= floor) {
			over->records -= 1;
			over->bytes -= bytes + over->overhead;
			h->live_records -= 1;
			h->live_bytes -= bytes;
			h->cap_floor = offset + 1;
		}
	}
	bool is_empty = i == db_rows(sizes) && head_floor(h) <= row->last_offset;
	db_result_free(sizes);
	return !is_empty || delete_row(conn, topic_id, h, row, e);
}

typedef enum walk { WALK_ON, WALK_END, WALK_FAILED } walk;
typedef walk walk_row(db_conn *conn, int64_t topic_id, head *h, const kept_row *row, void *context, err *e);

/* Steps over the rows from the floor upwards, as many as the visitor wants. */
static bool walk_rows(db_conn *conn, int64_t topic_id, head *h, walk_row *visit, void *context, err *e)
{
	int64_t from = head_floor(h);
	for (;;) {
		db_params p;
		db_result *rows = NULL;
		walk step = WALK_ON;
		db_params_init(&p);
		db_param_i64(&p, topic_id);
		db_param_i32(&p, h->partition);
		db_param_i64(&p, from);
		db_param_i64(&p, ROWS_AT_ONCE);
		if (!db_run(conn, h->is_ephemeral ? &SQL_RETAIN_ROWS_EPHEMERAL : &SQL_RETAIN_ROWS, &p, &rows, e)) {
			return false;
		}
		int count = db_rows(rows);
		for (int i = 0; i < count && step == WALK_ON; i++) {
			kept_row row = {.last_offset = db_i64(rows, i, 0),
							.base_offset = db_i64(rows, i, 1),
							.committed_ms = db_i64(rows, i, 2),
							.records = db_i32(rows, i, 3),
							.bytes = db_i32(rows, i, 4)};
			from = row.last_offset + 1;
			if (row.base_offset < head_floor(h) && !count_above_floor(conn, topic_id, h, &row, e)) {
				step = WALK_FAILED;
			} else {
				step = visit(conn, topic_id, h, &row, context, e);
			}
		}
		db_result_free(rows);
		if (step != WALK_ON || count < ROWS_AT_ONCE) {
			return step != WALK_FAILED;
		}
	}
}

static walk expire_row(db_conn *conn, int64_t topic_id, head *h, const kept_row *row, void *context, err *e)
{
	const head_rules *rules = context;
	if (row->committed_ms >= rules->now_ms - rules->ttl_ms) {
		return WALK_END;
	}
	if (!pass_row(conn, topic_id, h, row, &h->ttl_floor, e)) {
		return WALK_FAILED;
	}
	h->live_records -= row->records;
	h->live_bytes -= row->bytes;
	return WALK_ON;
}

bool retain_expire(db_conn *conn, int64_t topic_id, head *h, const head_rules *rules, err *e)
{
	head_rules copy = *rules;
	if (rules->ttl_ms == 0 || h->live_records == 0) {
		return true;
	}
	return walk_rows(conn, topic_id, h, expire_row, &copy, e) || err_frame(e, "retain_expire");
}

static walk evict_row(db_conn *conn, int64_t topic_id, head *h, const kept_row *row, void *context, err *e)
{
	excess *over = context;
	if (over->records <= 0 && over->bytes <= 0) {
		return WALK_END;
	}
	int64_t row_bytes = row->bytes + row->records * over->overhead;
	if ((over->records > 0 && over->records >= row->records) || over->bytes > row_bytes) {
		/* Its last record still is beyond a cap when its turn comes. With exactly its bytes too many it may not be: it
		 * may be empty. */
		if (!pass_row(conn, topic_id, h, row, &h->cap_floor, e)) {
			return WALK_FAILED;
		}
		h->live_records -= row->records;
		h->live_bytes -= row->bytes;
		over->records -= row->records;
		over->bytes -= row_bytes;
		return WALK_ON;
	}
	return evict_inside(conn, topic_id, h, row, over, e) ? WALK_END : WALK_FAILED;
}

bool retain_evict(db_conn *conn, int64_t topic_id, head *h, const head_rules *rules, err *e)
{
	int64_t bytes = h->live_bytes + h->live_records * rules->record_overhead;
	excess over = {.records = rules->cap_records > 0 ? h->live_records - rules->cap_records : 0,
				   .bytes = rules->cap_bytes > 0 ? bytes - rules->cap_bytes : 0,
				   .overhead = rules->record_overhead};
	if (!rules->discard_old || (over.records <= 0 && over.bytes <= 0)) {
		return true;
	}
	return walk_rows(conn, topic_id, h, evict_row, &over, e) || err_frame(e, "retain_evict");
}

bool retain_settle(db_conn *conn, int64_t topic_id, int32_t partition, err *e)
{
	head *heads = NULL;
	size_t count = 0;
	head_rules rules;
	bool changed = false;
	bool ok = false;
	arena *a = arena_new(SETTLE_ARENA_BYTES);
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (!db_begin(conn, e) || !head_lock(conn, topic_id, &partition, 1, a, &heads, &count, &rules, e)) {
		goto out;
	}
	if (count == 1 &&
		(!head_settle_crash(conn, topic_id, &heads[0], &changed, e) ||
		 !retain_expire(conn, topic_id, &heads[0], &rules, e) || !retain_evict(conn, topic_id, &heads[0], &rules, e) ||
		 !head_update(conn, &heads[0], topic_id, e))) {
		goto out;
	}
	ok = db_commit(conn, e);
out:
	if (!ok) {
		db_rollback(conn);
	}
	arena_free(a);
	return ok || err_frame(e, "retain_settle");
}
