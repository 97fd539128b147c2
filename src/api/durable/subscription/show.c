/*
 * GET and DELETE /v1/stream/__ds/subscriptions/{id}.
 */
#include "api/durable/subscription/subscriptions.h"
#include "api/gate.h"
#include "sql/subscription.h"

typedef struct show {
	api_operation op;
	str name;
} show;

static bool run_get(api_operation *op, log_conn *conn, err *e)
{
	const show *s = (const show *)op;
	subscription found;
	return subscription_find(conn, gate_principal(op->x)->tenant_id, s->name, http_arena(op->x), &found, e) &&
		   auth_signing_ready(clerk_signing(api_of(op->x)->clerk), conn, e) &&
		   subscription_reply_object(op, conn, &found, e);
}

/* Its cursors go with it; nothing is acknowledged. What is under way finds no subscription. */
static bool run_delete(api_operation *op, log_conn *conn, err *e)
{
	const show *s = (const show *)op;
	subscription found;
	if (!subscription_find(conn, gate_principal(op->x)->tenant_id, s->name, http_arena(op->x), &found, e)) {
		return e->code == ERR_SUBSCRIPTION_NOT_FOUND;
	}
	return subscription_check_access_to(op, conn, &found, e) &&
		   subscription_do(conn, &SQL_SUBSCRIPTION_DELETE, found.id, NULL, e);
}

static void start(http_exchange *x, api_run_fn *run, void (*then)(api_operation *op))
{
	err e;
	show *s = api_operation_new(x, sizeof *s, run);
	if (s == NULL) {
		return;
	}
	if (subscription_take_name(x, &s->name, &e)) {
		api_run_then(&s->op, then);
	} else {
		api_fail(&s->op, &e);
	}
}

void subscription_get(http_exchange *x)
{
	start(x, run_get, api_reply);
}

void subscription_delete(http_exchange *x)
{
	start(x, run_delete, subscription_reply_nothing);
}
