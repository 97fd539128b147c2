#include "api/topics/ws_command.h"

#include "api/api.h"

/* ---- which command ---- */

static ws_op op_of(str name)
{
	static const struct {
		const char *name;
		ws_op op;
	} ops[] = {
		{"subscribe", WS_SUBSCRIBE}, {"unsubscribe", WS_UNSUBSCRIBE}, {"publish", WS_PUBLISH}, {"ping", WS_PING}};
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		if (str_equal(name, str_from_c(ops[i].name))) {
			return ops[i].op;
		}
	}
	return WS_NONE;
}

static bool read_op(str text, arena *a, ws_command *c, err *e)
{
	body b;
	str key;
	str name = STR_NONE;
	if (!body_begin_text(&b, text, a, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("op"))) {
			body_text(&b, "op", &name);
		} else if (str_equal(key, STR("request_id"))) {
			str raw = STR("null");
			c->request_id = jscan_raw(&b.scan, &raw) ? raw : c->request_id;
		} else {
			body_skip(&b);
		}
	}
	if (!body_end(&b)) {
		return false;
	}
	c->op = op_of(name);
	return c->op != WS_NONE ||
		   err_set(e, ERR_INVALID_REQUEST, "op must be \"subscribe\", \"unsubscribe\", \"publish\" or \"ping\"");
}

/* ---- what it says ---- */

static void read_names(body *b, watch_starts *s)
{
	for (body_array(b, "topics"); body_next_element(b);) {
		watch_start start = {.name = STR_NONE};
		body_text(b, "topics", &start.name);
		watch_starts_add(b, s, start);
	}
}

static void read_topics(body *b, ws_command *c)
{
	if (body_null(b)) {
		return;
	}
	if (c->op == WS_SUBSCRIBE) {
		watch_starts_read(b, &c->starts);
	} else {
		read_names(b, &c->starts);
	}
}

static void read_topic(body *b, watch_start *single)
{
	if (!body_null(b)) {
		body_text(b, "topic", &single->name);
	}
}

static bool read_selection(str text, arena *a, const ws_limits *limits, ws_command *c, err *e)
{
	body b;
	str key;
	watch_start single = {.name = STR_NONE};
	if (!body_begin_text(&b, text, a, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("topic"))) {
			read_topic(&b, &single);
		} else if (str_equal(key, STR("topics"))) {
			read_topics(&b, c);
		} else if (c->op == WS_SUBSCRIBE && str_equal(key, STR("lenient"))) {
			body_bool(&b, "lenient", &c->is_lenient);
		} else if (c->op != WS_SUBSCRIBE || (!watch_start_read(&b, key, &single) &&
											 !watch_options_read(&b, key, limits->node_bytes, &c->options))) {
			body_skip(&b);
		}
	}
	if (single.name.ptr != NULL) {
		watch_starts_add(&b, &c->starts, single);
	}
	return body_end(&b);
}

static bool read_publish(str text, arena *a, ws_command *c, err *e)
{
	body b;
	str key;
	bool has_records = false;
	if (!body_begin_text(&b, text, a, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("topic"))) {
			body_text(&b, "topic", &c->topic);
		} else if (str_equal(key, STR("return_seqs"))) {
			body_bool(&b, "return_seqs", &c->return_seqs);
		} else if (str_equal(key, STR("records"))) {
			has_records = true;
			if (jscan_peek(&b.scan) != JSCAN_ARRAY) {
				body_refuse(&b, "records", "an array");
			}
			body_skip(&b);
		} else {
			body_skip(&b);
		}
	}
	if (!body_end(&b)) {
		return false;
	}
	return has_records || err_set(e, ERR_INVALID_REQUEST, "records is missing: an array of at least one record");
}

bool ws_command_read(str text, arena *a, const ws_limits *limits, ws_command *out, bool *is_broken, err *e)
{
	out->op = WS_NONE;
	out->request_id = STR("null");
	out->starts = (watch_starts){.most = limits->topics};
	out->options = watch_options_default();
	out->options.limit = WATCH_LIMIT_MAX;
	out->options.max_bytes = WATCH_BYTES_FOR_0;
	out->is_lenient = false;
	out->topic = STR_NONE;
	out->return_seqs = true;
	*is_broken = true;
	if (!read_op(text, a, out, e)) {
		return false;
	}
	switch (out->op) {
	case WS_SUBSCRIBE:
	case WS_UNSUBSCRIBE:
		if (!read_selection(text, a, limits, out, e)) {
			/* Too many topics are no broken message. */
			*is_broken = out->starts.count < limits->topics;
			return false;
		}
		*is_broken = false;
		return out->starts.count > 0 || err_set(e, ERR_INVALID_REQUEST, "topic or topics must name a topic");
	case WS_PUBLISH:
		if (!read_publish(text, a, out, e)) {
			return false;
		}
		*is_broken = false;
		return out->topic.len > 0 || err_set(e, ERR_INVALID_REQUEST, "topic must name a topic");
	case WS_PING:
	case WS_NONE:
		break;
	}
	*is_broken = false;
	return true;
}
