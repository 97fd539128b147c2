/*
 * log/plain: appends without conditions, to topics without rules: a statement for each row, all heads and rows of a group in
 * one round trip.
 */
#include <stdlib.h>

#include "log/commit.h"
#include "sql/batch.h"

bool plain_can_commit(const log_engine *engine, const log_append *op)
{
	const log_topic_config *config = &op->topic->config;
	return engine->options.max_total_bytes == 0 && op->idempotency_key.ptr == NULL && op->producer.id.ptr == NULL &&
		   op->sequence_token.ptr == NULL && !op->close && op->columns.count > 0 &&
		   op->refusal_stage == LOG_REFUSE_NOT && config->cap_records == 0 && config->cap_bytes == 0 &&
		   config->durability != LOG_EPHEMERAL;
}

/* One operation's records for one partition, in a group. */
typedef struct entry {
	log_append *op;
	uint32_t order;  /* place in the queue */
	uint32_t result; /* index into op->results */
	row_piece piece;
} entry;

static int compare_entries(const void *left, const void *right)
{
	const entry *a = left;
	const entry *b = right;
	if (a->op->topic->topic_id != b->op->topic->topic_id) {
		return a->op->topic->topic_id < b->op->topic->topic_id ? -1 : 1;
	}
	int32_t pa = a->op->results[a->result].partition;
	int32_t pb = b->op->results[b->result].partition;
	if (pa != pb) {
		return pa < pb ? -1 : 1;
	}
	return a->order < b->order ? -1 : a->order > b->order ? 1 : 0;
}

static bool same_head(const entry *a, const entry *b)
{
	return a->op->topic->topic_id == b->op->topic->topic_id &&
		   a->op->results[a->result].partition == b->op->results[b->result].partition;
}

static size_t run_length(const entry *entries, size_t count)
{
	size_t n = 1;
	while (n < count && same_head(&entries[0], &entries[n])) {
		n++;
	}
	return n;
}

/* Sends the rows of one head's run; *rows counts them. */
static bool send_run(committer *c, const entry *run, size_t length, uint32_t *rows, err *e)
{
	row_piece *pieces = arena_alloc_array(c->arena, length, sizeof *pieces);
	if (pieces == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for a group of appends");
	}
	for (size_t i = 0; i < length; i++) {
		pieces[i] = run[i].piece;
	}
	row_writer w = {.pieces = pieces,
					.piece_count = length,
					.is_queue = run->op->topic->config.kind == LOG_KIND_QUEUE,
					.scratch = &c->scratch};
	row r;
	*rows = 0;
	while (rows_next(&w, &r)) {
		db_params p;
		if (c->scratch.failed) {
			return err_set(e, ERR_NO_MEMORY, "out of memory for a row");
		}
		db_params_init(&p);
		db_param_i64(&p, run->op->topic->topic_id);
		db_param_i32(&p, run->op->results[run->result].partition);
		db_param_i64(&p, r.records);
		db_param_i64(&p, (int64_t)r.value_bytes);
		db_param_i64(&p, (int64_t)r.bytes);
		rows_bind(&r, &p);
		bool has_tags = r.columns[ROW_TAGS].ptr != NULL;
		if (!db_pipeline_send(c->conn, has_tags ? &SQL_APPEND_BATCH_TAGGED : &SQL_APPEND_BATCH, &p, e)) {
			return false;
		}
		(*rows)++;
	}
	return true;
}

/* Reads the answers of one run: where its first row begins, or that its head did not take it. */
static bool receive_run(committer *c, entry *run, size_t length, uint32_t rows, bool *taken, err *e)
{
	int64_t base = 0;
	int64_t base_byte = 0;
	int64_t committed_ms = 0;
	bool feeds_routers = false;
	*taken = true;
	for (uint32_t i = 0; i < rows; i++) {
		db_result *r = NULL;
		if (!db_pipeline_next(c->conn, &r, e)) {
			return false;
		}
		if (db_rows(r) != 1) {
			*taken = false;
		} else if (i == 0) {
			base = db_i64(r, 0, 0);
			base_byte = db_i64(r, 0, 1);
			committed_ms = db_i64(r, 0, 2);
			feeds_routers = db_bool(r, 0, 3);
		}
		db_result_free(r);
	}
	for (size_t i = 0; i < length && *taken; i++) {
		log_append *op = run[i].op;
		const row_piece *piece = &run[i].piece;
		op->results[run[i].result].base_offset = base;
		base += piece->count;
		for (uint32_t k = 0; k < piece->count; k++) {
			base_byte += (int64_t)op->columns.values[piece->index != NULL ? piece->index[k] : k].len;
		}
		op->end_offset = base;
		op->end_byte = base_byte;
		op->committed_ms = committed_ms;
		op->feeds_routers = feeds_routers;
	}
	return true;
}

bool plain_commit(committer *c, log_append **ops, size_t count, bool *taken_of, err *e)
{
	size_t entry_count = 0;
	size_t runs = 0;
	bool ok = false;
	row_piece **pieces = arena_alloc_array(c->arena, count, sizeof *pieces);
	if (pieces == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for a group of appends");
	}
	for (size_t i = 0; i < count; i++) {
		if (!commit_split(ops[i], &pieces[i], e)) {
			return false;
		}
		entry_count += ops[i]->result_count;
	}
	entry *entries = arena_alloc_array(c->arena, entry_count, sizeof *entries);
	uint32_t *rows = arena_alloc_array(c->arena, entry_count, sizeof *rows);
	if (entries == NULL || rows == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for a group of appends");
	}
	entry_count = 0;
	for (size_t i = 0; i < count; i++) {
		taken_of[i] = true;
		for (uint32_t r = 0; r < ops[i]->result_count; r++) {
			entries[entry_count++] = (entry){ops[i], (uint32_t)i, r, pieces[i][r]};
		}
	}
	/* Heads are locked in one order by everyone, so two groups never wait for each other in a circle. */
	qsort(entries, entry_count, sizeof *entries, compare_entries);
	if (!db_pipeline_start(c->conn, e)) {
		return false;
	}
	for (size_t at = 0; at < entry_count; runs++) {
		size_t length = run_length(entries + at, entry_count - at);
		if (!send_run(c, entries + at, length, &rows[runs], e)) {
			goto out;
		}
		at += length;
	}
	if (!db_pipeline_flush(c->conn, e)) {
		goto out;
	}
	runs = 0;
	for (size_t at = 0; at < entry_count; runs++) {
		bool taken = false;
		size_t length = run_length(entries + at, entry_count - at);
		if (!receive_run(c, entries + at, length, rows[runs], &taken, e)) {
			err ignored;
			if (db_conn_is_open(c->conn) && !db_pipeline_finish(c->conn, &ignored)) {
				db_conn_close(c->conn);
			}
			goto out;
		}
		for (size_t i = at; i < at + length && !taken; i++) {
			taken_of[entries[i].order] = false;
		}
		at += length;
	}
	ok = db_pipeline_finish(c->conn, e);
out:
	if (!ok) {
		db_rollback(c->conn);
	}
	return ok;
}
