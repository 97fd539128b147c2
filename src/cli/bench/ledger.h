/*
 * bench/ledger: which offsets were acknowledged, and for what: the reader compares what it finds with it.
 *
 * Owns     its entries, one per acknowledged request.
 * Threads  one at a time.
 * Errors   ERR_INTERNAL: acknowledged offsets that overlap or leave a hole. ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_CLI_BENCH_LEDGER_H
#define TIDEGATE_CLI_BENCH_LEDGER_H

#include "base/err.h"

typedef struct ledger_entry {
	int64_t base_offset;
	uint32_t count;
	uint32_t variant; /* of the payload */
} ledger_entry;

typedef struct ledger {
	ledger_entry *entries;
	size_t count;
	size_t capacity;
	int64_t end_offset; /* set by ledger_settle */
} ledger;

/* Where a reader is: the record it expects next. */
typedef struct ledger_cursor {
	size_t entry;
	uint32_t record;
} ledger_cursor;

void ledger_init(ledger *l);
void ledger_dispose(ledger *l);
bool ledger_add(ledger *l, int64_t base_offset, uint32_t count, uint32_t variant, err *e) MUST_CHECK;
/* Sorts; true when the entries cover the offsets from 0 on, each exactly once.
 */
bool ledger_settle(ledger *l, err *e) MUST_CHECK;
/* In a settled ledger. */
ledger_cursor ledger_seek(const ledger *l, int64_t offset);
static inline void ledger_step(const ledger *l, ledger_cursor *c)
{
	if (++c->record == l->entries[c->entry].count) {
		c->entry++;
		c->record = 0;
	}
}

#endif
