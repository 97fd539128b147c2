/*
 * GET /topics/{topic}/offsets?timestamp=: where each partition's messages begin that were stored at a time or later.
 */
#include "api/operation.h"
#include "api/streaming/offsets.h"
#include "api/streaming/streaming.h"

typedef struct seek {
	api_operation op;
	int64_t timestamp_ms;
	int64_t partition; /* or LOG_ALL_PARTITIONS */
} seek;

/* *out is untouched when the parameter is absent. */
static bool read_number(const http_exchange *x, const char *name, int64_t most, int64_t *out, err *e)
{
	str text;
	return !http_request_query(x, str_from_c(name), &text) || str_parse_i64(text, 0, most, out) ||
		   err_set(e, ERR_INVALID_REQUEST, "%s must be an integer from 0", name);
}

static bool read_request(const http_exchange *x, seek *s, err *e)
{
	s->timestamp_ms = -1;
	s->partition = LOG_ALL_PARTITIONS;
	if (!read_number(x, "timestamp", INT64_MAX, &s->timestamp_ms, e) ||
		!read_number(x, "partition", LOG_PARTITIONS_MAX - 1, &s->partition, e)) {
		return false;
	}
	return s->timestamp_ms >= 0 ||
		   err_set(e, ERR_INVALID_REQUEST, "timestamp is missing; send ?timestamp= with a time in ms since 1970");
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	const seek *s = (const seek *)op;
	bool is_all = s->partition == LOG_ALL_PARTITIONS;
	if (!is_all && !api_check_partition(op, s->partition, e)) {
		return false;
	}
	int32_t first = is_all ? 0 : (int32_t)s->partition;
	size_t count = is_all ? (size_t)op->topic->partitions : 1;
	log_group_offset *found = arena_alloc_array(http_arena(op->x), count, sizeof *found);
	if (found == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (size_t i = 0; i < count; i++) {
		found[i].partition = first + (int32_t)i;
		if (!log_topic_offset_at(api_of(op->x)->log, conn, op->topic, found[i].partition, s->timestamp_ms,
								 &found[i].offset, e)) {
			return false;
		}
	}
	buf *out = http_reply_body(op->x);
	buf_append_str(out, STR("{\"offsets\":"));
	offsets_write(out, found, count);
	buf_append_byte(out, '}');
	return true;
}

void streaming_find_offsets(http_exchange *x)
{
	err e;
	seek *s = api_operation_new(x, sizeof *s, run);
	if (s == NULL) {
		return;
	}
	if (!read_request(x, s, &e)) {
		api_fail(&s->op, &e);
		return;
	}
	s->op.topic_name = http_request_param(x, 0);
	s->op.is_fresh = true; /* partitions made a moment ago are among them */
	api_run(&s->op);
}
