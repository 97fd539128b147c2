/* The cases that need workers of their own: live readers on another worker than the producer, and what it costs to ask
 * for an API key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench/cases.h"
#include "sql/bench.h"

enum {
	KEYS = 10000,
	TENANTS = 1000,
	PAIRS = 128,
	WINDOWS_A_MEASUREMENT = 64,
	SINGLE_VARIANTS = 256,
	OUTPUT_MAX = 4096
};

/* The same bench at a worker of a fleet. */
static bench at_worker(const bench *b, const fleet *f, size_t worker)
{
	bench there = {.options = b->options,
				   .gateway = fleet_gateway(f, worker),
				   .sources = {.server = fleet_process(f, worker), .postmaster = b->sources.postmaster},
				   .report = b->report};
	return there;
}

static bool open_fleet(const bench *b, fleet **out, err *e)
{
	if (b->raw == NULL) {
		return err_set(e, ERR_INVALID_REQUEST, "this case starts workers of its own: give --database-url");
	}
	return fleet_open(b->options->database_url, out, e);
}

/* ---- workers ---- */

static bool watch_across(const bench *b, const fleet *f, size_t workers, uint32_t watchers, err *e)
{
	char name[16];
	char where[32];
	bench here = at_worker(b, f, 0);
	snprintf(name, sizeof name, "workers-%zu", workers);
	snprintf(where, sizeof where, " on %s", workers == 2 ? "another worker" : "three other workers");
	watch_plan plan = {.name = name, .where = where, .reader_count = workers - 1, .count = watchers};
	for (size_t i = 1; i < workers; i++) {
		plan.readers[i - 1] = fleet_gateway(f, i);
	}
	return bench_watch(&here, &plan, e);
}

bool case_workers(bench *b, err *e)
{
	fleet *f = NULL;
	bool ok = open_fleet(b, &f, e);
	for (size_t workers = 1; ok && workers <= FLEET_WORKERS_MAX; workers++) {
		ok = fleet_add(f, "auth = off\n", STR_NONE, e) &&
			 ((workers != 2 && workers != FLEET_WORKERS_MAX) ||
			  (watch_across(b, f, workers, 1, e) && watch_across(b, f, workers, 100, e)));
	}
	fleet_close(f);
	return ok;
}

/* ---- keys ---- */

static bool make_keys(const fleet *f, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i32(&p, TENANTS - 1); /* and the default one */
	if (!db_do(fleet_database(f), &SQL_BENCH_TENANTS_INSERT, &p, NULL, e)) {
		return false;
	}
	db_params_init(&p);
	db_param_i32(&p, KEYS - 1); /* and the one that is used */
	return db_do(fleet_database(f), &SQL_BENCH_KEYS_INSERT, &p, NULL, e);
}

/* Two workers on one database: the first asks nobody for a key, the second everybody. */
static bool start_both(fleet *f, err *e)
{
	char *create[] = {(char[]){"key"},
					  (char[]){"create"},
					  (char[]){"--tenant"},
					  (char[]){"default"},
					  (char[]){"--scopes"},
					  (char[]){"read,write,delete,admin"},
					  NULL};
	buf key;
	str line = STR_NONE;
	buf_init(&key, OUTPUT_MAX);
	bool ok = fleet_add(f, "auth = off\n", STR_NONE, e) && make_keys(f, e) && fleet_run(f, create, &key, e);
	for (str rest = buf_str(&key); rest.len > 0 && !str_starts_with(line, STR("tg_"));) {
		str_split(rest, '\n', &line, &rest); /* beside it, a line for people */
	}
	ok = ok && fleet_add(f, "auth = required\n", line, e);
	if (key.len > 0) {
		explicit_bzero(key.ptr, key.len);
	}
	buf_dispose(&key);
	return ok;
}

/* One side of the comparison, over all its windows. */
typedef struct side {
	bench bench;
	bench_log *log;
	double figures[PAIRS]; /* records/s, or p50 in µs */
	uint64_t requests;
	double server_s;
	bool has_server;
} side;

static bool take_window(side *s, const bench_lanes *lanes, int pair, err *e)
{
	load_result result;
	if (!bench_log_load(&s->bench, s->log, lanes, &result, e)) {
		return false;
	}
	s->figures[pair] = lanes->connections == 1 ? (double)latency_percentile(&result.latency, 0.5) / 1e3
											   : bench_rate(result.records, result.elapsed_ns);
	s->requests += result.requests;
	s->server_s += result.spent.server_s;
	s->has_server = result.spent.has_server;
	return true;
}

static int compare_doubles(const void *left, const void *right)
{
	double a = *(const double *)left;
	double b = *(const double *)right;
	return (a > b) - (a < b);
}

/* The value that `share` of them do not pass; sorts them. */
static double quantile(double figures[PAIRS], double share)
{
	qsort(figures, PAIRS, sizeof *figures, compare_doubles);
	return figures[(size_t)(share * (PAIRS - 1) + 0.5)];
}

static double processor_us(const side *s)
{
	return s->requests > 0 ? s->server_s / (double)s->requests * 1e6 : 0;
}

/* The baseline is measured; the figure is what the median of the ratios makes of it: neighbours in time share what else the
 * machine does, so their ratio is steadier than each of them. */
static void add_key_row(bench *b, side *off, side *on, uint32_t connections)
{
	double ratios[PAIRS];
	report_row *row = report_add(b->report);
	bool is_latency = connections == 1;
	for (int i = 0; i < PAIRS; i++) {
		ratios[i] = off->figures[i] > 0 ? on->figures[i] / off->figures[i] : 0;
	}
	double ratio = quantile(ratios, 0.5);
	snprintf(row->name, sizeof row->name, "keys-%u", connections);
	snprintf(row->what, sizeof row->what, "produce with an API key, %d keys, %d tenants, %u connection%s%s", KEYS,
			 TENANTS, connections, connections == 1 ? "" : "s", is_latency ? ": p50" : "");
	snprintf(row->unit, sizeof row->unit, "%s", is_latency ? "µs" : "records/s");
	snprintf(row->baseline_what, sizeof row->baseline_what, "without any key");
	row->baseline = quantile(off->figures, 0.5);
	row->figure = row->baseline * ratio;
	row->ratio_at_most = is_latency ? 1.03 : 0;
	row->ratio_at_least = is_latency ? 0 : 0.97;
	int n = snprintf(row->detail, sizeof row->detail,
					 "median of %d pairs of windows, in turn; half of the ratios %.2f to %.2f", PAIRS,
					 quantile(ratios, 0.25), quantile(ratios, 0.75));
	if (off->has_server && on->has_server) {
		snprintf(row->detail + n, sizeof row->detail - (size_t)n, "; server, each request: %.1f µs, without %.1f µs",
				 processor_us(on), processor_us(off));
	}
	row->verified = (uint64_t)on->log->ledger.end_offset;
}

/* In turn, in windows so short that a machine that drifts does so for both of a pair. */
static bool compare(bench *b, const fleet *f, uint32_t connections, err *e)
{
	bool ok = false;
	bench_options options = *b->options;
	bench_lanes lanes = {.connections = connections,
						 .measure_ms = (int64_t)options.seconds * 1000 / WINDOWS_A_MEASUREMENT,
						 .is_quiet = true};
	side *sides = calloc(2, sizeof *sides);
	if (sides == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	options.warmup_ms /= WINDOWS_A_MEASUREMENT;
	bench_progress("  producing over %u connection%s, with a key and without in turn", connections,
				   connections == 1 ? "" : "s");
	for (size_t i = 0; i < 2; i++) {
		sides[i].bench = at_worker(b, f, i);
		sides[i].bench.options = &options;
		if (!bench_log_new(&sides[i].bench, "keys", 1, SINGLE_VARIANTS, &sides[i].log, e)) {
			goto out;
		}
	}
	for (int i = 0; i < 2 * PAIRS; i++) {
		if (!take_window(&sides[(i + i / 2) % 2], &lanes, i / 2, e)) { /* 0 1 1 0 0 1 1 0 … */
			goto out;
		}
	}
	if (!bench_log_verify(&sides[0].bench, sides[0].log, e) || !bench_log_verify(&sides[1].bench, sides[1].log, e)) {
		goto out;
	}
	add_key_row(b, &sides[0], &sides[1], connections);
	ok = true;
out:
	bench_log_free(sides[0].log);
	bench_log_free(sides[1].log);
	free(sides);
	return ok;
}

bool case_keys(bench *b, err *e)
{
	fleet *f = NULL;
	bool ok =
		open_fleet(b, &f, e) && start_both(f, e) && compare(b, f, 1, e) && compare(b, f, BENCH_RATE_CONNECTIONS, e);
	fleet_close(f);
	return ok;
}
