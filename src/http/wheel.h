/*
 * http/wheel: a coarse timer wheel: O(1) to set and to cancel, for very many entries of one thread.
 *
 * An entry is due at the first tick after its time. Entries further away than the wheel's horizon stay in their slot
 * for more than one turn.
 *
 * Owns     nothing; entries are embedded in what they time.
 * Threads  one.
 * Units    *_ms on clock_now_ms(); a tick is WHEEL_TICK_MS.
 */
#ifndef TIDEGATE_HTTP_WHEEL_H
#define TIDEGATE_HTTP_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WHEEL_TICK_MS = 10, WHEEL_SLOTS = 1024 };

typedef struct wheel_entry {
	struct wheel_entry *next;
	struct wheel_entry *prev; /* NULL: not in a wheel */
	int64_t due_ms;
} wheel_entry;

typedef struct wheel {
	wheel_entry slots[WHEEL_SLOTS];  /* heads of circular lists */
	uint64_t used[WHEEL_SLOTS / 64]; /* a bit per slot that may be filled */
	int64_t tick;                    /* the last one handled */
	size_t count;
} wheel;

void wheel_init(wheel *w, int64_t now_ms);
/* Moves the entry when it is set already. */
void wheel_set(wheel *w, wheel_entry *entry, int64_t due_ms);
void wheel_cancel(wheel *w, wheel_entry *entry); /* no-op when not set */
/* Takes out one entry that is due, or NULL. Call until NULL. */
wheel_entry *wheel_take_due(wheel *w, int64_t now_ms);
/* How long to sleep: 0 … max_ms, at most to the next filled slot; -1 when the wheel is empty. */
int wheel_sleep_ms(const wheel *w, int64_t now_ms, int max_ms);

#endif
