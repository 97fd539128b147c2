/*
 * log/route: routers as they are defined. Copying is log/route_step; who calls it, log/route_clerk.
 *
 * Order of locks, for everyone: the tenant's routers, router rows, heads by (topic, partition).
 */
#include "log/route.h"

#include "base/jwrite.h"
#include "base/text.h"
#include "db/array.h"
#include "db/columns.h"
#include "log/private.h"
#include "log/route_cycle.h"
#include "log/route_step.h"
#include "log/topic_row.h"
#include "sql/router.h"

enum { PUT_ARENA_BYTES = 32 << 20, POSITIONS_MAX_BYTES = 64 + 12 * LOG_PARTITIONS_MAX };

/* A router as stored, with what joins it to its topics. */
typedef struct stored {
	log_router router;
	int64_t source_id;
	int64_t router_id;
	int64_t dest_id;
} stored;

/* An end of a router. */
typedef struct end {
	str name;
	int64_t topic_id; /* 0 = there is none yet */
	int64_t created_ms;
} end;

/* ---- rows ---- */

static bool read_row(const db_result *r, int row, arena *a, stored *out, err *e)
{
	log_router *router = &out->router;
	*out = (stored){.router = {.preserve_node = db_bool(r, row, 3),
							   .preserve_tag = db_bool(r, row, 4),
							   .allow_cycle = db_bool(r, row, 5),
							   .exactly_once = db_bool(r, row, 6),
							   .has_filter = !db_is_null(r, row, 7),
							   .forwarded_total = db_i64(r, row, 9)},
					.source_id = db_i64(r, row, 10),
					.router_id = db_i64(r, row, 11),
					.dest_id = db_i64(r, row, 12)};
	if (router->has_filter) {
		router->filter.kind = (log_tag_match_kind)db_i32(r, row, 7);
	}
	return (arena_copy_str(a, db_str(r, row, 0), &router->name) &&
			arena_copy_str(a, db_str(r, row, 1), &router->source) &&
			arena_copy_str(a, db_str(r, row, 2), &router->dest) &&
			(!router->has_filter || arena_copy_str(a, db_str(r, row, 8), &router->filter.text))) ||
		   err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* The detail object: the errors of the contract carry several names. */
static bool detail_member(buf *detail, const char *member, str name)
{
	buf_append_byte(detail, detail->len == 0 ? '{' : ',');
	jwrite_key(detail, member);
	jwrite_string(detail, name);
	return !detail->failed;
}

static bool end_detail(buf *detail, err *e)
{
	buf_append_byte(detail, '}');
	if (!detail->failed) {
		err_detail(e, "%.*s", STR_ARG(buf_str(detail)));
	}
	buf_dispose(detail);
	return false;
}

static bool refuse_missing(str name, err *e)
{
	buf detail;
	err_set(e, ERR_ROUTER_NOT_FOUND, "there is no such router; create it with PUT");
	if (!text_is_utf8(name)) {
		return false;
	}
	buf_init(&detail, ERR_DETAIL_MAX);
	detail_member(&detail, "router", name);
	return end_detail(&detail, e);
}

static bool find(db_conn *conn, int64_t tenant_id, str name, arena *a, stored *out, bool *exists, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, name.ptr != NULL ? name : STR(""));
	if (!db_run(conn, &SQL_ROUTER_GET, &p, &r, e)) {
		*exists = false;
		/* A name with a NUL cannot be stored, so it is nobody's. */
		return e->code == ERR_INVALID_REQUEST;
	}
	*exists = db_rows(r) == 1;
	bool ok = !*exists || read_row(r, 0, a, out, e);
	db_result_free(r);
	return ok;
}

/* ---- put: the checks, in the contract's order ---- */

static bool find_end(db_conn *conn, int64_t tenant_id, end *t, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, t->name);
	if (!db_run(conn, &SQL_ROUTER_FIND_TOPIC, &p, &r, e)) {
		return false;
	}
	if (db_rows(r) == 1) {
		t->topic_id = db_i64(r, 0, 0);
		t->created_ms = db_i64(r, 0, 1);
	}
	db_result_free(r);
	return true;
}

static bool check_fan_in(db_conn *conn, const log_router *router, const end *source, const end *dest, err *e)
{
	db_params p;
	db_result *r = NULL;
	buf detail;
	if (dest->topic_id == 0) {
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, dest->topic_id);
	db_param_str(&p, router->name);
	db_param_i64(&p, source->topic_id);
	if (!db_run(conn, &SQL_ROUTER_HAS_FAN_IN, &p, &r, e)) {
		return false;
	}
	bool has = db_bool(r, 0, 0);
	db_result_free(r);
	if (!has) {
		return true;
	}
	err_set(e, ERR_TOPIC_EXISTS_INCOMPATIBLE,
			"another router already brings records of another source to this dest; a dest has one source");
	buf_init(&detail, ERR_DETAIL_MAX);
	detail_member(&detail, "topic", dest->name);
	detail_member(&detail, "reason", STR("router_dest_fan_in"));
	return end_detail(&detail, e);
}

static bool check_same_ends(const log_router *router, const stored *existing, err *e)
{
	buf detail;
	if (str_equal(router->source, existing->router.source) && str_equal(router->dest, existing->router.dest)) {
		return true;
	}
	err_set(e, ERR_TOPIC_EXISTS_INCOMPATIBLE,
			"this router joins other topics, and its ends cannot change; delete it first, or choose another name");
	buf_init(&detail, ERR_DETAIL_MAX);
	detail_member(&detail, "router", router->name);
	detail_member(&detail, "reason", STR("router_repoint_forbidden"));
	detail_member(&detail, "existing_source", existing->router.source);
	detail_member(&detail, "existing_dest", existing->router.dest);
	return end_detail(&detail, e);
}

static bool check_count(log_engine *engine, db_conn *conn, int64_t tenant_id, err *e)
{
	db_params p;
	db_result *r = NULL;
	int64_t most = engine->options.max_routers;
	if (most == 0) {
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	if (!db_run(conn, &SQL_ROUTER_COUNT, &p, &r, e)) {
		return false;
	}
	int64_t count = db_i64(r, 0, 0);
	db_result_free(r);
	if (count < most) {
		return true;
	}
	err_set(e, ERR_THROTTLED, "this tenant has %lld routers, as many as it may have; delete some or raise max_routers",
			(long long)count);
	err_detail(e, "{\"limit\":\"max_routers\",\"max\":%lld}", (long long)most);
	return false;
}

static bool refuse_cycle(const str *path, size_t length, err *e)
{
	buf detail;
	err_set(e, ERR_ROUTER_CYCLE,
			"the route would close a loop; send allow_cycle:true if that is wanted (records end after %d hops)",
			LOG_ROUTE_HOPS_MAX);
	buf_init(&detail, ERR_DETAIL_MAX - 4);
	buf_append_str(&detail, STR("{\"cycle\":["));
	for (size_t i = 0; i < length; i++) {
		if (i > 0) {
			buf_append_byte(&detail, ',');
		}
		jwrite_string(&detail, path[i]);
	}
	buf_append_byte(&detail, ']');
	return end_detail(&detail, e);
}

static bool check_cycle(db_conn *conn, const log_router *router, const end *source, arena *a, err *e)
{
	db_params p;
	db_result *r = NULL;
	const str *path = NULL;
	size_t length = 0;
	if (router->allow_cycle || source->topic_id == 0) {
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, source->topic_id);
	db_param_str(&p, router->name);
	if (!db_run(conn, &SQL_ROUTER_EDGES_UPSTREAM, &p, &r, e)) {
		return false;
	}
	size_t count = (size_t)db_rows(r);
	route_edge *edges = arena_alloc_array(a, count + 1, sizeof *edges);
	for (size_t i = 0; edges != NULL && i < count; i++) {
		edges[i] = (route_edge){db_str(r, (int)i, 0), db_str(r, (int)i, 1)};
	}
	bool closes = edges == NULL || route_closes_cycle(edges, count, router->source, router->dest, a, &path, &length);
	if (closes && length == 0) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
	} else if (closes) {
		refuse_cycle(path, length, e);
	}
	db_result_free(r);
	return !closes;
}

/* ---- put: the writing ---- */

static bool make_end(log_engine *engine, db_conn *conn, const log_router_spec *spec, end *t, err *e)
{
	log_topic_spec topic = spec->topic;
	bool created = false;
	if (t->topic_id != 0) {
		return true;
	}
	topic.tenant_id = spec->tenant_id;
	topic.name = t->name;
	/* Whoever was first meanwhile made it for us, too. */
	return topic_insert(engine, conn, &topic, &created, e) && find_end(conn, spec->tenant_id, t, e);
}

static void bind_options(db_params *p, const log_router *router)
{
	db_param_bool(p, router->preserve_node);
	db_param_bool(p, router->preserve_tag);
	db_param_bool(p, router->allow_cycle);
	db_param_bool(p, router->exactly_once);
	if (router->has_filter) {
		db_param_i32(p, (int32_t)router->filter.kind);
		db_param_str(p, router->filter.text.ptr != NULL ? router->filter.text : STR(""));
	} else {
		db_param_null(p);
		db_param_null(p);
	}
}

static bool mark_heads(db_conn *conn, int64_t source_id, int64_t dest_id, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, source_id);
	db_param_i64(&p, dest_id);
	return db_do(conn, &SQL_ROUTER_MARK_HEADS, &p, NULL, e);
}

/* Under the locks of both topics' heads; *heads are those of the source and the destination. */
static bool lock_heads(db_conn *conn, int64_t source_id, int64_t dest_id, db_result **heads, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, source_id);
	db_param_i64(&p, dest_id);
	return db_run(conn, &SQL_ROUTER_LOCK_HEADS, &p, heads, e);
}

/* Where the source ends: no append of it is under way, all heads are locked. */
static void write_positions(const db_result *heads, int64_t source_id, buf *out)
{
	db_array_builder positions;
	db_array_begin(&positions, out, DB_INT8);
	for (int i = 0; i < db_rows(heads); i++) {
		if (db_i64(heads, i, 0) == source_id) {
			db_array_add_i64(&positions, db_i64(heads, i, 2));
		}
	}
	db_array_end(&positions);
}

static bool insert(db_conn *conn, const log_router_spec *spec, const end *source, const end *dest, err *e)
{
	db_params p;
	db_result *heads = NULL;
	buf positions;
	bool ok = false;
	const log_router *router = &spec->router;
	buf_init(&positions, POSITIONS_MAX_BYTES);
	if (!lock_heads(conn, source->topic_id, dest->topic_id, &heads, e)) {
		goto out;
	}
	write_positions(heads, source->topic_id, &positions);
	if (positions.failed) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	db_params_init(&p);
	db_param_i64(&p, source->topic_id);
	db_param_i64(&p, spec->tenant_id);
	db_param_i64(&p, dest->topic_id);
	db_param_str(&p, router->name);
	db_param_str(&p, router->source);
	db_param_str(&p, router->dest);
	bind_options(&p, router);
	db_param_i64(&p, source->created_ms);
	db_param_str(&p, buf_str(&positions));
	ok = db_do(conn, &SQL_ROUTER_INSERT, &p, NULL, e) && mark_heads(conn, source->topic_id, dest->topic_id, e);
out:
	db_result_free(heads);
	buf_dispose(&positions);
	return ok;
}

static bool update(db_conn *conn, const stored *existing, const log_router *router, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, existing->source_id);
	db_param_i64(&p, existing->router_id);
	bind_options(&p, router);
	return db_do(conn, &SQL_ROUTER_UPDATE, &p, NULL, e);
}

static bool lock_tenant(db_conn *conn, const db_query *query, int64_t tenant_id, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	return db_do(conn, query, &p, NULL, e);
}

static bool put(log_engine *engine, db_conn *conn, const log_router_spec *spec, arena *a, bool *created, err *e)
{
	const log_router *router = &spec->router;
	end source = {.name = router->source};
	end dest = {.name = router->dest};
	stored existing;
	bool exists = false;
	if (!lock_tenant(conn, &SQL_ROUTER_LOCK_TENANT, spec->tenant_id, e) ||
		!find_end(conn, spec->tenant_id, &source, e) || !find_end(conn, spec->tenant_id, &dest, e)) {
		return false;
	}
	if (dest.topic_id == 0 && !spec->create_dest) {
		return topic_err_not_found(dest.name, e);
	}
	if (!check_fan_in(conn, router, &source, &dest, e) ||
		!find(conn, spec->tenant_id, router->name, a, &existing, &exists, e) ||
		(exists && !check_same_ends(router, &existing, e)) ||
		(!exists && !check_count(engine, conn, spec->tenant_id, e)) || !check_cycle(conn, router, &source, a, e)) {
		return false;
	}
	*created = !exists;
	if (exists) {
		return update(conn, &existing, router, e);
	}
	return make_end(engine, conn, spec, &source, e) && make_end(engine, conn, spec, &dest, e) &&
		   insert(conn, spec, &source, &dest, e);
}

bool log_router_put(log_engine *engine, log_conn *conn, const log_router_spec *spec, bool *created, err *e)
{
	bool made = false;
	bool ok = false;
	arena *a = arena_new(PUT_ARENA_BYTES);
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	ok = db_begin(conn, e) && put(engine, conn, spec, a, &made, e) && db_commit(conn, e);
	if (ok) {
		*created = made;
	} else {
		db_rollback(conn);
		err_frame(e, "log_router_put");
	}
	arena_free(a);
	return ok;
}

/* ---- get, list ---- */

bool log_router_find(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, arena *a, log_router *out, err *e)
{
	stored found;
	bool exists = false;
	(void)engine;
	if (!find(conn, tenant_id, name, a, &found, &exists, e)) {
		return err_frame(e, "log_router_find");
	}
	if (!exists) {
		return refuse_missing(name, e);
	}
	*out = found.router;
	return true;
}

bool log_router_get(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, arena *a, log_router *out, err *e)
{
	stored found;
	bool exists = false;
	if (!find(conn, tenant_id, name, a, &found, &exists, e)) {
		return false;
	}
	if (exists &&
		(!log_route_catch_up(engine, conn, found.dest_id, e) || !find(conn, tenant_id, name, a, &found, &exists, e))) {
		return err_frame(e, "log_router_get");
	}
	if (!exists) {
		return refuse_missing(name, e);
	}
	*out = found.router;
	return true;
}

bool log_router_list(log_engine *engine, log_conn *conn, const log_router_query *query, arena *a, log_router **out,
					 size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	size_t done = 0;
	(void)engine;
	db_params_init(&p);
	db_param_i64(&p, query->tenant_id);
	db_param_str(&p, query->prefix.ptr != NULL ? query->prefix : STR(""));
	db_param_str(&p, query->after.ptr != NULL ? query->after : STR(""));
	db_param_i64(&p, query->limit);
	db_param_str(&p, query->source);
	db_param_str(&p, query->dest);
	if (!db_run(conn, &SQL_ROUTER_LIST, &p, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	log_router *list = arena_alloc_array(a, rows + 1, sizeof *list);
	for (stored row; list != NULL && done < rows && read_row(r, (int)done, a, &row, e); done++) {
		list[done] = row.router;
	}
	db_result_free(r);
	if (list == NULL || done < rows) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	*out = list;
	*count = rows;
	return true;
}

/* ---- delete ---- */

static bool remove_router(db_conn *conn, int64_t tenant_id, str name, bool *deleted, err *e)
{
	db_params p;
	db_result *gone = NULL;
	db_result *heads = NULL;
	bool ok = false;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, name.ptr != NULL ? name : STR(""));
	if (!lock_tenant(conn, &SQL_ROUTER_LOCK_TENANT, tenant_id, e) || !db_run(conn, &SQL_ROUTER_DELETE, &p, &gone, e)) {
		return false;
	}
	*deleted = db_rows(gone) == 1;
	ok = !*deleted || (lock_heads(conn, db_i64(gone, 0, 0), db_i64(gone, 0, 1), &heads, e) &&
					   mark_heads(conn, db_i64(gone, 0, 0), db_i64(gone, 0, 1), e));
	db_result_free(heads);
	db_result_free(gone);
	return ok;
}

bool log_router_delete(log_engine *engine, log_conn *conn, int64_t tenant_id, str name, bool *deleted, err *e)
{
	bool done = false;
	(void)engine;
	if (!db_begin(conn, e) || !remove_router(conn, tenant_id, name, &done, e) || !db_commit(conn, e)) {
		db_rollback(conn);
		/* A name with a NUL cannot be stored, so it is nobody's. */
		if (e->code != ERR_INVALID_REQUEST) {
			return err_frame(e, "log_router_delete");
		}
		done = false;
	}
	*deleted = done;
	return true;
}

bool route_delete_of_topic(db_conn *conn, const log_topic *t, arena *a, str **names, size_t *count, err *e)
{
	db_columns c;
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_columns_init(&c, 64);
	db_columns_add_i64(&c, &t->topic_id, 1);
	bool is_done = lock_tenant(conn, &SQL_ROUTER_LOCK_TENANT_SHARED, t->tenant_id, e) && db_columns_bind(&c, &p, e) &&
				   db_run(conn, &SQL_ROUTER_DELETE_OF_TOPIC, &p, &r, e);
	db_columns_dispose(&c);
	if (!is_done) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	str *list = arena_alloc_array(a, rows + 1, sizeof *list);
	bool ok = list != NULL;
	for (size_t i = 0; i < rows && ok; i++) {
		ok = arena_copy_str(a, db_str(r, (int)i, 0), &list[i]);
	}
	db_result_free(r);
	if (!ok) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	*names = list;
	*count = rows;
	return true;
}
