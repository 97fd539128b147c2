/*
 * One router: PUT, GET, DELETE /v0/routers/{router}. The list is router_list.c.
 */
#include "api/gate.h"
#include "api/operation.h"
#include "api/topics/filter.h"
#include "api/topics/topics.h"
#include "api/topics/wire.h"
#include "base/jwrite.h"
#include "base/text.h"
#include "log/route.h"

enum { ROUTER_NAME_MAX = 255 };

/* As a topic's name, and '>' besides: the usual name is source->dest. */
static bool is_router_name(str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		bool is_mark = c == '.' || c == '_' || c == ':' || c == '-' || c == '>';
		if (!is_alphanumeric && (i == 0 || !is_mark)) {
			return false;
		}
	}
	return name.len > 0 && name.len <= ROUTER_NAME_MAX;
}

static const char *guarantee_of(const log_router *router)
{
	return router->exactly_once ? "exactly_once" : "at_least_once";
}

/* What PUT and GET have in common; "router" comes before, "performance" after. */
static void write_router(buf *out, const log_router *router)
{
	buf_append_str(out, STR("\"source\":"));
	jwrite_string(out, router->source);
	buf_append_str(out, STR(",\"dest\":"));
	jwrite_string(out, router->dest);
	buf_append_str(out, STR(",\"preserve_node\":"));
	jwrite_bool(out, router->preserve_node);
	buf_append_str(out, STR(",\"preserve_tag\":"));
	jwrite_bool(out, router->preserve_tag);
	buf_append_str(out, STR(",\"filter\":"));
	if (router->has_filter) {
		filter_write(out, &router->filter);
	} else {
		buf_append_str(out, STR("null"));
	}
	buf_append_str(out, STR(",\"allow_cycle\":"));
	jwrite_bool(out, router->allow_cycle);
	buf_printf(out, ",\"guarantee\":\"%s\",", guarantee_of(router));
}

/* ---- PUT ---- */

typedef struct put {
	api_operation op;
	log_router_spec spec;
} put;

static void read_guarantee(body *b, log_router *router)
{
	str text = STR_NONE;
	body_text(b, "guarantee", &text);
	if (str_equal(text, STR("exactly_once"))) {
		router->exactly_once = true;
	} else if (str_equal(text, STR("at_least_once"))) {
		router->exactly_once = false;
	} else {
		body_refuse(b, "guarantee", "\"at_least_once\" or \"exactly_once\"");
	}
}

static void read_member(body *b, str key, put *p)
{
	log_router *router = &p->spec.router;
	if (str_equal(key, STR("source"))) {
		body_text(b, "source", &router->source);
	} else if (str_equal(key, STR("dest"))) {
		body_text(b, "dest", &router->dest);
	} else if (str_equal(key, STR("preserve_node"))) {
		body_bool(b, "preserve_node", &router->preserve_node);
	} else if (str_equal(key, STR("preserve_tag"))) {
		body_bool(b, "preserve_tag", &router->preserve_tag);
	} else if (str_equal(key, STR("create_dest"))) {
		body_bool(b, "create_dest", &p->spec.create_dest);
	} else if (str_equal(key, STR("allow_cycle"))) {
		body_bool(b, "allow_cycle", &router->allow_cycle);
	} else if (str_equal(key, STR("guarantee"))) {
		read_guarantee(b, router);
	} else if (str_equal(key, STR("filter"))) {
		router->has_filter = !body_null(b);
		if (router->has_filter) {
			filter_read(b, "filter", &router->filter);
		}
	} else {
		body_skip(b);
	}
}

static bool check_put(const put *p, err *e)
{
	const log_router *router = &p->spec.router;
	if (router->source.ptr == NULL || router->dest.ptr == NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "source and dest are required; send {\"source\":\"a\",\"dest\":\"b\"}");
	}
	if (!is_router_name(router->name)) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "a router's name begins with a letter or digit and has at most 255 of the characters "
					   "A-Z a-z 0-9 . _ : - >");
	}
	if (!api_topic_name_is_valid(router->source) || !api_topic_name_is_valid(router->dest)) {
		return api_set_topic_name_invalid(e);
	}
	if (str_equal(router->source, router->dest)) {
		return err_set(e, ERR_INVALID_REQUEST, "source and dest must be two topics");
	}
	return gate_check_name(p->op.x, router->source, e) && gate_check_name(p->op.x, router->dest, e);
}

static bool read_put(put *p, err *e)
{
	body b;
	str key;
	int64_t tenant_id = gate_principal(p->op.x)->tenant_id;
	p->spec = (log_router_spec){
		.tenant_id = tenant_id,
		.router = {.name = http_request_param(p->op.x, 0), .preserve_node = true, .preserve_tag = true},
		.create_dest = true,
		.topic = {.tenant_id = tenant_id,
				  .origin = LOG_TOPICS,
				  .partitions = 1,
				  .replication_factor = 1,
				  .config = log_topic_config_default(LOG_DISK)},
	};
	if (!wire_begin(&b, p->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		read_member(&b, key, p);
	}
	return body_end(&b) && check_put(p, e);
}

static bool run_put(api_operation *op, log_conn *conn, err *e)
{
	put *p = (put *)op;
	bool created = false;
	buf *out = http_reply_body(op->x);
	if (!log_router_put(api_of(op->x)->log, conn, &p->spec, &created, e)) {
		return false;
	}
	buf_append_str(out, STR("{\"router\":"));
	jwrite_string(out, p->spec.router.name);
	buf_append_str(out, STR(",\"created\":"));
	jwrite_bool(out, created);
	buf_append_byte(out, ',');
	write_router(out, &p->spec.router);
	wire_write_performance(out, op->x);
	buf_append_byte(out, '}');
	op->status = created ? 201 : 200;
	return true;
}

void topics_put_router(http_exchange *x)
{
	err e;
	put *p = api_operation_new(x, sizeof *p, run_put);
	if (p == NULL) {
		return;
	}
	/* The gate knows names of topics in paths, not of routers. */
	if (gate_check_name(x, http_request_param(x, 0), &e) && read_put(p, &e)) {
		api_run(&p->op);
	} else {
		api_fail(&p->op, &e);
	}
}

/* ---- GET, DELETE ---- */

static bool check_ends(const http_exchange *x, const log_router *router, err *e)
{
	return gate_check_name(x, router->source, e) && gate_check_name(x, router->dest, e);
}

static bool run_get(api_operation *op, log_conn *conn, err *e)
{
	log_router router;
	log_engine *engine = api_of(op->x)->log;
	buf *out = http_reply_body(op->x);
	int64_t tenant_id = gate_principal(op->x)->tenant_id;
	str name = http_request_param(op->x, 0);
	if (!log_router_get(engine, conn, tenant_id, name, http_arena(op->x), &router, e) ||
		!check_ends(op->x, &router, e)) {
		return false;
	}
	buf_append_str(out, STR("{\"router\":"));
	jwrite_string(out, router.name);
	buf_append_byte(out, ',');
	write_router(out, &router);
	buf_append_str(out, STR("\"forwarded_total\":"));
	buf_append_i64(out, router.forwarded_total);
	buf_append_byte(out, ',');
	wire_write_performance(out, op->x);
	buf_append_byte(out, '}');
	return true;
}

static bool run_delete(api_operation *op, log_conn *conn, err *e)
{
	log_router router;
	bool deleted = false;
	log_engine *engine = api_of(op->x)->log;
	buf *out = http_reply_body(op->x);
	int64_t tenant_id = gate_principal(op->x)->tenant_id;
	str name = http_request_param(op->x, 0);
	if (log_router_find(engine, conn, tenant_id, name, http_arena(op->x), &router, e)) {
		if (!check_ends(op->x, &router, e) || !log_router_delete(engine, conn, tenant_id, name, &deleted, e)) {
			return false;
		}
	} else if (e->code != ERR_ROUTER_NOT_FOUND) {
		return false;
	}
	buf_append_str(out, STR("{\"router\":"));
	jwrite_string(out, text_is_utf8(name) ? name : STR("?"));
	buf_append_str(out, STR(",\"deleted\":"));
	jwrite_bool(out, deleted);
	buf_append_byte(out, ',');
	wire_write_performance(out, op->x);
	buf_append_byte(out, '}');
	return true;
}

static void start(http_exchange *x, api_run_fn *run)
{
	err e;
	api_operation *op = api_operation_new(x, sizeof *op, run);
	if (op == NULL) {
		return;
	}
	if (gate_check_name(x, http_request_param(x, 0), &e)) {
		api_run(op);
	} else {
		api_fail(op, &e);
	}
}

void topics_get_router(http_exchange *x)
{
	start(x, run_get);
}

void topics_delete_router(http_exchange *x)
{
	start(x, run_delete);
}
