#include "cli/bench/bench.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/bench/cases.h"
#include "cli/bench/producer.h"
#include "cli/bench/reader.h"

typedef struct bench_case {
	const char *name;
	const char *what;
	bool (*run)(bench *b, err *e);
	bool is_extra; /* runs only when asked for */
} bench_case;

static const bench_case CASES[] = {
	{"latency", "produce, 1 record, 1 connection", case_latency, false},
	{"rate", "produce, 1 record per request, 64 connections", case_rate, false},
	{"http2", "produce over HTTP/2, next to HTTP/1.1", case_http2, false},
	{"batch", "produce, 1000 records per request", case_batch, false},
	{"consume", "consume from the start", case_consume, false},
	{"watch", "produce to SSE event", case_watch, false},
	{"topics", "write, read and watch records of /v0", case_topics, false},
	{"queue", "claim and acknowledge, 50 workers", case_queue, false},
	{"idle", "memory of idle SSE watchers", case_idle, false},
	{"durable", "durable streams, next to another server of the protocol", case_durable, false},
	{"httpmq", "publish, deliver and acknowledge messages of /v1/data", case_httpmq, false},
	{"workers", "produce on one worker, watch on others", case_workers, false},
	{"keys", "what asking for an API key costs", case_keys, false},
	{"long", "slowdown after long mixed load", case_long, true},
};

enum { CASE_COUNT = sizeof CASES / sizeof CASES[0] };

bench_options bench_options_default(void)
{
	return (bench_options){.url = STR("http://127.0.0.1:5470"),
						   .seconds = 8,
						   .warmup_ms = 1000,
						   .value_bytes = 100,
						   .batch_connections = 4,
						   .batch_records = BENCH_BATCH_RECORDS,
						   .readers = 2,
						   .idle_watchers = 10000,
						   .long_minutes = 60};
}

/* ---- what cases share ---- */

void bench_progress(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

double bench_rate(uint64_t count, int64_t elapsed_ns)
{
	return elapsed_ns > 0 ? (double)count * 1e9 / (double)elapsed_ns : 0;
}

void bench_settle(const bench *b)
{
	if (b->raw != NULL) {
		rawlog_settle(b->raw);
	}
}

void bench_note_usage(report_row *row, const load_result *result)
{
	row->seconds = (double)result->elapsed_ns / 1e9;
	row->spent = result->spent;
}

static bool log_new(bench *b, const char *purpose, const char *type, uint32_t records, uint32_t variants,
					bench_log **out, err *e)
{
	bool ok = false;
	payload_options options = {.kind = b->options->random_values ? PAYLOAD_RANDOM : PAYLOAD_TEXT,
							   .records = records,
							   .variants = variants,
							   .value_bytes = b->options->value_bytes,
							   .key_bytes = b->options->key_bytes};
	bench_log *l = calloc(1, sizeof *l);
	if (l == NULL || (l->payload = payload_new(&options)) == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!gateway_topic_create(b->gateway, purpose, type, &l->topic, e)) {
		goto out;
	}
	if (b->topic_count < BENCH_TOPICS_MAX) {
		b->topics[b->topic_count++] = l->topic;
	}
	if (!payload_render(l->payload, b->gateway, &l->topic, e)) {
		goto out;
	}
	*out = l;
	l = NULL;
	ok = true;
out:
	bench_log_free(l);
	return ok;
}

bool bench_log_new(bench *b, const char *purpose, uint32_t records, uint32_t variants, bench_log **out, err *e)
{
	return log_new(b, purpose, "log", records, variants, out, e);
}

bool bench_queue_new(bench *b, const char *purpose, uint32_t records, uint32_t variants, bench_log **out, err *e)
{
	return log_new(b, purpose, "queue", records, variants, out, e);
}

void bench_log_free(bench_log *l)
{
	if (l != NULL) {
		payload_free(l->payload);
		ledger_dispose(&l->ledger);
		free(l);
	}
}

bool bench_log_verify(bench *b, bench_log *l, err *e)
{
	if (!ledger_settle(&l->ledger, e)) {
		return false;
	}
	bench_progress("  reading back %" PRId64 " records", l->ledger.end_offset);
	return reader_verify(b->gateway, &l->topic, &l->ledger, l->payload, e);
}

load_options bench_load_options(const bench *b, const bench_lanes *lanes)
{
	return (load_options){.address = gateway_address(b->gateway),
						  .sources = &b->sources,
						  .connections = lanes->connections,
						  .streams = lanes->streams,
						  .warmup_ms = b->options->warmup_ms,
						  .measure_ms =
							  lanes->measure_ms > 0 ? lanes->measure_ms : (int64_t)b->options->seconds * 1000};
}

bool bench_log_load(bench *b, bench_log *l, const bench_lanes *lanes, load_result *out, err *e)
{
	producer *p = malloc(sizeof *p);
	load_options options = bench_load_options(b, lanes);
	if (p == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (!lanes->is_quiet) {
		bench_progress("  producing over %u connection%s%s for %.1f s", lanes->connections,
					   lanes->connections == 1 ? "" : "s", lanes->streams > 0 ? " of HTTP/2" : "",
					   (double)options.measure_ms / 1e3);
	}
	producer_init(p, l->payload, &l->ledger, UINT64_MAX);
	options.client = producer_client(p);
	bool ok = load_run(&options, out, e);
	free(p);
	return ok;
}

/* ---- the machine ---- */

static void note_processor(report *r)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		str name, value;
		if (str_split(str_from_c(line), ':', &name, &value) && str_starts_with(name, STR("model name"))) {
			value = str_trim(value);
			report_add_fact(r, "processor", "%.*s, %ld cores", (int)(value.len > 0 ? value.len - 1 : 0), value.ptr,
							sysconf(_SC_NPROCESSORS_ONLN));
			break;
		}
	}
	if (f != NULL) {
		fclose(f);
	}
}

static bool note_database(bench *b, err *e)
{
	static const char *const NAMES[] = {"server_version",   "fsync",          "synchronous_commit",
										"full_page_writes", "shared_buffers", "max_wal_size"};
	char value[RAWLOG_SETTING_MAX];
	for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
		if (!rawlog_setting(b->raw, NAMES[i], value, e)) {
			return false;
		}
		report_add_fact(b->report, i == 0 ? "Postgres" : NAMES[i], "%s", value);
		if ((strcmp(NAMES[i], "fsync") == 0 || strcmp(NAMES[i], "synchronous_commit") == 0) &&
			strcmp(value, "on") != 0) {
			bench_progress("bench: %s is %s: commits are not durable, figures do not count", NAMES[i], value);
		}
	}
	return true;
}

static bool note_facts(bench *b, err *e)
{
	const bench_options *o = b->options;
	struct utsname system;
	report_add_fact(b->report, "tidegate", "%s", TIDEGATE_VERSION);
	note_processor(b->report);
	if (uname(&system) == 0) {
		report_add_fact(b->report, "kernel", "%s %s", system.sysname, system.release);
	}
	report_add_fact(b->report, "values", "%u bytes, %s, %s", o->value_bytes, o->random_values ? "random" : "text",
					o->key_bytes > 0 ? "with keys" : "no keys");
	report_add_fact(b->report, "window", "%u s after %u ms of warm-up", o->seconds, o->warmup_ms);
	return b->raw == NULL || note_database(b, e);
}

/* ---- running ---- */

static bool is_known(str name)
{
	for (size_t i = 0; i < CASE_COUNT; i++) {
		if (str_equal(name, str_from_c(CASES[i].name))) {
			return true;
		}
	}
	return false;
}

static bool is_listed(str list, const char *wanted)
{
	str name;
	while (list.len > 0) {
		str_split(list, ',', &name, &list);
		if (str_equal(str_trim(name), str_from_c(wanted))) {
			return true;
		}
	}
	return false;
}

static bool check_list(str list, err *e)
{
	str name;
	while (list.len > 0) {
		str_split(list, ',', &name, &list);
		if (!is_known(str_trim(name))) {
			return err_set(e, ERR_INVALID_REQUEST, "there is no case %.*s", STR_ARG(str_trim(name)));
		}
	}
	return true;
}

static bool is_wanted(const bench_options *o, const bench_case *c)
{
	if (c->is_extra && o->long_millions == 0) {
		return false;
	}
	return o->only.ptr == NULL || is_listed(o->only, c->name);
}

static void run_cases(bench *b)
{
	for (size_t i = 0; i < CASE_COUNT; i++) {
		err e = {0};
		if (!is_wanted(b->options, &CASES[i])) {
			continue;
		}
		bench_progress("%s: %s", CASES[i].name, CASES[i].what);
		bench_settle(b);
		if (!CASES[i].run(b, &e)) {
			report_row *row = report_add(b->report);
			snprintf(row->name, sizeof row->name, "%s", CASES[i].name);
			snprintf(row->what, sizeof row->what, "%s", CASES[i].what);
			snprintf(row->problem, sizeof row->problem, "%s%s%s%s%s", e.message, e.log[0] != '\0' ? ": " : "", e.log,
					 e.frame_count > 0 ? "; while " : "", e.frame_count > 0 ? e.frames[e.frame_count - 1] : "");
			bench_progress("  failed: %s", row->problem);
		}
	}
}

static void clean_up(bench *b)
{
	err e;
	bench_log_free(b->batches);
	for (uint32_t i = 0; i < b->topic_count && !b->options->keeps_topics; i++) {
		if (!gateway_topic_delete(b->gateway, &b->topics[i], &e)) {
			bench_progress("bench: topic %s could not be deleted: %s", b->topics[i].name, e.message);
		}
	}
	rawlog_close(b->raw);
	gateway_close(b->gateway);
	report_free(b->report);
}

static bool open_database(bench *b, err *e)
{
	int32_t backend = 0;
	if (b->options->database_url.ptr == NULL) {
		bench_progress("bench: no database url: baselines are left out");
		return true;
	}
	if (!rawlog_open(b->options->database_url, &b->raw, e) || !rawlog_backend(b->raw, &backend, e)) {
		return false;
	}
	b->sources.postmaster = usage_postmaster_of(backend);
	return true;
}

bool bench_run(const bench_options *options, buf *out, bool *all_well, err *e)
{
	bool ok = false;
	bench b = {.options = options, .sources = {.server = options->server_pid}};
	if (!check_list(options->only, e)) {
		return false;
	}
	if (is_listed(options->only, "long") && options->long_millions == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "the case long needs --long MILLIONS");
	}
	b.report = report_new();
	if (b.report == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!gateway_open(options->url, options->api_key, &b.gateway, e) || !open_database(&b, e) || !note_facts(&b, e)) {
		goto out;
	}
	run_cases(&b);
	switch (options->format) {
	case BENCH_TEXT:
		report_write_text(b.report, out);
		break;
	case BENCH_JSON:
		report_write_json(b.report, out);
		break;
	case BENCH_MARKDOWN:
		report_write_markdown(b.report, out);
		break;
	}
	*all_well = !report_has_failure(b.report, options->is_strict);
	ok = true;
out:
	clean_up(&b);
	return ok;
}
