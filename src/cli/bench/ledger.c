#include "cli/bench/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void ledger_init(ledger *l)
{
	memset(l, 0, sizeof *l);
}

void ledger_dispose(ledger *l)
{
	free(l->entries);
	ledger_init(l);
}

bool ledger_add(ledger *l, int64_t base_offset, uint32_t count, uint32_t variant, err *e)
{
	if (l->count == l->capacity) {
		size_t capacity = l->capacity > 0 ? l->capacity * 2 : 4096;
		ledger_entry *moved = realloc(l->entries, capacity * sizeof *moved);
		if (moved == NULL) {
			return err_set(e, ERR_NO_MEMORY, "out of memory");
		}
		l->entries = moved;
		l->capacity = capacity;
	}
	l->entries[l->count++] = (ledger_entry){base_offset, count, variant};
	return true;
}

static int by_offset(const void *a, const void *b)
{
	int64_t left = ((const ledger_entry *)a)->base_offset;
	int64_t right = ((const ledger_entry *)b)->base_offset;
	return (left > right) - (left < right);
}

bool ledger_settle(ledger *l, err *e)
{
	int64_t next = 0;
	if (l->count > 0) {
		qsort(l->entries, l->count, sizeof *l->entries, by_offset);
	}
	for (size_t i = 0; i < l->count; i++) {
		if (l->entries[i].base_offset != next) {
			return err_set(e, ERR_INTERNAL,
						   "wrong acknowledgements: offset %" PRId64 " was expected, %" PRId64 " follows", next,
						   l->entries[i].base_offset);
		}
		next += l->entries[i].count;
	}
	l->end_offset = next;
	return true;
}

ledger_cursor ledger_seek(const ledger *l, int64_t offset)
{
	size_t low = 0;
	size_t high = l->count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (l->entries[middle].base_offset <= offset) {
			low = middle;
		} else {
			high = middle;
		}
	}
	return (ledger_cursor){low, l->count > 0 ? (uint32_t)(offset - l->entries[low].base_offset) : 0};
}
