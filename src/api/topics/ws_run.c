#include "api/topics/ws_run.h"

#include <stdlib.h>

#include "api/operation.h"
#include "api/topics/hub.h"
#include "api/topics/watch_topic.h"
#include "api/topics/write.h"
#include "api/topics/ws_command.h"
#include "base/clock.h"
#include "base/jwrite.h"
#include "base/text.h"

enum { ARENA_BYTES_MAX = 128 << 20, ANSWER_BYTES_MAX = 32 << 20 };

typedef struct run {
	ws_run_request request;
	arena *arena;
	int64_t started_us;
	ws_command command;
	topic_write write;
} run;

/* ---- answers ---- */

static frame *take_frame(buf *out)
{
	frame *f = out->failed ? NULL : frame_new(buf_str(out));
	buf_dispose(out);
	return f;
}

static void begin(buf *out, const run *r, const char *op)
{
	buf_init(out, ANSWER_BYTES_MAX);
	buf_printf(out, "{\"op\":\"%s\",\"request_id\":", op);
	jscan_compact(r->command.request_id, out);
}

void ws_write_error(buf *out, str request_id, const char *code, const char *message)
{
	str text = str_from_c(message);
	buf_append_str(out, STR("{\"op\":\"error\",\"request_id\":"));
	jscan_compact(request_id, out);
	buf_printf(out, ",\"code\":\"%s\",\"message\":", code);
	jwrite_string(out, text.len > 0 && text_is_utf8(text) ? text : STR("the command failed"));
	buf_append_byte(out, '}');
}

static frame *error_frame(const run *r, const char *code, const char *message)
{
	buf out;
	buf_init(&out, ANSWER_BYTES_MAX);
	ws_write_error(&out, r->command.request_id, code, message);
	return take_frame(&out);
}

static frame *failure(const run *r, const err *e)
{
	return error_frame(r, err_wire_code(e->code), e->message);
}

/* ---- life ---- */

static void run_free(run *r)
{
	void *memory = r->request.memory;
	arena_free(r->arena);
	free(memory);
}

static void finish(run *r, frame *answer)
{
	void (*done)(void *context, frame *answer) = r->request.done;
	void *context = r->request.context;
	run_free(r);
	done(context, answer);
}

/* ---- what the sender may ---- */

static bool check(const run *r, uint32_t scopes, err *e)
{
	const auth_principal *p = r->request.principal;
	if (auth_principal_allows(p, scopes)) {
		return true;
	}
	buf needed;
	buf_init(&needed, ERR_MESSAGE_MAX);
	auth_scopes_print(scopes, &needed);
	err_set(e, ERR_FORBIDDEN, "this command needs a key with the scopes %.*s", STR_ARG(buf_str(&needed)));
	buf_dispose(&needed);
	return false;
}

static bool check_name(const run *r, str name, err *e)
{
	return auth_principal_allows_name(r->request.principal, name) ||
		   err_set(e, ERR_FORBIDDEN, "the key may not use the topic \"%.*s\": it is restricted to other prefixes",
				   STR_ARG(str_take(name, 128)));
}

/* ---- subscribe ---- */

static void write_subscribed(buf *out, const watch_start *start, const watch_topic *found)
{
	jwrite_string(out, start->name);
	buf_append_str(out, STR(":{\"from_seq\":"));
	buf_append_i64(out, start->seq);
	buf_append_str(out, STR(",\"head_seq\":"));
	buf_append_i64(out, found->head_seq);
	buf_append_str(out, STR(",\"earliest_seq\":"));
	buf_append_i64(out, found->earliest_seq);
	buf_append_byte(out, '}');
}

/* A second subscription of a topic takes the place of the first. */
static bool add_topics(run *r, const watch_topic *found, buf *out, err *e)
{
	const watch_starts *starts = &r->command.starts;
	watch_set *set = r->request.set;
	topics_hub *hub = r->request.api->topics;
	const log_format *format = watch_format_get(hub->formats, WATCH_MESSAGES, &r->command.options);
	bool ok = format != NULL;
	bool is_first = true;
	for (size_t i = 0; i < starts->count && ok; i++) {
		watch_start *start = &starts->list[i];
		if (found[i].topic == NULL) {
			continue;
		}
		start->seq = start->from_tail ? found[i].head_seq : start->seq;
		const watch_from from = {
			.seq = start->seq, .head_seq = found[i].head_seq, .earliest_seq = found[i].earliest_seq};
		(void)watch_set_remove(set, start->name);
		ok = watch_set_add(set, found[i].topic, format, from);
		if (!is_first) {
			buf_append_byte(out, ',');
		}
		is_first = false;
		write_subscribed(out, start, &found[i]);
	}
	watch_format_unref(format);
	return ok || err_set(e, ERR_NO_MEMORY, "the server has no memory left for this subscription; try again later");
}

static bool check_room(const run *r, err *e)
{
	const watch_starts *starts = &r->command.starts;
	size_t count = watch_set_count(r->request.set);
	for (size_t i = 0; i < starts->count; i++) {
		int64_t seq;
		count += !watch_set_find_position(r->request.set, starts->list[i].name, WATCH_ANY_TOPIC, &seq);
	}
	return count <= starts->most || err_set(e, ERR_INVALID_REQUEST,
											"one connection may subscribe to %zu topics; unsubscribe from some, or use "
											"another connection",
											starts->most);
}

static bool subscribe(run *r, log_conn *conn, buf *out, err *e)
{
	const watch_starts *starts = &r->command.starts;
	watch_topic *found = arena_alloc_zero(r->arena, starts->count * sizeof *found);
	if (found == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this command; try again");
	}
	for (size_t i = 0; i < starts->count; i++) {
		found[i].name = starts->list[i].name;
	}
	if (!watch_topics_find(r->request.api, conn, r->request.principal->tenant_id, found, starts->count, r->arena, e)) {
		return false;
	}
	bool ok = true;
	for (size_t i = 0; i < starts->count && ok && !r->command.is_lenient; i++) {
		ok = found[i].topic != NULL || api_set_topic_not_found(e, found[i].name);
	}
	ok = ok && add_topics(r, found, out, e);
	watch_topics_drop(found, starts->count);
	return ok;
}

static void subscribe_job(void *context, log_conn *conn)
{
	run *r = context;
	err e;
	buf out;
	begin(&out, r, "subscribed");
	buf_append_str(&out, STR(",\"topics\":{"));
	if (subscribe(r, conn, &out, &e)) {
		buf_append_str(&out, STR("}}"));
		finish(r, take_frame(&out));
	} else {
		buf_dispose(&out);
		finish(r, failure(r, &e));
	}
}

static void refuse_job(void *context, const err *e)
{
	run *r = context;
	finish(r, failure(r, e));
}

static bool start_subscribe(run *r, frame **answer)
{
	err e;
	bool ok = check(r, AUTH_SCOPE_READ, &e) && check_room(r, &e);
	for (size_t i = 0; i < r->command.starts.count && ok; i++) {
		ok = check_name(r, r->command.starts.list[i].name, &e);
	}
	if (ok && log_engine_submit(r->request.api->log, (log_job){subscribe_job, refuse_job, r}, &e)) {
		return false;
	}
	*answer = failure(r, &e);
	return true;
}

/* ---- unsubscribe ---- */

static frame *unsubscribe(run *r)
{
	buf out;
	bool is_first = true;
	begin(&out, r, "unsubscribed");
	buf_append_str(&out, STR(",\"topics\":["));
	for (size_t i = 0; i < r->command.starts.count; i++) {
		str name = r->command.starts.list[i].name;
		(void)watch_set_remove(r->request.set, name);
		if (!is_first) {
			buf_append_byte(&out, ',');
		}
		is_first = false;
		jwrite_string(&out, name);
	}
	buf_append_str(&out, STR("]}"));
	return take_frame(&out);
}

/* ---- publish ---- */

static void written(topic_write *w)
{
	run *r = w->context;
	if (w->error.code != ERR_NONE) {
		finish(r, failure(r, &w->error));
		return;
	}
	buf out;
	begin(&out, r, "ack");
	buf_append_byte(&out, ',');
	topic_write_members(&out, w, r->command.return_seqs);
	buf_append_byte(&out, '}');
	finish(r, take_frame(&out));
}

static bool start_publish(run *r, frame **answer)
{
	err e;
	write_limits limits = topic_write_limits(r->request.api->config);
	r->write = (topic_write){.api = r->request.api,
							 .principal = r->request.principal,
							 .arena = r->arena,
							 .topic_name = r->command.topic,
							 .started_us = r->started_us,
							 .done = written,
							 .context = r};
	bool ok = check(r, AUTH_SCOPE_WRITE, &e) && check_name(r, r->command.topic, &e) &&
			  write_body_read(r->request.text, r->arena, &limits, &r->write.body, &e) &&
			  (!r->write.body.has_config || check(r, AUTH_SCOPE_ADMIN, &e));
	if (ok) {
		topic_write_start(&r->write);
		return false;
	}
	*answer = failure(r, &e);
	return true;
}

/* ---- all of them ---- */

static frame *pong(const run *r)
{
	buf out;
	begin(&out, r, "pong");
	buf_append_byte(&out, '}');
	return take_frame(&out);
}

/* As ws_run(). */
static bool start(run *r, frame **answer)
{
	const config *c = r->request.api->config;
	const ws_limits limits = {.topics = (size_t)c->topics_max_watch_topics,
							  .node_bytes = (uint64_t)c->topics_max_node_bytes};
	bool is_broken = false;
	err e;
	if (r->request.is_binary) {
		*answer = error_frame(r, "unsupported_message", "send commands as text messages");
		return true;
	}
	if (!ws_command_read(r->request.text, r->arena, &limits, &r->command, &is_broken, &e)) {
		*answer = is_broken ? error_frame(r, "invalid_json", e.message) : failure(r, &e);
		return true;
	}
	switch (r->command.op) {
	case WS_SUBSCRIBE:
		return start_subscribe(r, answer);
	case WS_UNSUBSCRIBE:
		*answer = unsubscribe(r);
		return true;
	case WS_PUBLISH:
		return start_publish(r, answer);
	case WS_PING:
		*answer = pong(r);
		return true;
	case WS_NONE:
		break;
	}
	*answer = error_frame(r, "invalid_json", "op is missing");
	return true;
}

bool ws_run(const ws_run_request *request, frame **answer)
{
	arena *a = arena_new(ARENA_BYTES_MAX);
	run *r = a != NULL ? arena_alloc_zero(a, sizeof *r) : NULL;
	*answer = NULL;
	if (r == NULL) {
		arena_free(a);
		free(request->memory);
		return true;
	}
	r->request = *request;
	r->arena = a;
	r->started_us = clock_now_us();
	r->command.request_id = STR("null");
	bool is_done = start(r, answer);
	if (is_done) {
		run_free(r);
	}
	return is_done;
}
