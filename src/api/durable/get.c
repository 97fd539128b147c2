/*
 * GET and HEAD.
 */
#include "api/durable/fetch.h"
#include "api/durable/instant.h"
#include "api/durable/reply.h"
#include "api/durable/tag.h"
#include "api/entity_tag.h"
#include "api/gate.h"

typedef durable_fetch fetch;

bool durable_fetch_with_stream(fetch *f, log_conn *conn, bool (*run)(fetch *f, log_conn *conn, err *e), err *e)
{
	if (!durable_stream_find(api_of(f->op.x), conn, f->op.topic, &f->stream, e)) {
		return false;
	}
	if (run(f, conn, e)) {
		return true;
	}
	durable_stream_unref(f->stream);
	f->stream = NULL;
	return false;
}

/* ---- GET ---- */

static bool take_message(void *context, const log_record *record, durable_offset end)
{
	fetch *f = context;
	buf *out = http_reply_body(f->op.x);
	(void)end;
	if (f->stream->media == DURABLE_MEDIA_JSON && f->read.messages > 1) {
		buf_append_byte(out, ',');
	}
	durable_write_message(out, f->stream, record->value);
	return !out->failed;
}

static bool read_messages(fetch *f, log_conn *conn, err *e)
{
	api *a = api_of(f->op.x);
	buf *out = http_reply_body(f->op.x);
	bool is_json = f->stream->media == DURABLE_MEDIA_JSON;
	if (!durable_stream_enter(conn, f->stream, e)) {
		return false;
	}
	f->read = (durable_read){.topic = f->op.topic,
							 .stream = f->stream,
							 .from = f->at,
							 .max_bytes = (uint64_t)a->config->durable_chunk_bytes,
							 .take = take_message,
							 .context = f};
	if (is_json) {
		buf_append_byte(out, '[');
	}
	if (!durable_read_run(a, conn, &f->read, e)) {
		return false;
	}
	if (is_json) {
		buf_append_byte(out, ']');
	}
	return true;
}

bool durable_fetch_run(api_operation *op, log_conn *conn, err *e)
{
	return durable_fetch_with_stream((fetch *)op, conn, read_messages, e);
}

static str cache_control(const fetch *f)
{
	const config *c = api_of(f->op.x)->config;
	bool is_cacheable =
		f->from.kind != DURABLE_FROM_NOW && (f->read.messages > 0 || f->read.is_closed || !f->read.is_up_to_date);
	if (!is_cacheable) {
		return STR("no-store");
	}
	if (!str_equal(c->durable_cache_control, STR("auto"))) {
		return c->durable_cache_control;
	}
	return gate_principal(f->op.x)->is_development ? STR("public, max-age=60, stale-while-revalidate=300")
												   : STR("private, max-age=60, stale-while-revalidate=300");
}

void durable_fetch_reply(api_operation *op)
{
	fetch *f = (fetch *)op;
	http_exchange *x = op->x;
	const durable_read *r = &f->read;
	char tag[DURABLE_TAG_SIZE];
	int status = 200;
	durable_reply_offset(x, r->next);
	if (r->is_up_to_date) {
		durable_reply_true(x, STR("Stream-Up-To-Date"));
	}
	if (r->is_closed) {
		durable_reply_true(x, STR("Stream-Closed"));
	}
	if (f->from.kind != DURABLE_FROM_NOW) {
		str text = durable_tag_print(f->stream->topic_id, f->from.text, r->next, r->is_closed, tag);
		durable_reply_text(x, STR("ETag"), text);
		status = entity_tag_matches(http_request_header(x, STR("If-None-Match")), text) ? 304 : 200;
	}
	durable_reply_text(x, STR("Cache-Control"), cache_control(f));
	if (status == 200) {
		durable_reply_text(x, STR("Content-Type"), f->stream->content_type);
	}
	durable_finish(op, f->stream, status);
}

/* The query's offset; without one the start. */
static bool read_offset(http_exchange *x, durable_from *out, err *e)
{
	str text;
	*out = (durable_from){.kind = DURABLE_FROM_START, .text = STR("-1")};
	if (!http_request_query(x, STR("offset"), &text)) {
		return true;
	}
	if (http_request_query_count(x, STR("offset")) > 1) {
		return err_set(e, ERR_INVALID_REQUEST, "offset is given twice; give it once");
	}
	return durable_from_parse(text, out, e);
}

static void (*find_live(str live))(fetch *f)
{
	return str_equal(live, STR("long-poll")) ? durable_long_poll : str_equal(live, STR("sse")) ? durable_events : NULL;
}

void durable_get(http_exchange *x)
{
	err e;
	str name;
	str live;
	if (!durable_take_path(x, &name)) {
		return;
	}
	fetch *f = api_operation_new(x, sizeof *f, durable_fetch_run);
	if (f == NULL) {
		return;
	}
	f->op.topic_name = name;
	if (!read_offset(x, &f->from, &e)) {
		api_fail(&f->op, &e);
		return;
	}
	f->at = f->from;
	if (!http_request_query(x, STR("live"), &live)) {
		api_run_then(&f->op, durable_fetch_reply);
		return;
	}
	void (*read_live)(fetch * f) = find_live(live);
	if (read_live == NULL) {
		err_set(&e, ERR_INVALID_REQUEST, "live must be long-poll or sse; leave it out to read what is there");
		api_fail(&f->op, &e);
	} else if (http_request_query_count(x, STR("offset")) == 0) {
		err_set(&e, ERR_INVALID_REQUEST,
				"a live read begins somewhere: add offset, -1 for the start or now for the end");
		api_fail(&f->op, &e);
	} else {
		read_live(f);
	}
}

void durable_fetch_fail(fetch *f, const err *e)
{
	durable_stream_unref(f->stream);
	f->stream = NULL;
	api_fail(&f->op, e);
}

/* ---- HEAD ---- */

static bool look(fetch *f, log_conn *conn, err *e)
{
	return durable_state_get(conn, f->stream->topic_id, &f->state, e) && durable_state_check(&f->state, e);
}

static bool run_head(api_operation *op, log_conn *conn, err *e)
{
	return durable_fetch_with_stream((fetch *)op, conn, look, e);
}

static void reply_head(api_operation *op)
{
	fetch *f = (fetch *)op;
	const durable_stream *s = f->stream;
	http_exchange *x = op->x;
	durable_reply_text(x, STR("Content-Type"), s->content_type);
	durable_reply_offset(x, f->state.tail);
	if (f->state.is_closed) {
		durable_reply_true(x, STR("Stream-Closed"));
	}
	if (s->has_ttl) {
		durable_reply_number(x, STR("Stream-TTL"), s->ttl_s);
	}
	if (s->has_expiry) {
		buf instant;
		buf_init(&instant, 64);
		durable_instant_print(&instant, s->expires_ms);
		durable_reply_text(x, STR("Stream-Expires-At"), buf_str(&instant));
		buf_dispose(&instant);
	}
	durable_finish(op, s, 200);
}

void durable_head(http_exchange *x)
{
	str name;
	if (!durable_take_path(x, &name)) {
		return;
	}
	fetch *f = api_operation_new(x, sizeof *f, run_head);
	if (f != NULL) {
		f->op.topic_name = name;
		api_run_then(&f->op, reply_head);
	}
}
