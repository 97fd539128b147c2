/*
 * PUT /v1/stream/__ds/subscriptions/{id}: create, or confirm what is there.
 */
#include "api/durable/reply.h"
#include "api/durable/subscription/config.h"
#include "api/durable/subscription/subscriptions.h"
#include "api/gate.h"
#include "sql/subscription.h"
#include "sql/subscription_link.h"

enum { BASE_URL_MAX = 1024 };

typedef struct create {
	api_operation op;
	int64_t tenant_id;
	str name;
	str base_url;
	subscription_config config;
} create;

/* ---- what is asked for ---- */

static bool take_base_url(create *c, err *e)
{
	buf url;
	buf_init(&url, BASE_URL_MAX);
	if (!durable_base_url(c->op.x, &url)) {
		buf_dispose(&url);
		return err_set(e, ERR_INVALID_REQUEST, "send a Host header: callbacks come back to where you are now");
	}
	bool ok = arena_copy_str(http_arena(c->op.x), buf_str(&url), &c->base_url);
	buf_dispose(&url);
	return ok || err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
}

static bool check_names(const create *c, err *e)
{
	const http_exchange *x = c->op.x;
	const subscription_config *wanted = &c->config;
	if ((wanted->pattern.text.ptr != NULL && !subscription_check_pattern(x, wanted->pattern.head, e)) ||
		(wanted->wake_stream.ptr != NULL && !gate_check_name(x, wanted->wake_stream, e))) {
		return false;
	}
	for (size_t i = 0; i < wanted->streams.count; i++) {
		if (!gate_check_name(x, wanted->streams.list[i], e)) {
			return false;
		}
	}
	return true;
}

static bool read_request(create *c, err *e)
{
	http_exchange *x = c->op.x;
	return subscription_take_name(x, &c->name, e) && take_base_url(c, e) &&
		   subscription_config_read(http_request_body(x), http_arena(x), api_of(x)->config->webhook_allow_localhost,
									&c->config, e) &&
		   check_names(c, e);
}

/* ---- making it ---- */

static bool confirm(const create *c, const subscription *s, err *e)
{
	return str_equal(s->config_hash, (str){(const char *)c->config.hash, sizeof c->config.hash}) ||
		   err_set(
			   e, ERR_SUBSCRIPTION_ALREADY_EXISTS,
			   "there is a subscription of this id with another configuration; delete it first, or take another id");
}

static bool check_count(const create *c, log_conn *conn, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, c->tenant_id);
	if (!db_run(conn, &SQL_SUBSCRIPTION_COUNT, &p, &r, e)) {
		return false;
	}
	int64_t count = db_i64(r, 0, 0);
	db_result_free(r);
	return count < SUBSCRIPTIONS_PER_TENANT_MAX ||
		   err_set(e, ERR_THROTTLED, "this tenant has %d subscriptions, as many as it may have; delete some",
				   SUBSCRIPTIONS_PER_TENANT_MAX);
}

/* *id stays 0 when somebody else was faster. */
static bool insert_row(const create *c, log_conn *conn, int64_t *id, err *e)
{
	const subscription_config *wanted = &c->config;
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, c->tenant_id);
	db_param_str(&p, c->name);
	db_param_bool(&p, wanted->is_webhook);
	db_param_str(&p, wanted->pattern.text);
	db_param_str(&p, wanted->pattern.text.ptr != NULL ? wanted->pattern.head : STR_NONE);
	db_param_str(&p, wanted->pattern.regex);
	db_param_str(&p, wanted->webhook_url);
	db_param_str(&p, wanted->wake_stream);
	db_param_i64(&p, wanted->lease_ttl_ms);
	db_param_str(&p, wanted->description);
	db_param_str(&p, (str){(const char *)wanted->hash, sizeof wanted->hash});
	db_param_str(&p, c->base_url);
	if (!db_run(conn, &SQL_SUBSCRIPTION_INSERT, &p, &r, e)) {
		return false;
	}
	*id = db_rows(r) == 1 ? db_i64(r, 0, 0) : 0;
	db_result_free(r);
	return true;
}

static bool link_streams(const create *c, log_conn *conn, int64_t id, err *e)
{
	str paths;
	db_params p;
	if (c->config.pattern.text.ptr != NULL && !subscription_do(conn, &SQL_SUBSCRIPTION_LINK_MATCHING, id, NULL, e)) {
		return false;
	}
	if (c->config.streams.count == 0) {
		return true;
	}
	if (!subscription_paths_param(c->config.streams.list, c->config.streams.count, http_arena(c->op.x), &paths, e)) {
		return false;
	}
	db_params_init(&p);
	db_param_i64(&p, id);
	db_param_str(&p, paths);
	return db_do(conn, &SQL_SUBSCRIPTION_LINK_EXPLICIT, &p, NULL, e);
}

static bool make(const create *c, log_conn *conn, bool *made, err *e)
{
	db_params p;
	int64_t id = 0;
	db_params_init(&p);
	db_param_i64(&p, c->tenant_id);
	if (!db_begin(conn, e) || !db_do(conn, &SQL_SUBSCRIPTION_LOCK_LINKS, &p, NULL, e) || !check_count(c, conn, e) ||
		!insert_row(c, conn, &id, e) || (id != 0 && !link_streams(c, conn, id, e)) || !db_commit(conn, e)) {
		db_rollback(conn);
		return err_frame(e, "create subscription");
	}
	*made = id != 0;
	return true;
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	create *c = (create *)op;
	clerk *background = api_of(op->x)->clerk;
	subscription s;
	bool made = false;
	if (!auth_signing_ready(clerk_signing(background), conn, e)) {
		return false;
	}
	if (!subscription_find(conn, c->tenant_id, c->name, http_arena(op->x), &s, e)) {
		if (e->code != ERR_SUBSCRIPTION_NOT_FOUND || !make(c, conn, &made, e) ||
			!subscription_find(conn, c->tenant_id, c->name, http_arena(op->x), &s, e)) {
			return false;
		}
	}
	if (!confirm(c, &s, e)) {
		return false;
	}
	if (made) {
		op->status = 201;
		clerk_note_tenant(background, c->tenant_id);
	}
	return subscription_reply_object(op, conn, &s, e);
}

void subscription_put(http_exchange *x)
{
	err e;
	create *c = api_operation_new(x, sizeof *c, run);
	if (c == NULL) {
		return;
	}
	c->tenant_id = gate_principal(x)->tenant_id;
	if (read_request(c, &e)) {
		api_run(&c->op);
	} else {
		api_fail(&c->op, &e);
	}
}
