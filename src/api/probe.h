/*
 * api/probe: what operators and their tools ask: /healthz, /readyz, /metrics, and a welcome at /.
 *
 * Threads  the table is immutable.
 */
#ifndef TIDEGATE_API_PROBE_H
#define TIDEGATE_API_PROBE_H

#include "http/route.h"

extern const http_dialect probe_dialect;

void probe_welcome(http_exchange *x); /* / */
void probe_health(http_exchange *x);  /* /healthz: this process answers */
void probe_ready(http_exchange *x);   /* /readyz: it can do its work: the database answers, no stop is under way */
void probe_metrics(http_exchange *x); /* /metrics: Prometheus text */

#endif
