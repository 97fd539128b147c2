#include "api/httpmq/httpmq.h"
#include "api/httpmq/wire.h"
#include "auth/principal.h"

enum {
	READ = AUTH_SCOPE_READ,
	WRITE = AUTH_SCOPE_WRITE,
	DELETE = AUTH_SCOPE_DELETE,
	ADMIN = AUTH_SCOPE_ADMIN,
	BODY = HTTP_BODY_ACCEPTED,
	NO_BODY = HTTP_BODY_NONE
};

#define ROUTE(m, p, n, h, s, b)                                                                                        \
	{                                                                                                                  \
		.method = (m), .pattern = (p), .name = (n), .handler = (h), .scopes = (s), .body = (b)                         \
	}

/* tests/check_openapi.py reads these tables: one route a line. */
/* clang-format off */
static const http_route management[] = {
	{.method = HTTP_GET, .pattern = "/v1/admin/alive", .name = "httpmq_admin_alive", .handler = httpmq_alive, .is_open = true},
	{.method = HTTP_GET, .pattern = "/v1/admin/ready", .name = "httpmq_admin_ready", .handler = httpmq_ready, .is_open = true},
	ROUTE(HTTP_GET, "/v1/admin/stream", "httpmq_list_streams", httpmq_list_streams, READ, NO_BODY),
	ROUTE(HTTP_POST, "/v1/admin/stream", "httpmq_create_stream", httpmq_create_stream, ADMIN, BODY),
	ROUTE(HTTP_GET, "/v1/admin/stream/{topic}", "httpmq_get_stream", httpmq_get_stream, READ, NO_BODY),
	ROUTE(HTTP_DELETE, "/v1/admin/stream/{topic}", "httpmq_delete_stream", httpmq_delete_stream, DELETE, NO_BODY),
	ROUTE(HTTP_PUT, "/v1/admin/stream/{topic}/subject", "httpmq_put_subjects", httpmq_put_subjects, ADMIN, BODY),
	ROUTE(HTTP_PUT, "/v1/admin/stream/{topic}/limit", "httpmq_put_limits", httpmq_put_limits, ADMIN, BODY),
	ROUTE(HTTP_POST, "/v1/admin/stream/{topic}/purge", "httpmq_purge", httpmq_purge, DELETE, BODY),
	ROUTE(HTTP_GET, "/v1/admin/stream/{topic}/consumer", "httpmq_list_consumers", httpmq_list_consumers, READ, NO_BODY),
	ROUTE(HTTP_POST, "/v1/admin/stream/{topic}/consumer", "httpmq_create_consumer", httpmq_create_consumer, ADMIN, BODY),
	ROUTE(HTTP_GET, "/v1/admin/stream/{topic}/consumer/{consumer}", "httpmq_get_consumer", httpmq_get_consumer, READ, NO_BODY),
	ROUTE(HTTP_DELETE, "/v1/admin/stream/{topic}/consumer/{consumer}", "httpmq_delete_consumer", httpmq_delete_consumer, DELETE, NO_BODY),
};

static const http_route dataplane[] = {
	{.method = HTTP_GET, .pattern = "/v1/data/alive", .name = "httpmq_data_alive", .handler = httpmq_alive, .is_open = true},
	{.method = HTTP_GET, .pattern = "/v1/data/ready", .name = "httpmq_data_ready", .handler = httpmq_ready, .is_open = true},
	{.method = HTTP_POST, .pattern = "/v1/data/subject/{subject}", .name = "httpmq_publish", .handler = httpmq_publish, .scopes = WRITE, .body = BODY, .max_body_bytes = HTTPMQ_PUBLISH_BODY_MAX},
	{.method = HTTP_POST, .pattern = "/v1/data/subject/{subject}/raw", .name = "httpmq_publish_raw", .handler = httpmq_publish_raw, .scopes = WRITE, .body = BODY, .max_body_bytes = HTTPMQ_PUBLISH_BODY_MAX},
	{.method = HTTP_POST, .pattern = "/v1/data/stream/{topic}/batch", .name = "httpmq_publish_batch", .handler = httpmq_publish_batch, .scopes = WRITE, .body = BODY, .max_body_bytes = HTTPMQ_BATCH_BODY_MAX},
	ROUTE(HTTP_GET, "/v1/data/stream/{topic}/consumer/{consumer}", "httpmq_subscribe", httpmq_subscribe, READ, NO_BODY),
	ROUTE(HTTP_POST, "/v1/data/stream/{topic}/consumer/{consumer}/ack", "httpmq_ack", httpmq_ack, READ, BODY),
	ROUTE(HTTP_POST, "/v1/data/stream/{topic}/consumer/{consumer}/nack", "httpmq_nack", httpmq_nack, READ, BODY),
	ROUTE(HTTP_POST, "/v1/data/stream/{topic}/consumer/{consumer}/fetch", "httpmq_fetch", httpmq_fetch, READ, BODY),
};
/* clang-format on */

const http_dialect httpmq_management = {
	.name = "httpmq-management",
	.prefix = "/v1/admin",
	.routes = management,
	.route_count = sizeof management / sizeof management[0],
	.write_error = httpmq_write_error,
	.decorate = httpmq_decorate,
	.is_strict = true,
};

const http_dialect httpmq_dataplane = {
	.name = "httpmq-dataplane",
	.prefix = "/v1/data",
	.routes = dataplane,
	.route_count = sizeof dataplane / sizeof dataplane[0],
	.write_error = httpmq_write_error,
	.decorate = httpmq_decorate,
	.is_strict = true,
};
