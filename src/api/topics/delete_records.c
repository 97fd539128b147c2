/*
 * POST /v0/topics/{topic}/delete: records that are there now, by seq, by tag, or by both.
 */
#include "api/operation.h"
#include "api/topics/filter.h"
#include "api/topics/state_text.h"
#include "api/topics/topics.h"
#include "api/topics/wire.h"
#include "log/erase.h"

typedef struct delete_call {
	api_operation op;
	bool has_before;
	bool has_match;
	int64_t before_seq;
	log_tag_match match;
} delete_call;

static bool read_delete(delete_call *d, err *e)
{
	body b;
	str key;
	if (!wire_begin(&b, d->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("before_seq"))) {
			d->has_before = !body_null(&b);
			if (d->has_before) {
				wire_read_u64(&b, "before_seq", INT64_MAX, &d->before_seq);
			}
		} else if (str_equal(key, STR("match"))) {
			d->has_match = !body_null(&b);
			if (d->has_match) {
				filter_read(&b, "match", &d->match);
			}
		} else {
			body_skip(&b);
		}
	}
	if (!body_end(&b)) {
		return false;
	}
	return d->has_before || d->has_match ||
		   err_set(e, ERR_INVALID_REQUEST, "send before_seq, match, or both: they say which records to delete");
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	delete_call *d = (delete_call *)op;
	buf *out = http_reply_body(op->x);
	int64_t erased = 0;
	log_state state;
	/* Seq s is offset s - 1: below seq n means below offset n - 1. */
	log_erase_request request = {
		.topic = op->topic,
		.partition = 0,
		.below = !d->has_before      ? INT64_MAX
				 : d->before_seq > 0 ? d->before_seq - 1
									 : 0,
		.match = d->has_match ? &d->match : NULL,
	};
	if (!log_erase(api_of(op->x)->log, conn, &request, &erased, e) ||
		!log_state_read_one(api_of(op->x)->log, conn, op->topic, http_arena(op->x), &state, e)) {
		return false;
	}
	buf_append_byte(out, '{');
	state_write_name(out, op->topic->name);
	buf_append_str(out, STR(",\"deleted\":"));
	buf_append_i64(out, erased);
	buf_append_byte(out, ',');
	state_write_seqs(out, state.end_offset, state.start_offset);
	buf_append_byte(out, ',');
	state_write_sizes(out, &state);
	buf_append_byte(out, ',');
	wire_write_performance(out, op->x);
	buf_append_byte(out, '}');
	return true;
}

void topics_delete_records(http_exchange *x)
{
	err e;
	delete_call *d = api_operation_new(x, sizeof *d, run);
	if (d == NULL) {
		return;
	}
	d->op.topic_name = http_request_param(x, 0);
	if (read_delete(d, &e)) {
		api_run(&d->op);
	} else {
		api_fail(&d->op, &e);
	}
}
