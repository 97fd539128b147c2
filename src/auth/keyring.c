#include "auth/keyring.h"

#include "auth/audit.h"
#include "auth/lookup.h"
#include "auth/show.h"
#include "auth/tenant.h"
#include "base/text.h"
#include "db/columns.h"
#include "sql/auth.h"

enum { ARRAYS_BYTES_MAX = 1 << 20, PREFIX_MAX_BYTES = 1024 };

/* The columns of SQL_KEY_LIST. */
enum {
	KEY_ID,
	TENANT,
	NAME,
	SCOPES,
	PREFIXES,
	CREATED_MS,
	EXPIRES_MS,
	REVOKED_MS,
	LAST_USED_MS,
	REPLACED_BY,
	TENANT_ID,
	NOW_MS
};

/* ---- reading ---- */

static bool copy_prefixes(const db_result *r, int row, arena *a, auth_key_info *out)
{
	db_array_reader reader;
	str prefix;
	db_array_open(&reader, db_str(r, row, PREFIXES));
	str *prefixes = arena_alloc_array(a, (size_t)reader.count + 1, sizeof *prefixes);
	bool ok = prefixes != NULL;
	while (ok && db_array_next_str(&reader, &prefix)) {
		ok = arena_copy_str(a, prefix, &prefixes[out->prefix_count++]);
	}
	out->prefixes = prefixes;
	return ok;
}

static auth_key_status status_of(const auth_key_info *key, int64_t now_ms)
{
	if (key->revoked_ms != 0) {
		return AUTH_KEY_REVOKED;
	}
	if (key->expires_ms != 0 && key->expires_ms <= now_ms) {
		return AUTH_KEY_EXPIRED;
	}
	return key->replaced_by.len > 0 ? AUTH_KEY_REPLACED : AUTH_KEY_ACTIVE;
}

/* A NULL is 0: db_i64 says so. */
static bool copy_row(const db_result *r, int row, arena *a, auth_key_info *out)
{
	*out = (auth_key_info){.tenant_id = db_i64(r, row, TENANT_ID),
						   .scopes = lookup_scopes(db_str(r, row, SCOPES)),
						   .created_ms = db_i64(r, row, CREATED_MS),
						   .expires_ms = db_i64(r, row, EXPIRES_MS),
						   .revoked_ms = db_i64(r, row, REVOKED_MS),
						   .last_used_ms = db_i64(r, row, LAST_USED_MS)};
	bool ok = arena_copy_str(a, db_str(r, row, KEY_ID), &out->key_id) &&
			  arena_copy_str(a, db_str(r, row, TENANT), &out->tenant) &&
			  arena_copy_str(a, db_str(r, row, NAME), &out->name) &&
			  arena_copy_str(a, db_str(r, row, REPLACED_BY), &out->replaced_by) && copy_prefixes(r, row, a, out);
	out->status = status_of(out, db_i64(r, row, NOW_MS));
	return ok;
}

static bool set_no_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "the list of keys does not fit into memory");
}

/* The rows of SQL_KEY_LIST, or of a query with its columns. */
static bool read_rows(db_conn *c, const db_query *query, const db_params *p, arena *a, auth_key_info **out,
					  size_t *count, err *e)
{
	db_result *r = NULL;
	bool ok = true;
	if (!db_run(c, query, p, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	auth_key_info *keys = arena_alloc_array(a, rows + 1, sizeof *keys);
	for (size_t i = 0; keys != NULL && ok && i < rows; i++) {
		ok = copy_row(r, (int)i, a, &keys[i]);
	}
	db_result_free(r);
	if (keys == NULL || !ok) {
		return set_no_memory(e);
	}
	*out = keys;
	*count = rows;
	return true;
}

static void add_tenant(db_params *p, int64_t tenant_id)
{
	if (tenant_id != 0) {
		db_param_i64(p, tenant_id);
	} else {
		db_param_null(p);
	}
}

/* tenant_id 0: of every tenant. key_id absent: every key. */
static bool read_keys(db_conn *c, int64_t tenant_id, str key_id, arena *a, auth_key_info **out, size_t *count, err *e)
{
	db_params p;
	db_params_init(&p);
	add_tenant(&p, tenant_id);
	db_param_str(&p, key_id);
	return read_rows(c, &SQL_KEY_LIST, &p, a, out, count, e);
}

static bool set_no_key(str key_id, err *e)
{
	return err_set(e, ERR_NOT_FOUND, "there is no key %.*s; `tidegate key list` shows them", STR_ARG(key_id));
}

static bool read_key(db_conn *c, str key_id, arena *a, auth_key_info *out, err *e)
{
	auth_key_info *keys = NULL;
	size_t count = 0;
	if (!read_keys(c, 0, key_id, a, &keys, &count, e)) {
		return false;
	}
	if (count == 0) {
		return set_no_key(key_id, e);
	}
	*out = keys[0];
	return true;
}

/* A key that is out of the actor's reach does not exist for them. */
static bool read_reached(db_conn *c, const auth_actor *by, str key_id, arena *a, auth_key_info *out, err *e)
{
	err hidden;
	if (!read_key(c, key_id, a, out, e)) {
		return false;
	}
	return (auth_actor_check_tenant(by, out->tenant, &hidden) &&
			auth_actor_covers(by, out->prefixes, out->prefix_count)) ||
		   set_no_key(key_id, e);
}

bool auth_key_list(db_conn *c, str tenant, arena *a, auth_key_info **out, size_t *count, err *e)
{
	int64_t tenant_id = 0;
	if (tenant.ptr != NULL && !auth_tenant_find(c, tenant, &tenant_id, e)) {
		return false;
	}
	return read_keys(c, tenant_id, STR_NONE, a, out, count, e);
}

bool auth_key_page(db_conn *c, int64_t tenant_id, const auth_key_place *after, uint32_t limit, arena *a,
				   auth_key_info **out, size_t *count, err *e)
{
	db_params p;
	db_params_init(&p);
	add_tenant(&p, tenant_id);
	db_param_i64(&p, after->key_id.len > 0 ? after->created_ms : 0);
	db_param_str(&p, after->key_id.len > 0 ? after->key_id : STR(""));
	db_param_i32(&p, (int32_t)limit);
	return read_rows(c, &SQL_KEY_PAGE, &p, a, out, count, e);
}

/* People paste whole keys, too. */
static bool find_id(str which, str *key_id, err *e)
{
	if (str_starts_with(which, AUTH_KEY_PREFIX)) {
		str rest;
		str_split(str_skip(which, AUTH_KEY_PREFIX.len), '_', &which, &rest);
	}
	if (!auth_key_id_is_valid(which)) {
		return err_set(e, ERR_INVALID_REQUEST, "a key id has %d letters and digits: the part of a key after tg_",
					   AUTH_KEY_ID_LENGTH);
	}
	*key_id = which;
	return true;
}

bool auth_key_find(db_conn *c, const auth_actor *by, str which, arena *a, auth_key_info *out, err *e)
{
	str key_id = STR_NONE;
	return find_id(which, &key_id, e) && read_reached(c, by, key_id, a, out, e);
}

/* ---- changing: inside a transaction ---- */

static bool write_audit(db_conn *c, const auth_actor *by, str act, const auth_key_info *key, err *e)
{
	buf detail;
	buf_init(&detail, AUTH_AUDIT_DETAIL_MAX);
	buf_append_byte(&detail, '{');
	auth_show_key(&detail, key);
	buf_append_byte(&detail, '}');
	const auth_audit row = {
		.actor = by->name, .tenant = key->tenant, .act = act, .object = key->key_id, .detail = buf_str(&detail)};
	bool ok = detail.failed ? err_set(e, ERR_NO_MEMORY, "out of memory") : auth_audit_write(c, key->tenant_id, &row, e);
	buf_dispose(&detail);
	return ok;
}

static bool notify(db_conn *c, str key_id, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_str(&p, key_id);
	return db_do(c, &SQL_AUTH_NOTIFY, &p, NULL, e);
}

static bool has_control_character(str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) {
			return true;
		}
	}
	return false;
}

static bool check_spec(const auth_key_spec *spec, err *e)
{
	if (spec->scopes == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "a key needs at least one scope: read, write, delete or admin");
	}
	if (spec->name.len > AUTH_KEY_NAME_MAX || !text_is_utf8(spec->name) || has_control_character(spec->name)) {
		return err_set(e, ERR_INVALID_REQUEST, "a key's name is at most %d bytes of text without control characters",
					   AUTH_KEY_NAME_MAX);
	}
	if (spec->prefix_count > AUTH_PREFIXES_MAX) {
		return err_set(e, ERR_INVALID_REQUEST, "a key has at most %d prefixes", AUTH_PREFIXES_MAX);
	}
	for (size_t i = 0; i < spec->prefix_count; i++) {
		str prefix = spec->prefixes[i];
		if (prefix.len == 0 || prefix.len > PREFIX_MAX_BYTES || !text_is_utf8(prefix) ||
			has_control_character(prefix)) {
			return err_set(
				e, ERR_INVALID_REQUEST,
				"a prefix is 1 to %d bytes of text without control characters; leave prefixes out for any name",
				PREFIX_MAX_BYTES);
		}
	}
	if (spec->lifetime_ms < 0 || spec->lifetime_ms > AUTH_LIFETIME_MAX_MS) {
		return err_set(e, ERR_INVALID_REQUEST, "a key lives at most a hundred years; leave the time out for no end");
	}
	return true;
}

static bool insert_key(db_conn *c, const auth_key_spec *spec, const auth_key *key, err *e)
{
	db_params p;
	db_columns arrays;
	db_columns_init(&arrays, ARRAYS_BYTES_MAX);
	db_array_builder *scopes = db_columns_begin(&arrays, DB_TEXT);
	for (uint32_t scope = AUTH_SCOPE_READ; scope <= AUTH_SCOPE_ADMIN; scope *= 2) {
		if ((spec->scopes & scope) != 0) {
			db_array_add_str(scopes, auth_scope_name(scope));
		}
	}
	db_columns_end(&arrays);
	db_columns_add_texts(&arrays, spec->prefixes, spec->prefix_count);
	db_params_init(&p);
	db_param_str(&p, str_from_c(key->id));
	db_param_i64(&p, spec->tenant_id);
	db_param_str(&p, spec->name.ptr != NULL ? spec->name : STR(""));
	db_param_str(&p, (str){(const char *)key->hash, sizeof key->hash});
	bool ok = db_columns_bind(&arrays, &p, e);
	if (spec->lifetime_ms != 0) {
		db_param_i64(&p, spec->lifetime_ms);
	} else {
		db_param_null(&p);
	}
	ok = ok && db_do(c, &SQL_KEY_INSERT, &p, NULL, e);
	db_columns_dispose(&arrays);
	return ok;
}

static bool make_key(db_conn *c, const auth_key_spec *spec, arena *a, auth_key *key, auth_key_info *info, err *e)
{
	return auth_key_generate(key, e) && insert_key(c, spec, key, e) && read_key(c, str_from_c(key->id), a, info, e) &&
		   notify(c, info->key_id, e);
}

bool auth_key_create(db_conn *c, const auth_actor *by, const auth_key_spec *spec, arena *a, auth_key *key,
					 auth_key_info *info, err *e)
{
	auth_key made;
	auth_key_info described;
	bool ok = check_spec(spec, e) && auth_actor_check_gives(by, spec->scopes, spec->prefixes, spec->prefix_count, e) &&
			  db_conn_ensure(c, e) && db_begin(c, e) && make_key(c, spec, a, &made, &described, e) &&
			  write_audit(c, by, STR("key.create"), &described, e) && db_commit(c, e);
	if (ok) {
		*key = made;
		*info = described;
	} else {
		db_rollback(c);
	}
	auth_key_wipe(&made);
	return ok;
}

/* The row stays locked for the rest of the transaction. */
static bool lock_key(db_conn *c, const auth_actor *by, str key_id, arena *a, auth_key_info *out, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_str(&p, key_id);
	return db_do(c, &SQL_KEY_LOCK, &p, NULL, e) && read_reached(c, by, key_id, a, out, e);
}

static bool revoke_key(db_conn *c, const auth_actor *by, str key_id, arena *a, auth_key_info *info, err *e)
{
	db_params p;
	int64_t changed = 0;
	db_params_init(&p);
	db_param_str(&p, key_id);
	return read_reached(c, by, key_id, a, info, e) && db_do(c, &SQL_KEY_REVOKE, &p, &changed, e) &&
		   read_key(c, key_id, a, info, e) && notify(c, key_id, e) &&
		   (changed == 0 || write_audit(c, by, STR("key.revoke"), info, e));
}

bool auth_key_revoke(db_conn *c, const auth_actor *by, str which, arena *a, auth_key_info *info, err *e)
{
	str key_id = STR_NONE;
	auth_key_info revoked;
	bool ok = find_id(which, &key_id, e) && db_conn_ensure(c, e) && db_begin(c, e) &&
			  revoke_key(c, by, key_id, a, &revoked, e) && db_commit(c, e);
	if (ok) {
		*info = revoked;
	} else {
		db_rollback(c);
	}
	return ok;
}

static bool check_can_rotate(const auth_key_info *key, err *e)
{
	switch (key->status) {
	case AUTH_KEY_ACTIVE:
		break;
	case AUTH_KEY_REPLACED:
		return err_set(e, ERR_KEY_NOT_ACTIVE, "the key %.*s was replaced by %.*s already; rotate that one",
					   STR_ARG(key->key_id), STR_ARG(key->replaced_by));
	case AUTH_KEY_EXPIRED:
		return err_set(e, ERR_KEY_NOT_ACTIVE, "the key %.*s has expired; make a new one", STR_ARG(key->key_id));
	case AUTH_KEY_REVOKED:
		return err_set(e, ERR_KEY_NOT_ACTIVE, "the key %.*s is revoked; make a new one", STR_ARG(key->key_id));
	}
	return true;
}

static bool replace_key(db_conn *c, str key_id, str new_id, int64_t overlap_ms, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_str(&p, key_id);
	db_param_str(&p, new_id);
	db_param_i64(&p, overlap_ms);
	return db_do(c, &SQL_KEY_REPLACE, &p, NULL, e) && notify(c, key_id, e);
}

/* *old is read twice: as it is found, and as it is left. */
static bool rotate_key(db_conn *c, const auth_actor *by, str key_id, int64_t overlap_ms, arena *a, auth_key *key,
					   auth_key_info *info, auth_key_info *old, err *e)
{
	if (!lock_key(c, by, key_id, a, old, e) ||
		!auth_actor_check_gives(by, old->scopes, old->prefixes, old->prefix_count, e) || !check_can_rotate(old, e)) {
		return false;
	}
	const auth_key_spec spec = {.tenant_id = old->tenant_id,
								.name = old->name,
								.scopes = old->scopes,
								.prefixes = old->prefixes,
								.prefix_count = old->prefix_count,
								.lifetime_ms = old->expires_ms != 0 ? old->expires_ms - old->created_ms : 0};
	return make_key(c, &spec, a, key, info, e) && replace_key(c, key_id, info->key_id, overlap_ms, e) &&
		   read_key(c, key_id, a, old, e) && write_audit(c, by, STR("key.rotate"), old, e) &&
		   write_audit(c, by, STR("key.create"), info, e);
}

bool auth_key_rotate(db_conn *c, const auth_actor *by, str which, int64_t overlap_ms, arena *a, auth_key *key,
					 auth_key_info *info, auth_key_info *old, err *e)
{
	str key_id = STR_NONE;
	auth_key made;
	auth_key_info described;
	auth_key_info left;
	if (overlap_ms < 0 || overlap_ms > AUTH_LIFETIME_MAX_MS) {
		return err_set(e, ERR_INVALID_REQUEST, "the overlap is at most a hundred years");
	}
	bool ok = find_id(which, &key_id, e) && db_conn_ensure(c, e) && db_begin(c, e) &&
			  rotate_key(c, by, key_id, overlap_ms, a, &made, &described, &left, e) && db_commit(c, e);
	if (ok) {
		*key = made;
		*info = described;
		*old = left;
	} else {
		db_rollback(c);
	}
	auth_key_wipe(&made);
	return ok;
}
