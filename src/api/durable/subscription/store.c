#include "api/durable/subscription/store.h"

#include "db/array.h"
#include "sql/subscription.h"
#include "sql/subscription_link.h"

enum { PATHS_BYTES_MAX = 8 << 20 };

/* Columns of subscription_find and its like. */
enum {
	ID,
	TENANT_ID,
	NAME,
	IS_WEBHOOK,
	PATTERN,
	WEBHOOK_URL,
	WAKE_STREAM,
	LEASE_TTL_MS,
	DESCRIPTION,
	CONFIG_HASH,
	BASE_URL,
	CREATED_MS,
	GENERATION,
	WAKE_ID,
	HOLDER,
	LEASE_UNTIL_MS,
	TELL_MS,
	TELL_UNTIL_MS,
	FAILURES,
	NOW_MS
};

bool subscription_err_not_found(err *e)
{
	return err_set(e, ERR_SUBSCRIPTION_NOT_FOUND, "there is no such subscription; create it with PUT first");
}

static bool out_of_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
}

/* A NULL stays one. */
static bool copy_cell(const db_result *r, int row, int column, arena *a, str *out)
{
	str cell = db_str(r, row, column);
	*out = STR_NONE;
	return cell.ptr == NULL || arena_copy_str(a, cell, out);
}

static int64_t number_or_0(const db_result *r, int column)
{
	return db_is_null(r, 0, column) ? 0 : db_i64(r, 0, column);
}

static bool read_row(const db_result *r, arena *a, subscription *s)
{
	*s = (subscription){.id = db_i64(r, 0, ID),
						.tenant_id = db_i64(r, 0, TENANT_ID),
						.is_webhook = db_bool(r, 0, IS_WEBHOOK),
						.lease_ttl_ms = db_i64(r, 0, LEASE_TTL_MS),
						.created_ms = db_i64(r, 0, CREATED_MS),
						.generation = db_i64(r, 0, GENERATION),
						.lease_until_ms = number_or_0(r, LEASE_UNTIL_MS),
						.tell_ms = number_or_0(r, TELL_MS),
						.tell_until_ms = number_or_0(r, TELL_UNTIL_MS),
						.failures = db_i32(r, 0, FAILURES),
						.now_ms = db_i64(r, 0, NOW_MS)};
	return copy_cell(r, 0, NAME, a, &s->name) && copy_cell(r, 0, PATTERN, a, &s->pattern) &&
		   copy_cell(r, 0, WEBHOOK_URL, a, &s->webhook_url) && copy_cell(r, 0, WAKE_STREAM, a, &s->wake_stream) &&
		   copy_cell(r, 0, DESCRIPTION, a, &s->description) && copy_cell(r, 0, CONFIG_HASH, a, &s->config_hash) &&
		   copy_cell(r, 0, BASE_URL, a, &s->base_url) && copy_cell(r, 0, WAKE_ID, a, &s->wake_id) &&
		   copy_cell(r, 0, HOLDER, a, &s->holder);
}

static bool read_one(db_conn *conn, const db_query *query, const db_params *p, arena *a, subscription *out, err *e)
{
	db_result *r = NULL;
	subscription found;
	if (!db_run(conn, query, p, &r, e)) {
		return false;
	}
	bool ok = db_rows(r) == 1 ? read_row(r, a, &found) || out_of_memory(e) : subscription_err_not_found(e);
	if (ok) {
		*out = found;
	}
	db_result_free(r);
	return ok;
}

static bool read_by_name(db_conn *conn, const db_query *query, int64_t tenant_id, str name, arena *a, subscription *out,
						 err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, name);
	return read_one(conn, query, &p, a, out, e);
}

bool subscription_find(db_conn *conn, int64_t tenant_id, str name, arena *a, subscription *out, err *e)
{
	return read_by_name(conn, &SQL_SUBSCRIPTION_FIND, tenant_id, name, a, out, e);
}

bool subscription_lock_name(db_conn *conn, int64_t tenant_id, str name, arena *a, subscription *out, err *e)
{
	return read_by_name(conn, &SQL_SUBSCRIPTION_LOCK_NAME, tenant_id, name, a, out, e);
}

bool subscription_lock(db_conn *conn, int64_t id, arena *a, subscription *out, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, id);
	return read_one(conn, &SQL_SUBSCRIPTION_LOCK, &p, a, out, e);
}

bool subscription_do(db_conn *conn, const db_query *query, int64_t id, int64_t *affected, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, id);
	return db_do(conn, query, &p, affected, e);
}

/* ---- links ---- */

static bool read_link(const db_result *r, int row, arena *a, subscription_link *out)
{
	*out = (subscription_link){.is_explicit = db_bool(r, row, 1),
							   .is_in_wake = !db_is_null(r, row, 4),
							   .acked = {db_i64(r, row, 2), db_i64(r, row, 3)},
							   .tail = {db_i64(r, row, 6), db_i64(r, row, 7)}};
	if (out->is_in_wake) {
		out->wake = (durable_offset){db_i64(r, row, 4), db_i64(r, row, 5)};
	}
	return copy_cell(r, row, 0, a, &out->path);
}

static bool read_links(db_conn *conn, const db_query *query, const db_params *p, arena *a, subscription_link **out,
					   size_t *count, err *e)
{
	db_result *r = NULL;
	if (!db_run(conn, query, p, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	subscription_link *links = arena_alloc_array(a, rows > 0 ? rows : 1, sizeof *links);
	bool ok = links != NULL;
	for (size_t i = 0; i < rows && ok; i++) {
		ok = read_link(r, (int)i, a, &links[i]);
	}
	db_result_free(r);
	if (!ok) {
		return out_of_memory(e);
	}
	*out = links;
	*count = rows;
	return true;
}

bool subscription_links(db_conn *conn, int64_t id, int64_t limit, arena *a, subscription_link **out, size_t *count,
						err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, id);
	db_param_i64(&p, limit);
	return read_links(conn, &SQL_SUBSCRIPTION_LINK_LIST, &p, a, out, count, e);
}

bool subscription_links_at(db_conn *conn, int64_t id, const str *paths, size_t path_count, arena *a,
						   subscription_link **out, size_t *count, err *e)
{
	db_params p;
	str array;
	if (!subscription_paths_param(paths, path_count, a, &array, e)) {
		return false;
	}
	db_params_init(&p);
	db_param_i64(&p, id);
	db_param_str(&p, array);
	return read_links(conn, &SQL_SUBSCRIPTION_LINK_FIND, &p, a, out, count, e);
}

bool subscription_paths_param(const str *paths, size_t count, arena *a, str *out, err *e)
{
	db_array_builder builder;
	buf bytes;
	buf_init(&bytes, PATHS_BYTES_MAX);
	db_array_begin(&builder, &bytes, DB_TEXT);
	for (size_t i = 0; i < count; i++) {
		db_array_add_str(&builder, paths[i]);
	}
	db_array_end(&builder);
	bool ok = !bytes.failed && arena_copy_str(a, buf_str(&bytes), out);
	buf_dispose(&bytes);
	return ok || out_of_memory(e);
}
