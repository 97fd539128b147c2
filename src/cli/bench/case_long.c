/* The case that lasts: the same measurement on one topic before and after many records of mixed load. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "cli/bench/cases.h"
#include "cli/bench/producer.h"
#include "cli/bench/reader.h"

enum { LONG_RECORDS = 100, LONG_VARIANTS = 64, WRITERS = 6, READERS = 2, SLICE_MS = 10000, MEASURED_WRITERS = 8 };

/* What is compared. */
typedef struct pace {
	double write_rate;
	double write_p50_us;
	double read_rate;
} pace;

/* Writers and readers side by side: the first WRITERS connections produce. */
typedef struct mixed {
	producer producer;
	reader reader;
	load_client write;
	load_client read;
} mixed;

static str next_request(void *context, uint32_t connection)
{
	mixed *m = context;
	return connection < WRITERS ? m->write.next(m->write.context, connection)
								: m->read.next(m->read.context, connection - WRITERS);
}

static bool take_reply(void *context, uint32_t connection, str body, uint32_t *records, err *e)
{
	mixed *m = context;
	return connection < WRITERS ? m->write.reply(m->write.context, connection, body, records, e)
								: m->read.reply(m->read.context, connection - WRITERS, body, records, e);
}

/* A copy of the ledger as it stands: readers work on it while producers add to the other. */
static bool copy_ledger(const ledger *from, ledger *out, err *e)
{
	for (size_t i = 0; i < from->count; i++) {
		const ledger_entry *entry = &from->entries[i];
		if (!ledger_add(out, entry->base_offset, entry->count, entry->variant, e)) {
			return false;
		}
	}
	return ledger_settle(out, e);
}

static bool mixed_slice(bench *b, bench_log *l, uint64_t *records, err *e)
{
	bool ok = false;
	load_result result;
	ledger settled;
	mixed *m = calloc(1, sizeof *m);
	ledger_init(&settled);
	if (m == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	producer_init(&m->producer, l->payload, &l->ledger, UINT64_MAX);
	reader_init(&m->reader, b->gateway, &l->topic, &settled, l->payload, true);
	m->reader.log_grows = true;
	if (!ledger_settle(&l->ledger, e) || !copy_ledger(&l->ledger, &settled, e)) {
		goto out;
	}
	for (uint32_t i = 0; i < READERS; i++) {
		reader_seek(&m->reader, i, (int64_t)(id_random_u64() % (uint64_t)settled.end_offset));
	}
	m->write = producer_client(&m->producer);
	m->read = reader_client(&m->reader);
	load_options options = {.address = gateway_address(b->gateway),
							.sources = &b->sources,
							.connections = WRITERS + READERS,
							.measure_ms = SLICE_MS,
							.client = {m, next_request, take_reply}};
	size_t before = l->ledger.count;
	ok = load_run(&options, &result, e);
	*records += (l->ledger.count - before) * LONG_RECORDS;
out:
	reader_dispose(&m->reader);
	ledger_dispose(&settled);
	free(m);
	return ok;
}

static bool measure(bench *b, bench_log *l, pace *out, err *e)
{
	bool ok = false;
	load_result result;
	reader *r = calloc(1, sizeof *r);
	if (r == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (!bench_log_load(b, l, &(bench_lanes){.connections = MEASURED_WRITERS}, &result, e) ||
		!ledger_settle(&l->ledger, e)) {
		goto out;
	}
	out->write_rate = bench_rate(result.records, result.elapsed_ns);
	out->write_p50_us = (double)latency_percentile(&result.latency, 0.5) / 1e3;
	reader_init(r, b->gateway, &l->topic, &l->ledger, l->payload, true);
	load_options options = bench_load_options(b, &(bench_lanes){.connections = READERS});
	options.client = reader_client(r);
	ok = load_run(&options, &result, e);
	out->read_rate = bench_rate(result.records, result.elapsed_ns);
	reader_dispose(r);
out:
	free(r);
	return ok;
}

static void add_row(bench *b, const char *name, const char *what, double before, double after, uint64_t records,
					const bench_log *l)
{
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "%s", name);
	snprintf(row->what, sizeof row->what, "%s after %.1f M records of mixed load", what, (double)records / 1e6);
	snprintf(row->unit, sizeof row->unit, "records/s");
	row->figure = after;
	row->baseline = before;
	snprintf(row->baseline_what, sizeof row->baseline_what, "before");
	row->ratio_at_least = 0.9;
	row->verified = (uint64_t)l->ledger.end_offset;
}

bool case_long(bench *b, err *e)
{
	bool ok = false;
	bench_log *l = NULL;
	pace before = {0};
	pace after = {0};
	uint64_t records = 0;
	uint64_t wanted = (uint64_t)b->options->long_millions * 1000000;
	int64_t end_ns = latency_now_ns() + (int64_t)b->options->long_minutes * 60000000000;
	if (!bench_log_new(b, "long", LONG_RECORDS, LONG_VARIANTS, &l, e) || !measure(b, l, &before, e)) {
		goto out;
	}
	while (records < wanted || latency_now_ns() < end_ns) {
		if (!mixed_slice(b, l, &records, e)) {
			goto out;
		}
		bench_progress("  %.1f of %u M records, %.0f minutes left", (double)records / 1e6, b->options->long_millions,
					   latency_now_ns() < end_ns ? (double)(end_ns - latency_now_ns()) / 6e10 : 0.0);
	}
	if (!measure(b, l, &after, e) || !bench_log_verify(b, l, e)) {
		goto out;
	}
	add_row(b, "long-produce", "produce, 100 records per request, 8 connections,", before.write_rate, after.write_rate,
			records, l);
	add_row(b, "long-consume", "consume from the start, 1000 a page, 2 readers,", before.read_rate, after.read_rate,
			records, l);
	ok = true;
out:
	bench_log_free(l);
	return ok;
}
