/*
 * POST /topics/{topic}/groups/{group}/reset: sets a group's positions anew.
 */
#include "api/body.h"
#include "api/operation.h"
#include "api/streaming/group_name.h"
#include "api/streaming/offsets.h"
#include "api/streaming/streaming.h"
#include "base/jwrite.h"

typedef enum reset_to { TO_NOTHING, TO_EARLIEST, TO_LATEST, TO_OFFSET, TO_TIMESTAMP } reset_to;

typedef struct reset {
	api_operation op;
	str group;
	reset_to to;
	int64_t offset;    /* -1 = not given, as below */
	int64_t timestamp; /* ms */
	int64_t partition; /* -1 = all */
} reset;

static void read_to(body *b, reset_to *out)
{
	static const struct {
		const char *name;
		reset_to to;
	} names[] = {{"earliest", TO_EARLIEST}, {"latest", TO_LATEST}, {"offset", TO_OFFSET}, {"timestamp", TO_TIMESTAMP}};
	str text = STR_NONE;
	body_text(b, "to", &text);
	*out = TO_NOTHING;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (str_equal(text, str_from_c(names[i].name))) {
			*out = names[i].to;
		}
	}
	if (*out == TO_NOTHING) {
		body_refuse(b, "to", "\"earliest\", \"latest\", \"offset\" or \"timestamp\"");
	}
}

static bool read_request(reset *r, err *e)
{
	body b;
	str key;
	r->offset = -1;
	r->timestamp = -1;
	r->partition = LOG_ALL_PARTITIONS;
	if (!body_begin(&b, r->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (body_null(&b)) {
			continue;
		}
		if (str_equal(key, STR("to"))) {
			read_to(&b, &r->to);
		} else if (str_equal(key, STR("offset"))) {
			body_integer(&b, "offset", 0, INT64_MAX, &r->offset);
		} else if (str_equal(key, STR("timestamp"))) {
			body_integer(&b, "timestamp", 0, INT64_MAX, &r->timestamp);
		} else if (str_equal(key, STR("partition"))) {
			body_integer(&b, "partition", 0, LOG_PARTITIONS_MAX - 1, &r->partition);
		} else {
			body_skip(&b);
		}
	}
	if (!body_end(&b)) {
		return false;
	}
	if (r->to == TO_NOTHING || (r->to == TO_OFFSET && r->offset < 0) || (r->to == TO_TIMESTAMP && r->timestamp < 0)) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "send {\"to\":\"earliest\"}, {\"to\":\"latest\"}, {\"to\":\"offset\",\"offset\":0} or "
					   "{\"to\":\"timestamp\",\"timestamp\":1700000000000}");
	}
	return true;
}

/* Where one partition goes, within what is kept. */
static bool find_offset(const reset *r, log_conn *conn, const log_group_partition *p, int64_t *out, err *e)
{
	int64_t offset = p->start_offset;
	switch (r->to) {
	case TO_NOTHING:
	case TO_EARLIEST:
		break;
	case TO_LATEST:
		offset = p->end_offset;
		break;
	case TO_OFFSET:
		offset = r->offset;
		break;
	case TO_TIMESTAMP:
		if (!log_topic_offset_at(api_of(r->op.x)->log, conn, r->op.topic, p->partition, r->timestamp, &offset, e)) {
			return false;
		}
		break;
	}
	offset = offset < p->start_offset ? p->start_offset : offset;
	*out = offset > p->end_offset ? p->end_offset : offset;
	return true;
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	reset *r = (reset *)op;
	log_engine *log = api_of(op->x)->log;
	arena *a = http_arena(op->x);
	buf *out = http_reply_body(op->x);
	log_group_info *group = NULL;
	size_t count = 0;
	if (!group_name_check(r->group, e) ||
		(r->partition != LOG_ALL_PARTITIONS && !api_check_partition(op, r->partition, e)) ||
		!log_group_describe(log, conn, op->topic, r->group, a, &group, &count, e)) {
		return false;
	}
	log_group_offset *offsets = arena_alloc_array(a, group->partition_count + 1, sizeof *offsets);
	if (offsets == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	count = 0;
	for (size_t i = 0; i < group->partition_count; i++) {
		const log_group_partition *p = &group->partitions[i];
		if (r->partition != LOG_ALL_PARTITIONS && r->partition != p->partition) {
			continue;
		}
		offsets[count].partition = p->partition;
		if (!find_offset(r, conn, p, &offsets[count].offset, e)) {
			return false;
		}
		count++;
	}
	if (!log_group_reset(log, conn, op->topic, r->group, offsets, count, e)) {
		return false;
	}
	buf_append_str(out, STR("{\"group_id\":"));
	jwrite_string(out, r->group);
	buf_append_str(out, STR(",\"committed\":"));
	offsets_write(out, offsets, count);
	buf_append_byte(out, '}');
	return true;
}

void streaming_reset_group(http_exchange *x)
{
	err e;
	reset *r = api_operation_new(x, sizeof *r, run);
	if (r == NULL) {
		return;
	}
	if (!read_request(r, &e)) {
		api_fail(&r->op, &e);
		return;
	}
	r->op.is_fresh = true; /* moves what is, not what the cache remembers */
	r->op.topic_name = http_request_param(x, 0);
	r->group = http_request_param(x, 1);
	api_run(&r->op);
}
