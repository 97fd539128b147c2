/*
 * POST /topics/{topic}/commit: where a group goes on.
 */
#include "api/body.h"
#include "api/operation.h"
#include "api/streaming/offsets.h"
#include "api/streaming/streaming.h"

typedef struct commit {
	api_operation op;
	str group_id;
	str consumer_id; /* ptr NULL = none */
	bool force;
	bool has_offsets;
	log_group_offset *offsets;
	size_t count;
} commit;

static void read_member(body *b, str key, commit *c)
{
	if (body_null(b)) {
		return;
	}
	if (str_equal(key, STR("group_id"))) {
		body_name(b, "group_id", LOG_GROUP_NAME_MAX, &c->group_id);
	} else if (str_equal(key, STR("consumer_id"))) {
		body_name(b, "consumer_id", API_ID_BYTES_MAX, &c->consumer_id);
	} else if (str_equal(key, STR("force"))) {
		body_bool(b, "force", &c->force);
	} else if (str_equal(key, STR("offsets"))) {
		offsets_read(b, "offsets", &c->offsets, &c->count);
		c->has_offsets = true;
	} else {
		body_skip(b);
	}
}

static bool read_request(commit *c, err *e)
{
	body b;
	str key;
	if (!body_begin(&b, c->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		read_member(&b, key, c);
	}
	if (!body_end(&b)) {
		return false;
	}
	if (c->group_id.ptr == NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "group_id is missing; say whose offsets these are");
	}
	return c->has_offsets ||
		   err_set(e, ERR_INVALID_REQUEST,
				   "offsets is missing; send [{\"partition\":0,\"offset\":1}] with the next offset wanted");
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	commit *c = (commit *)op;
	buf *out = http_reply_body(op->x);
	const log_group_commit_request request = {.topic = op->topic,
											  .group = c->group_id,
											  .consumer_id = c->consumer_id,
											  .offsets = c->offsets,
											  .count = c->count,
											  .force = c->force};
	log_group_offset *committed = NULL;
	size_t count = 0;
	for (size_t i = 0; i < c->count; i++) {
		if (!api_check_partition(op, c->offsets[i].partition, e)) {
			return false;
		}
	}
	/* A loop that commits what it read commits an empty list when it read nothing. */
	if (c->count > 0 &&
		!log_group_commit(api_of(op->x)->log, conn, &request, http_arena(op->x), &committed, &count, e)) {
		return false;
	}
	buf_append_str(out, STR("{\"committed\":"));
	offsets_write(out, committed, count);
	buf_append_byte(out, '}');
	return true;
}

void streaming_commit(http_exchange *x)
{
	err e;
	commit *c = api_operation_new(x, sizeof *c, run);
	if (c == NULL) {
		return;
	}
	if (!read_request(c, &e)) {
		api_fail(&c->op, &e);
		return;
	}
	c->op.topic_name = http_request_param(x, 0);
	api_run(&c->op);
}
