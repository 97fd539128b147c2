/*
 * POST /v0/topics/{topic}/diff: the records behind a cursor, with what was lost before them; with wait_ms a long poll.
 */
#include "api/operation.h"
#include "api/pump.h"
#include "api/topics/node_filter.h"
#include "api/topics/record.h"
#include "api/topics/state_text.h"
#include "api/topics/topics.h"
#include "api/topics/touch.h"
#include "api/topics/wire.h"
#include "base/clock.h"
#include "log/read.h"

#include <string.h>

enum {
	LIMIT_DEFAULT = 256,
	WAIT_MS_MAX = 30000,
	BUDGET_DEFAULT = 1 << 20,
	BUDGET_MAX = 8 << 20,
	EXAMINED_MAX = 50000 /* of records that a filter drops, in one answer */
};

typedef struct diff {
	api_operation op;
	int64_t from_seq;
	int64_t limit;
	node_filter nodes;
	record_view view;
	int64_t budget;
	int64_t wait_ms;
	/* the long poll */
	int64_t deadline_ms; /* on clock_now_ms() */
	pump *pump;
	bool is_watching;
	/* the last look */
	bool is_idle; /* nothing to tell */
	int64_t next_seq;
	int64_t head_seq;
	int64_t scanned;
	int64_t delivered;
	uint64_t delivered_bytes;
	bool has_gap;
	log_gap gap;
	bool is_recreated; /* the cursor lies behind the head: it belongs to an earlier topic of this name */
} diff;

/* ---- the request ---- */

static void read_member(body *b, str key, diff *d)
{
	const config *c = api_of(d->op.x)->config;
	if (str_equal(key, STR("from_seq"))) {
		wire_read_u64(b, "from_seq", INT64_MAX, &d->from_seq);
	} else if (str_equal(key, STR("limit"))) {
		wire_read_u32(b, "limit", c->topics_max_limit, &d->limit);
	} else if (str_equal(key, STR("node"))) {
		node_filter_read(b, (uint64_t)c->topics_max_node_bytes, &d->nodes);
	} else if (str_equal(key, STR("include_tags"))) {
		body_bool(b, "include_tags", &d->view.has_tag);
	} else if (str_equal(key, STR("include_meta"))) {
		body_bool(b, "include_meta", &d->view.has_meta);
	} else if (str_equal(key, STR("wait_ms"))) {
		wire_read_u32(b, "wait_ms", WAIT_MS_MAX, &d->wait_ms);
	} else if (str_equal(key, STR("max_batch_bytes"))) {
		wire_read_u64(b, "max_batch_bytes", BUDGET_MAX, &d->budget);
	} else {
		body_skip(b);
	}
}

static bool read_body(diff *d, err *e)
{
	body b;
	str key;
	if (wire_is_empty(d->op.x)) {
		return true;
	}
	if (!wire_begin(&b, d->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		read_member(&b, key, d);
	}
	return body_end(&b);
}

static bool read_request(diff *d, err *e)
{
	d->view = (record_view){.has_node = true, .has_data = true, .has_meta = true};
	if (!read_body(d, e)) {
		return false;
	}
	int64_t most = api_of(d->op.x)->config->topics_max_limit;
	d->limit = d->limit > 0 ? d->limit : LIMIT_DEFAULT;
	d->limit = d->limit < most ? d->limit : most;
	d->budget = d->budget > 0 ? d->budget : BUDGET_DEFAULT;
	return true;
}

/* ---- one look ---- */

static bool fits(const diff *d, const log_record *r)
{
	return d->delivered == 0 || d->delivered_bytes + record_payload_bytes(r) <= (uint64_t)d->budget;
}

/* Delivers what passes. *is_full: no further page is wanted. */
static void take_page(diff *d, log_page *page, bool *is_full)
{
	bool filters = log_page_dedupes_node(page);
	log_record r;
	buf *out = http_reply_body(d->op.x);
	while (d->delivered < d->limit && log_page_next(page, &r)) {
		if (filters && node_filter_drops(&d->nodes, &r)) {
			d->scanned++;
			d->next_seq = r.offset + 1;
			continue;
		}
		if (!fits(d, &r)) {
			/* Deleted ones before it were examined, it was not. */
			d->next_seq = r.offset;
			*is_full = true;
			return;
		}
		if (d->delivered > 0) {
			buf_append_byte(out, ',');
		}
		record_write(out, &r, d->view);
		d->scanned++;
		d->delivered++;
		d->delivered_bytes += record_payload_bytes(&r);
		d->next_seq = r.offset + 1;
	}
	*is_full = d->delivered == d->limit;
	if (!*is_full) {
		d->next_seq = log_page_position(page);
	}
}

static bool open_page(diff *d, log_conn *conn, int64_t from, bool from_kept, log_page **page, err *e)
{
	/* The first record is delivered whatever its size; a later page may hold one too large for the rest of the budget. */
	log_read_request request = {
		.topic = d->op.topic,
		.partition = 0,
		.from = from,
		.max_records = (uint32_t)(d->nodes.count > 0 ? 1000 : d->limit - d->delivered),
		.max_bytes = (uint64_t)d->budget - (d->delivered_bytes < (uint64_t)d->budget ? d->delivered_bytes : 0),
		.from_kept = from_kept,
	};
	return log_read(api_of(d->op.x)->log, conn, &request, page, e);
}

/* The page that the cursor leads to, which also says what is lost before it. */
static bool open_first(diff *d, log_conn *conn, log_page **page, err *e)
{
	if (!open_page(d, conn, d->from_seq, false, page, e)) {
		return false;
	}
	d->head_seq = log_page_end_offset(*page);
	d->is_recreated = d->from_seq > d->head_seq;
	d->has_gap = !d->is_recreated && log_page_gap(*page, &d->gap);
	if (!d->is_recreated) {
		return true;
	}
	log_page_free(*page);
	*page = NULL;
	if (!open_page(d, conn, 0, true, page, e)) {
		return false;
	}
	d->head_seq = log_page_end_offset(*page);
	return true;
}

static bool read_records(diff *d, log_conn *conn, err *e)
{
	log_page *page = NULL;
	log_gap lost_since;
	bool is_full = false;
	d->delivered = 0;
	d->delivered_bytes = 0;
	d->scanned = 0;
	if (!open_first(d, conn, &page, e)) {
		return false;
	}
	for (;;) {
		take_page(d, page, &is_full);
		int64_t end = log_page_end_offset(page);
		log_page_free(page);
		page = NULL;
		d->head_seq = end > d->head_seq ? end : d->head_seq;
		if (is_full || d->next_seq >= end || d->scanned >= EXAMINED_MAX) {
			return true;
		}
		if (!open_page(d, conn, d->next_seq, false, &page, e)) {
			return false;
		}
		if (log_page_gap(page, &lost_since)) {
			/* An answer has one tombstone, before its records: the next one tells of this. */
			log_page_free(page);
			return true;
		}
	}
}

static void write_tombstone(buf *out, const diff *d, int64_t start_offset)
{
	if (!d->has_gap && !d->is_recreated) {
		buf_append_str(out, STR("null"));
		return;
	}
	int64_t from = d->is_recreated ? 1 : d->gap.from + 1;
	int64_t to = d->is_recreated ? d->head_seq : d->gap.to;
	buf_append_str(out, STR("{\"gap_from\":"));
	buf_append_i64(out, from);
	buf_append_str(out, STR(",\"gap_to\":"));
	buf_append_i64(out, to);
	buf_append_str(out, STR(",\"reason\":\""));
	buf_append_str(out, str_from_c(d->is_recreated ? "recreated" : state_gap_reason(&d->gap)));
	buf_append_str(out, STR("\",\"missed_estimate\":"));
	buf_append_i64(out, to - from + 1);
	buf_append_str(out, STR(",\"earliest_seq\":"));
	buf_append_i64(out, d->is_recreated ? start_offset + 1 : to + 1);
	buf_append_str(out, STR(",\"head_seq\":"));
	buf_append_i64(out, d->head_seq);
	buf_append_byte(out, '}');
}

static void write_end(diff *d, int64_t start_offset)
{
	buf *out = http_reply_body(d->op.x);
	bool caught_up = d->next_seq == d->head_seq;
	buf_append_str(out, STR("],\"next_from_seq\":"));
	buf_append_i64(out, d->next_seq);
	buf_append_byte(out, ',');
	state_write_seqs(out, d->head_seq, start_offset);
	buf_append_str(out,
				   caught_up ? STR(",\"caught_up\":true,\"tombstone\":") : STR(",\"caught_up\":false,\"tombstone\":"));
	write_tombstone(out, d, start_offset);
	buf_append_str(out, STR(",\"lag\":"));
	buf_append_i64(out, d->head_seq - d->next_seq);
	buf_append_byte(out, ',');
	wire_open_performance(out, d->op.x);
	buf_append_str(out, STR(",\"records_scanned\":"));
	buf_append_i64(out, d->scanned);
	buf_append_str(out, STR("}}"));
	d->is_idle = d->delivered == 0 && caught_up && !d->has_gap && !d->is_recreated;
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	diff *d = (diff *)op;
	log_state state;
	buf *out = http_reply_body(op->x);
	buf_append_byte(out, '{');
	state_write_name(out, op->topic->name);
	buf_append_str(out, STR(",\"records\":["));
	if (!touch_topic(api_of(op->x)->touched, conn, op->topic->topic_id, e) || !read_records(d, conn, e) ||
		!log_state_read_one(api_of(op->x)->log, conn, op->topic, http_arena(op->x), &state, e)) {
		return false;
	}
	/* Read a moment after the records: it must not run ahead of the head that is told. */
	write_end(d, state.start_offset < d->head_seq ? state.start_offset : d->head_seq);
	return true;
}

/* ---- the long poll ---- */

static pump_next answer(diff *d)
{
	pump_unref(d->pump);
	api_reply(&d->op);
	return PUMP_DONE;
}

static pump_next refuse(diff *d, const err *e)
{
	pump_unref(d->pump);
	api_fail(&d->op, e);
	return PUMP_DONE;
}

static pump_next look_and_wait(void *context, log_conn *conn)
{
	diff *d = context;
	err e;
	if (http_peer_is_gone(d->op.x)) {
		buf_clear(http_reply_body(d->op.x));
		return answer(d);
	}
	for (;;) {
		bool is_last = clock_now_ms() >= d->deadline_ms || atomic_load(&api_of(d->op.x)->is_stopping);
		if (!api_attempt(&d->op, conn, &e)) {
			return refuse(d, &e);
		}
		if (!d->is_idle || is_last) {
			return answer(d);
		}
		if (d->is_watching) {
			pump_kick_at(d->pump, d->deadline_ms);
			return PUMP_WAIT;
		}
		/* Register first, then look once more: what came in between is seen by one of the two. */
		if (!pump_watch(d->pump, d->op.topic->topic_id, 0)) {
			return answer(d);
		}
		d->is_watching = true;
	}
}

static pump_next refuse_to_wait(void *context, const err *e)
{
	return refuse(context, e);
}

void topics_diff(http_exchange *x)
{
	err e;
	diff *d = api_operation_new(x, sizeof *d, run);
	if (d == NULL) {
		return;
	}
	if (!read_request(d, &e)) {
		api_fail(&d->op, &e);
		return;
	}
	d->op.topic_name = http_request_param(x, 0);
	if (d->wait_ms == 0) {
		api_run(&d->op);
		return;
	}
	d->deadline_ms = clock_now_ms() + d->wait_ms;
	d->pump = pump_new(api_of(x), (pump_body){look_and_wait, refuse_to_wait, d}, &e);
	if (d->pump == NULL) {
		api_fail(&d->op, &e);
		return;
	}
	pump_kick(d->pump);
}
