#include "auth/tenant.h"

#include "auth/lookup.h"
#include "sql/auth.h"

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool check_name(str name, err *e)
{
	bool ok = name.len > 0 && name.len <= AUTH_TENANT_NAME_MAX && is_alphanumeric(name.ptr[0]);
	for (size_t i = 0; ok && i < name.len; i++) {
		ok = is_alphanumeric(name.ptr[i]) || name.ptr[i] == '.' || name.ptr[i] == '_' || name.ptr[i] == '-';
	}
	return ok ||
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

bool auth_tenant_create(db_conn *c, str name, auth_choice auto_create, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_str(&p, name);
	add_choice(&p, auto_create);
	if (!check_name(name, e) || !db_run(c, &SQL_TENANT_INSERT, &p, &r, e)) {
		return false;
	}
	bool is_new = db_rows(r) == 1;
	db_result_free(r);
	return is_new || err_set(e, ERR_INVALID_REQUEST, "there is a tenant `%.*s` already", STR_ARG(name));
}

bool auth_tenant_find(db_conn *c, str name, int64_t *tenant_id, err *e)
{
	db_params p;
	db_result *r = NULL;
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
	return found || err_set(e, ERR_NOT_FOUND, "there is no tenant `%.*s`; `tidegate tenant list` shows them",
							STR_ARG(str_take(name, AUTH_TENANT_NAME_MAX)));
}

static bool notify_all(db_conn *c, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_str(&p, STR(""));
	return db_do(c, &SQL_AUTH_NOTIFY, &p, NULL, e);
}

bool auth_tenant_set_auto_create(db_conn *c, str name, auth_choice auto_create, err *e)
{
	db_params p;
	int64_t tenant_id = 0;
	bool ok = db_conn_ensure(c, e) && db_begin(c, e) && auth_tenant_find(c, name, &tenant_id, e);
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	add_choice(&p, auto_create);
	ok = ok && db_do(c, &SQL_TENANT_SET_AUTO_CREATE, &p, NULL, e) && notify_all(c, e) && db_commit(c, e);
	if (!ok) {
		db_rollback(c);
	}
	return ok;
}

/* Inside a transaction. LIMIT_UNSET: nothing is to be done. */
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

bool auth_tenant_set_limits(db_conn *c, str name, const limit_set *change, err *e)
{
	int64_t tenant_id = 0;
	bool ok = db_conn_ensure(c, e) && db_begin(c, e) && auth_tenant_find(c, name, &tenant_id, e);
	for (int scope = 0; ok && scope < LIMIT_SCOPES; scope++) {
		for (int kind = 0; ok && kind < LIMIT_KINDS; kind++) {
			ok = write_limit(c, tenant_id, limit_name((limit_kind)kind, (limit_scope)scope), change->most[scope][kind],
							 e);
		}
	}
	ok = ok && notify_all(c, e) && db_commit(c, e);
	if (!ok) {
		db_rollback(c);
	}
	return ok;
}

bool auth_tenant_list(db_conn *c, arena *a, auth_tenant **out, size_t *count, err *e)
{
	db_result *r = NULL;
	bool ok = false;
	if (!db_run(c, &SQL_TENANT_LIST, NULL, &r, e)) {
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

/* Inside a transaction. */
static bool delete_tenant(db_conn *c, str name, int64_t tenant_id, err *e)
{
	db_params p;
	int64_t deleted = 0;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	if (!db_do(c, &SQL_TENANT_LOCK, &p, NULL, e) || !db_do(c, &SQL_TENANT_DELETE_KEYS, &p, NULL, e) ||
		!db_do(c, &SQL_TENANT_DELETE, &p, &deleted, e)) {
		return false;
	}
	return deleted == 1 ||
		   err_set(e, ERR_INVALID_REQUEST, "the tenant `%.*s` has topics: delete those first; nothing was changed",
				   STR_ARG(name));
}

bool auth_tenant_delete(db_conn *c, str name, err *e)
{
	int64_t tenant_id = 0;
	if (!db_conn_ensure(c, e) || !db_begin(c, e)) {
		return false;
	}
	bool ok = auth_tenant_find(c, name, &tenant_id, e);
	if (ok && tenant_id == AUTH_DEFAULT_TENANT_ID) {
		ok = err_set(e, ERR_INVALID_REQUEST, "the tenant `%.*s` cannot be deleted: it serves while no key is asked for",
					 STR_ARG(name));
	}
	ok = ok && delete_tenant(c, name, tenant_id, e) && notify_all(c, e) && db_commit(c, e);
	if (!ok) {
		db_rollback(c);
	}
	return ok;
}
