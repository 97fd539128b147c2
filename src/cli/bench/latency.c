#include "cli/bench/latency.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* Values below 256 have a bucket each; above, the 8 leading bits choose among 128 buckets per power of two. */
enum { EXACT_LIMIT = 256, PER_POWER = 128, SHIFT_MAX = LATENCY_BUCKETS / PER_POWER - 2 };

static const int64_t LONGEST_NS = (int64_t)18 * 60 * 1000000000;

static uint32_t bucket_of(uint64_t value)
{
	uint32_t shift = 0;
	if (value >= EXACT_LIMIT) {
		shift = 63 - 7 - (uint32_t)__builtin_clzll(value);
	}
	if (shift > SHIFT_MAX) {
		return LATENCY_BUCKETS - 1;
	}
	return shift * PER_POWER + (uint32_t)(value >> shift);
}

static int64_t middle_of(uint32_t bucket)
{
	if (bucket < EXACT_LIMIT) {
		return bucket;
	}
	uint32_t shift = bucket / PER_POWER - 1;
	uint64_t lowest = (uint64_t)(bucket - shift * PER_POWER) << shift;
	return (int64_t)(lowest + ((uint64_t)1 << shift) / 2);
}

int64_t latency_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void latency_reset(latency *l)
{
	memset(l, 0, sizeof *l);
}

void latency_add(latency *l, int64_t ns)
{
	int64_t value = ns > 0 ? ns : 0;
	if (value > LONGEST_NS) {
		value = LONGEST_NS;
	}
	l->buckets[bucket_of((uint64_t)value)]++;
	l->count++;
	l->sum_ns += value;
	if (value > l->max_ns) {
		l->max_ns = value;
	}
}

int64_t latency_percentile(const latency *l, double share)
{
	uint64_t wanted = (uint64_t)ceil(share * (double)l->count);
	uint64_t seen = 0;
	if (l->count == 0) {
		return 0;
	}
	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
		seen += l->buckets[i];
		if (seen >= wanted && seen > 0) {
			int64_t middle = middle_of(i);
			return middle < l->max_ns ? middle : l->max_ns;
		}
	}
	return l->max_ns;
}

int64_t latency_mean(const latency *l)
{
	return l->count > 0 ? l->sum_ns / (int64_t)l->count : 0;
}
