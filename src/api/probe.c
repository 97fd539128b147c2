#include "api/probe.h"

#include "api/envelope.h"
#include "auth/principal.h"

static const http_route routes[] = {
	{.method = HTTP_GET, .pattern = "/", .name = "welcome", .handler = probe_welcome, .is_open = true},
	{.method = HTTP_GET, .pattern = "/healthz", .name = "health", .handler = probe_health, .is_probe = true},
	{.method = HTTP_GET, .pattern = "/readyz", .name = "ready", .handler = probe_ready, .is_probe = true},
	{.method = HTTP_GET, .pattern = "/metrics", .name = "metrics", .handler = probe_metrics, .scopes = AUTH_SCOPE_READ},
};

const http_dialect probe_dialect = {
	.name = "probe",
	.prefix = "/",
	.routes = routes,
	.route_count = sizeof routes / sizeof routes[0],
	.write_error = envelope_write,
};
