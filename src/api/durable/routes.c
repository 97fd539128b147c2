#include "api/durable/durable.h"
#include "api/durable/path.h"
#include "api/durable/reply.h"
#include "api/envelope.h"
#include "auth/principal.h"

enum { READ = AUTH_SCOPE_READ, WRITE = AUTH_SCOPE_WRITE, DELETE = AUTH_SCOPE_DELETE, BODY = HTTP_BODY_ACCEPTED };

/* tests/check_openapi.py reads this table: one route a line. */
/* clang-format off */
static const http_route routes[] = {
	{.method = HTTP_PUT, .pattern = "/v1/stream/{topic...}", .name = "durable_put", .handler = durable_put, .scopes = WRITE, .body = BODY, .max_body_bytes = DURABLE_BODY_BYTES_MAX, .check_head = durable_put_check},
	{.method = HTTP_POST, .pattern = "/v1/stream/{topic...}", .name = "durable_post", .handler = durable_post, .scopes = WRITE, .body = BODY, .max_body_bytes = DURABLE_BODY_BYTES_MAX, .check_head = durable_post_check},
	{.method = HTTP_GET, .pattern = "/v1/stream/{topic...}", .name = "durable_get", .handler = durable_get, .scopes = READ, .token_in_query = true},
	{.method = HTTP_HEAD, .pattern = "/v1/stream/{topic...}", .name = "durable_head", .handler = durable_head, .scopes = READ},
	{.method = HTTP_DELETE, .pattern = "/v1/stream/{topic...}", .name = "durable_delete", .handler = durable_delete, .scopes = DELETE},
	{.method = HTTP_OPTIONS, .pattern = "/v1/stream/{topic...}", .name = "durable_options", .handler = durable_options, .is_open = true},
};
/* clang-format on */

const http_dialect durable_dialect = {
	.name = "durable",
	.prefix = "/v1/stream",
	.routes = routes,
	.route_count = sizeof routes / sizeof routes[0],
	.write_error = envelope_write,
	.decorate = durable_decorate,
	.gate_unknown = true,
};

bool durable_read_path(http_exchange *x, str *name, err *e)
{
	str raw = http_request_raw_path(x);
	str part;
	/* What follows the third slash, however the prefix was spelled. */
	for (int slashes = 0; slashes < 3; slashes++) {
		str_split(raw, '/', &part, &raw);
	}
	return durable_path_decode(http_arena(x), raw, durable_limits(x), name, e);
}

bool durable_take_path(http_exchange *x, str *name)
{
	err e;
	if (durable_read_path(x, name, &e)) {
		return true;
	}
	http_send_error(x, &e);
	return false;
}
