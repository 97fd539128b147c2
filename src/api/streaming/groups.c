/*
 * Consumer groups: list, describe, delete. Resetting is reset.c.
 */
#include "api/body.h"
#include "api/operation.h"
#include "api/streaming/group_name.h"
#include "api/streaming/offsets.h"
#include "api/streaming/streaming.h"
#include "base/jwrite.h"
#include "log/group.h"

typedef struct group_operation {
	api_operation op;
	str group;
	int64_t partition; /* run_delete_position()'s */
} group_operation;

static void write_partition(buf *out, const log_group_partition *p)
{
	int64_t position = p->has_position && p->committed_offset > p->start_offset ? p->committed_offset : p->start_offset;
	buf_append_str(out, STR("{\"partition\":"));
	buf_append_i64(out, p->partition);
	buf_append_str(out, STR(",\"committed_offset\":"));
	if (p->has_position) {
		buf_append_i64(out, p->committed_offset);
	} else {
		buf_append_str(out, STR("null"));
	}
	buf_append_str(out, STR(",\"committed_at\":"));
	offsets_write_time(out, p->committed_ms);
	buf_append_str(out, STR(",\"end_offset\":"));
	buf_append_i64(out, p->end_offset);
	buf_append_str(out, STR(",\"lag\":"));
	buf_append_i64(out, p->end_offset > position ? p->end_offset - position : 0);
	if (p->holder.ptr == NULL) {
		buf_append_str(out, STR(",\"holder\":null,\"lease_deadline\":null}"));
		return;
	}
	buf_append_str(out, STR(",\"holder\":"));
	jwrite_string(out, p->holder);
	buf_append_str(out, STR(",\"lease_deadline\":"));
	buf_append_i64(out, p->lease_deadline_ms);
	buf_append_byte(out, '}');
}

static void write_group(buf *out, const log_group_info *g)
{
	buf_append_str(out, STR("{\"group_id\":"));
	jwrite_string(out, g->group);
	buf_append_str(out, STR(",\"created_at\":"));
	buf_append_i64(out, g->created_ms);
	buf_append_str(out, STR(",\"partitions\":["));
	for (size_t i = 0; i < g->partition_count; i++) {
		if (i > 0) {
			buf_append_byte(out, ',');
		}
		write_partition(out, &g->partitions[i]);
	}
	buf_append_str(out, STR("]}"));
}

static bool run_list(api_operation *op, log_conn *conn, err *e)
{
	buf *out = http_reply_body(op->x);
	log_group_info *groups = NULL;
	size_t count = 0;
	if (!log_group_describe(api_of(op->x)->log, conn, op->topic, STR_NONE, http_arena(op->x), &groups, &count, e)) {
		return false;
	}
	buf_append_str(out, STR("{\"groups\":["));
	for (size_t i = 0; i < count; i++) {
		if (i > 0) {
			buf_append_byte(out, ',');
		}
		write_group(out, &groups[i]);
	}
	buf_append_str(out, STR("]}"));
	return true;
}

static bool run_get(api_operation *op, log_conn *conn, err *e)
{
	const group_operation *g = (const group_operation *)op;
	log_group_info *groups = NULL;
	size_t count = 0;
	if (!group_name_check(g->group, e) ||
		!log_group_describe(api_of(op->x)->log, conn, op->topic, g->group, http_arena(op->x), &groups, &count, e)) {
		return false;
	}
	write_group(http_reply_body(op->x), &groups[0]);
	return true;
}

static bool run_delete(api_operation *op, log_conn *conn, err *e)
{
	const group_operation *g = (const group_operation *)op;
	buf *out = http_reply_body(op->x);
	if (!group_name_check(g->group, e) || !log_group_delete(api_of(op->x)->log, conn, op->topic, g->group, e)) {
		return false;
	}
	buf_append_str(out, STR("{\"group_id\":"));
	jwrite_string(out, g->group);
	buf_append_str(out, STR(",\"deleted\":true}"));
	return true;
}

static bool run_delete_position(api_operation *op, log_conn *conn, err *e)
{
	const group_operation *g = (const group_operation *)op;
	buf *out = http_reply_body(op->x);
	if (!group_name_check(g->group, e) ||
		!log_group_delete_partition(api_of(op->x)->log, conn, op->topic, g->group, (int32_t)g->partition, e)) {
		return false;
	}
	buf_append_str(out, STR("{\"group_id\":"));
	jwrite_string(out, g->group);
	buf_append_str(out, STR(",\"partition\":"));
	buf_append_i64(out, g->partition);
	buf_append_str(out, STR(",\"deleted\":true}"));
	return true;
}

bool group_name_check(str group, err *e)
{
	return body_is_name(group, LOG_GROUP_NAME_MAX) ||
		   err_set(e, ERR_GROUP_NOT_FOUND,
				   "the topic has no such group; a group begins with its first consume or commit");
}

/* NULL: answered. */
static group_operation *begin(http_exchange *x, api_run_fn *run)
{
	group_operation *g = api_operation_new(x, sizeof *g, run);
	if (g != NULL) {
		g->op.is_fresh = true; /* shows what is, not what the cache remembers */
		g->op.topic_name = http_request_param(x, 0);
		g->group = http_request_param(x, 1);
	}
	return g;
}

static void start(http_exchange *x, api_run_fn *run)
{
	group_operation *g = begin(x, run);
	if (g != NULL) {
		api_run(&g->op);
	}
}

void streaming_list_groups(http_exchange *x)
{
	start(x, run_list);
}

void streaming_get_group(http_exchange *x)
{
	start(x, run_get);
}

void streaming_delete_group(http_exchange *x)
{
	start(x, run_delete);
}

void streaming_delete_position(http_exchange *x)
{
	err e;
	group_operation *g = begin(x, run_delete_position);
	if (g == NULL) {
		return;
	}
	if (!str_parse_i64(http_request_param(x, 2), 0, LOG_PARTITIONS_MAX - 1, &g->partition)) {
		err_set(&e, ERR_INVALID_REQUEST, "the partition in the path must be an integer from 0 to %d",
				LOG_PARTITIONS_MAX - 1);
		api_fail(&g->op, &e);
		return;
	}
	api_run(&g->op);
}
