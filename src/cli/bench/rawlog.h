/*
 * bench/rawlog: the baseline of appends: the server's own append statement on the server's own tables, issued
 * straight through libpq on one connection, one transaction each, with parameters that were built beforehand.
 *
 * Its log is topic -1, which no topic has; it is removed when the baseline is opened and when it is closed, as is the
 * schema tidegate_bench with the table that bench/pgbench writes to.
 *
 * Owns     its connection, its log and the schema tidegate_bench.
 * Threads  one at a time.
 * Errors   those of db/conn; ERR_INTERNAL when the records that were appended are not all there.
 */
#ifndef TIDEGATE_CLI_BENCH_RAWLOG_H
#define TIDEGATE_CLI_BENCH_RAWLOG_H

#include "cli/bench/latency.h"
#include "cli/bench/payload.h"

enum { RAWLOG_SETTING_MAX = 64 };

typedef struct rawlog rawlog;

typedef struct rawlog_result {
	uint64_t records;
	int64_t elapsed_ns;
	latency latency; /* of one append and its commit */
} rawlog_result;

/* The database must have the server's schema. */
bool rawlog_open(str database_url, rawlog **out, err *e) MUST_CHECK;
void rawlog_close(rawlog *l); /* accepts NULL */

/* Appends the payload's variants in turn, one row and one transaction each, for that long; what was measured is
 * added to *sum. Then checks that every record appended so far is there. */
bool rawlog_append(rawlog *l, const payload *p, int64_t warmup_ms, int64_t measure_ms, rawlog_result *sum,
				   err *e) MUST_CHECK;
/* What the measurement before left behind is not paid for by the next one: waits until the server has erased the
 * topics that were deleted (half a minute at most), cleans the tables, and writes out what is dirty; does what it has
 * the right to. */
void rawlog_settle(rawlog *l);

/* current_setting(name), for instance of "fsync". */
bool rawlog_setting(rawlog *l, const char *name, char out[RAWLOG_SETTING_MAX], err *e) MUST_CHECK;
bool rawlog_backend(rawlog *l, int32_t *pid, err *e) MUST_CHECK;

#endif
