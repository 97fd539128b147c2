#include "auth/tenant.h"

#include "auth/audit.h"
#include "auth/lookup.h"
#include "auth/show.h"
#include "sql/auth.h"

enum { DESCRIPTION_MAX_BYTES = 64 << 10 };

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool auth_tenant_is_name(str name)
{
	bool ok = name.len > 0 && name.len <= AUTH_TENANT_NAME_MAX && is_alphanumeric(name.ptr[0]);
	for (size_t i = 0; ok && i < name.len; i++) {
		ok = is_alphanumeric(name.ptr[i]) || name.ptr[i] == '.' || name.ptr[i] == '_' || name.ptr[i] == '-';
	}
	return ok;
}

static bool check_name(str name, err *e)
{
	return auth_tenant_is_name(name) ||
		   err_set(e, ERR_INVALID_REQUEST,
				   "a tenant's name is 1 to %d letters, digits, '.', '_' and '-', and begins with a letter or digit",
				   AUTH_TENANT_NAME_MAX);
}

static void add_choice(db_params *p, auth_choice choice)
{
	if (choice == AUTH_CHOICE_SERVER) {
		db_param_null(p);
	} else {
		db_param_bool(p, choice == AUTH_CHOICE_ON);
	}
}

static bool set_no_tenant(str name, err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no tenant `%.*s`; `tidegate tenant list` shows them",
				   STR_ARG(str_take(name, AUTH_TENANT_NAME_MAX)));
}

bool auth_tenant_find(db_conn *c, str name, int64_t *tenant_id, err *e)
{
	db_params p;
	db_result *r = NULL;
	if (!auth_tenant_is_name(name)) {
		return err_set(e, ERR_NOT_FOUND, "there is no such tenant; `tidegate tenant list` shows them");
	}
	db_params_init(&p);
	db_param_str(&p, name);
	if (!db_run(c, &SQL_TENANT_FIND, &p, &r, e)) {
		return false;
	}
	bool found = db_rows(r) == 1;
	if (found) {
		*tenant_id = db_i64(r, 0, 0);
	}
	db_result_free(r);
	return found || set_no_tenant(name, e);
}

bool auth_tenant_reach(db_conn *c, const auth_actor *by, str name, int64_t *tenant_id, err *e)
{
	if (name.ptr == NULL) {
		*tenant_id = by->principal != NULL ? by->principal->tenant_id : AUTH_DEFAULT_TENANT_ID;
		return true;
	}
	return auth_actor_check_tenant(by, name, e) && auth_tenant_find(c, name, tenant_id, e);
}

static bool notify_all(db_conn *c, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_str(&p, STR(""));
	return db_do(c, &SQL_AUTH_NOTIFY, &p, NULL, e);
}

/* only.ptr NULL: any. limit 0: all. */
static bool read_tenants(db_conn *c, str only, str after, uint32_t limit, arena *a, auth_tenant **out, size_t *count,
						 err *e)
{
	db_params p;
	db_result *r = NULL;
	bool ok = false;
	db_params_init(&p);
	db_param_str(&p, only);
	db_param_str(&p, after);
	if (limit != 0) {
		db_param_i32(&p, (int32_t)limit);
	} else {
		db_param_null(&p);
	}
	if (!db_run(c, &SQL_TENANT_LIST, &p, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	auth_tenant *tenants = arena_alloc_array(a, rows + 1, sizeof *tenants);
	for (size_t i = 0; tenants != NULL && i < rows; i++) {
		int row = (int)i;
		tenants[i] = (auth_tenant){.tenant_id = db_i64(r, row, 0),
								   .created_ms = db_i64(r, row, 2),
								   .auto_create = lookup_choice(r, row, 3),
								   .topics = db_i64(r, row, 4),
								   .keys = db_i64(r, row, 5),
								   .limits = limit_set_read(db_str(r, row, 6))};
		if (!arena_copy_str(a, db_str(r, row, 1), &tenants[i].name)) {
			tenants = NULL;
		}
	}
	if (tenants == NULL) {
		err_set(e, ERR_NO_MEMORY, "the list of tenants does not fit into memory");
		goto out;
	}
	*out = tenants;
	*count = rows;
	ok = true;
out:
	db_result_free(r);
	return ok;
}

bool auth_tenant_list(db_conn *c, arena *a, auth_tenant **out, size_t *count, err *e)
{
	return read_tenants(c, STR_NONE, STR(""), 0, a, out, count, e);
}

bool auth_tenant_page(db_conn *c, str after, uint32_t limit, arena *a, auth_tenant **out, size_t *count, err *e)
{
	return read_tenants(c, STR_NONE, after, limit, a, out, count, e);
}

bool auth_tenant_read(db_conn *c, str name, arena *a, auth_tenant *out, err *e)
{
	auth_tenant *found = NULL;
	size_t count = 0;
	if (!auth_tenant_is_name(name)) {
		return err_set(e, ERR_NOT_FOUND, "there is no such tenant; `tidegate tenant list` shows them");
	}
	if (!read_tenants(c, name, STR(""), 0, a, &found, &count, e)) {
		return false;
	}
	if (count == 0) {
		return set_no_tenant(name, e);
	}
	*out = found[0];
	return true;
}

/* ---- changing: inside a transaction ---- */

static bool write_audit(db_conn *c, const auth_actor *by, const char *act, const auth_tenant *tenant, err *e)
{
	buf detail;
	buf_init(&detail, AUTH_AUDIT_DETAIL_MAX);
	buf_append_byte(&detail, '{');
	auth_show_tenant(&detail, tenant);
	buf_append_byte(&detail, '}');
	const auth_audit row = {.actor = by->name,
							.tenant = tenant->name,
							.act = str_from_c(act),
							.object = tenant->name,
							.detail = buf_str(&detail)};
	bool ok =
		detail.failed ? err_set(e, ERR_NO_MEMORY, "out of memory") : auth_audit_write(c, tenant->tenant_id, &row, e);
	buf_dispose(&detail);
	return ok;
}

/* A tenant as it is now, into the audit. */
static bool audit_tenant(db_conn *c, const auth_actor *by, const char *act, str name, err *e)
{
	auth_tenant tenant;
	arena *a = arena_new(DESCRIPTION_MAX_BYTES);
	bool ok = a != NULL ? auth_tenant_read(c, name, a, &tenant, e) && write_audit(c, by, act, &tenant, e)
						: err_set(e, ERR_NO_MEMORY, "out of memory");
	arena_free(a);
	return ok;
}

static bool insert_tenant(db_conn *c, str name, auth_choice auto_create, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_str(&p, name);
	add_choice(&p, auto_create);
	if (!db_run(c, &SQL_TENANT_INSERT, &p, &r, e)) {
		return false;
	}
	bool is_new = db_rows(r) == 1;
	db_result_free(r);
	return is_new || err_set(e, ERR_TENANT_EXISTS, "there is a tenant `%.*s` already", STR_ARG(name));
}

bool auth_tenant_create(db_conn *c, const auth_actor *by, str name, auth_choice auto_create, err *e)
{
	bool ok = auth_actor_check_operator(by, e) && check_name(name, e) && db_conn_ensure(c, e) && db_begin(c, e) &&
			  insert_tenant(c, name, auto_create, e) && audit_tenant(c, by, "tenant.create", name, e) &&
			  db_commit(c, e);
	if (!ok) {
		db_rollback(c);
	}
	return ok;
}

/* LIMIT_UNSET: nothing is to be done. */
static bool write_limit(db_conn *c, int64_t tenant_id, const char *name, int64_t most, err *e)
{
	db_params p;
	if (most == LIMIT_UNSET) {
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, str_from_c(name));
	if (most == LIMIT_SERVER) {
		return db_do(c, &SQL_TENANT_LIMIT_DROP, &p, NULL, e);
	}
	db_param_i64(&p, most);
	return db_do(c, &SQL_TENANT_LIMIT_PUT, &p, NULL, e);
}

static bool write_change(db_conn *c, int64_t tenant_id, const auth_tenant_change *change, err *e)
{
	db_params p;
	bool ok = true;
	if (change->has_auto_create) {
		db_params_init(&p);
		db_param_i64(&p, tenant_id);
		add_choice(&p, change->auto_create);
		ok = db_do(c, &SQL_TENANT_SET_AUTO_CREATE, &p, NULL, e);
	}
	for (int scope = 0; ok && scope < LIMIT_SCOPES; scope++) {
		for (int kind = 0; ok && kind < LIMIT_KINDS; kind++) {
			ok = write_limit(c, tenant_id, limit_name((limit_kind)kind, (limit_scope)scope),
							 change->limits.most[scope][kind], e);
		}
	}
	return ok;
}

bool auth_tenant_alter(db_conn *c, const auth_actor *by, str name, const auth_tenant_change *change, err *e)
{
	int64_t tenant_id = 0;
	bool ok = auth_actor_check_operator(by, e) && db_conn_ensure(c, e) && db_begin(c, e) &&
			  auth_tenant_find(c, name, &tenant_id, e) && write_change(c, tenant_id, change, e) && notify_all(c, e) &&
			  audit_tenant(c, by, "tenant.set", name, e) && db_commit(c, e);
	if (!ok) {
		db_rollback(c);
	}
	return ok;
}

static bool delete_tenant(db_conn *c, str name, int64_t tenant_id, err *e)
{
	db_params p;
	int64_t deleted = 0;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	if (!db_do(c, &SQL_TENANT_LOCK, &p, NULL, e) || !db_do(c, &SQL_TENANT_DELETE_KEYS, &p, NULL, e) ||
		!db_do(c, &SQL_TENANT_DELETE_SUBSCRIPTIONS, &p, NULL, e) || !db_do(c, &SQL_TENANT_DELETE, &p, &deleted, e)) {
		return false;
	}
	return deleted == 1 ||
		   err_set(e, ERR_TENANT_IN_USE, "the tenant `%.*s` has topics: delete those first; nothing was changed",
				   STR_ARG(name));
}

bool auth_tenant_delete(db_conn *c, const auth_actor *by, str name, err *e)
{
	int64_t tenant_id = 0;
	if (!auth_actor_check_operator(by, e) || !db_conn_ensure(c, e) || !db_begin(c, e)) {
		return false;
	}
	bool ok = auth_tenant_find(c, name, &tenant_id, e);
	if (ok && tenant_id == AUTH_DEFAULT_TENANT_ID) {
		ok = err_set(e, ERR_TENANT_IN_USE, "the tenant `%.*s` cannot be deleted: it serves while no key is asked for",
					 STR_ARG(name));
	}
	ok = ok && audit_tenant(c, by, "tenant.delete", name, e) && delete_tenant(c, name, tenant_id, e) &&
		 notify_all(c, e) && db_commit(c, e);
	if (!ok) {
		db_rollback(c);
	}
	return ok;
}
