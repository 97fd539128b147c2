/* The case that reads a topic from its start, page after page. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench/cases.h"
#include "cli/bench/producer.h"
#include "cli/bench/reader.h"

enum { FILL_REQUESTS = 1000, FILL_VARIANTS = 16, FILL_CONNECTIONS = 4, FILL_PATIENCE_MS = 600 * 1000 };

/* The records of the case batch, or a million of our own. */
static bool filled_log(bench *b, bench_log **out, err *e)
{
	bool ok = false;
	bench_log *l = NULL;
	load_result result;
	producer *p = malloc(sizeof *p);
	if (p == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!bench_log_new(b, "consume", BENCH_BATCH_RECORDS, FILL_VARIANTS, &l, e)) {
		goto out;
	}
	bench_progress("  producing %d records to read", FILL_REQUESTS * BENCH_BATCH_RECORDS);
	producer_init(p, l->payload, &l->ledger, FILL_REQUESTS);
	load_options options = {.address = gateway_address(b->gateway),
							.sources = &b->sources,
							.connections = FILL_CONNECTIONS,
							.measure_ms = FILL_PATIENCE_MS,
							.client = producer_client(p)};
	if (!load_run(&options, &result, e) || !bench_log_verify(b, l, e)) {
		goto out;
	}
	*out = l;
	l = NULL;
	ok = true;
out:
	bench_log_free(l);
	free(p);
	return ok;
}

static bool measure(bench *b, const bench_log *l, uint32_t connections, err *e)
{
	load_result result;
	reader *r = malloc(sizeof *r);
	if (r == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	bench_progress("  reading over %u connections for %u s", connections, b->options->seconds);
	reader_init(r, b->gateway, &l->topic, &l->ledger, l->payload, true);
	load_options options = bench_load_options(b, &(bench_lanes){.connections = connections});
	options.client = reader_client(r);
	bool ok = load_run(&options, &result, e);
	reader_dispose(r);
	free(r);
	if (!ok) {
		return false;
	}
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "consume-%u", connections);
	snprintf(row->what, sizeof row->what, "consume from the start, %d a page, %u reader%s, JSON", READER_PAGE_RECORDS,
			 connections, connections == 1 ? "" : "s");
	snprintf(row->unit, sizeof row->unit, "records/s");
	row->figure = bench_rate(result.records, result.elapsed_ns);
	row->figure_at_least = 1e6;
	snprintf(row->detail, sizeof row->detail, "a page: p50 %.0f, p99 %.0f µs, n %llu; topic of %lld records",
			 (double)latency_percentile(&result.latency, 0.5) / 1e3,
			 (double)latency_percentile(&result.latency, 0.99) / 1e3, (unsigned long long)result.latency.count,
			 (long long)l->ledger.end_offset);
	row->verified = result.records;
	bench_note_usage(row, &result);
	return true;
}

bool case_consume(bench *b, err *e)
{
	bench_log *own = NULL;
	if (b->batches == NULL && !filled_log(b, &own, e)) {
		return false;
	}
	const bench_log *l = own != NULL ? own : b->batches;
	bool ok = measure(b, l, 1, e) && (b->options->readers == 1 || measure(b, l, b->options->readers, e));
	bench_log_free(own);
	return ok;
}
