/*
 * http/stats: the server's metrics, resolved once at start, and its access log.
 *
 * Owns     the table of handles; the metrics belong to the registry.
 * Threads  any, once created.
 */
#ifndef TIDEGATE_HTTP_STATS_H
#define TIDEGATE_HTTP_STATS_H

#include "base/metric.h"
#include "http/exchange_impl.h"

typedef enum stats_refusal {
	REFUSED_CONNECTIONS, /* over max_connections */
	REFUSED_DESCRIPTORS, /* the process has none left */
	REFUSED_BUDGET,      /* over max_buffered_bytes */
	REFUSED_BODY,        /* too large, or an encoding that is unknown or broken */
	REFUSED_MALFORMED,   /* not a request that its protocol allows */
	REFUSED_SLOW,        /* header, body or reply too slow */
	REFUSED_STREAMS,     /* over max_streams */
	REFUSED_COUNT
} stats_refusal;

enum { STATUS_CLASSES = 6 };

typedef struct stats_route {
	metric *by_class[STATUS_CLASSES]; /* [2]: 2xx; [0]: cut before it was answered */
	metric *seconds;
} stats_route;

typedef struct stats {
	stats_route *routes; /* one per table entry, then one for everything without a route */
	size_t route_count;
	metric *in_flight;
	metric *connections;
	metric *streams;
	metric *bytes_in;
	metric *bytes_out;
	metric *refused[REFUSED_COUNT];
} stats;

bool stats_init(stats *s, metric_registry *registry, const table *t);
void stats_dispose(stats *s);
void stats_begin_request(http_exchange *x);
void stats_end_request(http_exchange *x); /* also writes the access log line */

#endif
