/*
 * GET /topics/{topic}/stream: live reading. Where it begins is found here; live.c and leased.c go on from there.
 */
#include "api/operation.h"
#include "api/streaming/leased.h"
#include "api/streaming/live.h"
#include "api/streaming/offsets.h"
#include "api/streaming/position.h"
#include "api/streaming/stream_request.h"
#include "api/streaming/streaming.h"

typedef struct stream_opening {
	api_operation op;
	stream_request request;
	log_position *start;
} stream_opening;

static bool refuse_cursor(err *e)
{
	return err_set(
		e, ERR_INVALID_REQUEST,
		"Last-Event-ID or cursor is not one of this stream; send the last id unchanged, or start anew with offset");
}

/* The part of `from` that this stream reads. Partitions made since then begin at their beginning. */
static bool fit_cursor(stream_opening *s, const log_position *from, err *e)
{
	log_position *start = s->start;
	if (from->first + from->count > s->op.topic->partitions) {
		s->op.is_doubtful = true;
		return refuse_cursor(e);
	}
	if (from->first > start->first || (start->count == 1 && start->first >= from->first + from->count)) {
		return refuse_cursor(e);
	}
	for (int32_t i = start->first; i < start->first + start->count && i < from->first + from->count; i++) {
		start->offsets[i - start->first] = from->offsets[i - from->first];
	}
	return true;
}

static bool start_at_cursor(stream_opening *s, err *e)
{
	log_position *from = NULL;
	switch (position_read(s->request.cursor, s->op.topic, http_arena(s->op.x), &from)) {
	case POSITION_OF_TOPIC:
		return fit_cursor(s, from, e);
	case POSITION_OF_EARLIER_TOPIC:
		return true; /* the topic was made anew: all of it is news */
	case POSITION_BROKEN:
		break;
	}
	return refuse_cursor(e);
}

/* A list says where each partition begins; partitions made since it was written begin at their beginning. */
static bool start_at_offsets(stream_opening *s, err *e)
{
	str number;
	int32_t count = 0;
	for (str rest = s->request.offsets; rest.ptr != NULL; count++) {
		str_split(rest, ',', &number, &rest);
		if (count == s->start->count) {
			s->op.is_doubtful = s->request.partition == LOG_ALL_PARTITIONS;
			return err_set(e, ERR_INVALID_REQUEST, "offset has more numbers than there are partitions to read (%d)",
						   s->start->count);
		}
		if (!str_parse_i64(number, 0, INT64_MAX, &s->start->offsets[count])) {
			return err_set(e, ERR_INVALID_REQUEST, "offset must hold integers from 0");
		}
	}
	if (count == 1 && s->start->count > 1) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "an offset belongs to a partition: add partition, give one for each partition with commas "
					   "between, or use offset=earliest or offset=latest");
	}
	return true;
}

/* Asks where the partitions begin and end: that is the start, or what a strict reader's offsets have to be between. */
static bool look_at_partitions(const stream_opening *s, log_conn *conn, err *e)
{
	log_position *start = s->start;
	log_partition_info *partitions = NULL;
	size_t count = 0;
	if (!log_topic_partitions(api_of(s->op.x)->log, conn, s->op.topic, http_arena(s->op.x), &partitions, &count, e)) {
		return false;
	}
	for (int32_t i = 0; i < start->count && (size_t)(start->first + i) < count; i++) {
		const log_partition_info *p = &partitions[start->first + i];
		if (s->request.start != START_AT_OFFSETS) {
			start->offsets[i] = s->request.start == START_LATEST ? p->end_offset : p->start_offset;
		} else if (!offsets_check(p->partition, start->offsets[i], p->start_offset, p->end_offset, e)) {
			return false;
		}
	}
	return true;
}

static bool find_start(api_operation *op, log_conn *conn, err *e)
{
	stream_opening *s = (stream_opening *)op;
	bool is_all = s->request.partition == LOG_ALL_PARTITIONS;
	if (!is_all && !api_check_partition(op, s->request.partition, e)) {
		return false;
	}
	if (s->request.group_id.ptr != NULL) {
		return true; /* where the group is */
	}
	s->start = position_new(http_arena(op->x), is_all ? 0 : s->request.partition, is_all ? op->topic->partitions : 1);
	if (s->start == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	switch (s->request.start) {
	case START_LATEST:
	case START_EARLIEST:
		return look_at_partitions(s, conn, e);
	case START_AT_OFFSETS:
		return start_at_offsets(s, e) && (!s->request.is_strict || look_at_partitions(s, conn, e));
	case START_AT_CURSOR:
		return start_at_cursor(s, e);
	}
	return true;
}

static void open_stream(api_operation *op)
{
	const stream_opening *s = (const stream_opening *)op;
	if (s->request.group_id.ptr != NULL) {
		leased_open(op, &s->request);
	} else {
		streaming_live_open(op, &s->request, s->start);
	}
}

void streaming_stream(http_exchange *x)
{
	err e;
	stream_opening *s = api_operation_new(x, sizeof *s, find_start);
	if (s == NULL) {
		return;
	}
	if (!stream_request_read(x, &s->request, &e)) {
		api_fail(&s->op, &e);
		return;
	}
	s->op.topic_name = http_request_param(x, 0);
	s->op.is_fresh = true; /* what has begun cannot turn to another topic of this name */
	api_run_then(&s->op, open_stream);
}
