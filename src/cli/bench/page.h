/*
 * bench/page: a cheap scanner for the two replies that carry offsets. It looks for the members it needs, first where
 * the record before lets it expect them, and so costs about as much as comparing the values.
 *
 * Threads  any.
 * Errors   ERR_INTERNAL: an offset is missing, doubled or out of order, or a value is not the one that was sent.
 */
#ifndef TIDEGATE_CLI_BENCH_PAGE_H
#define TIDEGATE_CLI_BENCH_PAGE_H

#include "cli/bench/ledger.h"
#include "cli/bench/payload.h"

/* A produce reply: exactly `count` results with consecutive offsets from *base_offset. */
bool page_check_results(str body, uint32_t count, int64_t *base_offset, err *e) MUST_CHECK;

/* What a reader expects: the ledger's records, one after the other. */
typedef struct page_expectation {
	const ledger *ledger;
	const payload *payload;
	ledger_cursor cursor;
	int64_t next_offset;
	bool log_grows; /* what comes behind the ledger's end is passed over */
} page_expectation;

page_expectation page_expect(const ledger *l, const payload *p, int64_t offset);
/* A consume reply: every record is the expected one, in order. Moves the expectation; *count records were there. */
bool page_check_messages(str body, page_expectation *x, uint32_t *count, err *e) MUST_CHECK;

/* The number behind the first `name` in text, which comes with quotes and colon. False when there is none. */
bool page_find_number(str text, str name, int64_t *out);
/* The number behind the next "offset": in text, for event streams. False when there is none. */
bool page_find_offset(str text, int64_t *offset);

#endif
