/*
 * base/metric: counters, gauges and histograms, rendered as Prometheus text.
 *
 * Owns     every metric made from a registry, until metric_registry_free(). Names, help and label texts are
 *          copied. Making the same name and labels again returns the same metric.
 * Threads  making and rendering take a lock; add, set and observe are atomic and lock-free.
 * Units    in the name: _seconds, _bytes, _total.
 * Limits   4096 metrics a registry; beyond, a shared "overflow" metric is returned, so callers never see NULL.
 */
#ifndef TIDEGATE_BASE_METRIC_H
#define TIDEGATE_BASE_METRIC_H

#include "base/buf.h"

typedef struct metric_registry metric_registry;
typedef struct metric metric;

metric_registry *metric_registry_new(void);
void metric_registry_free(metric_registry *r);

/* labels: rendered form without braces, for instance "route=\"produce\",status=\"200\"", or NULL. */
metric *metric_counter(metric_registry *r, const char *name, const char *help, const char *labels);
metric *metric_gauge(metric_registry *r, const char *name, const char *help, const char *labels);
/* A fixed exponential ladder: 2^0 … 2^31 units of 1e-6 (microseconds) when is_seconds, else plain numbers. */
metric *metric_histogram(metric_registry *r, const char *name, const char *help, const char *labels, bool is_seconds);

void metric_add(metric *m, int64_t by);         /* counter, gauge */
void metric_set(metric *m, int64_t value);      /* gauge */
void metric_observe(metric *m, uint64_t value); /* histogram: microseconds when is_seconds */
int64_t metric_value(const metric *m);          /* counter, gauge; a histogram's count */
enum { METRIC_BUCKETS = 33 };                   /* the bounds 2^0 to 2^31, then one without a bound */
/* Adds a histogram's buckets, each apart, to counts; the sum is the number of observations. */
void metric_add_buckets(const metric *m, uint64_t counts[METRIC_BUCKETS]);
uint64_t metric_sum(const metric *m); /* histogram: sum of observed values */

void metric_render(metric_registry *r, buf *out);

#endif
