/*
 * POST /v1/stream/__ds/subscriptions/{id}/claim: a worker takes the wake, or makes it if something is pending.
 */
#include "api/body.h"
#include "api/durable/subscription/object.h"
#include "api/durable/subscription/subscriptions.h"
#include "api/durable/subscription/telling.h"
#include "api/durable/subscription/wake.h"
#include "api/gate.h"
#include "base/jwrite.h"

#include <inttypes.h>

typedef struct claim {
	api_operation op;
	str name;
	str worker;
} claim;

static bool set_claimed(const subscription *s, err *e)
{
	buf holder;
	buf_init(&holder, ERR_DETAIL_MAX / 2);
	jwrite_string(&holder, s->holder);
	err_set(e, ERR_ALREADY_CLAIMED, "another worker holds this wake; try again when its lease has ended");
	if (!holder.failed) {
		err_detail(e, "{\"current_holder\":%.*s,\"generation\":%" PRId64 "}", STR_ARG(buf_str(&holder)), s->generation);
	} else {
		err_detail(e, "{\"generation\":%" PRId64 "}", s->generation);
	}
	buf_dispose(&holder);
	return false;
}

/* The row is locked. */
static bool take(const claim *c, log_conn *conn, subscription *s, err *e)
{
	arena *a = http_arena(c->op.x);
	if (s->is_webhook) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "this subscription has a webhook; only pull-wake subscriptions are claimed");
	}
	if (!wake_settle(conn, s, e)) {
		return false;
	}
	if (s->lease_until_ms != 0) {
		return set_claimed(s, e);
	}
	/* A wake that waits for its claim covers what has come since. */
	if (!wake_renew(conn, s, e) || !wake_begin(conn, s, a, e)) {
		return false;
	}
	/* An append of this very moment counts, whether or not its worker has noted it. */
	if (!wake_is_in_flight(s) && (!wake_look(conn, s, e) || !wake_begin(conn, s, a, e))) {
		return false;
	}
	if (!wake_is_in_flight(s)) {
		return err_set(e, ERR_NO_PENDING_WORK, "nothing is pending; wait for the next event of the wake stream");
	}
	return wake_hold(conn, s, c->worker, e);
}

static bool write_reply(const claim *c, log_conn *conn, const subscription *s, err *e)
{
	subscription_link *links = NULL;
	size_t count = 0;
	buf *out = http_reply_body(c->op.x);
	if (!subscription_links(conn, s->id, SUBSCRIPTION_WAKE_STREAMS_MAX, http_arena(c->op.x), &links, &count, e)) {
		return false;
	}
	buf_append_str(out, STR("{\"wake_id\":"));
	jwrite_string(out, s->wake_id);
	buf_printf(out, ",\"generation\":%" PRId64 ",\"token\":\"", s->generation);
	if (!subscription_mint_token(clerk_signing(api_of(c->op.x)->clerk), s, out, e)) {
		return false;
	}
	buf_append_str(out, STR("\",\"streams\":"));
	subscription_write_streams(out, links, count);
	buf_printf(out, ",\"lease_ttl_ms\":%" PRId64 "}", s->lease_ttl_ms);
	return true;
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	const claim *c = (const claim *)op;
	subscription s;
	int64_t tenant_id = gate_principal(op->x)->tenant_id;
	if (!auth_signing_ready(clerk_signing(api_of(op->x)->clerk), conn, e)) {
		return false;
	}
	if (!db_begin(conn, e) || !subscription_lock_name(conn, tenant_id, c->name, http_arena(op->x), &s, e) ||
		!subscription_check_access_to(op, conn, &s, e)) {
		db_rollback(conn);
		return false;
	}
	/* A lease that has run out is ended even if this claim is refused. */
	bool taken = take(c, conn, &s, e);
	bool is_answer = taken || e->code == ERR_NO_PENDING_WORK;
	if (taken && !write_reply(c, conn, &s, e)) {
		db_rollback(conn);
		return false;
	}
	if (!is_answer) {
		db_rollback(conn);
		return false;
	}
	err failed;
	if (!db_commit(conn, &failed)) {
		db_rollback(conn);
		*e = failed;
		return false;
	}
	clerk_note_due(api_of(op->x)->clerk, &s);
	return taken;
}

static bool read_request(claim *c, err *e)
{
	body b;
	str key;
	http_exchange *x = c->op.x;
	if (!subscription_take_name(x, &c->name, e) || !body_begin_text(&b, http_request_body(x), http_arena(x), e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		if (str_equal(key, STR("worker"))) {
			body_name(&b, "worker", SUBSCRIPTION_NAME_MAX, &c->worker);
		} else {
			body_skip(&b);
		}
	}
	if (!body_end(&b)) {
		return false;
	}
	return c->worker.ptr != NULL || err_set(e, ERR_INVALID_REQUEST, "worker is missing; send the name of this worker");
}

void subscription_claim(http_exchange *x)
{
	err e;
	claim *c = api_operation_new(x, sizeof *c, run);
	if (c == NULL) {
		return;
	}
	if (read_request(c, &e)) {
		api_run(&c->op);
	} else {
		api_fail(&c->op, &e);
	}
}
