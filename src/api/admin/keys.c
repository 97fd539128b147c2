/*
 * One key: POST /v1/tidegate/keys, GET, DELETE /v1/tidegate/keys/{key}, POST /v1/tidegate/keys/{key}/rotate. The list is
 * lists.c.
 */
#include "api/admin/admin.h"
#include "api/operation.h"
#include "auth/show.h"
#include "base/jwrite.h"

enum { OVERLAP_DEFAULT_MS = 86400000 };

typedef struct key_call {
	api_operation op;
	auth_actor by;
	str tenant; /* ptr NULL: the actor's own */
	str which;
	auth_key_spec spec;
	str prefixes[AUTH_PREFIXES_MAX];
	int64_t overlap_ms;
} key_call;

/* ---- answers ---- */

static void write_key(buf *out, const auth_key_info *info)
{
	buf_append_byte(out, '{');
	auth_show_key(out, info);
	buf_append_byte(out, '}');
}

/* The one time that the secret is seen. It stays open. */
static void open_new_key(buf *out, auth_key *key, const auth_key_info *info)
{
	buf_append_str(out, STR("{\"key\":"));
	jwrite_string(out, str_from_c(key->text));
	auth_key_wipe(key);
	buf_append_byte(out, ',');
	auth_show_key(out, info);
}

static bool run_create(api_operation *op, log_conn *conn, err *e)
{
	key_call *k = (key_call *)op;
	auth_key key;
	auth_key_info info;
	if (!auth_tenant_reach(conn, &k->by, k->tenant, &k->spec.tenant_id, e) ||
		!auth_key_create(conn, &k->by, &k->spec, http_arena(op->x), &key, &info, e)) {
		return false;
	}
	open_new_key(http_reply_body(op->x), &key, &info);
	buf_append_byte(http_reply_body(op->x), '}');
	op->status = 201;
	return true;
}

static bool run_get(api_operation *op, log_conn *conn, err *e)
{
	const key_call *k = (key_call *)op;
	auth_key_info info;
	if (!auth_key_find(conn, &k->by, k->which, http_arena(op->x), &info, e)) {
		return false;
	}
	write_key(http_reply_body(op->x), &info);
	return true;
}

static bool run_revoke(api_operation *op, log_conn *conn, err *e)
{
	const key_call *k = (key_call *)op;
	auth_key_info info;
	if (!auth_key_revoke(conn, &k->by, k->which, http_arena(op->x), &info, e)) {
		return false;
	}
	write_key(http_reply_body(op->x), &info);
	return true;
}

static bool run_rotate(api_operation *op, log_conn *conn, err *e)
{
	const key_call *k = (key_call *)op;
	auth_key key;
	auth_key_info info;
	auth_key_info old;
	buf *out = http_reply_body(op->x);
	if (!auth_key_rotate(conn, &k->by, k->which, k->overlap_ms, http_arena(op->x), &key, &info, &old, e)) {
		return false;
	}
	open_new_key(out, &key, &info);
	buf_append_str(out, STR(",\"replaces\":"));
	write_key(out, &old);
	buf_append_byte(out, '}');
	op->status = 201;
	return true;
}

/* ---- bodies ---- */

static void read_scopes(body *b, uint32_t *out)
{
	*out = 0;
	if (!body_array(b, "scopes")) {
		return;
	}
	while (body_next_element(b)) {
		str word = STR_NONE;
		str problem;
		uint32_t scopes = 0;
		body_text(b, "scopes", &word);
		if (!b->failed && !auth_scopes_parse(word, &scopes, &problem)) {
			body_refuse(b, "scopes", "an array of read, write, delete, admin, or all");
		}
		*out |= scopes;
	}
}

static void read_prefixes(body *b, key_call *k)
{
	k->spec.prefix_count = 0;
	if (!body_array(b, "prefixes")) {
		return;
	}
	while (body_next_element(b)) {
		if (k->spec.prefix_count == AUTH_PREFIXES_MAX) {
			body_refuse(b, "prefixes", "an array of at most 64 strings");
		} else {
			body_text(b, "prefixes", &k->prefixes[k->spec.prefix_count++]);
		}
	}
}

static void read_member(body *b, str key, key_call *k)
{
	if (str_equal(key, STR("tenant"))) {
		body_text(b, "tenant", &k->tenant);
	} else if (str_equal(key, STR("name"))) {
		body_text(b, "name", &k->spec.name);
	} else if (str_equal(key, STR("scopes"))) {
		read_scopes(b, &k->spec.scopes);
	} else if (str_equal(key, STR("prefixes"))) {
		read_prefixes(b, k);
	} else if (str_equal(key, STR("expires_in_ms"))) {
		if (!body_null(b)) {
			body_integer(b, "expires_in_ms", 1, AUTH_LIFETIME_MAX_MS, &k->spec.lifetime_ms);
		}
	} else {
		admin_refuse_member(b, key);
	}
}

static bool read_create(key_call *k, err *e)
{
	body b;
	str key;
	_Static_assert((int)AUTH_PREFIXES_MAX == 64, "read_prefixes says so");
	k->spec.prefixes = k->prefixes;
	if (!body_begin(&b, k->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		read_member(&b, key, k);
	}
	return body_end(&b);
}

/* The body may be left out. */
static bool read_rotate(key_call *k, err *e)
{
	body b;
	str key;
	k->overlap_ms = OVERLAP_DEFAULT_MS;
	if (http_request_body(k->op.x).len == 0) {
		return true;
	}
	if (!body_begin(&b, k->op.x, e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("overlap_ms"))) {
			body_integer(&b, "overlap_ms", 0, AUTH_LIFETIME_MAX_MS, &k->overlap_ms);
		} else {
			admin_refuse_member(&b, key);
		}
	}
	return body_end(&b);
}

/* ---- the routes ---- */

static key_call *call_new(http_exchange *x, api_run_fn *run)
{
	key_call *k = api_operation_new(x, sizeof *k, run);
	if (k != NULL) {
		k->by = admin_actor(x);
	}
	return k;
}

/* Of the key that the path names. */
static key_call *call_named(http_exchange *x, api_run_fn *run)
{
	key_call *k = call_new(x, run);
	if (k != NULL) {
		k->which = http_request_param(x, 0);
	}
	return k;
}

static void finish(key_call *k, bool ok, const err *e)
{
	if (ok) {
		api_run(&k->op);
	} else {
		api_fail(&k->op, e);
	}
}

void admin_create_key(http_exchange *x)
{
	err e;
	key_call *k = call_new(x, run_create);
	if (k != NULL) {
		finish(k, read_create(k, &e), &e);
	}
}

void admin_get_key(http_exchange *x)
{
	key_call *k = call_named(x, run_get);
	if (k != NULL) {
		api_run(&k->op);
	}
}

void admin_revoke_key(http_exchange *x)
{
	key_call *k = call_named(x, run_revoke);
	if (k != NULL) {
		api_run(&k->op);
	}
}

void admin_rotate_key(http_exchange *x)
{
	err e;
	key_call *k = call_named(x, run_rotate);
	if (k != NULL) {
		finish(k, read_rotate(k, &e), &e);
	}
}
