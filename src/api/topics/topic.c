/*
 * One topic: PUT, GET, DELETE /v0/topics/{topic}. The list is topic_list.c.
 */
#include "api/gate.h"
#include "api/operation.h"
#include "api/topic_config.h"
#include "api/topics/queue.h"
#include "api/topics/state_text.h"
#include "api/topics/topics.h"
#include "api/topics/touch.h"
#include "api/topics/wire.h"
#include "base/jwrite.h"
#include "base/text.h"

/* ---- PUT ---- */

typedef struct put {
	api_operation op;
	log_topic_spec spec;
} put;

static bool read_put(put *p, err *e)
{
	body b;
	p->spec = (log_topic_spec){
		.tenant_id = gate_principal(p->op.x)->tenant_id,
		.name = http_request_param(p->op.x, 0),
		.origin = LOG_TOPICS,
		.partitions = 1,
		.replication_factor = 1,
		.config = log_topic_config_default(LOG_DISK),
	};
	if (!wire_is_empty(p->op.x)) {
		if (!wire_begin(&b, p->op.x, e)) {
			return false;
		}
		topic_config_read(&b, &p->spec.config);
		if (!body_end(&b)) {
			return false;
		}
	}
	if (!api_topic_name_is_valid(p->spec.name)) {
		return api_set_topic_name_invalid(e);
	}
	return topic_config_check(&p->spec.config, p->spec.name, e);
}

static bool refuse_kind(const log_topic *t, const log_topic_config *wanted, err *e)
{
	static const char *const names[] = {[LOG_KIND_LOG] = "log", [LOG_KIND_QUEUE] = "queue"};
	buf name;
	err_set(e, ERR_TOPIC_EXISTS_INCOMPATIBLE,
			"the topic exists with the type \"%s\", which cannot be changed; send that type, or delete the topic first",
			names[t->config.kind]);
	buf_init(&name, ERR_DETAIL_MAX);
	jwrite_string(&name, t->name);
	err_detail(e, "{\"topic\":%.*s,\"existing_type\":\"%s\",\"requested_type\":\"%s\"}", STR_ARG(buf_str(&name)),
			   names[t->config.kind], names[wanted->kind]);
	buf_dispose(&name);
	return false;
}

/* Replaces the configuration of a topic that is there already. */
static bool replace_config(put *p, log_conn *conn, err *e)
{
	const log_topic *changed = NULL;
	const log_topic *t = p->op.topic;
	if (t->config.kind != p->spec.config.kind) {
		return refuse_kind(t, &p->spec.config, e);
	}
	if (log_topic_config_equal(&t->config, &p->spec.config)) {
		return true;
	}
	if (!log_topic_alter(api_of(p->op.x)->log, conn, t, &p->spec.config, 0, &changed, e)) {
		return false;
	}
	log_topic_unref(t);
	p->op.topic = changed;
	return true;
}

static bool run_put(api_operation *op, log_conn *conn, err *e)
{
	put *p = (put *)op;
	bool created = false;
	buf *out = http_reply_body(op->x);
	if (!log_topic_create(api_of(op->x)->log, conn, &p->spec, &op->topic, &created, e) ||
		(!created && !replace_config(p, conn, e))) {
		return false;
	}
	buf_append_byte(out, '{');
	state_write_name(out, op->topic->name);
	buf_append_str(out, STR(",\"created\":"));
	jwrite_bool(out, created);
	buf_append_str(out, STR(",\"config\":"));
	topic_config_write(out, &op->topic->config);
	buf_append_byte(out, ',');
	wire_write_performance(out, op->x);
	buf_append_byte(out, '}');
	op->status = created ? 201 : 200;
	return true;
}

void topics_put_topic(http_exchange *x)
{
	err e;
	put *p = api_operation_new(x, sizeof *p, run_put);
	if (p == NULL) {
		return;
	}
	if (read_put(p, &e)) {
		api_run(&p->op);
	} else {
		api_fail(&p->op, &e);
	}
}

/* ---- GET ---- */

static void write_clock(buf *out, int64_t ms)
{
	if (ms > 0) {
		buf_append_i64(out, ms);
	} else {
		buf_append_str(out, STR("null"));
	}
}

static void write_state(buf *out, const log_topic *t, const log_state *s, int64_t last_read_ms)
{
	state_write_name(out, t->name);
	buf_append_str(out, t->config.kind == LOG_KIND_QUEUE ? STR(",\"type\":\"queue\",") : STR(",\"type\":\"log\","));
	state_write_seqs(out, s->end_offset, s->start_offset);
	buf_append_str(out, STR(",\"next_seq\":"));
	buf_append_i64(out, s->end_offset + 1);
	buf_append_byte(out, ',');
	state_write_sizes(out, s);
	buf_append_str(out, STR(",\"config\":"));
	topic_config_write(out, &t->config);
	buf_append_str(out, STR(",\"effective_priority\":"));
	buf_append_i64(out, state_priority(&t->config, last_read_ms, s->now_ms));
	buf_append_str(out, STR(",\"last_write_ts\":"));
	write_clock(out, s->last_append_ms);
	buf_append_str(out, STR(",\"last_read_ts\":"));
	write_clock(out, last_read_ms);
}

static bool run_get(api_operation *op, log_conn *conn, err *e)
{
	log_state s;
	log_lease_counts counts = {0};
	const log_topic *t = op->topic;
	touch_book *touched = api_of(op->x)->touched;
	buf *out = http_reply_body(op->x);
	if ((wire_query_switch(op->x, "touch", true) && !touch_topics(touched, conn, &t->topic_id, 1, e)) ||
		!log_state_read_one(api_of(op->x)->log, conn, t, http_arena(op->x), &s, e) ||
		(t->config.kind == LOG_KIND_QUEUE &&
		 !log_lease_describe(api_of(op->x)->log, conn, t, STR_NONE, 0, &counts, e))) {
		return false;
	}
	buf_append_byte(out, '{');
	write_state(out, t, &s, touch_last_read_ms(touched, &s));
	buf_append_byte(out, ',');
	if (t->config.kind == LOG_KIND_QUEUE) {
		queue_write_state(out, &counts);
		buf_append_byte(out, ',');
	}
	wire_write_performance(out, op->x);
	buf_append_byte(out, '}');
	return true;
}

void topics_get_topic(http_exchange *x)
{
	api_operation *op = api_operation_new(x, sizeof *op, run_get);
	if (op != NULL) {
		op->topic_name = http_request_param(x, 0);
		op->is_fresh = true; /* shows what is, not what the cache remembers */
		api_run(op);
	}
}

/* ---- DELETE ---- */

static bool refuse_records(const log_topic *t, int64_t count, err *e)
{
	buf name;
	err_set(e, ERR_TOPIC_NOT_EMPTY, "the topic has live records; delete them first, or leave if_empty out");
	buf_init(&name, ERR_DETAIL_MAX - 64);
	jwrite_string(&name, t->name);
	if (!name.failed) {
		err_detail(e, "{\"topic\":%.*s,\"count\":%lld}", STR_ARG(buf_str(&name)), (long long)count);
	}
	buf_dispose(&name);
	return false;
}

/* The topic of that name as it is now; none is no error. */
static bool find_now(api_operation *op, log_conn *conn, str name, const log_topic **out, err *e)
{
	*out = NULL;
	if (!api_topic_name_can_exist(name) ||
		log_topic_find(api_of(op->x)->log, conn, gate_principal(op->x)->tenant_id, name, out, e)) {
		return true;
	}
	return e->code == ERR_TOPIC_NOT_FOUND;
}

static bool delete_found(api_operation *op, log_conn *conn, const log_topic *t, log_topic_removal *removed, err *e)
{
	bool only_empty = wire_query_switch(op->x, "if_empty", false);
	return log_topic_remove(api_of(op->x)->log, conn, t, only_empty, http_arena(op->x), removed, e) &&
		   (removed->records == 0 || refuse_records(t, removed->records, e));
}

static bool run_delete(api_operation *op, log_conn *conn, err *e)
{
	str name = http_request_param(op->x, 0);
	const log_topic *t = NULL;
	log_topic_removal removed = {0};
	buf *out = http_reply_body(op->x);
	if (!find_now(op, conn, name, &t, e)) {
		return false;
	}
	bool ok = t == NULL || delete_found(op, conn, t, &removed, e);
	log_topic_unref(t);
	if (!ok) {
		return false;
	}
	buf_append_byte(out, '{');
	state_write_name(out, text_is_utf8(name) ? name : STR("?"));
	buf_append_str(out, STR(",\"deleted\":"));
	jwrite_bool(out, removed.deleted);
	buf_append_str(out, STR(",\"routers_removed\":["));
	for (size_t i = 0; i < removed.router_count; i++) {
		buf_append_str(out, i > 0 ? STR(",") : STR(""));
		jwrite_string(out, removed.routers[i]);
	}
	buf_append_str(out, STR("],"));
	wire_write_performance(out, op->x);
	buf_append_byte(out, '}');
	return true;
}

void topics_delete_topic(http_exchange *x)
{
	api_operation *op = api_operation_new(x, sizeof *op, run_delete);
	if (op != NULL) {
		api_run(op);
	}
}
