#include "api/topics/watch_session.h"

#include <inttypes.h>
#include <string.h>

#include "base/id.h"
#include "base/text.h"
#include "db/columns.h"
#include "db/conn.h"
#include "sql/watch.h"

enum { FORGET_AT_ONCE = 500, ARRAYS_BYTES_MAX = 64 << 20 };

/* ---- ids ---- */

void watch_id_make(watch_id *out)
{
	id_random(out->bytes, sizeof out->bytes);
}

void watch_id_write(buf *out, const watch_id *id)
{
	buf_append_str(out, STR(WATCH_ID_PREFIX));
	text_base64url_encode(out, (str){(const char *)id->bytes, sizeof id->bytes});
}

static bool take_bytes(str bytes, watch_id *out)
{
	if (bytes.len != sizeof out->bytes) {
		return false;
	}
	memcpy(out->bytes, bytes.ptr, sizeof out->bytes);
	return true;
}

bool watch_id_read(str text, arena *a, watch_id *out)
{
	str bytes;
	str prefix = STR(WATCH_ID_PREFIX);
	return str_starts_with(text, prefix) && text_base64url_decode(a, str_skip(text, prefix.len), &bytes) &&
		   take_bytes(bytes, out);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool watch_id_read_hex(str text, watch_id *out)
{
	watch_id id;
	if (text.len != 2 * sizeof id.bytes) {
		return false;
	}
	for (size_t i = 0; i < sizeof id.bytes; i++) {
		int high = hex_digit(text.ptr[2 * i]);
		int low = hex_digit(text.ptr[2 * i + 1]);
		if (high < 0 || low < 0) {
			return false;
		}
		id.bytes[i] = (unsigned char)(high << 4 | low);
	}
	*out = id;
	return true;
}

bool watch_id_equal(const watch_id *a, const watch_id *b)
{
	return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static str id_bytes(const watch_id *id)
{
	return (str){(const char *)id->bytes, sizeof id->bytes};
}

/* ---- creating ---- */

static void add_columns(db_columns *c, const watch_session *s)
{
	db_array_builder *a = db_columns_begin(c, DB_BYTEA);
	for (uint32_t i = 0; i < s->options.nodes.count; i++) {
		str node = s->options.nodes.names[i];
		db_array_add_str(a, node.ptr != NULL ? node : STR(""));
	}
	db_columns_end(c);
	a = db_columns_begin(c, DB_TEXT);
	for (size_t i = 0; i < s->topic_count; i++) {
		db_array_add_str(a, s->topics[i].name);
	}
	db_columns_end(c);
	a = db_columns_begin(c, DB_INT8);
	for (size_t i = 0; i < s->topic_count; i++) {
		db_array_add_i64(a, s->topics[i].topic_id);
	}
	db_columns_end(c);
	a = db_columns_begin(c, DB_INT8);
	for (size_t i = 0; i < s->topic_count; i++) {
		db_array_add_i64(a, s->topics[i].seq);
	}
	db_columns_end(c);
}

static bool insert(log_conn *conn, const watch_id *id, const watch_session *s, err *e)
{
	db_params p;
	db_columns c;
	db_columns_init(&c, ARRAYS_BYTES_MAX);
	add_columns(&c, s);
	db_params_init(&p);
	db_param_str(&p, id_bytes(id));
	db_param_i64(&p, s->tenant_id);
	db_param_str(&p, s->key_id.ptr != NULL ? s->key_id : STR(""));
	db_param_i32(&p, s->heartbeat_ms);
	db_param_i32(&p, (int32_t)s->options.limit);
	db_param_i32(&p, (int32_t)s->options.max_bytes);
	db_param_bool(&p, s->options.has_meta);
	db_param_bool(&p, s->options.has_tags);
	db_param_bool(&p, s->options.has_data);
	bool ok = db_columns_bind(&c, &p, e) && db_do(conn, &SQL_WATCH_SESSION_INSERT, &p, NULL, e);
	db_columns_dispose(&c);
	return ok;
}

bool watch_session_count(log_conn *conn, int64_t tenant_id, int64_t ttl_ms, int64_t *out, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_i64(&p, ttl_ms);
	if (!db_run(conn, &SQL_WATCH_SESSION_COUNT, &p, &r, e)) {
		return false;
	}
	*out = db_i64(r, 0, 0);
	db_result_free(r);
	return true;
}

/* Nobody else adds one between the look and the commit. */
static bool check_room(log_conn *conn, int64_t tenant_id, int64_t most, int64_t ttl_ms, err *e)
{
	db_params p;
	db_result *r = NULL;
	int64_t sessions = 0;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	if (!db_run(conn, &SQL_WATCH_SESSION_LOCK, &p, &r, e)) {
		return false;
	}
	db_result_free(r);
	if (!watch_session_count(conn, tenant_id, ttl_ms, &sessions, e)) {
		return false;
	}
	if (sessions < most) {
		return true;
	}
	err_set(e, ERR_THROTTLED, "there are as many watch sessions as are allowed; use one of them, or try again later");
	err_detail(e, "{\"limit\":\"max_watch_sessions\",\"max\":%" PRId64 "}", most);
	return false;
}

bool watch_session_create(log_conn *conn, const watch_id *id, const watch_session *s, int64_t most, int64_t ttl_ms,
						  err *e)
{
	if (most == 0) {
		return insert(conn, id, s, e);
	}
	if (db_begin(conn, e) && check_room(conn, s->tenant_id, most, ttl_ms, e) && insert(conn, id, s, e) &&
		db_commit(conn, e)) {
		return true;
	}
	db_rollback(conn);
	return false;
}

/* ---- finding ---- */

static bool set_not_found(err *e)
{
	return err_set(e, ERR_NOT_FOUND,
				   "there is no such watch session, or it was forgotten; make one with POST /v0/watch");
}

bool watch_session_owner(log_conn *conn, const watch_id *id, int64_t ttl_ms, arena *a, int64_t *tenant_id, str *key_id,
						 err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_str(&p, id_bytes(id));
	db_param_i64(&p, ttl_ms);
	if (!db_run(conn, &SQL_WATCH_SESSION_OWNER, &p, &r, e)) {
		return false;
	}
	bool ok = db_rows(r) == 1 ? true : set_not_found(e);
	if (ok) {
		*tenant_id = db_i64(r, 0, 0);
		ok = arena_copy_str(a, db_str(r, 0, 1), key_id) ||
			 err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	db_result_free(r);
	return ok;
}

static bool read_nodes(const db_result *r, arena *a, node_filter *out)
{
	db_array_reader reader;
	db_array_open(&reader, db_str(r, 0, 7));
	out->count = 0;
	str node;
	bool ok = true;
	while (ok && out->count < NODE_FILTER_MAX && db_array_next_str(&reader, &node)) {
		ok = arena_copy_str(a, node, &out->names[out->count++]);
	}
	return ok;
}

static bool read_topics(const db_result *r, arena *a, watch_session *out)
{
	db_array_reader names;
	db_array_reader topic_ids;
	db_array_reader positions;
	db_array_open(&names, db_str(r, 0, 8));
	db_array_open(&topic_ids, db_str(r, 0, 9));
	db_array_open(&positions, db_str(r, 0, 10));
	out->topics = arena_alloc_array(a, names.count + 1, sizeof *out->topics);
	out->topic_count = 0;
	str name;
	bool ok = out->topics != NULL;
	while (ok && db_array_next_str(&names, &name)) {
		watch_session_topic *t = &out->topics[out->topic_count++];
		ok = arena_copy_str(a, name, &t->name) && db_array_next_i64(&topic_ids, &t->topic_id) &&
			 db_array_next_i64(&positions, &t->seq);
	}
	return ok;
}

bool watch_session_open(log_conn *conn, const watch_id *id, int64_t ttl_ms, arena *a, watch_session *out, err *e)
{
	db_params p;
	db_result *r = NULL;
	watch_session s = {.key_id = STR("")};
	bool ok = false;
	db_params_init(&p);
	db_param_str(&p, id_bytes(id));
	db_param_i64(&p, ttl_ms);
	if (!db_run(conn, &SQL_WATCH_SESSION_OPEN, &p, &r, e)) {
		return false;
	}
	if (db_rows(r) == 0) {
		set_not_found(e);
		goto out;
	}
	s.generation = db_i64(r, 0, 0);
	s.heartbeat_ms = db_i32(r, 0, 1);
	s.options = (watch_options){.limit = (uint32_t)db_i32(r, 0, 2),
								.max_bytes = (uint32_t)db_i32(r, 0, 3),
								.has_meta = db_bool(r, 0, 4),
								.has_tags = db_bool(r, 0, 5),
								.has_data = db_bool(r, 0, 6)};
	if (!read_nodes(r, a, &s.options.nodes) || !read_topics(r, a, &s)) {
		err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		goto out;
	}
	*out = s;
	ok = true;
out:
	db_result_free(r);
	return ok;
}

bool watch_session_forget(log_conn *conn, int64_t ttl_ms, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, ttl_ms);
	db_param_i64(&p, FORGET_AT_ONCE);
	return db_do(conn, &SQL_WATCH_SESSION_FORGET, &p, NULL, e);
}
