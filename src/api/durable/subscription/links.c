/*
 * POST /v1/stream/__ds/subscriptions/{id}/streams and DELETE …/streams/{path}: streams linked by name.
 */
#include "api/durable/subscription/config.h"
#include "api/durable/subscription/subscriptions.h"
#include "api/gate.h"
#include "sql/subscription.h"
#include "sql/subscription_link.h"

typedef struct relink {
	api_operation op;
	int64_t tenant_id;
	str name;
	subscription_paths paths; /* to link */
	str path;                 /* to unlink */
} relink;

static bool check_room(const relink *l, log_conn *conn, int64_t id, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, id);
	if (!db_run(conn, &SQL_SUBSCRIPTION_LINK_COUNT, &p, &r, e)) {
		return false;
	}
	int64_t count = db_i64(r, 0, 0);
	db_result_free(r);
	return count + (int64_t)l->paths.count <= SUBSCRIPTION_LINKS_MAX ||
		   err_set(e, ERR_THROTTLED,
				   "a subscription links at most %d streams by name; use a pattern, or another subscription",
				   SUBSCRIPTION_LINKS_MAX);
}

static bool link_paths(const relink *l, log_conn *conn, const subscription *s, err *e)
{
	db_params p;
	str paths;
	for (size_t i = 0; i < l->paths.count; i++) {
		if (s->wake_stream.ptr != NULL && str_equal(l->paths.list[i], s->wake_stream)) {
			return err_set(e, ERR_INVALID_REQUEST,
						   "the wake stream cannot be one of the streams: each wake would cause another");
		}
	}
	if (!check_room(l, conn, s->id, e) ||
		!subscription_paths_param(l->paths.list, l->paths.count, http_arena(l->op.x), &paths, e)) {
		return false;
	}
	db_params_init(&p);
	db_param_i64(&p, s->id);
	db_param_str(&p, paths);
	return db_do(conn, &SQL_SUBSCRIPTION_LINK_EXPLICIT, &p, NULL, e);
}

static bool run_link(api_operation *op, log_conn *conn, err *e)
{
	const relink *l = (const relink *)op;
	subscription s;
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, l->tenant_id);
	/* The links' lock first, as everywhere: a stream of that name may be made just now. */
	if (!db_begin(conn, e) || !db_do(conn, &SQL_SUBSCRIPTION_LOCK_LINKS, &p, NULL, e) ||
		!subscription_lock_name(conn, l->tenant_id, l->name, http_arena(op->x), &s, e) ||
		!subscription_check_access_to(op, conn, &s, e) || !link_paths(l, conn, &s, e) || !db_commit(conn, e)) {
		db_rollback(conn);
		return false;
	}
	return true;
}

static bool run_unlink(api_operation *op, log_conn *conn, err *e)
{
	const relink *l = (const relink *)op;
	subscription s;
	db_params p;
	bool ok = db_begin(conn, e) && subscription_lock_name(conn, l->tenant_id, l->name, http_arena(op->x), &s, e) &&
			  subscription_check_access_to(op, conn, &s, e);
	if (ok) {
		db_params_init(&p);
		db_param_i64(&p, s.id);
		db_param_str(&p, l->path);
		ok = db_do(conn, &SQL_SUBSCRIPTION_LINK_REMOVE, &p, NULL, e) && db_commit(conn, e);
	}
	if (!ok) {
		db_rollback(conn);
	}
	return ok;
}

static bool check_names(const relink *l, err *e)
{
	for (size_t i = 0; i < l->paths.count; i++) {
		if (!gate_check_name(l->op.x, l->paths.list[i], e)) {
			return false;
		}
	}
	return true;
}

static void start(http_exchange *x, bool links)
{
	err e;
	relink *l = api_operation_new(x, sizeof *l, links ? run_link : run_unlink);
	if (l == NULL) {
		return;
	}
	l->tenant_id = gate_principal(x)->tenant_id;
	bool ok =
		subscription_take_name(x, &l->name, &e) &&
		(links ? subscription_streams_read(http_request_body(x), http_arena(x), &l->paths, &e) && check_names(l, &e)
			   : subscription_path_read(http_request_param(x, 1), &l->path, &e));
	if (ok) {
		api_run_then(&l->op, subscription_reply_nothing);
	} else {
		api_fail(&l->op, &e);
	}
}

void subscription_link_streams(http_exchange *x)
{
	start(x, true);
}

void subscription_unlink_stream(http_exchange *x)
{
	start(x, false);
}
