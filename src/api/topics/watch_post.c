/*
 * POST /v0/watch: a session that watches many topics. Its event stream is watch_stream.c.
 */
#include "api/gate.h"
#include "api/operation.h"
#include "api/topics/topics.h"
#include "api/topics/watch_session.h"
#include "api/topics/watch_topic.h"
#include "api/topics/wire.h"
#include "base/jwrite.h"

enum { HEARTBEAT_DEFAULT_MS = 15000, HEARTBEAT_LEAST_MS = 1000, HEARTBEAT_MOST_MS = 60000 };

typedef struct watch_post {
	api_operation op;
	bool is_lenient;
	watch_starts starts;
	watch_session session;
} watch_post;

/* ---- the request ---- */

static void read_heartbeat(body *b, watch_session *s)
{
	int64_t ms = s->heartbeat_ms;
	body_unsigned(b, "heartbeat_ms", &ms);
	s->heartbeat_ms = (int32_t)(ms < HEARTBEAT_LEAST_MS  ? HEARTBEAT_LEAST_MS
								: ms > HEARTBEAT_MOST_MS ? HEARTBEAT_MOST_MS
														 : ms);
}

/* Only what is committed is ever pushed: that satisfies both. */
static void read_consistency(body *b)
{
	str text = STR("eventual");
	body_text(b, "consistency", &text);
	if (!b->failed && !str_equal(text, STR("eventual")) && !str_equal(text, STR("strong"))) {
		body_refuse(b, "consistency", "\"eventual\" or \"strong\"");
	}
}

static bool read_post(watch_post *p, err *e)
{
	body b;
	str key;
	watch_session *s = &p->session;
	s->options = watch_options_default();
	s->heartbeat_ms = HEARTBEAT_DEFAULT_MS;
	uint64_t node_bytes_max = (uint64_t)api_of(p->op.x)->config->topics_max_node_bytes;
	p->starts.most = (size_t)api_of(p->op.x)->config->topics_max_watch_topics;
	p->is_lenient = wire_query_switch(p->op.x, "lenient", false);
	if (!wire_begin(&b, p->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("topics"))) {
			watch_starts_read(&b, &p->starts);
		} else if (str_equal(key, STR("heartbeat_ms"))) {
			read_heartbeat(&b, s);
		} else if (str_equal(key, STR("consistency"))) {
			read_consistency(&b);
		} else if (!watch_options_read(&b, key, node_bytes_max, &s->options)) {
			body_skip(&b);
		}
	}
	if (!body_end(&b)) {
		return false;
	}
	return p->starts.count > 0 ||
		   err_set(e, ERR_INVALID_REQUEST, "topics must be an object with at least one topic to watch");
}

static bool check_names(const watch_post *p, err *e)
{
	for (size_t i = 0; i < p->starts.count; i++) {
		if (!gate_check_name(p->op.x, p->starts.list[i].name, e)) {
			return false;
		}
	}
	return true;
}

/* ---- the session ---- */

/* ,"orders":{"from_seq":0,"head_seq":12,"earliest_seq":1} */
static void write_topic(buf *out, const watch_session_topic *t, const watch_topic *found)
{
	jwrite_string(out, t->name);
	buf_append_str(out, STR(":{\"from_seq\":"));
	buf_append_i64(out, t->seq);
	buf_append_str(out, STR(",\"head_seq\":"));
	buf_append_i64(out, found->head_seq);
	buf_append_str(out, STR(",\"earliest_seq\":"));
	buf_append_i64(out, found->earliest_seq);
	buf_append_byte(out, '}');
}

/* Adds what was found to the session and tells it. */
static bool add_topics(watch_post *p, const watch_topic *found, buf *out, err *e)
{
	watch_session *s = &p->session;
	for (size_t i = 0; i < p->starts.count; i++) {
		const watch_start *start = &p->starts.list[i];
		if (found[i].topic == NULL && !p->is_lenient) {
			return api_set_topic_not_found(e, start->name);
		}
		if (found[i].topic == NULL) {
			continue;
		}
		watch_session_topic *t = &s->topics[s->topic_count];
		*t = (watch_session_topic){.name = start->name,
								   .topic_id = found[i].topic->topic_id,
								   .seq = start->from_tail ? found[i].head_seq : start->seq};
		if (s->topic_count++ > 0) {
			buf_append_byte(out, ',');
		}
		write_topic(out, t, &found[i]);
	}
	return true;
}

static bool find_topics(watch_post *p, log_conn *conn, buf *out, err *e)
{
	size_t count = p->starts.count;
	watch_session *s = &p->session;
	arena *memory = http_arena(p->op.x);
	watch_topic *found = arena_alloc_zero(memory, count * sizeof *found);
	s->topics = arena_alloc_array(memory, count, sizeof *s->topics);
	s->topic_count = 0;
	if (found == NULL || s->topics == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (size_t i = 0; i < count; i++) {
		found[i].name = p->starts.list[i].name;
	}
	if (!watch_topics_find(api_of(p->op.x), conn, s->tenant_id, found, count, memory, e)) {
		return false;
	}
	bool ok = add_topics(p, found, out, e);
	watch_topics_drop(found, count);
	return ok;
}

static void write_head(buf *out, const watch_id *id, int64_t ttl_ms)
{
	buf_append_str(out, STR("{\"wid\":\""));
	watch_id_write(out, id);
	buf_append_str(out, STR("\",\"stream_url\":\"/v0/watch/"));
	watch_id_write(out, id);
	buf_append_str(out, STR("\",\"session_ttl_ms\":"));
	buf_append_i64(out, ttl_ms);
	buf_append_str(out, STR(",\"topics\":{"));
}

static bool run_post(api_operation *op, log_conn *conn, err *e)
{
	watch_post *p = (watch_post *)op;
	watch_session *s = &p->session;
	const config *c = api_of(op->x)->config;
	buf *out = http_reply_body(op->x);
	watch_id id;
	watch_id_make(&id);
	write_head(out, &id, c->topics_watch_session_ttl_ms);
	if (!find_topics(p, conn, out, e) || !watch_session_forget(conn, c->topics_watch_session_ttl_ms, e) ||
		!watch_session_create(conn, &id, s, c->topics_max_watch_sessions, c->topics_watch_session_ttl_ms, e)) {
		return false;
	}
	buf_append_str(out, STR("},"));
	wire_write_performance(out, op->x);
	buf_append_byte(out, '}');
	return true;
}

void topics_post_watch(http_exchange *x)
{
	err e;
	watch_post *p = api_operation_new(x, sizeof *p, run_post);
	if (p == NULL) {
		return;
	}
	p->session.tenant_id = gate_principal(x)->tenant_id;
	p->session.key_id = gate_principal(x)->key_id;
	if (read_post(p, &e) && check_names(p, &e)) {
		api_run(&p->op);
	} else {
		api_fail(&p->op, &e);
	}
}
