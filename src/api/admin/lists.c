/*
 * Pages of keys and of the audit: GET /v1/tidegate/keys, GET /v1/tidegate/audit. ?tenant= chooses one; the operator sees all
 * without it, everybody else their own.
 */
#include "api/admin/admin.h"
#include "api/operation.h"
#include "api/topics/wire.h"
#include "auth/audit.h"
#include "auth/show.h"
#include "base/jwrite.h"

#include <inttypes.h>

enum { CURSOR_MAX_BYTES = 64 };

typedef struct list_call {
	api_operation op;
	auth_actor by;
	str tenant; /* ptr NULL: none was named */
	wire_page page;
	auth_key_place place; /* of a list of keys */
	int64_t before_id;    /* of the audit; 0: from the newest */
} list_call;

/* 0: every tenant. */
static bool find_tenant(const list_call *l, log_conn *conn, int64_t *tenant_id, err *e)
{
	*tenant_id = 0;
	return (l->tenant.ptr == NULL && auth_actor_is_operator(&l->by)) ||
		   auth_tenant_reach(conn, &l->by, l->tenant, tenant_id, e);
}

static bool set_cursor_broken(err *e)
{
	return err_set(e, ERR_INVALID_REQUEST, "cursor must be the next_cursor of an earlier answer, or be left out");
}

/* ---- keys ---- */

/* "<created_ms> <key id>" */
static bool read_key_place(list_call *l, err *e)
{
	str digits;
	if (l->page.after.len == 0) {
		return true;
	}
	return (str_split(l->page.after, ' ', &digits, &l->place.key_id) &&
			str_parse_i64(digits, 0, INT64_MAX, &l->place.created_ms) && l->place.key_id.len > 0) ||
		   set_cursor_broken(e);
}

static void write_key_cursor(buf *out, const auth_key_info *last)
{
	char text[CURSOR_MAX_BYTES];
	snprintf(text, sizeof text, "%" PRId64 " %.*s", last->created_ms, STR_ARG(last->key_id));
	wire_write_cursor(out, str_from_c(text));
}

static bool run_keys(api_operation *op, log_conn *conn, err *e)
{
	list_call *l = (list_call *)op;
	int64_t tenant_id = 0;
	auth_key_info *keys = NULL;
	size_t count = 0;
	bool is_first = true;
	buf *out = http_reply_body(op->x);
	if (!find_tenant(l, conn, &tenant_id, e) ||
		!auth_key_page(conn, tenant_id, &l->place, l->page.size + 1, http_arena(op->x), &keys, &count, e)) {
		return false;
	}
	bool has_more = count > l->page.size;
	count = has_more ? l->page.size : count;
	buf_append_str(out, STR("{\"keys\":["));
	for (size_t i = 0; i < count; i++) {
		if (auth_actor_covers(&l->by, keys[i].prefixes, keys[i].prefix_count)) {
			buf_append_str(out, is_first ? STR("{") : STR(",{"));
			auth_show_key(out, &keys[i]);
			buf_append_byte(out, '}');
			is_first = false;
		}
	}
	buf_append_byte(out, ']');
	if (has_more) {
		write_key_cursor(out, &keys[count - 1]);
	}
	buf_append_byte(out, '}');
	return true;
}

/* ---- the audit ---- */

static void write_act(buf *out, const auth_audit *row)
{
	buf_printf(out, "{\"id\":%" PRId64 ",\"at_ms\":%" PRId64 ",\"actor\":", row->audit_id, row->at_ms);
	jwrite_string(out, row->actor);
	buf_append_str(out, STR(",\"tenant\":"));
	jwrite_string(out, row->tenant);
	buf_append_str(out, STR(",\"act\":"));
	jwrite_string(out, row->act);
	buf_append_str(out, STR(",\"object\":"));
	jwrite_string(out, row->object);
	buf_append_str(out, STR(",\"detail\":"));
	buf_append_str(out, row->detail);
	buf_append_byte(out, '}');
}

/* The operator also asks for tenants that are no more. Others are held to their tenant's id as well: an earlier tenant of
 * the same name is somebody else. */
static bool run_audit(api_operation *op, log_conn *conn, err *e)
{
	list_call *l = (list_call *)op;
	auth_audit *rows = NULL;
	size_t count = 0;
	char last[CURSOR_MAX_BYTES];
	buf *out = http_reply_body(op->x);
	bool is_operator = auth_actor_is_operator(&l->by);
	if (!auth_audit_page(conn, is_operator ? 0 : l->by.principal->tenant_id, l->tenant, l->before_id, l->page.size + 1,
						 http_arena(op->x), &rows, &count, e)) {
		return false;
	}
	bool has_more = count > l->page.size;
	count = has_more ? l->page.size : count;
	buf_append_str(out, STR("{\"acts\":["));
	for (size_t i = 0; i < count; i++) {
		buf_append_str(out, i > 0 ? STR(",") : STR(""));
		write_act(out, &rows[i]);
	}
	buf_append_byte(out, ']');
	if (has_more) {
		snprintf(last, sizeof last, "%" PRId64, rows[count - 1].audit_id);
		wire_write_cursor(out, str_from_c(last));
	}
	buf_append_byte(out, '}');
	return true;
}

static bool check_audit(list_call *l, err *e)
{
	if (l->page.after.len > 0 && !str_parse_i64(l->page.after, 1, INT64_MAX, &l->before_id)) {
		return set_cursor_broken(e);
	}
	if (l->tenant.ptr != NULL && !auth_tenant_is_name(l->tenant)) {
		return err_set(e, ERR_INVALID_REQUEST, "tenant must be a tenant's name, or be left out");
	}
	if (auth_actor_is_operator(&l->by)) {
		return true;
	}
	if (!auth_actor_covers(&l->by, NULL, 0)) {
		return err_set(e, ERR_FORBIDDEN, "the audit is of the whole tenant: use an admin key that has no prefixes");
	}
	if (l->tenant.ptr == NULL) {
		l->tenant = l->by.principal->tenant;
	}
	return auth_actor_check_tenant(&l->by, l->tenant, e);
}

/* ---- the routes ---- */

static void start(http_exchange *x, api_run_fn *run, bool (*check)(list_call *l, err *e))
{
	err e;
	list_call *l = api_operation_new(x, sizeof *l, run);
	if (l == NULL) {
		return;
	}
	l->by = admin_actor(x);
	if (!http_request_query(x, STR("tenant"), &l->tenant)) {
		l->tenant = STR_NONE;
	}
	if (wire_read_page(x, &l->page, &e) && check(l, &e)) {
		api_run(&l->op);
	} else {
		api_fail(&l->op, &e);
	}
}

void admin_list_keys(http_exchange *x)
{
	start(x, run_keys, read_key_place);
}

void admin_list_audit(http_exchange *x)
{
	start(x, run_audit, check_audit);
}
