/*
 * Topics: create, describe, alter, delete. The list is topic_list.c.
 */
#include "api/entity_tag.h"
#include "api/gate.h"
#include "api/operation.h"
#include "api/streaming/streaming.h"
#include "api/streaming/topic_text.h"
#include "api/topic_config.h"

/* ---- POST /topics ---- */

typedef struct create {
	api_operation op;
	log_topic_spec spec;
	bool has_config;
} create;

static void read_create_member(body *b, str key, create *c)
{
	int64_t number = 0;
	if (body_null(b)) {
		return;
	}
	if (str_equal(key, STR("name"))) {
		body_text(b, "name", &c->spec.name);
	} else if (str_equal(key, STR("partitions"))) {
		body_integer(b, "partitions", 1, LOG_PARTITIONS_MAX, &number);
		c->spec.partitions = (int32_t)number;
	} else if (str_equal(key, STR("replication_factor"))) {
		body_integer(b, "replication_factor", 1, STREAMING_REPLICATION_MAX, &number);
		c->spec.replication_factor = (int32_t)number;
	} else if (str_equal(key, STR("config"))) {
		c->spec.config = log_topic_config_default(LOG_FSYNC);
		c->has_config = true;
		if (body_object(b, "config")) {
			topic_config_read(b, &c->spec.config);
		}
	} else {
		body_skip(b);
	}
}

static bool read_create(create *c, err *e)
{
	body b;
	str key;
	c->spec = (log_topic_spec){
		.origin = LOG_STREAMING,
		.partitions = 1,
		.replication_factor = 1,
		.config = log_topic_config_default(LOG_FSYNC),
	};
	if (!body_begin(&b, c->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		read_create_member(&b, key, c);
	}
	if (!body_end(&b)) {
		return false;
	}
	if (c->spec.name.ptr == NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "name is missing; send {\"name\":\"…\",\"partitions\":1}");
	}
	if (!api_topic_name_is_valid(c->spec.name)) {
		return api_set_topic_name_invalid(e);
	}
	if (c->spec.config.kind == LOG_KIND_QUEUE && c->spec.partitions > 1) {
		return err_set(e, ERR_INVALID_REQUEST, "a topic of type \"queue\" has one partition");
	}
	return topic_config_check(&c->spec.config, c->spec.name, e);
}

static bool has_same_shape(const create *c, const log_topic *t)
{
	return t->partitions == c->spec.partitions && t->replication_factor == c->spec.replication_factor &&
		   (!c->has_config || log_topic_config_equal(&t->config, &c->spec.config));
}

static bool run_create(api_operation *op, log_conn *conn, err *e)
{
	create *c = (create *)op;
	bool created = false;
	if (!log_topic_create(api_of(op->x)->log, conn, &c->spec, &op->topic, &created, e)) {
		return false;
	}
	const log_topic *t = op->topic;
	if (!created && !has_same_shape(c, t)) {
		err_set(e, ERR_TOPIC_EXISTS_INCOMPATIBLE,
				"the topic exists with another shape; use it as it is, or change it with PATCH /topics/%.*s",
				STR_ARG(t->name));
		err_detail(e,
				   "{\"topic\":\"%.*s\",\"existing\":{\"partitions\":%d,\"replication_factor\":%d},"
				   "\"requested\":{\"partitions\":%d,\"replication_factor\":%d}}",
				   STR_ARG(t->name), t->partitions, t->replication_factor, c->spec.partitions,
				   c->spec.replication_factor);
		return false;
	}
	buf *out = http_reply_body(op->x);
	buf_append_byte(out, '{');
	topic_text_write_shape(out, t);
	buf_append_byte(out, '}');
	op->status = created ? 201 : 200;
	return true;
}

void streaming_create_topic(http_exchange *x)
{
	err e;
	create *c = api_operation_new(x, sizeof *c, run_create);
	if (c == NULL) {
		return;
	}
	if (!read_create(c, &e) || !gate_check_name(x, c->spec.name, &e)) {
		api_fail(&c->op, &e);
		return;
	}
	c->spec.tenant_id = gate_principal(x)->tenant_id;
	api_run(&c->op);
}

/* ---- GET /topics/{topic} ---- */

static bool run_get(api_operation *op, log_conn *conn, err *e)
{
	buf *out = http_reply_body(op->x);
	log_partition_info *partitions = NULL;
	size_t count = 0;
	if (!log_topic_partitions(api_of(op->x)->log, conn, op->topic, http_arena(op->x), &partitions, &count, e)) {
		return false;
	}
	buf_append_byte(out, '{');
	topic_text_write_details(out, op->topic);
	topic_text_write_partitions(out, partitions, count);
	buf_append_byte(out, '}');
	op->status = entity_tag_reply(op->x) ? 304 : 200;
	return true;
}

void streaming_get_topic(http_exchange *x)
{
	api_operation *op = api_operation_new(x, sizeof *op, run_get);
	if (op != NULL) {
		op->topic_name = http_request_param(x, 0);
		op->is_fresh = true; /* shows what is, not what the cache remembers */
		api_run(op);
	}
}

/* ---- PATCH /topics/{topic} ---- */

typedef struct change {
	int64_t partitions; /* 0 = as they are */
	log_topic_config config;
} change;

/* change->config holds what is not mentioned. */
static bool read_change(http_exchange *x, change *c, err *e)
{
	body b;
	str key;
	if (!body_begin(&b, x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (body_null(&b)) {
			continue;
		}
		if (str_equal(key, STR("partitions"))) {
			body_integer(&b, "partitions", 1, LOG_PARTITIONS_MAX, &c->partitions);
		} else if (str_equal(key, STR("config"))) {
			if (body_object(&b, "config")) {
				topic_config_read(&b, &c->config);
			}
		} else {
			body_skip(&b);
		}
	}
	return body_end(&b);
}

static bool run_alter(api_operation *op, log_conn *conn, err *e)
{
	const log_topic *changed = NULL;
	buf *out = http_reply_body(op->x);
	change c = {.config = op->topic->config};
	if (!read_change(op->x, &c, e) || !topic_config_check(&c.config, op->topic->name, e) ||
		!log_topic_alter(api_of(op->x)->log, conn, op->topic, &c.config, (int32_t)c.partitions, &changed, e)) {
		return false;
	}
	buf_append_byte(out, '{');
	topic_text_write_details(out, changed);
	buf_append_byte(out, '}');
	log_topic_unref(changed);
	return true;
}

void streaming_alter_topic(http_exchange *x)
{
	err e;
	change c = {.config = log_topic_config_default(LOG_FSYNC)};
	api_operation *op = api_operation_new(x, sizeof *op, run_alter);
	if (op == NULL) {
		return;
	}
	/* A body that is wrong for any topic is refused before the topic is looked for. */
	if (!read_change(x, &c, &e)) {
		api_fail(op, &e);
		return;
	}
	op->topic_name = http_request_param(x, 0);
	op->is_fresh = true; /* what is not mentioned stays as it is, not as the cache remembers it */
	api_run(op);
}

/* ---- DELETE /topics/{topic} ---- */

static bool run_delete(api_operation *op, log_conn *conn, err *e)
{
	bool deleted = false;
	buf *out = http_reply_body(op->x);
	const log_topic *t = op->topic;
	if (!log_topic_delete(api_of(op->x)->log, conn, t->tenant_id, t->name, &deleted, e)) {
		return false;
	}
	if (!deleted) {
		return api_set_topic_not_found(e, op->topic_name);
	}
	buf_append_byte(out, '{');
	topic_text_write_name(out, t);
	buf_append_str(out, STR(",\"deleted\":true}"));
	return true;
}

void streaming_delete_topic(http_exchange *x)
{
	api_operation *op = api_operation_new(x, sizeof *op, run_delete);
	if (op != NULL) {
		op->topic_name = http_request_param(x, 0);
		op->is_fresh = true;
		api_run(op);
	}
}
