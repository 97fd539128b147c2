/*
 * What the routes of the control space share: the form of errors, names, who may see what.
 */
#include "api/durable/subscription/object.h"
#include "api/durable/subscription/pattern.h"
#include "api/durable/subscription/subscriptions.h"

#include "api/body.h"
#include "api/durable/reply.h"
#include "api/gate.h"
#include "auth/principal.h"
#include "base/jwrite.h"
#include "base/text.h"
#include "sql/subscription_link.h"

/* ---- errors ---- */

/* {"error":{"code":"FENCED","message":"…"}}, with the members of the detail beside them. */
static const char *write_error(http_exchange *x, const err *e)
{
	buf *out = http_reply_body(x);
	str message = str_from_c(e->message);
	str detail = str_from_c(e->detail);
	buf_append_str(out, STR("{\"error\":{\"code\":\""));
	for (const char *c = err_wire_code(e->code); *c != '\0'; c++) {
		buf_append_byte(out, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
	}
	buf_append_str(out, STR("\",\"message\":"));
	jwrite_string(out, message.len > 0 && text_is_utf8(message) ? message : STR("the request failed"));
	if (detail.len > 2) {
		buf_append_byte(out, ',');
		buf_append_str(out, (str){detail.ptr + 1, detail.len - 2});
	}
	buf_append_str(out, STR("}}"));
	return "application/json";
}

void subscription_unknown(http_exchange *x)
{
	err e;
	err_set(&e, ERR_NOT_FOUND, "there is nothing here: the control space has subscriptions/{id} and jwks.json");
	http_send_error(x, &e);
}

/* ---- names ---- */

bool subscription_take_name(const http_exchange *x, str *out, err *e)
{
	str name = http_request_param(x, 0);
	if (!body_is_name(name, SUBSCRIPTION_NAME_MAX)) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "a subscription's id has 1 to %d bytes of UTF-8 without control characters",
					   SUBSCRIPTION_NAME_MAX);
	}
	*out = name;
	return true;
}

/* ---- who may ---- */

bool subscription_check_pattern(const http_exchange *x, str pattern_head, err *e)
{
	return gate_check_name(x, pattern_head, e);
}

/* A stored pattern reads back. */
static bool check_stored_pattern(const http_exchange *x, str text, err *e)
{
	arena *a = arena_new(64 * 1024);
	subscription_pattern p;
	bool ok = a != NULL ? subscription_pattern_read(text, a, &p, e) && subscription_check_pattern(x, p.head, e)
						: err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	arena_free(a);
	return ok;
}

bool subscription_check_access(const http_exchange *x, const subscription *s, const subscription_link *links,
							   size_t count, err *e)
{
	if (gate_principal(x)->prefix_count == 0) {
		return true;
	}
	if ((s->pattern.ptr != NULL && !check_stored_pattern(x, s->pattern, e)) ||
		(s->wake_stream.ptr != NULL && !gate_check_name(x, s->wake_stream, e))) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!gate_check_name(x, links[i].path, e)) {
			return false;
		}
	}
	return true;
}

bool subscription_check_access_to(api_operation *op, log_conn *conn, const subscription *s, err *e)
{
	subscription_link *links = NULL;
	size_t count = 0;
	return gate_principal(op->x)->prefix_count == 0 ||
		   (subscription_links(conn, s->id, SUBSCRIPTION_SHOWN_MAX, http_arena(op->x), &links, &count, e) &&
			subscription_check_access(op->x, s, links, count, e));
}

/* ---- answers ---- */

bool subscription_reply_object(api_operation *op, log_conn *conn, const subscription *s, err *e)
{
	subscription_link *links = NULL;
	size_t count = 0;
	buf id;
	buf_init(&id, AUTH_SIGNING_ID_MAX);
	bool ok = auth_signing_id(clerk_signing(api_of(op->x)->clerk), AUTH_SIGNING_WEBHOOK, &id, e) &&
			  subscription_links(conn, s->id, SUBSCRIPTION_SHOWN_MAX, http_arena(op->x), &links, &count, e) &&
			  subscription_check_access(op->x, s, links, count, e);
	if (ok) {
		subscription_write_object(http_reply_body(op->x), s, links, count, buf_str(&id));
	}
	buf_dispose(&id);
	return ok;
}

void subscription_reply_nothing(api_operation *op)
{
	op->status = 204;
	api_reply(op);
}

bool subscription_drop_stream(log_conn *conn, int64_t topic_id, err *e)
{
	return subscription_do(conn, &SQL_SUBSCRIPTION_LINK_DROP_TOPIC, topic_id, NULL, e);
}

/* ---- routes ---- */

enum { READ = AUTH_SCOPE_READ, WRITE = AUTH_SCOPE_WRITE, DELETE = AUTH_SCOPE_DELETE };

#define ROUTE(m, p, n, h, s, b)                                                                                        \
	{                                                                                                                  \
		.method = (m), .pattern = (p), .name = (n), .handler = (h), .scopes = (s), .body = (b),                        \
		.max_body_bytes = SUBSCRIPTION_BODY_BYTES_MAX                                                                  \
	}
/* They authenticate by the wake's own token. */
#define OPEN(m, p, n, h)                                                                                               \
	{                                                                                                                  \
		.method = (m), .pattern = (p), .name = (n), .handler = (h), .is_open = true, .body = HTTP_BODY_ACCEPTED,       \
		.max_body_bytes = SUBSCRIPTION_BODY_BYTES_MAX                                                                  \
	}
/* The rest of the control space is no stream either. */
#define NOTHING(m, p)                                                                                                  \
	{                                                                                                                  \
		.method = (m), .pattern = (p), .name = "control_unknown", .handler = subscription_unknown                      \
	}

/* tests/check_openapi.py reads this table: one route a line. */
/* clang-format off */
static const http_route routes[] = {
	ROUTE(HTTP_PUT, "/v1/stream/__ds/subscriptions/{id}", "put_subscription", subscription_put, READ | WRITE, HTTP_BODY_ACCEPTED),
	ROUTE(HTTP_GET, "/v1/stream/__ds/subscriptions/{id}", "get_subscription", subscription_get, READ, HTTP_BODY_NONE),
	ROUTE(HTTP_DELETE, "/v1/stream/__ds/subscriptions/{id}", "delete_subscription", subscription_delete, READ | DELETE, HTTP_BODY_NONE),
	ROUTE(HTTP_POST, "/v1/stream/__ds/subscriptions/{id}/streams", "link_streams", subscription_link_streams, READ | WRITE, HTTP_BODY_ACCEPTED),
	ROUTE(HTTP_DELETE, "/v1/stream/__ds/subscriptions/{id}/streams/{path...}", "unlink_stream", subscription_unlink_stream, READ | WRITE, HTTP_BODY_NONE),
	ROUTE(HTTP_POST, "/v1/stream/__ds/subscriptions/{id}/claim", "claim_wake", subscription_claim, READ, HTTP_BODY_ACCEPTED),
	OPEN(HTTP_POST, "/v1/stream/__ds/subscriptions/{id}/ack", "ack_wake", subscription_ack),
	OPEN(HTTP_POST, "/v1/stream/__ds/subscriptions/{id}/release", "release_wake", subscription_release),
	OPEN(HTTP_POST, "/v1/stream/__ds/subscriptions/{id}/callback", "callback", subscription_callback),
	{.method = HTTP_GET, .pattern = "/v1/stream/__ds/jwks.json", .name = "jwks", .handler = subscription_jwks, .is_open = true},
	NOTHING(HTTP_GET, "/v1/stream/__ds"),
	NOTHING(HTTP_PUT, "/v1/stream/__ds"),
	NOTHING(HTTP_POST, "/v1/stream/__ds"),
	NOTHING(HTTP_DELETE, "/v1/stream/__ds"),
	NOTHING(HTTP_GET, "/v1/stream/__ds/{rest...}"),
	NOTHING(HTTP_PUT, "/v1/stream/__ds/{rest...}"),
	NOTHING(HTTP_POST, "/v1/stream/__ds/{rest...}"),
	NOTHING(HTTP_DELETE, "/v1/stream/__ds/{rest...}"),
};
/* clang-format on */

const http_dialect subscription_dialect = {
	.name = "subscriptions",
	.docs = "docs/durable-subscriptions.md",
	.prefix = "/v1/stream/__ds/",
	.routes = routes,
	.route_count = sizeof routes / sizeof routes[0],
	.write_error = write_error,
	.decorate = durable_decorate,
	.gate_unknown = true,
};
