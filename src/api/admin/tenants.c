/*
 * Tenants: POST, GET /v1/tidegate/tenants and GET, PATCH, DELETE /v1/tidegate/tenants/{tenant}.
 */
#include "api/admin/admin.h"
#include "api/operation.h"
#include "api/topics/wire.h"
#include "auth/show.h"
#include "base/jwrite.h"

typedef struct tenant_call {
	api_operation op;
	auth_actor by;
	str name;
	bool has_auto_create;
	auth_choice auto_create;
	bool has_limits;
	limit_set limits;
	wire_page page;
} tenant_call;

static bool write_tenant(tenant_call *t, log_conn *conn, err *e)
{
	auth_tenant tenant;
	buf *out = http_reply_body(t->op.x);
	if (!auth_tenant_read(conn, t->name, http_arena(t->op.x), &tenant, e)) {
		return false;
	}
	buf_append_byte(out, '{');
	auth_show_tenant(out, &tenant);
	buf_append_byte(out, '}');
	return true;
}

/* ---- bodies ---- */

static void read_auto_create(body *b, tenant_call *t)
{
	bool is_on = false;
	t->has_auto_create = true;
	t->auto_create = AUTH_CHOICE_SERVER;
	if (!body_null(b)) {
		body_bool(b, "auto_create", &is_on);
		t->auto_create = is_on ? AUTH_CHOICE_ON : AUTH_CHOICE_OFF;
	}
}

/* {"requests_per_s":100,"topics":null}; null: the server's. */
static void read_limits(body *b, tenant_call *t)
{
	str key;
	t->has_limits = true;
	if (!body_object(b, "limits")) {
		return;
	}
	while (body_next(b, &key)) {
		limit_kind kind;
		limit_scope scope;
		if (!limit_find(key, &kind, &scope)) {
			admin_refuse_member(b, key);
		} else if (body_null(b)) {
			t->limits.most[scope][kind] = LIMIT_SERVER;
		} else {
			body_integer(b, limit_name(kind, scope), 0, LIMIT_MOST_MAX, &t->limits.most[scope][kind]);
		}
	}
}

/* A new tenant has a name, and no limits yet. */
static bool read_body(tenant_call *t, bool is_new, err *e)
{
	body b;
	str key;
	t->limits = limit_set_none();
	if (!body_begin(&b, t->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (is_new && str_equal(key, STR("name"))) {
			body_text(&b, "name", &t->name);
		} else if (str_equal(key, STR("auto_create"))) {
			read_auto_create(&b, t);
		} else if (!is_new && str_equal(key, STR("limits"))) {
			read_limits(&b, t);
		} else {
			admin_refuse_member(&b, key);
		}
	}
	return body_end(&b);
}

/* ---- the acts ---- */

static bool run_create(api_operation *op, log_conn *conn, err *e)
{
	tenant_call *t = (tenant_call *)op;
	op->status = 201;
	return auth_tenant_create(conn, &t->by, t->name, t->auto_create, e) && write_tenant(t, conn, e);
}

static bool run_get(api_operation *op, log_conn *conn, err *e)
{
	tenant_call *t = (tenant_call *)op;
	return auth_actor_check_tenant(&t->by, t->name, e) && write_tenant(t, conn, e);
}

static bool run_alter(api_operation *op, log_conn *conn, err *e)
{
	tenant_call *t = (tenant_call *)op;
	const auth_tenant_change change = {
		.has_auto_create = t->has_auto_create, .auto_create = t->auto_create, .limits = t->limits};
	return auth_tenant_alter(conn, &t->by, t->name, &change, e) && write_tenant(t, conn, e);
}

static bool run_delete(api_operation *op, log_conn *conn, err *e)
{
	tenant_call *t = (tenant_call *)op;
	buf *out = http_reply_body(op->x);
	if (!auth_tenant_delete(conn, &t->by, t->name, e)) {
		return false;
	}
	buf_append_str(out, STR("{\"name\":"));
	jwrite_string(out, t->name);
	buf_append_str(out, STR(",\"deleted\":true}"));
	return true;
}

static bool run_list(api_operation *op, log_conn *conn, err *e)
{
	tenant_call *t = (tenant_call *)op;
	auth_tenant *tenants = NULL;
	size_t count = 0;
	buf *out = http_reply_body(op->x);
	if (!auth_actor_check_operator(&t->by, e) ||
		!auth_tenant_page(conn, t->page.after, t->page.size + 1, http_arena(op->x), &tenants, &count, e)) {
		return false;
	}
	bool has_more = count > t->page.size;
	count = has_more ? t->page.size : count;
	buf_append_str(out, STR("{\"tenants\":["));
	for (size_t i = 0; i < count; i++) {
		buf_append_str(out, i > 0 ? STR(",{") : STR("{"));
		auth_show_tenant(out, &tenants[i]);
		buf_append_byte(out, '}');
	}
	buf_append_byte(out, ']');
	if (has_more) {
		wire_write_cursor(out, tenants[count - 1].name);
	}
	buf_append_byte(out, '}');
	return true;
}

/* ---- the routes ---- */

static tenant_call *call_new(http_exchange *x, api_run_fn *run)
{
	tenant_call *t = api_operation_new(x, sizeof *t, run);
	if (t != NULL) {
		t->by = admin_actor(x);
	}
	return t;
}

static void finish(tenant_call *t, bool ok, const err *e)
{
	if (ok) {
		api_run(&t->op);
	} else {
		api_fail(&t->op, e);
	}
}

/* Of the tenant that the path names. */
static tenant_call *call_named(http_exchange *x, api_run_fn *run)
{
	tenant_call *t = call_new(x, run);
	if (t != NULL) {
		t->name = http_request_param(x, 0);
	}
	return t;
}

void admin_create_tenant(http_exchange *x)
{
	err e;
	tenant_call *t = call_new(x, run_create);
	if (t == NULL) {
		return;
	}
	bool ok = read_body(t, true, &e);
	if (ok && t->name.ptr == NULL) {
		ok = err_set(&e, ERR_INVALID_REQUEST, "name is required: {\"name\":\"acme\"}");
	}
	finish(t, ok, &e);
}

void admin_list_tenants(http_exchange *x)
{
	err e;
	tenant_call *t = call_new(x, run_list);
	if (t != NULL) {
		finish(t, wire_read_page(x, &t->page, &e), &e);
	}
}

void admin_get_tenant(http_exchange *x)
{
	tenant_call *t = call_named(x, run_get);
	if (t != NULL) {
		api_run(&t->op);
	}
}

void admin_alter_tenant(http_exchange *x)
{
	err e;
	tenant_call *t = call_named(x, run_alter);
	if (t == NULL) {
		return;
	}
	bool ok = read_body(t, false, &e);
	if (ok && !t->has_auto_create && !t->has_limits) {
		ok = err_set(&e, ERR_INVALID_REQUEST, "say what to change: auto_create, true, false or null; or limits");
	}
	finish(t, ok, &e);
}

void admin_delete_tenant(http_exchange *x)
{
	tenant_call *t = call_named(x, run_delete);
	if (t != NULL) {
		api_run(&t->op);
	}
}
