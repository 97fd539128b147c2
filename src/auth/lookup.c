#include "auth/lookup.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "db/columns.h"
#include "sql/auth.h"

enum { IDS_MAX_BYTES = 64 * 1024, TOKEN_ID_BYTES = 128 };

/* The columns of SQL_KEY_FIND. */
enum {
	KEY_ID,
	TENANT_ID,
	TENANT,
	SECRET_HASH,
	SCOPES,
	PREFIXES,
	AUTO_CREATE,
	EXPIRES_MS,
	REVOKED_MS,
	LAST_USED_MS,
	NOW_MS,
	LIMITS
};

auth_choice lookup_choice(const db_result *r, int row, int column)
{
	if (db_is_null(r, row, column)) {
		return AUTH_CHOICE_SERVER;
	}
	return db_bool(r, row, column) ? AUTH_CHOICE_ON : AUTH_CHOICE_OFF;
}

uint32_t lookup_scopes(str cell)
{
	db_array_reader reader;
	uint32_t scopes = 0;
	str word;
	db_array_open(&reader, cell);
	while (db_array_next_str(&reader, &word)) {
		for (uint32_t scope = AUTH_SCOPE_READ; scope <= AUTH_SCOPE_ADMIN; scope *= 2) {
			scopes |= str_equal(word, auth_scope_name(scope)) ? scope : 0;
		}
	}
	return scopes;
}

bool lookup_read_state(db_conn *c, lookup_state *out, err *e)
{
	db_result *r = NULL;
	if (!db_run(c, &SQL_AUTH_STATE, NULL, &r, e)) {
		return err_frame(e, "looking whether API keys exist");
	}
	out->has_keys = db_bool(r, 0, 0);
	out->auto_create = lookup_choice(r, 0, 1);
	out->limits = limit_set_read(db_str(r, 0, 2));
	db_result_free(r);
	return true;
}

/* Rows come in the order of their ids. -1: there is none. */
static int find_row(const db_result *r, str key_id)
{
	int first = 0;
	int end = db_rows(r);
	while (first < end) {
		int middle = first + (end - first) / 2;
		int order = str_compare(db_str(r, middle, KEY_ID), key_id);
		if (order == 0) {
			return middle;
		}
		if (order < 0) {
			first = middle + 1;
		} else {
			end = middle;
		}
	}
	return -1;
}

static auth_reason judge(const db_result *r, int row, const lookup *l)
{
	if (row < 0 || (!l->is_by_id && !auth_key_hash_equal(l->hash, db_str(r, row, SECRET_HASH)))) {
		return AUTH_REASON_UNKNOWN;
	}
	if (!db_is_null(r, row, REVOKED_MS)) {
		return AUTH_REASON_REVOKED;
	}
	if (!db_is_null(r, row, EXPIRES_MS) && db_i64(r, row, EXPIRES_MS) <= db_i64(r, row, NOW_MS)) {
		return AUTH_REASON_EXPIRED;
	}
	return AUTH_REASON_GRANTED;
}

/* With its account, which is found in the book. NULL when memory is out. */
static const auth_principal *make_principal(limit_book *book, auth_principal *p, str limits)
{
	const limit_set own = limit_set_read(limits);
	p->account = limit_book_find(book, p->tenant_id, p->key_id, &own, clock_now_us());
	const auth_principal *made = p->account != NULL ? auth_principal_new(p) : NULL;
	limit_account_unref(p->account);
	return made;
}

/* Times of the database's clock become times of this process's clock by their distance from now. */
static const auth_principal *read_principal(limit_book *book, const db_result *r, int row, int64_t now_ms)
{
	str prefixes[AUTH_PREFIXES_MAX];
	db_array_reader reader;
	auth_principal p = {.tenant_id = db_i64(r, row, TENANT_ID),
						.tenant = db_str(r, row, TENANT),
						.key_id = db_str(r, row, KEY_ID),
						.scopes = lookup_scopes(db_str(r, row, SCOPES)),
						.prefixes = prefixes,
						.auto_create = lookup_choice(r, row, AUTO_CREATE)};
	db_array_open(&reader, db_str(r, row, PREFIXES));
	while (p.prefix_count < AUTH_PREFIXES_MAX && db_array_next_str(&reader, &prefixes[p.prefix_count])) {
		p.prefix_count++;
	}
	if (!db_is_null(r, row, EXPIRES_MS)) {
		p.expires_ms = db_i64(r, row, EXPIRES_MS);
		p.deadline_ms = now_ms + p.expires_ms - db_i64(r, row, NOW_MS);
	}
	return make_principal(book, &p, db_str(r, row, LIMITS));
}

static bool fill_one(limit_book *book, const db_result *r, lookup *l, int64_t now_ms)
{
	int row = find_row(r, str_from_c(l->key_id));
	auth_cached found = {.reason = judge(r, row, l)};
	snprintf(found.key_id, sizeof found.key_id, "%s", l->key_id);
	if (found.reason == AUTH_REASON_GRANTED) {
		found.principal = read_principal(book, r, row, now_ms);
		int64_t unused_ms = db_i64(r, row, NOW_MS) - db_i64(r, row, LAST_USED_MS); /* never used: since 1970 */
		found.touch_ms = unused_ms >= LOOKUP_TOUCH_MS ? now_ms : now_ms + LOOKUP_TOUCH_MS - unused_ms;
		if (found.principal == NULL) {
			return false;
		}
	}
	l->found = found;
	return true;
}

bool lookup_read_keys(db_conn *c, limit_book *book, lookup *const lookups[], size_t count, err *e)
{
	db_columns ids;
	db_params p;
	db_result *r = NULL;
	size_t filled = 0;
	bool ok = false;
	db_params_init(&p);
	db_columns_init(&ids, IDS_MAX_BYTES);
	db_array_builder *id = db_columns_begin(&ids, DB_TEXT);
	for (size_t i = 0; i < count; i++) {
		db_array_add_str(id, str_from_c(lookups[i]->key_id));
	}
	db_columns_end(&ids);
	if (!db_columns_bind(&ids, &p, e) || !db_run(c, &SQL_KEY_FIND, &p, &r, e)) {
		err_frame(e, "looking up API keys");
		goto out;
	}
	int64_t now_ms = clock_now_ms();
	while (filled < count && fill_one(book, r, lookups[filled], now_ms)) {
		filled++;
	}
	ok = filled == count || err_set(e, ERR_NO_MEMORY, "out of memory");
	for (size_t i = 0; !ok && i < filled; i++) {
		auth_principal_unref(lookups[i]->found.principal);
		lookups[i]->found.principal = NULL;
	}
out:
	db_result_free(r);
	db_columns_dispose(&ids);
	return ok;
}

/* Somebody without a row of their own: *p, completed by their tenant's row. `unknown` is why, when there is none. */
static bool read_by_tenant(db_conn *c, limit_book *book, auth_principal *p, auth_reason unknown, auth_cached *found,
						   err *e)
{
	db_params params;
	db_result *r = NULL;
	bool ok = true;
	db_params_init(&params);
	db_param_str(&params, p->tenant);
	if (!db_run(c, &SQL_TENANT_FIND, &params, &r, e)) {
		return err_frame(e, "looking up a credential's tenant");
	}
	*found = (auth_cached){.reason = unknown};
	if (db_rows(r) == 1) {
		p->tenant_id = db_i64(r, 0, 0);
		p->auto_create = lookup_choice(r, 0, 2);
		p->is_unstored = true;
		/* No row keeps the last use. */
		*found = (auth_cached){.reason = AUTH_REASON_GRANTED,
							   .principal = make_principal(book, p, db_str(r, 0, 3)),
							   .touch_ms = INT64_MAX};
		ok = found->principal != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	db_result_free(r);
	return ok;
}

bool lookup_read_token(db_conn *c, limit_book *book, const auth_jwt_claims *claims, auth_cached *found, err *e)
{
	char key_id[TOKEN_ID_BYTES];
	int64_t left_s = claims->ends_s - (int64_t)time(NULL);
	snprintf(key_id, sizeof key_id, "jwt:%.*s", STR_ARG(claims->subject));
	auth_principal p = {.tenant = claims->tenant,
						.key_id = str_from_c(key_id),
						.scopes = claims->scopes,
						.prefixes = claims->prefixes,
						.prefix_count = claims->prefix_count,
						.expires_ms = claims->ends_s * 1000,
						.deadline_ms = clock_now_ms() + (left_s > 0 ? left_s : 0) * 1000};
	return read_by_tenant(c, book, &p, AUTH_REASON_TOKEN_TENANT, found, e);
}

bool lookup_read_listed(db_conn *c, limit_book *book, const auth_listed_key *key, auth_cached *found, err *e)
{
	auth_principal p = {.tenant = STR("default"),
						.key_id = key->id,
						.scopes = key->scopes,
						.prefixes = key->prefixes,
						.prefix_count = key->prefix_count};
	return read_by_tenant(c, book, &p, AUTH_REASON_UNKNOWN, found, e);
}

bool lookup_write_used(db_conn *c, const str *key_ids, size_t count, err *e)
{
	db_columns ids;
	db_params p;
	db_params_init(&p);
	db_columns_init(&ids, IDS_MAX_BYTES);
	db_columns_add_texts(&ids, key_ids, count);
	bool ok = db_columns_bind(&ids, &p, e) && db_do(c, &SQL_KEY_TOUCH, &p, NULL, e);
	db_columns_dispose(&ids);
	return ok;
}
