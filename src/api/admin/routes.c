#include "api/admin/admin.h"
#include "api/envelope.h"
#include "api/gate.h"
#include "auth/principal.h"

#include <string.h>

enum { ADMIN = AUTH_SCOPE_ADMIN, BODY = HTTP_BODY_ACCEPTED, NO_BODY = HTTP_BODY_NONE };

#define ROUTE(m, p, n, h, b)                                                                                           \
	{                                                                                                                  \
		.method = (m), .pattern = (p), .name = (n), .handler = (h), .scopes = ADMIN, .body = (b),                      \
		.max_body_bytes = ADMIN_BODY_BYTES_MAX, .is_counted = true                                                     \
	}

/* tests/check_openapi.py reads this table: one route a line. */
/* clang-format off */
static const http_route routes[] = {
	ROUTE(HTTP_POST, "/v1/tidegate/tenants", "create_tenant", admin_create_tenant, BODY),
	ROUTE(HTTP_GET, "/v1/tidegate/tenants", "list_tenants", admin_list_tenants, NO_BODY),
	ROUTE(HTTP_GET, "/v1/tidegate/tenants/{tenant}", "get_tenant", admin_get_tenant, NO_BODY),
	ROUTE(HTTP_PATCH, "/v1/tidegate/tenants/{tenant}", "alter_tenant", admin_alter_tenant, BODY),
	ROUTE(HTTP_DELETE, "/v1/tidegate/tenants/{tenant}", "delete_tenant", admin_delete_tenant, NO_BODY),
	ROUTE(HTTP_POST, "/v1/tidegate/keys", "create_key", admin_create_key, BODY),
	ROUTE(HTTP_GET, "/v1/tidegate/keys", "list_keys", admin_list_keys, NO_BODY),
	ROUTE(HTTP_GET, "/v1/tidegate/keys/{key}", "get_key", admin_get_key, NO_BODY),
	ROUTE(HTTP_DELETE, "/v1/tidegate/keys/{key}", "revoke_key", admin_revoke_key, NO_BODY),
	ROUTE(HTTP_POST, "/v1/tidegate/keys/{key}/rotate", "rotate_key", admin_rotate_key, BODY),
	ROUTE(HTTP_GET, "/v1/tidegate/audit", "list_audit", admin_list_audit, NO_BODY),
};
/* clang-format on */

/* An answer may hold a secret. */
static void decorate(http_exchange *x)
{
	if (!http_reply_has_header(x, STR("Cache-Control"))) {
		(void)http_reply_header(x, STR("Cache-Control"), STR("no-store"));
	}
}

const http_dialect admin_dialect = {
	.name = "admin",
	.docs = "docs/keys.md",
	.prefix = "/v1/tidegate",
	.routes = routes,
	.route_count = sizeof routes / sizeof routes[0],
	.write_error = envelope_write,
	.decorate = decorate,
	.gate_unknown = true,
};

auth_actor admin_actor(http_exchange *x)
{
	const auth_principal *p = gate_principal(x);
	auth_actor by = {.name = p->key_id, .principal = p};
	if (p->is_development) {
		by.name = STR("development");
	} else if (!p->is_unstored) {
		arena *a = http_arena(x);
		char *text = arena_alloc(a, sizeof "key:" - 1 + p->key_id.len);
		if (text != NULL) {
			memcpy(text, "key:", 4);
			memcpy(text + 4, p->key_id.ptr, p->key_id.len);
			by.name = (str){text, 4 + p->key_id.len};
		}
	}
	return by;
}

void admin_refuse_member(body *b, str key)
{
	if (!b->failed) {
		b->failed = true;
		err_set(b->error, ERR_INVALID_REQUEST,
				key.ptr == NULL ? "the body has a member that is not known here; docs/openapi/admin.yaml lists them"
								: "the body's member \"%.*s\" is not known here; docs/openapi/admin.yaml lists them",
				STR_ARG(str_take(key, 40)));
	}
}
