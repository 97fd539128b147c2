/* What HTTP/2 does for throughput: the streams of one connection next to as many connections over HTTP/1.1. */
#include <stdio.h>

#include "cli/bench/cases.h"

enum { VARIANTS = 256 };

static double rate_of(const load_result *r)
{
	return bench_rate(r->records, r->elapsed_ns);
}

/* The baseline in two halves, before and after, so that both see the same drift of the machine. */
static bool measure(bench *b, bench_log *l, double *baseline, load_result *out, err *e)
{
	const int64_t measure_ms = (int64_t)b->options->seconds * 1000;
	const bench_lanes http1 = {.connections = BENCH_RATE_CONNECTIONS, .measure_ms = measure_ms / 2};
	const bench_lanes http2 = {.connections = 1, .streams = BENCH_RATE_CONNECTIONS, .measure_ms = measure_ms};
	load_result before;
	load_result after;
	if (!bench_log_load(b, l, &http1, &before, e) || !bench_log_load(b, l, &http2, out, e) ||
		!bench_log_load(b, l, &http1, &after, e)) {
		return false;
	}
	*baseline = (rate_of(&before) + rate_of(&after)) / 2;
	return true;
}

bool case_http2(bench *b, err *e)
{
	bench_log *l = NULL;
	load_result result;
	double baseline = 0;
	bool ok = bench_log_new(b, "http2", 1, VARIANTS, &l, e) && measure(b, l, &baseline, &result, e) &&
			  bench_log_verify(b, l, e);
	if (ok) {
		report_row *row = report_add(b->report);
		snprintf(row->name, sizeof row->name, "http2");
		snprintf(row->what, sizeof row->what, "produce, 1 record per request, %d streams of 1 connection, durable",
				 BENCH_RATE_CONNECTIONS);
		snprintf(row->unit, sizeof row->unit, "records/s");
		row->figure = rate_of(&result);
		row->baseline = baseline;
		snprintf(row->baseline_what, sizeof row->baseline_what, "HTTP/1.1, %d connections", BENCH_RATE_CONNECTIONS);
		row->ratio_at_least = 1;
		snprintf(row->detail, sizeof row->detail, "p50 %.0f, p99 %.0f µs, n %llu",
				 (double)latency_percentile(&result.latency, 0.5) / 1e3,
				 (double)latency_percentile(&result.latency, 0.99) / 1e3, (unsigned long long)result.latency.count);
		row->verified = (uint64_t)l->ledger.end_offset;
		bench_note_usage(row, &result);
	}
	bench_log_free(l);
	return ok;
}
