/*
 * bench/latency: how long many things took, as a histogram: counts per bucket, percentiles read from it.
 *
 * Owns     its counts; a plain value of about 36 KiB.
 * Threads  one at a time.
 * Units    nanoseconds on the monotonic clock.
 * Limits   a bucket is at most 0.8 % wide; what takes longer than 18 minutes counts as 18 minutes, a negative time as
 *          0.
 */
#ifndef TIDEGATE_CLI_BENCH_LATENCY_H
#define TIDEGATE_CLI_BENCH_LATENCY_H

#include <stdint.h>

enum { LATENCY_BUCKETS = 35 * 128 };

typedef struct latency {
	uint64_t count;
	int64_t sum_ns;
	int64_t max_ns;
	uint64_t buckets[LATENCY_BUCKETS];
} latency;

int64_t latency_now_ns(void);
void latency_reset(latency *l);
void latency_add(latency *l, int64_t ns);
/* The time that `share` (0 … 1) of all did not pass: the middle of its bucket; 0 when nothing was added. */
int64_t latency_percentile(const latency *l, double share);
int64_t latency_mean(const latency *l);

#endif
