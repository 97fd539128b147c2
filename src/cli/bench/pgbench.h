/*
 * bench/pgbench: the baseline of single records: the installed pgbench inserting one row per transaction.
 *
 * Threads  one at a time; waits for the child it starts.
 * Errors   ERR_UNAVAILABLE pgbench cannot be run, or failed, or says nothing that can be understood.
 */
#ifndef TIDEGATE_CLI_BENCH_PGBENCH_H
#define TIDEGATE_CLI_BENCH_PGBENCH_H

#include "base/err.h"

typedef struct pgbench_options {
	const char *program; /* NULL: looked for in PATH, then where distributions put it */
	str database_url;
	uint32_t clients;
	uint32_t seconds;
	str key;   /* ptr NULL = none */
	str value; /* no quote or backslash in it */
} pgbench_options;

/* Single-row inserts into tidegate_bench.single (see bench/rawlog), prepared statement, one transaction each. */
bool pgbench_run(const pgbench_options *options, double *per_second, err *e) MUST_CHECK;

#endif
