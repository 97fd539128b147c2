#include "http/stats.h"

#include "base/clock.h"
#include "http/server_impl.h"

#include <stdio.h>
#include <stdlib.h>

enum { LABELS_MAX = 256 };

static const char *method_name(http_method method)
{
	switch (method) {
	case HTTP_GET:
		return "GET";
	case HTTP_HEAD:
		return "HEAD";
	case HTTP_POST:
		return "POST";
	case HTTP_PUT:
		return "PUT";
	case HTTP_PATCH:
		return "PATCH";
	case HTTP_DELETE:
		return "DELETE";
	case HTTP_OPTIONS:
		return "OPTIONS";
	case HTTP_OTHER:
		break;
	}
	return "other";
}

static void resolve_route(stats_route *to, metric_registry *registry, const char *route, const char *method)
{
	static const char *const classes[STATUS_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
	char labels[LABELS_MAX];
	for (size_t c = 0; c < STATUS_CLASSES; c++) {
		/* 1xx is never a final status. */
		if (c != 1) {
			snprintf(labels, sizeof labels, "route=\"%s\",method=\"%s\",status=\"%s\"", route, method, classes[c]);
			to->by_class[c] = metric_counter(registry, "tidegate_http_requests_total",
											 "Requests by route, method and status class.", labels);
		}
	}
	to->by_class[1] = to->by_class[0];
	snprintf(labels, sizeof labels, "route=\"%s\"", route);
	to->seconds =
		metric_histogram(registry, "tidegate_http_request_seconds",
						 "From complete headers to the reply's last byte handed to the kernel.", labels, true);
}

bool stats_init(stats *s, metric_registry *registry, const table *t)
{
	static const char *const reasons[REFUSED_COUNT] = {
		"connections", "descriptors", "budget", "body", "malformed", "slow", "streams",
	};
	*s = (stats){.route_count = table_count(t) + 1};
	s->routes = calloc(s->route_count, sizeof *s->routes);
	if (s->routes == NULL) {
		return false;
	}
	for (size_t i = 0; i + 1 < s->route_count; i++) {
		const http_route *route = table_at(t, i)->route;
		resolve_route(&s->routes[i], registry, route->name, method_name(route->method));
	}
	resolve_route(&s->routes[s->route_count - 1], registry, "none", "any");
	s->in_flight = metric_gauge(registry, "tidegate_http_requests_in_flight", "Requests being answered.", NULL);
	s->connections = metric_gauge(registry, "tidegate_http_connections", "Open client connections.", NULL);
	s->streams = metric_gauge(registry, "tidegate_http_streams", "Open event streams.", NULL);
	const char *bytes_help = "Bytes of request bodies received and of reply bodies and streams sent.";
	s->bytes_in = metric_counter(registry, "tidegate_http_body_bytes_total", bytes_help, "direction=\"in\"");
	s->bytes_out = metric_counter(registry, "tidegate_http_body_bytes_total", bytes_help, "direction=\"out\"");
	for (size_t i = 0; i < REFUSED_COUNT; i++) {
		char labels[LABELS_MAX];
		snprintf(labels, sizeof labels, "reason=\"%s\"", reasons[i]);
		s->refused[i] =
			metric_counter(registry, "tidegate_http_refused_total", "Connections and requests turned away.", labels);
	}
	return true;
}

void stats_dispose(stats *s)
{
	free(s->routes);
	s->routes = NULL;
}

void stats_begin_request(http_exchange *x)
{
	x->has_begun = true;
	metric_add(x->server->stats.in_flight, 1);
}

void stats_end_request(http_exchange *x)
{
	const stats *s = &x->server->stats;
	size_t at = x->match.entry != NULL ? x->match.entry->index : s->route_count - 1;
	size_t class = x->status >= 100 && x->status < 600 ? (size_t)x->status / 100 : 0;
	int64_t elapsed_us = clock_now_us() - x->started_us;
	metric_add(s->in_flight, -1);
	metric_add(s->routes[at].by_class[class], 1);
	metric_observe(s->routes[at].seconds, (uint64_t)elapsed_us);
	if (x->body_received > 0) {
		metric_add(s->bytes_in, (int64_t)x->body_received);
	}
	if (x->reply_bytes > 0) {
		metric_add(s->bytes_out, (int64_t)x->reply_bytes);
	}
	slog *log = x->server->options.log;
	slog_level level = x->status >= 500 ? SLOG_INFO : SLOG_DEBUG;
	if (slog_enabled(log, level)) {
		SLOG(log, level, "http", "request", F_STR("method", x->method_text), F_STR("path", x->path),
			 F_INT("status", x->status), F_INT("us", elapsed_us), F_INT("bytes_in", x->body_received),
			 F_INT("bytes_out", x->reply_bytes), F_STR("peer", http_request_peer(x)), F_STR("id", x->id));
	}
}
