#include "api/envelope.h"
#include "api/streaming/streaming.h"
#include "auth/principal.h"

enum {
	READ = AUTH_SCOPE_READ,
	WRITE = AUTH_SCOPE_WRITE,
	DELETE = AUTH_SCOPE_DELETE,
	ADMIN = AUTH_SCOPE_ADMIN,
	BODY = HTTP_BODY_ACCEPTED
};

#define ROUTE(m, p, n, h, s, b)                                                                                        \
	{                                                                                                                  \
		.method = (m), .pattern = (p), .name = (n), .handler = (h), .scopes = (s), .body = (b)                         \
	}

/* tests/check_openapi.py reads this table: one route a line. */
/* clang-format off */
static const http_route routes[] = {
	ROUTE(HTTP_POST, "/topics", "create_topic", streaming_create_topic, ADMIN, BODY),
	ROUTE(HTTP_GET, "/topics", "list_topics", streaming_list_topics, READ, HTTP_BODY_NONE),
	ROUTE(HTTP_GET, "/topics/{topic}", "get_topic", streaming_get_topic, READ, HTTP_BODY_NONE),
	ROUTE(HTTP_PATCH, "/topics/{topic}", "alter_topic", streaming_alter_topic, ADMIN, BODY),
	ROUTE(HTTP_DELETE, "/topics/{topic}", "delete_topic", streaming_delete_topic, DELETE, HTTP_BODY_NONE),
	ROUTE(HTTP_GET, "/topics/{topic}/offsets", "find_offsets", streaming_find_offsets, READ, HTTP_BODY_NONE),
	ROUTE(HTTP_POST, "/topics/{topic}/produce", "produce", streaming_produce, WRITE, BODY),
	ROUTE(HTTP_POST, "/topics/{topic}/consume", "consume", streaming_consume, READ, BODY),
	ROUTE(HTTP_POST, "/topics/{topic}/commit", "commit", streaming_commit, READ, BODY),
	ROUTE(HTTP_GET, "/topics/{topic}/groups", "list_groups", streaming_list_groups, READ, HTTP_BODY_NONE),
	ROUTE(HTTP_GET, "/topics/{topic}/groups/{group}", "get_group", streaming_get_group, READ, HTTP_BODY_NONE),
	ROUTE(HTTP_DELETE, "/topics/{topic}/groups/{group}", "delete_group", streaming_delete_group, READ | DELETE, HTTP_BODY_NONE),
	ROUTE(HTTP_DELETE, "/topics/{topic}/groups/{group}/partitions/{partition}", "delete_position", streaming_delete_position, READ | DELETE, HTTP_BODY_NONE),
	ROUTE(HTTP_POST, "/topics/{topic}/groups/{group}/reset", "reset_group", streaming_reset_group, READ | WRITE, BODY),
	ROUTE(HTTP_GET, "/positions", "list_positions", streaming_list_positions, READ, HTTP_BODY_NONE),
	{.method = HTTP_GET, .pattern = "/topics/{topic}/stream", .name = "stream", .handler = streaming_stream, .scopes = READ, .token_in_query = true},
};
/* clang-format on */

const http_dialect streaming_dialect = {
	.name = "streaming",
	.prefix = "/topics",
	.routes = routes,
	.route_count = sizeof routes / sizeof routes[0],
	.write_error = envelope_write,
	.gate_unknown = true,
};
