/*
 * log/plain: appends to topics without rules, in one round trip for a group: a statement for each row. Their only condition may
 * be a producer whose sequence expects them next, which is what an idempotent producer sends nearly always.
 */
#include <stdlib.h>

#include "db/array.h"
#include "log/commit.h"
#include "log/outcome.h"
#include "sql/batch.h"

enum { ANSWER_MAX_BYTES = 64 }; /* of one partition */

static bool has_producer(const log_append *op)
{
	return op->producer.id.ptr != NULL;
}

/* In the one statement that also moves the producer on. */
static bool fits_one_row(const log_append *op)
{
	uint32_t most = op->topic->config.kind == LOG_KIND_QUEUE ? ROW_JOBS : ROW_RECORDS;
	return op->partition_of == NULL && op->columns.tags == NULL && op->columns.count <= most &&
		   op->queued_bytes - sizeof *op <= ROW_BYTES;
}

bool plain_can_commit(const log_engine *engine, const log_append *op)
{
	const log_topic_config *config = &op->topic->config;
	return engine->options.max_total_bytes == 0 && op->idempotency_key.ptr == NULL && op->sequence_token.ptr == NULL &&
		   !op->close && op->columns.count > 0 && op->refusal_stage == LOG_REFUSE_NOT && config->cap_records == 0 &&
		   config->cap_bytes == 0 && config->durability != LOG_EPHEMERAL &&
		   (!has_producer(op) || (op->producer.sequence > 0 && fits_one_row(op)));
}

/* ---- the order in a group ---- */

/* One operation's records for one partition, in a group. */
typedef struct entry {
	log_append *op;
	uint32_t order;  /* place in the queue */
	uint32_t result; /* index into op->results */
	row_piece piece;
} entry;

static int compare_i64(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b ? 1 : 0;
}

/* By topic; first what has no producer, by partition, then by producer. */
static int compare_entries(const void *left, const void *right)
{
	const entry *a = left;
	const entry *b = right;
	int difference = compare_i64(a->op->topic->topic_id, b->op->topic->topic_id);
	if (difference == 0) {
		difference = (int)has_producer(a->op) - (int)has_producer(b->op);
	}
	if (difference == 0 && has_producer(a->op)) {
		difference = str_compare(a->op->producer.id, b->op->producer.id);
	} else if (difference == 0) {
		difference = compare_i64(a->op->results[a->result].partition, b->op->results[b->result].partition);
	}
	return difference != 0 ? difference : compare_i64(a->order, b->order);
}

static size_t topic_length(const entry *entries, size_t count)
{
	size_t n = 1;
	while (n < count && entries[n].op->topic->topic_id == entries[0].op->topic->topic_id) {
		n++;
	}
	return n;
}

/* What goes into the same rows. */
static size_t run_length(const entry *entries, size_t count)
{
	size_t n = 1;
	while (n < count && !has_producer(entries[n].op) &&
		   entries[n].op->results[entries[n].result].partition == entries[0].op->results[entries[0].result].partition) {
		n++;
	}
	return n;
}

/* Heads are locked in one order by everyone, and before any producer, so two groups never wait for each other in a circle. The
 * statements of a topic without producers lock their heads as they come. So does a lone one. */
static bool wants_lock(const entry *entries, size_t count)
{
	return count > 1 && has_producer(entries[count - 1].op);
}

/* ---- sending and receiving ---- */

static bool send_lock(committer *c, const entry *entries, size_t count, err *e)
{
	db_params p;
	db_array_builder partitions;
	buf_clear(&c->scratch);
	db_array_begin(&partitions, &c->scratch, DB_INT4);
	for (size_t i = 0; i < count; i++) {
		db_array_add_i32(&partitions, entries[i].op->results[entries[i].result].partition);
	}
	db_array_end(&partitions);
	if (c->scratch.failed) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for a group of appends");
	}
	db_params_init(&p);
	db_param_i64(&p, entries->op->topic->topic_id);
	db_param_str(&p, buf_str(&c->scratch));
	return db_pipeline_send(c->conn, &SQL_APPEND_LOCK, &p, e);
}

/* The answer is kept with the producer, for a repetition; the statement puts in the offset. */
static bool send_next(committer *c, const log_append *op, db_params *p, err *e)
{
	buf answer;
	buf_init(&answer, ANSWER_MAX_BYTES);
	outcome_encode(&answer, op);
	db_param_str(p, op->producer.id);
	db_param_i64(p, op->producer.epoch);
	db_param_i64(p, op->producer.sequence);
	db_param_str(p, buf_str(&answer));
	db_param_i32(p, OUTCOME_FIRST_BASE_AT + 1); /* SQL counts from 1 */
	bool ok = answer.failed ? err_set(e, ERR_NO_MEMORY, "out of memory for an answer")
							: db_pipeline_send(c->conn, &SQL_APPEND_BATCH_NEXT, p, e);
	buf_dispose(&answer);
	return ok;
}

static bool send_row(committer *c, const log_append *op, const row *r, db_params *p, err *e)
{
	if (has_producer(op)) {
		return send_next(c, op, p, e);
	}
	bool has_tags = r->columns[ROW_TAGS].ptr != NULL;
	return db_pipeline_send(c->conn, has_tags ? &SQL_APPEND_BATCH_TAGGED : &SQL_APPEND_BATCH, p, e);
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
		if (!send_row(c, run->op, &r, &p, e)) {
			return false;
		}
		(*rows)++;
	}
	return true;
}

/* Reads the answers of one run: where its first row begins, or that its head or its producer did not take it. */
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
		op->producer_state = op->producer;
	}
	return true;
}

static bool send_group(committer *c, const entry *entries, size_t count, uint32_t *rows, err *e)
{
	for (size_t at = 0; at < count;) {
		size_t end = at + topic_length(entries + at, count - at);
		if (wants_lock(entries + at, end - at) && !send_lock(c, entries + at, end - at, e)) {
			return false;
		}
		for (size_t length; at < end; at += length) {
			length = run_length(entries + at, end - at);
			if (!send_run(c, entries + at, length, rows++, e)) {
				return false;
			}
		}
	}
	return db_pipeline_flush(c->conn, e);
}

static bool receive_group(committer *c, entry *entries, size_t count, const uint32_t *rows, bool *taken_of, err *e)
{
	for (size_t at = 0; at < count;) {
		size_t end = at + topic_length(entries + at, count - at);
		if (wants_lock(entries + at, end - at) && !db_pipeline_skip(c->conn, 1, e)) {
			return false;
		}
		for (size_t length; at < end; at += length) {
			bool taken = false;
			length = run_length(entries + at, end - at);
			if (!receive_run(c, entries + at, length, *rows++, &taken, e)) {
				return false;
			}
			for (size_t i = at; i < at + length && !taken; i++) {
				taken_of[entries[i].order] = false;
			}
		}
	}
	return true;
}

bool plain_commit(committer *c, log_append **ops, size_t count, bool *taken_of, err *e)
{
	size_t entry_count = 0;
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
	qsort(entries, entry_count, sizeof *entries, compare_entries);
	if (!db_pipeline_start(c->conn, e) || !send_group(c, entries, entry_count, rows, e)) {
		goto out;
	}
	if (!receive_group(c, entries, entry_count, rows, taken_of, e)) {
		err ignored;
		if (db_conn_is_open(c->conn) && !db_pipeline_finish(c->conn, &ignored)) {
			db_conn_close(c->conn);
		}
		goto out;
	}
	ok = db_pipeline_finish(c->conn, e);
out:
	if (!ok) {
		db_rollback(c->conn);
	}
	return ok;
}
