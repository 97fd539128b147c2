/*
 * bench/bench: `tidegate bench`: runs the cases against a server, each next to its baseline, and reports.
 *
 * Owns     the topics it makes on the server and what the baselines make in the database; all is removed at the end.
 * Threads  main thread only. Progress goes to stderr.
 * Errors   those of reaching server and database. A case that fails is a row of the report, not an error.
 */
#ifndef TIDEGATE_CLI_BENCH_BENCH_H
#define TIDEGATE_CLI_BENCH_BENCH_H

#include "base/buf.h"
#include "base/err.h"

typedef enum bench_format { BENCH_TEXT, BENCH_JSON, BENCH_MARKDOWN } bench_format;

typedef struct bench_options {
	str url;
	str api_key;        /* ptr NULL = none */
	str peer_url;       /* another server of durable streams, to compare with; ptr NULL = none */
	str database_url;   /* ptr NULL = no baselines */
	int32_t server_pid; /* 0 = unknown: no processor times, no memory of the server */
	str only;           /* names of cases, comma-separated; ptr NULL = all but long */
	uint32_t seconds;   /* of each measurement */
	uint32_t warmup_ms; /* before each */
	uint32_t value_bytes;
	uint32_t key_bytes; /* 0 = no keys */
	bool random_values;
	uint32_t batch_connections; /* of the batch case */
	uint32_t batch_records;     /* a request of it */
	uint32_t readers;           /* of the consume case */
	uint32_t idle_watchers;
	uint32_t long_millions; /* of records; 0 = the case long is off */
	uint32_t long_minutes;  /* at least */
	const char *pgbench;    /* NULL = the installed one */
	bool keeps_topics;
	bool is_strict; /* a missed target counts as a failure */
	bench_format format;
} bench_options;

bench_options bench_options_default(void);
/* *out gets the report. *all_well is false when a case failed. */
bool bench_run(const bench_options *options, buf *out, bool *all_well, err *e) MUST_CHECK;

#endif
