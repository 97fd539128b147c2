#include "log/lease_cohort.h"

#include "db/columns.h"
#include "log/lease_gather.h"
#include "sql/lease.h"

enum { ARRAYS_BYTES_MAX = 16 << 20 };

static bool no_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "out of memory for a group of claims");
}

/* ---- joining a window ---- */

typedef enum member { IDS, HOLDERS, WANTED, LEASE_MS, MEMBERS } member;

static void add_claims(db_array_builder *a, const lease_turn *t, member m)
{
	for (size_t i = 0; i < t->claim_count; i++) {
		const log_lease *op = t->claims[i];
		const int64_t numbers[MEMBERS] = {
			[IDS] = op->next_claim_id, [WANTED] = t->shares[i].wanted, [LEASE_MS] = op->lease_ms};
		if (op->next_claim_id == 0) {
			continue;
		}
		if (m == HOLDERS) {
			db_array_add_str(a, op->holder);
		} else {
			db_array_add_i64(a, numbers[m]);
		}
	}
}

static bool put_claims(lease_turn *t, err *e)
{
	db_params p;
	db_columns c;
	db_columns_init(&c, ARRAYS_BYTES_MAX);
	for (member m = 0; m < MEMBERS; m++) {
		add_claims(db_columns_begin(&c, m == HOLDERS ? DB_BYTEA : DB_INT8), t, m);
		db_columns_end(&c);
	}
	lease_book_bind(&t->book, &p);
	db_param_i64(&p, t->book.window_ends_ms);
	bool ok = db_columns_bind(&c, &p, e) && db_do(t->conn, &SQL_LEASE_CLAIM_PUT, &p, NULL, e);
	db_columns_dispose(&c);
	return ok;
}

/* New claims join the open window, or open one. */
static bool join(lease_turn *t, err *e)
{
	lease_book *b = &t->book;
	bool any = false;
	for (size_t i = 0; i < t->claim_count; i++) {
		log_lease *op = t->claims[i];
		if (op->claim_id == 0) {
			if (b->window_ends_ms == 0) {
				b->window_ends_ms = b->now_ms + b->claim_jitter_ms;
			}
			op->next_claim_id = lease_book_number(b);
			op->wait_ms = b->window_ends_ms > b->now_ms ? b->window_ends_ms - b->now_ms : 1;
			any = true;
		}
	}
	return !any || put_claims(t, e);
}

/* ---- the window's end ---- */

/* About this worker's own claims: all of them to find, those that are answered to drop. */
static bool send_ids(lease_turn *t, const db_query *query, bool drops, db_result **out, err *e)
{
	db_params p;
	db_columns c;
	db_columns_init(&c, ARRAYS_BYTES_MAX);
	db_array_builder *ids = db_columns_begin(&c, DB_INT8);
	for (size_t i = 0; i < t->claim_count; i++) {
		const log_lease *op = t->claims[i];
		if (op->claim_id != 0 && op->done != NULL && (!drops || op->wait_ms == 0)) {
			db_array_add_i64(ids, op->claim_id);
		}
	}
	db_columns_end(&c);
	lease_book_bind(&t->book, &p);
	bool ok = db_columns_bind(&c, &p, e);
	if (drops) {
		db_param_i64(&p, t->book.now_ms - LEASE_COHORT_KEPT_MS);
	}
	ok = ok && (out != NULL ? db_run(t->conn, query, &p, out, e) : db_do(t->conn, query, &p, NULL, e));
	db_columns_dispose(&c);
	return ok;
}

static size_t find_claim(log_lease **claims, size_t count, int64_t claim_id)
{
	size_t i = 0;
	while (i < count && claims[i]->claim_id != claim_id) {
		i++;
	}
	return i;
}

/* A claim of another worker. */
static log_lease *stranger(lease_turn *t, const db_result *r, int row)
{
	log_lease *op = arena_alloc_zero(t->arena, sizeof *op);
	if (op != NULL) {
		op->action = LOG_LEASE_CLAIM;
		op->claim_id = db_i64(r, row, 0);
		op->max = (uint32_t)db_i32(r, row, 2);
		op->lease_ms = db_i64(r, row, 3);
		if (!arena_copy_str(t->arena, db_str(r, row, 1), &op->holder)) {
			return NULL;
		}
	}
	return op;
}

/* The claims of the window, in the order of arrival, then the turn's other ones. */
static bool list_cohort(lease_turn *t, const db_result *r, size_t *cohort, err *e)
{
	size_t rows = (size_t)db_rows(r);
	size_t own = t->claim_count;
	size_t count = 0;
	log_lease **claims = arena_alloc_array(t->arena, rows + own + 1, sizeof(log_lease *));
	lease_share *shares = arena_alloc_zero(t->arena, (rows + own + 1) * sizeof *shares);
	bool *is_listed = arena_alloc_zero(t->arena, own + 1);
	if (claims == NULL || shares == NULL || is_listed == NULL) {
		return no_memory(e);
	}
	for (size_t i = 0; i < rows; i++) {
		size_t at = find_claim(t->claims, own, db_i64(r, (int)i, 0));
		if (at < own) {
			claims[count] = t->claims[at];
			shares[count++] = t->shares[at];
			is_listed[at] = true;
		} else if (db_i64(r, (int)i, 4) >= t->book.now_ms - LEASE_COHORT_STRANGER_MS) {
			claims[count] = stranger(t, r, (int)i);
			if (claims[count] == NULL) {
				return no_memory(e);
			}
			shares[count].wanted = claims[count]->max;
			count++;
		}
	}
	*cohort = count;
	for (size_t i = 0; i < own; i++) {
		if (!is_listed[i]) {
			/* Dealt by somebody else: fetched with the next turn. */
			t->claims[i]->wait_ms = 1;
			shares[count] = t->shares[i];
			claims[count++] = t->claims[i];
		}
	}
	t->claims = claims;
	t->shares = shares;
	t->claim_count = count;
	return true;
}

static bool put_dealt(lease_turn *t, size_t share, err *e)
{
	db_params p;
	db_columns c;
	db_columns_init(&c, ARRAYS_BYTES_MAX);
	db_array_builder *offsets = db_columns_begin(&c, DB_INT8);
	for (size_t i = 0; i < t->dealt_count; i++) {
		if (t->dealt[i].share == share) {
			db_array_add_i64(offsets, t->dealt[i].job.record.offset);
		}
	}
	db_columns_end(&c);
	lease_book_bind(&t->book, &p);
	db_param_i64(&p, t->claims[share]->claim_id);
	bool ok = db_columns_bind(&c, &p, e) && db_do(t->conn, &SQL_LEASE_CLAIM_DEAL, &p, NULL, e);
	db_columns_dispose(&c);
	return ok;
}

static bool deal(lease_turn *t, err *e)
{
	db_params p;
	db_result *r = NULL;
	lease_book_bind(&t->book, &p);
	if (!db_run(t->conn, &SQL_LEASE_CLAIM_LIST, &p, &r, e)) {
		return false;
	}
	size_t cohort = 0;
	bool ok = list_cohort(t, r, &cohort, e);
	db_result_free(r);
	if (!ok || !lease_gather(t, t->shares, cohort, e) || !send_ids(t, &SQL_LEASE_CLAIM_DROP, true, NULL, e)) {
		return false;
	}
	for (size_t i = 0; i < t->claim_count; i++) {
		if (t->claims[i]->done == NULL && !put_dealt(t, i, e)) {
			return false;
		}
	}
	t->book.window_ends_ms = 0;
	return true;
}

/* ---- what another worker dealt ---- */

typedef struct fetching {
	uint32_t share;
} fetching;

static bool take_dealt(lease_turn *t, lease_entry *entry, const log_record *record, void *context)
{
	const fetching *f = context;
	bool stands = entry->class == LEASE_HELD && str_equal(entry->holder, t->claims[f->share]->holder);
	if (record != NULL && stands && t->dealt_count < t->dealt_max) {
		t->dealt[t->dealt_count++] =
			(lease_dealt){.share = f->share,
						  .job = {*record, .number = entry->number, .deadline_ms = entry->free_ms - 1,
								  .deliveries = entry->deliveries}};
	}
	return true;
}

static bool fetch_claim(lease_turn *t, uint32_t share, str offsets, err *e)
{
	db_array_reader reader;
	lease_entry *entries = NULL;
	fetching f = {share};
	size_t count = 0;
	db_array_open(&reader, offsets);
	int64_t *list = arena_alloc_array(t->arena, reader.count + 1, sizeof *list);
	if (list == NULL) {
		return no_memory(e);
	}
	while (db_array_next_i64(&reader, &list[count])) {
		count++;
	}
	return lease_book_find(&t->book, list, count, &entries, e) &&
		   lease_read_entries(t, entries, count, take_dealt, &f, e);
}

/* Claims of earlier turns. Those that nobody dealt anything wait on while a window is open. */
static bool fetch(lease_turn *t, int64_t wait_ms, err *e)
{
	db_result *r = NULL;
	bool ok = true;
	bool any = false;
	for (size_t i = 0; i < t->claim_count; i++) {
		if (t->claims[i]->claim_id != 0) {
			t->claims[i]->wait_ms = wait_ms;
			any = true;
		}
	}
	if (!any) {
		return true;
	}
	t->dealt_max = LEASE_TURN_JOBS;
	t->dealt = arena_alloc_array(t->arena, t->dealt_max, sizeof *t->dealt);
	if (t->dealt == NULL) {
		return no_memory(e);
	}
	if (!send_ids(t, &SQL_LEASE_CLAIM_FIND, false, &r, e)) {
		return false;
	}
	for (int row = 0; row < db_rows(r) && ok; row++) {
		size_t share = find_claim(t->claims, t->claim_count, db_i64(r, row, 0));
		if (share < t->claim_count) {
			t->claims[share]->wait_ms = 0;
			ok = fetch_claim(t, (uint32_t)share, db_str(r, row, 1), e);
		}
	}
	db_result_free(r);
	return ok && send_ids(t, &SQL_LEASE_CLAIM_DROP, true, NULL, e);
}

bool lease_cohort_serve(lease_turn *t, err *e)
{
	lease_book *b = &t->book;
	b->has_written = true;
	bool is_open = b->window_ends_ms > b->now_ms;
	bool is_over = b->window_ends_ms != 0 && !is_open;
	bool ok = is_over ? deal(t, e) : fetch(t, is_open ? b->window_ends_ms - b->now_ms : 0, e);
	return ok && join(t, e);
}
