/*
 * GET /v1/stream/__ds/jwks.json: the public keys that webhooks are signed with.
 */
#include "api/durable/subscription/subscriptions.h"

static bool run(api_operation *op, log_conn *conn, err *e)
{
	auth_signing *signing = clerk_signing(api_of(op->x)->clerk);
	if (!auth_signing_ready(signing, conn, e)) {
		return false;
	}
	auth_signing_write_jwks(signing, http_reply_body(op->x));
	return true;
}

static void reply(api_operation *op)
{
	http_exchange *x = op->x;
	(void)http_reply_header(x, STR("Cache-Control"), STR("public, max-age=300"));
	http_send(x, 200, "application/jwk-set+json");
}

void subscription_jwks(http_exchange *x)
{
	api_operation *op = api_operation_new(x, sizeof *op, run);
	if (op != NULL) {
		api_run_then(op, reply);
	}
}
