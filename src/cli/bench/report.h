/*
 * bench/report: what was measured, next to its baseline and its target, and how it is shown.
 *
 * Owns     its rows and facts, copies of the texts included.
 * Threads  one at a time.
 * Limits   REPORT_ROWS_MAX rows, REPORT_FACTS_MAX facts; beyond, the last one is overwritten.
 */
#ifndef TIDEGATE_CLI_BENCH_REPORT_H
#define TIDEGATE_CLI_BENCH_REPORT_H

#include "base/buf.h"
#include "cli/bench/usage.h"

enum { REPORT_ROWS_MAX = 96, REPORT_FACTS_MAX = 24 };

typedef enum report_verdict {
	REPORT_MET,
	REPORT_MISSED,
	REPORT_NOT_JUDGED, /* there is no target, or the baseline it needs was not measured */
	REPORT_FAILED      /* the case could not be measured, or its records are not what was acknowledged */
} report_verdict;

typedef struct report_row {
	char name[32]; /* "latency" */
	char what[96]; /* "produce, 1 record, 1 connection: p50" */
	char unit[16]; /* of figure and baseline */
	double figure;
	double baseline; /* 0 = none */
	char baseline_what[64];
	/* The target: bounds that must all hold; 0 = no such bound. The ratio is figure / baseline. */
	double figure_at_most;
	double figure_at_least;
	double ratio_at_most;
	double ratio_at_least;
	char detail[256];  /* percentiles, counts */
	uint64_t verified; /* records that were read back, each once, in order, unchanged */
	double seconds;    /* of the window; 0 = without processor times */
	usage spent;
	char problem[768]; /* not empty: REPORT_FAILED */
} report_row;

typedef struct report {
	report_row rows[REPORT_ROWS_MAX];
	uint32_t row_count;
	struct report_fact {
		char name[32];
		char value[128];
	} facts[REPORT_FACTS_MAX];
	uint32_t fact_count;
} report;

report *report_new(void); /* NULL when out of memory */
void report_free(report *r);
report_row *report_add(report *r); /* zeroed; valid as long as the report */
void report_add_fact(report *r, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

double report_ratio(const report_row *row); /* 0 without a baseline */
report_verdict report_judge(const report_row *row);
bool report_has_failure(const report *r, bool missed_is_failure);

/* A table for people, one JSON document, or a block for docs/benchmarks.md. Errors: buf.failed. */
void report_write_text(const report *r, buf *out);
void report_write_json(const report *r, buf *out);
void report_write_markdown(const report *r, buf *out);

#endif
