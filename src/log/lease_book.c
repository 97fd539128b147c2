#include "log/lease_book.h"

#include <string.h>

#include "db/columns.h"
#include "log/lease_write.h"
#include "log/retain.h"
#include "log/route.h"
#include "sql/lease.h"

enum { ARRAYS_BYTES_MAX = 64 << 20, SETTLE_TRIES = 3 };

/* Columns of SQL_LEASE_OPEN. */
enum column {
	NOW_MS,
	END_OFFSET,
	FLOOR,
	LIVE_RECORDS,
	DURABILITY,
	LEASES_DURABLE,
	MAX_DELIVERIES,
	DEAD_LETTER,
	CLAIM_JITTER_MS,
	IS_UNSETTLED,
	IS_DEST,
	IS_EPHEMERAL,
	NEXT_OFFSET,
	FLOOR_OFFSET,
	LAST_NUMBER,
	HELD,
	POSTPONED,
	RETURNED,
	DUE_MS,
	DEAD_LETTERED,
	WINDOW_ENDS_MS
};

static bool no_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "out of memory for a group of leases");
}

static void bind_key(db_params *p, int64_t topic_id, str consumer, int32_t partition)
{
	db_params_init(p);
	db_param_i64(p, topic_id);
	db_param_str(p, consumer.ptr != NULL ? consumer : STR(""));
	db_param_i32(p, partition);
}

void lease_book_bind(const lease_book *b, db_params *p)
{
	bind_key(p, b->topic->topic_id, b->consumer, b->partition);
}

/* ---- for others ---- */

bool lease_book_lock(db_conn *conn, int64_t topic_id, str consumer, int32_t partition, err *e)
{
	db_params p;
	bind_key(&p, topic_id, consumer, partition);
	return db_do(conn, &SQL_LEASE_LOCK, &p, NULL, e);
}

bool lease_book_bury(db_conn *conn, int64_t topic_id, int64_t limit, bool *more, err *e)
{
	db_params one;
	db_params both;
	int64_t rows = 0;
	db_params_init(&one);
	db_param_i64(&one, topic_id);
	db_params_init(&both);
	db_param_i64(&both, topic_id);
	db_param_i64(&both, limit);
	if (!db_begin(conn, e) || !lease_book_lock(conn, topic_id, STR(""), 0, e) ||
		!db_do(conn, &SQL_LEASE_DELETE_DISCARDED, &both, &rows, e) ||
		!db_do(conn, &SQL_LEASE_FORGET_DISCARDED, &one, NULL, e) || !db_commit(conn, e)) {
		db_rollback(conn);
		return false;
	}
	*more = *more || rows == limit;
	return true;
}

bool lease_book_forget_erased(db_conn *conn, int64_t topic_id, int32_t partition, int64_t below, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i32(&p, partition);
	db_param_i64(&p, below);
	return db_do(conn, &SQL_LEASE_FORGET_ERASED, &p, NULL, e);
}

/* As SQL_LEASE_PUT_CURSOR takes them. */
static void cursor_values(const lease_book *b, int64_t values[LEASE_CURSOR_VALUES])
{
	values[0] = b->next_offset;
	values[1] = b->floor_offset;
	values[2] = b->last_number;
	values[3] = b->count[LEASE_HELD];
	values[4] = b->count[LEASE_POSTPONED];
	values[5] = b->count[LEASE_RETURNED];
	values[6] = b->count[LEASE_HELD] + b->count[LEASE_POSTPONED] > 0 ? b->due_ms : 0;
	values[7] = b->dead_lettered;
	values[8] = b->window_ends_ms;
}

static bool take_cursor(lease_book *b, const db_result *r)
{
	b->now_ms = db_i64(r, 0, NOW_MS);
	b->end_offset = db_i64(r, 0, END_OFFSET);
	b->floor = db_i64(r, 0, FLOOR);
	b->live_records = db_i64(r, 0, LIVE_RECORDS);
	b->is_ephemeral = db_bool(r, 0, IS_EPHEMERAL);
	b->durability = (log_durability)db_i32(r, 0, DURABILITY);
	b->leases_durable = db_bool(r, 0, LEASES_DURABLE);
	b->max_deliveries = db_i64(r, 0, MAX_DELIVERIES);
	b->claim_jitter_ms = db_i64(r, 0, CLAIM_JITTER_MS);
	if (db_is_null(r, 0, NEXT_OFFSET)) {
		b->floor_offset = b->floor;
		b->next_offset = b->floor;
	} else {
		b->next_offset = db_i64(r, 0, NEXT_OFFSET);
		b->floor_offset = db_i64(r, 0, FLOOR_OFFSET);
		b->last_number = db_i64(r, 0, LAST_NUMBER);
		b->count[LEASE_HELD] = db_i64(r, 0, HELD);
		b->count[LEASE_POSTPONED] = db_i64(r, 0, POSTPONED);
		b->count[LEASE_RETURNED] = db_i64(r, 0, RETURNED);
		b->due_ms = db_i64(r, 0, DUE_MS);
		b->dead_lettered = db_i64(r, 0, DEAD_LETTERED);
		b->window_ends_ms = db_i64(r, 0, WINDOW_ENDS_MS);
	}
	cursor_values(b, b->stored);
	str dead_letter = db_str(r, 0, DEAD_LETTER);
	return dead_letter.ptr == NULL || arena_copy_str(b->arena, dead_letter, &b->dead_letter);
}

/* ---- pipelines ---- */

/* A statement about some offsets, in the open pipeline. */
static bool send_offsets(const lease_book *b, const db_query *query, const int64_t *offsets, size_t count, err *e)
{
	db_params p;
	db_columns c;
	db_columns_init(&c, ARRAYS_BYTES_MAX);
	db_columns_add_i64(&c, offsets, count);
	lease_book_bind(b, &p);
	bool ok = db_columns_bind(&c, &p, e) && db_pipeline_send(b->conn, query, &p, e);
	db_columns_dispose(&c);
	return ok;
}

/* ---- beginning ---- */

/* Lock and look, in one round trip. */
static bool open_book(lease_book *b, const int64_t *offsets, size_t count, db_result **found, bool *is_unsettled,
					  bool *is_dest, err *e)
{
	db_params p;
	db_result *r = NULL;
	bool ok = false;
	lease_book_bind(b, &p);
	if (!db_pipeline_start(b->conn, e) || !db_pipeline_begin(b->conn, e) ||
		!db_pipeline_send(b->conn, &SQL_LEASE_LOCK, &p, e) || !db_pipeline_send(b->conn, &SQL_LEASE_OPEN, &p, e) ||
		(count > 0 && !send_offsets(b, &SQL_LEASE_FIND, offsets, count, e)) || !db_pipeline_flush(b->conn, e) ||
		!db_pipeline_skip(b->conn, 2, e) || !db_pipeline_next(b->conn, &r, e)) {
		return false;
	}
	if (db_rows(r) != 1) {
		err_set(e, ERR_TOPIC_NOT_FOUND, "there is no such topic");
	} else if (!take_cursor(b, r)) {
		no_memory(e);
	} else {
		*is_unsettled = db_bool(r, 0, IS_UNSETTLED);
		*is_dest = db_bool(r, 0, IS_DEST);
		ok = count == 0 || db_pipeline_next(b->conn, found, e);
	}
	db_result_free(r);
	return db_pipeline_finish(b->conn, ok ? e : &(err){0}) && ok;
}

/* What is over becomes ready, what was lost goes, and the counts are taken anew. */
static bool settle(lease_book *b, err *e)
{
	db_params p;
	db_result *r = NULL;
	int64_t freed = 0;
	lease_book_bind(b, &p);
	db_param_i64(&p, b->floor);
	if (b->floor > b->floor_offset && !db_do(b->conn, &SQL_LEASE_DROP_BELOW, &p, NULL, e)) {
		return false;
	}
	lease_book_bind(b, &p);
	db_param_i64(&p, b->now_ms);
	if (!db_do(b->conn, &SQL_LEASE_FREE, &p, &freed, e)) {
		return false;
	}
	lease_book_bind(b, &p);
	if (!db_run(b->conn, &SQL_LEASE_COUNT, &p, &r, e)) {
		return false;
	}
	b->count[LEASE_HELD] = db_i64(r, 0, 0);
	b->count[LEASE_POSTPONED] = db_i64(r, 0, 1);
	b->count[LEASE_RETURNED] = db_i64(r, 0, 2);
	b->due_ms = db_i64(r, 0, 3);
	db_result_free(r);
	b->has_written = true;
	b->freed_some = b->freed_some || freed > 0 || b->floor > b->floor_offset;
	b->floor_offset = b->floor;
	b->next_offset = b->next_offset > b->floor ? b->next_offset : b->floor;
	return true;
}

/* As of the lock, whatever has to be brought up to date first. */
static bool begin_current(lease_book *b, log_engine *engine, const int64_t *offsets, size_t count, db_result **found,
						  err *e)
{
	const lease_book fresh = *b;
	int64_t topic_id = b->topic->topic_id;
	bool is_current = false;
	for (int attempt = 0;; attempt++) {
		bool is_unsettled = false;
		bool is_dest = false;
		*b = fresh;
		db_result_free(*found);
		*found = NULL;
		if (!open_book(b, offsets, count, found, &is_unsettled, &is_dest, e)) {
			return false;
		}
		if (attempt == SETTLE_TRIES || !(is_unsettled || (is_dest && !is_current))) {
			return true;
		}
		/* Heads are locked behind this lock or without it, never before it. */
		db_rollback(b->conn);
		if ((is_unsettled && !retain_settle(b->conn, topic_id, b->partition, e)) ||
			(is_dest && !is_current && !log_route_catch_up(engine, b->conn, topic_id, e))) {
			return false;
		}
		is_current = true;
	}
}

/* ---- entries ---- */

/* Row of SQL_LEASE_FIND or SQL_LEASE_FIND_RETURNED. */
static bool take_entry(lease_book *b, const db_result *r, int row, lease_entry *out)
{
	str holder = db_str(r, row, 1);
	*out = (lease_entry){.offset = db_i64(r, row, 0),
						 .number = db_i64(r, row, 2),
						 .free_ms = db_i64(r, row, 3),
						 .deliveries = db_i64(r, row, 4)};
	out->class = out->free_ms == 0 ? LEASE_RETURNED : holder.ptr != NULL ? LEASE_HELD : LEASE_POSTPONED;
	return holder.ptr == NULL || arena_copy_str(b->arena, holder, &out->holder);
}

/* r: the rows there are, by offset; NULL: none. */
static bool take_entries(lease_book *b, const db_result *r, const int64_t *offsets, size_t count, lease_entry **out,
						 err *e)
{
	int row = 0;
	int rows = r != NULL ? db_rows(r) : 0;
	lease_entry *entries = arena_alloc_zero(b->arena, (count + 1) * sizeof *entries);
	bool ok = entries != NULL;
	for (size_t i = 0; ok && i < count; i++) {
		entries[i].offset = offsets[i];
		if (row < rows && db_i64(r, row, 0) == offsets[i]) {
			ok = take_entry(b, r, row++, &entries[i]);
		}
	}
	*out = entries;
	return ok || no_memory(e);
}

bool lease_book_begin(lease_book *b, log_engine *engine, const int64_t *offsets, size_t count, lease_entry **out,
					  err *e)
{
	db_result *found = NULL;
	bool ok = begin_current(b, engine, offsets, count, &found, e);
	bool is_due = ok && b->due_ms != 0 && b->due_ms <= b->now_ms;
	if (ok && (is_due || b->floor > b->floor_offset)) {
		ok = settle(b, e) && lease_book_find(b, offsets, count, out, e);
	} else if (ok) {
		ok = take_entries(b, found, offsets, count, out, e);
	}
	db_result_free(found);
	return ok;
}

/* A statement behind what is to be written, which it has to see, has been sent: its result. */
static bool receive_behind(lease_book *b, size_t written, db_result **out, err *e)
{
	return db_pipeline_flush(b->conn, e) && db_pipeline_skip(b->conn, written, e) &&
		   db_pipeline_next(b->conn, out, e) && db_pipeline_finish(b->conn, e);
}

bool lease_book_find(lease_book *b, const int64_t *offsets, size_t count, lease_entry **out, err *e)
{
	db_result *r = NULL;
	size_t written = 0;
	bool ok = count == 0 || (db_pipeline_start(b->conn, e) && lease_write_send(b, &written, e) &&
							 send_offsets(b, &SQL_LEASE_FIND, offsets, count, e) && receive_behind(b, written, &r, e));
	ok = ok && take_entries(b, r, offsets, count, out, e);
	db_result_free(r);
	return ok;
}

bool lease_book_find_returned(lease_book *b, int64_t from, size_t limit, lease_entry **out, size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	size_t written = 0;
	lease_book_bind(b, &p);
	db_param_i64(&p, from);
	db_param_i64(&p, (int64_t)limit);
	bool ok = db_pipeline_start(b->conn, e) && lease_write_send(b, &written, e) &&
			  db_pipeline_send(b->conn, &SQL_LEASE_FIND_RETURNED, &p, e) && receive_behind(b, written, &r, e);
	if (!ok) {
		db_result_free(r);
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	lease_entry *entries = arena_alloc_zero(b->arena, (rows + 1) * sizeof *entries);
	ok = entries != NULL;
	for (size_t i = 0; i < rows && ok; i++) {
		ok = take_entry(b, r, (int)i, &entries[i]);
	}
	db_result_free(r);
	*out = entries;
	*count = rows;
	return ok || no_memory(e);
}

int64_t lease_book_number(lease_book *b)
{
	int64_t by_clock = b->now_ms * 1000;
	b->last_number = b->last_number >= by_clock ? b->last_number + 1 : by_clock;
	return b->last_number;
}

void lease_book_change(lease_book *b, lease_entry *entry, lease_class class, int64_t free_ms)
{
	b->count[entry->class]--;
	b->count[class]++;
	b->freed_some = b->freed_some || (entry->class == LEASE_HELD && class != LEASE_HELD);
	entry->class = class;
	entry->free_ms = free_ms;
	entry->is_changed = true;
	if (class != LEASE_HELD) {
		entry->holder = STR_NONE;
	}
	if (free_ms != 0 && (b->due_ms == 0 || free_ms < b->due_ms)) {
		b->due_ms = free_ms;
	}
}

int64_t lease_book_ready(const lease_book *b)
{
	int64_t ready = b->live_records - b->count[LEASE_HELD] - b->count[LEASE_POSTPONED];
	return ready > 0 ? ready : 0;
}

/* ---- erasing ---- */

static void bind_head(db_params *p, const lease_book *b)
{
	db_params_init(p);
	db_param_i64(p, b->topic->topic_id);
	db_param_i32(p, b->partition);
}

bool lease_book_lock_head(lease_book *b, err *e)
{
	db_params p;
	bind_head(&p, b);
	return db_do(b->conn, &SQL_LEASE_LOCK_HEAD, &p, NULL, e);
}

void lease_book_erase(lease_book *b, const int64_t *offsets, size_t count)
{
	b->erased = offsets;
	b->erased_count = count;
	b->has_written = b->has_written || count > 0;
}

static bool send_erased(const lease_book *b, err *e)
{
	db_params p;
	db_columns c;
	bind_head(&p, b);
	bool ok = db_pipeline_send(b->conn, &SQL_LEASE_LOCK_HEAD, &p, e);
	db_columns_init(&c, ARRAYS_BYTES_MAX);
	db_columns_add_i64(&c, b->erased, b->erased_count);
	ok = ok && db_columns_bind(&c, &p, e) &&
		 db_pipeline_send(b->conn, b->is_ephemeral ? &SQL_LEASE_ERASE_EPHEMERAL : &SQL_LEASE_ERASE, &p, e);
	db_columns_dispose(&c);
	return ok;
}

/* The results of the head's lock and of the statement. */
static bool receive_erased(lease_book *b, err *e)
{
	db_result *r = NULL;
	if (!db_pipeline_skip(b->conn, 1, e) || !db_pipeline_next(b->conn, &r, e)) {
		return false;
	}
	if (db_rows(r) == 1) {
		b->live_records = db_i64(r, 0, 0);
	}
	db_result_free(r);
	return true;
}

/* ---- the end ---- */

/* Many look and find nothing: that writes nothing. */
static bool send_cursor(lease_book *b, size_t *sent, err *e)
{
	db_params p;
	int64_t values[LEASE_CURSOR_VALUES];
	cursor_values(b, values);
	if (!b->has_written && memcmp(values, b->stored, sizeof values) == 0) {
		return true;
	}
	lease_book_bind(b, &p);
	for (int i = 0; i < LEASE_CURSOR_VALUES; i++) {
		db_param_i64(&p, values[i]);
	}
	(*sent)++;
	return db_pipeline_send(b->conn, &SQL_LEASE_PUT_CURSOR, &p, e);
}

bool lease_book_commit(lease_book *b, err *e)
{
	bool relaxed = !b->leases_durable && (b->durability != LOG_FSYNC || !b->must_be_durable);
	size_t before = relaxed ? 1 : 0; /* results before those of erasing */
	if (!db_pipeline_start(b->conn, e) || (relaxed && !db_pipeline_send(b->conn, &SQL_LEASE_RELAX, NULL, e)) ||
		!lease_write_send(b, &before, e) || !send_cursor(b, &before, e) ||
		(b->erased_count > 0 && !send_erased(b, e)) || !db_pipeline_commit(b->conn, e) ||
		!db_pipeline_flush(b->conn, e)) {
		return false;
	}
	return db_pipeline_skip(b->conn, before, e) && (b->erased_count == 0 || receive_erased(b, e)) &&
		   db_pipeline_skip(b->conn, 1, e) && db_pipeline_finish(b->conn, e);
}
