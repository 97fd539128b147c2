/*
 * bench/cases: the cases of `tidegate bench`, and what they share.
 *
 * A case measures, reads back what it produced, and adds its rows to the report; on failure it returns false and the
 * caller makes a row of that.
 *
 * Threads  one at a time.
 */
#ifndef TIDEGATE_CLI_BENCH_CASES_H
#define TIDEGATE_CLI_BENCH_CASES_H

#include "cli/bench/bench.h"
#include "cli/bench/fleet.h"
#include "cli/bench/ledger.h"
#include "cli/bench/load.h"
#include "cli/bench/payload.h"
#include "cli/bench/rawlog.h"
#include "cli/bench/report.h"

enum { BENCH_TOPICS_MAX = 32, BENCH_RATE_CONNECTIONS = 64, BENCH_PGBENCH_CLIENTS = 32, BENCH_BATCH_RECORDS = 1000 };

/* A topic with records that are known: what a case produced. */
typedef struct bench_log {
	gateway_topic topic;
	ledger ledger;
	payload *payload;
} bench_log;

typedef struct bench {
	const bench_options *options;
	gateway *gateway;
	rawlog *raw; /* NULL = no database */
	usage_sources sources;
	report *report;
	gateway_topic topics[BENCH_TOPICS_MAX]; /* to be deleted at the end */
	uint32_t topic_count;
	bench_log *batches; /* of the case batch, for the case consume; NULL = none */
} bench;

/* A new topic and a payload rendered for it. */
bool bench_log_new(bench *b, const char *purpose, uint32_t records, uint32_t variants, bench_log **out,
				   err *e) MUST_CHECK;
/* The same as a queue of the topics dialect. */
bool bench_queue_new(bench *b, const char *purpose, uint32_t records, uint32_t variants, bench_log **out,
					 err *e) MUST_CHECK;
void bench_log_free(bench_log *l); /* accepts NULL */
/* Settles the ledger and reads everything back. */
bool bench_log_verify(bench *b, bench_log *l, err *e) MUST_CHECK;
/* What a load goes over, and for how long. */
typedef struct bench_lanes {
	uint32_t connections;
	uint32_t streams;   /* of each, over HTTP/2; 0 = HTTP/1.1 */
	int64_t measure_ms; /* 0 = as the options say */
	bool is_quiet;      /* no line of progress */
} bench_lanes;
/* Before a measurement: see rawlog_settle. Does nothing without a database. */
void bench_settle(const bench *b);
/* The loop of it; the client is the caller's to fill in. */
load_options bench_load_options(const bench *b, const bench_lanes *lanes);
/* Produces the log's payload. */
bool bench_log_load(bench *b, bench_log *l, const bench_lanes *lanes, load_result *out, err *e) MUST_CHECK;

void bench_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
double bench_rate(uint64_t count, int64_t elapsed_ns); /* a second */
/* Processor times of the window. */
void bench_note_usage(report_row *row, const load_result *result);

/* So many open files more than a process needs anyway. */
bool bench_allow_files(uint32_t count, err *e) MUST_CHECK;

/* Live readers, spread over servers; records are produced at the bench's own. */
typedef struct watch_plan {
	const char *name;  /* of the row, before the count */
	const char *where; /* of the readers, for people: " on another worker" */
	const gateway *readers[FLEET_WORKERS_MAX];
	size_t reader_count;
	uint32_t count;
	double target_ms; /* 0 = none */
} watch_plan;

/* Measures it and adds its row. */
bool bench_watch(bench *b, const watch_plan *plan, err *e) MUST_CHECK;

bool case_latency(bench *b, err *e) MUST_CHECK;
bool case_rate(bench *b, err *e) MUST_CHECK;
bool case_http2(bench *b, err *e);
bool case_batch(bench *b, err *e) MUST_CHECK;
bool case_consume(bench *b, err *e) MUST_CHECK;
bool case_watch(bench *b, err *e) MUST_CHECK;
bool case_queue(bench *b, err *e) MUST_CHECK;
bool case_topics(bench *b, err *e) MUST_CHECK;
bool case_idle(bench *b, err *e) MUST_CHECK;
bool case_durable(bench *b, err *e) MUST_CHECK;
bool case_httpmq(bench *b, err *e) MUST_CHECK;
bool case_workers(bench *b, err *e) MUST_CHECK;
bool case_keys(bench *b, err *e) MUST_CHECK;
bool case_long(bench *b, err *e) MUST_CHECK;

#endif
