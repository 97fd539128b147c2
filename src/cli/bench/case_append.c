/* The cases that append: one record at a time on one connection and on many, and a thousand at a time. */
#include <stdio.h>
#include <string.h>

#include "cli/bench/cases.h"
#include "cli/bench/pgbench.h"

enum { SINGLE_VARIANTS = 256, BATCH_VARIANTS = 16 };

static double microseconds(const latency *l, double share)
{
	return (double)latency_percentile(l, share) / 1e3;
}

/* "libpq: p50 115, p90 130, p99 180, mean 120 µs, n 30000" behind what is there; nothing for an empty histogram. */
static void add_detail(report_row *row, const char *what, const latency *l)
{
	size_t len = strlen(row->detail);
	if (l->count > 0) {
		snprintf(row->detail + len, sizeof row->detail - len,
				 "%s%s: p50 %.0f, p90 %.0f, p99 %.0f, mean %.0f µs, n %llu", len > 0 ? "; " : "", what,
				 microseconds(l, 0.5), microseconds(l, 0.9), microseconds(l, 0.99), (double)latency_mean(l) / 1e3,
				 (unsigned long long)l->count);
	}
}

/* The baseline is measured in two halves, before and after the case, so that both see the same drift of the machine. */
static bool raw_half(bench *b, const payload *p, rawlog_result *sum, err *e)
{
	if (b->raw == NULL) {
		return true;
	}
	bench_settle(b);
	bench_progress("  baseline: the same append through libpq");
	return rawlog_append(b->raw, p, b->options->warmup_ms, (int64_t)b->options->seconds * 500, sum, e) ||
		   err_frame(e, "baseline");
}

bool case_latency(bench *b, err *e)
{
	bool ok = false;
	bench_log *l = NULL;
	load_result result;
	rawlog_result raw = {0};
	if (!bench_log_new(b, "latency", 1, SINGLE_VARIANTS, &l, e) || !raw_half(b, l->payload, &raw, e)) {
		goto out;
	}
	bench_settle(b);
	if (!bench_log_load(b, l, &(bench_lanes){.connections = 1}, &result, e) || !raw_half(b, l->payload, &raw, e) ||
		!bench_log_verify(b, l, e)) {
		goto out;
	}
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "latency");
	snprintf(row->what, sizeof row->what, "produce, 1 record, 1 connection, durable: p50");
	snprintf(row->unit, sizeof row->unit, "µs");
	row->figure = microseconds(&result.latency, 0.5);
	row->baseline = microseconds(&raw.latency, 0.5);
	snprintf(row->baseline_what, sizeof row->baseline_what, "same append through libpq");
	row->ratio_at_most = 1.6;
	add_detail(row, "request", &result.latency);
	add_detail(row, "libpq", &raw.latency);
	row->verified = (uint64_t)l->ledger.end_offset;
	bench_note_usage(row, &result);
	ok = true;
out:
	bench_log_free(l);
	return ok;
}

static bool pgbench_half(bench *b, const payload *p, double *sum, err *e)
{
	if (b->raw == NULL) {
		return true;
	}
	double rate = 0;
	pgbench_options options = {.program = b->options->pgbench,
							   .database_url = b->options->database_url,
							   .clients = BENCH_PGBENCH_CLIENTS,
							   .seconds = (b->options->seconds + 1) / 2,
							   .key = payload_key(p, 0, 0),
							   .value = payload_value(p, 0, 0)};
	bench_settle(b);
	bench_progress("  baseline: pgbench, %u clients, for %u s", options.clients, options.seconds);
	if (!pgbench_run(&options, &rate, e)) {
		return false;
	}
	*sum += rate / 2;
	return true;
}

bool case_rate(bench *b, err *e)
{
	bool ok = false;
	bench_log *l = NULL;
	load_result result;
	double pgbench_rate = 0;
	if (!bench_log_new(b, "rate", 1, SINGLE_VARIANTS, &l, e) || !pgbench_half(b, l->payload, &pgbench_rate, e)) {
		goto out;
	}
	bench_settle(b);
	if (!bench_log_load(b, l, &(bench_lanes){.connections = BENCH_RATE_CONNECTIONS}, &result, e) ||
		!pgbench_half(b, l->payload, &pgbench_rate, e) || !bench_log_verify(b, l, e)) {
		goto out;
	}
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "rate");
	snprintf(row->what, sizeof row->what, "produce, 1 record per request, %d connections, durable",
			 BENCH_RATE_CONNECTIONS);
	snprintf(row->unit, sizeof row->unit, "records/s");
	row->figure = bench_rate(result.records, result.elapsed_ns);
	row->baseline = pgbench_rate;
	snprintf(row->baseline_what, sizeof row->baseline_what, "pgbench, 1 row, %d clients", BENCH_PGBENCH_CLIENTS);
	row->ratio_at_least = 2;
	add_detail(row, "request", &result.latency);
	row->verified = (uint64_t)l->ledger.end_offset;
	bench_note_usage(row, &result);
	ok = true;
out:
	bench_log_free(l);
	return ok;
}

bool case_batch(bench *b, err *e)
{
	bool ok = false;
	bench_log *l = NULL;
	load_result result;
	rawlog_result raw = {0};
	uint32_t records = b->options->batch_records;
	if (!bench_log_new(b, "batch", records, BATCH_VARIANTS, &l, e) || !raw_half(b, l->payload, &raw, e)) {
		goto out;
	}
	bench_settle(b);
	if (!bench_log_load(b, l, &(bench_lanes){.connections = b->options->batch_connections}, &result, e) ||
		!raw_half(b, l->payload, &raw, e) || !bench_log_verify(b, l, e)) {
		goto out;
	}
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "batch");
	snprintf(row->what, sizeof row->what,
			 "produce, %u × %u B per request, one partition, %u connections, durable, JSON", records,
			 b->options->value_bytes, b->options->batch_connections);
	snprintf(row->unit, sizeof row->unit, "records/s");
	row->figure = bench_rate(result.records, result.elapsed_ns);
	row->baseline = bench_rate(raw.records, raw.elapsed_ns);
	snprintf(row->baseline_what, sizeof row->baseline_what, "append of %u through libpq", records);
	if (records == BENCH_BATCH_RECORDS) {
		row->figure_at_least = 1e6;
		row->ratio_at_least = 0.5;
	}
	add_detail(row, "request", &result.latency);
	add_detail(row, "libpq", &raw.latency);
	row->verified = (uint64_t)l->ledger.end_offset;
	bench_note_usage(row, &result);
	b->batches = l;
	l = NULL;
	ok = true;
out:
	bench_log_free(l);
	return ok;
}
