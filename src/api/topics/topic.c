/*
 * One topic: PUT, GET, DELETE /v0/topics/{topic}. The list is topic_list.c.
 */
#include "api/gate.h"
#include "api/operation.h"
#include "api/topic_config.h"
#include "api/topics/topics.h"
#include "api/topics/wire.h"
#include "base/jwrite.h"

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
	buf_append_str(out, STR("{\"topic\":"));
	jwrite_string(out, op->topic->name);
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
