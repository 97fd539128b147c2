#include "api/envelope.h"
#include "api/probe.h"
#include "api/topics/topics.h"
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
		.method = (m), .pattern = (p), .name = (n), .handler = (h), .scopes = (s), .body = (b), .is_counted = true     \
	}

/* tests/check_openapi.py reads this table: one route a line. */
/* clang-format off */
static const http_route routes[] = {
	/* topics */
	ROUTE(HTTP_PUT, "/v0/topics/{topic}", "topics_put", topics_put_topic, ADMIN, BODY),
	ROUTE(HTTP_GET, "/v0/topics/{topic}", "topics_get", topics_get_topic, READ, NO_BODY),
	ROUTE(HTTP_DELETE, "/v0/topics/{topic}", "topics_delete", topics_delete_topic, DELETE, NO_BODY),
	ROUTE(HTTP_GET, "/v0/topics", "topics_list", topics_list_topics, READ, NO_BODY),
	ROUTE(HTTP_POST, "/v0/topics/{topic}", "topics_write", topics_write, WRITE, BODY),
	ROUTE(HTTP_POST, "/v0/topics/{topic}/diff", "topics_diff", topics_diff, READ, BODY),
	ROUTE(HTTP_POST, "/v0/topics/{topic}/delete", "topics_delete_records", topics_delete_records, DELETE, BODY),
	/* queues */
	ROUTE(HTTP_POST, "/v0/topics/{topic}/claim", "topics_claim", topics_claim, READ | WRITE, BODY),
	ROUTE(HTTP_POST, "/v0/topics/{topic}/ack", "topics_ack", topics_ack, WRITE, BODY),
	ROUTE(HTTP_POST, "/v0/topics/{topic}/nack", "topics_nack", topics_nack, WRITE, BODY),
	ROUTE(HTTP_POST, "/v0/topics/{topic}/extend", "topics_extend", topics_extend, WRITE, BODY),
	{.method = HTTP_GET, .pattern = "/v0/topics/{topic}/work", .name = "topics_work", .handler = topics_work,
	 .scopes = READ | WRITE, .token_in_query = true},
	/* routers */
	ROUTE(HTTP_PUT, "/v0/routers/{router}", "topics_put_router", topics_put_router, ADMIN, BODY),
	ROUTE(HTTP_GET, "/v0/routers/{router}", "topics_get_router", topics_get_router, READ, NO_BODY),
	ROUTE(HTTP_DELETE, "/v0/routers/{router}", "topics_delete_router", topics_delete_router, DELETE, NO_BODY),
	ROUTE(HTTP_GET, "/v0/routers", "topics_list_routers", topics_list_routers, READ, NO_BODY),
	/* watch */
	ROUTE(HTTP_POST, "/v0/watch", "topics_watch", topics_post_watch, READ, BODY),
	ROUTE(HTTP_GET, "/v0/ws", "topics_ws", topics_ws, 0, NO_BODY),
	{.method = HTTP_GET, .pattern = "/v0/watch/{wid}", .name = "topics_watch_stream", .handler = topics_watch_stream, .is_open = true, .token_in_query = true},
	/* probes */
	{.method = HTTP_GET, .pattern = "/v0/health", .name = "topics_health", .handler = probe_health, .is_probe = true},
	ROUTE(HTTP_GET, "/v0/metrics", "topics_metrics", topics_metrics, READ, NO_BODY),
	{.method = HTTP_GET, .pattern = "/v0/ready", .name = "topics_ready", .handler = probe_ready, .is_probe = true},
};
/* clang-format on */

/* What is below a topic is the business of those who may change it. */
static uint32_t unknown_scopes(str path)
{
	size_t at;
	const str topics = STR("/v0/topics/");
	return str_starts_with(path, topics) && str_find(str_skip(path, topics.len), STR("/"), &at) ? AUTH_SCOPE_WRITE : 0;
}

const http_dialect topics_dialect = {
	.name = "topics",
	.prefix = "/v0",
	.routes = routes,
	.route_count = sizeof routes / sizeof routes[0],
	.write_error = envelope_write,
	.gate_unknown = true,
	.unknown_scopes = unknown_scopes,
};
