#include "log/append.h"

#include <string.h>

#include "log/commit.h"

/* Operations of one topic always meet in the same lane of their durability. */
static lane *lane_of(log_engine *engine, const log_topic *t)
{
	size_t half = engine->lane_count / 2;
	size_t index = (size_t)((uint64_t)t->topic_id % half);
	return engine->lanes[t->config.durability == LOG_FSYNC ? index : half + index];
}

bool log_append_submit(log_engine *engine, log_append *op, err *e)
{
	err_clear(&op->error);
	op->is_duplicate = false;
	op->results = NULL;
	op->result_count = 0;
	op->result_of = NULL;
	op->next = NULL;
	op->queued_bytes = sizeof *op;
	for (uint32_t i = 0; i < op->columns.count; i++) {
		op->queued_bytes += rows_record_bytes(&op->columns, i);
	}
	return lane_submit(lane_of(engine, op->topic), op, e);
}

/* One partition: the records as they are. */
static bool split_single(log_append *op, row_piece **out)
{
	op->results = arena_alloc_zero(op->arena, sizeof *op->results);
	row_piece *piece = arena_alloc(op->arena, sizeof *piece);
	if (op->results == NULL || piece == NULL) {
		return false;
	}
	op->results[0] = (log_append_result){.partition = op->partition, .count = op->columns.count};
	op->result_count = 1;
	op->result_of = NULL;
	*piece = (row_piece){&op->columns, NULL, op->columns.count};
	*out = piece;
	return true;
}

/* Several: a stable counting sort by partition. */
static bool split_many(log_append *op, row_piece **out)
{
	uint32_t count = op->columns.count;
	uint32_t partitions = (uint32_t)op->topic->partitions;
	uint32_t *place = arena_alloc_zero(op->arena, (partitions + 1) * sizeof *place);
	uint32_t *order = arena_alloc_array(op->arena, count, sizeof *order);
	uint16_t *result_of = arena_alloc_array(op->arena, count, sizeof *result_of);
	if (place == NULL || order == NULL || result_of == NULL) {
		return false;
	}
	uint32_t used = 0;
	for (uint32_t i = 0; i < count; i++) {
		used += place[op->partition_of[i]] == 0 ? 1 : 0;
		place[op->partition_of[i]]++;
	}
	op->results = arena_alloc_zero(op->arena, used * sizeof *op->results);
	row_piece *pieces = arena_alloc_array(op->arena, used, sizeof *pieces);
	if (op->results == NULL || pieces == NULL) {
		return false;
	}
	uint32_t start = 0;
	uint32_t result = 0;
	for (uint32_t p = 0; p < partitions; p++) {
		uint32_t here = place[p];
		if (here > 0) {
			op->results[result] = (log_append_result){.partition = (int32_t)p, .count = here};
			pieces[result] = (row_piece){&op->columns, order + start, here};
			place[p] = start;
			start += here;
			result++;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		order[place[op->partition_of[i]]++] = i;
	}
	for (uint32_t r = 0; r < used; r++) {
		for (uint32_t i = 0; i < pieces[r].count; i++) {
			result_of[pieces[r].index[i]] = (uint16_t)r;
		}
	}
	op->result_count = used;
	op->result_of = used > 1 ? result_of : NULL;
	*out = pieces;
	return true;
}

bool commit_split(log_append *op, row_piece **pieces, err *e)
{
	bool ok = op->partition_of == NULL ? split_single(op, pieces) : split_many(op, pieces);
	return ok || err_set(e, ERR_PAYLOAD_TOO_LARGE, "the request needs more memory than one request may use; split it");
}
