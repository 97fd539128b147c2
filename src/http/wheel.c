#include "http/wheel.h"

#include <string.h>

enum { WORD_BITS = 64 };

static size_t slot_of(int64_t tick)
{
	return (size_t)tick % WHEEL_SLOTS;
}

void wheel_init(wheel *w, int64_t now_ms)
{
	memset(w, 0, sizeof *w);
	w->tick = now_ms / WHEEL_TICK_MS;
	for (size_t i = 0; i < WHEEL_SLOTS; i++) {
		w->slots[i].next = &w->slots[i];
		w->slots[i].prev = &w->slots[i];
	}
}

void wheel_set(wheel *w, wheel_entry *entry, int64_t due_ms)
{
	wheel_cancel(w, entry);
	/* Rounded up: never early. */
	int64_t tick = (due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
	if (tick <= w->tick) {
		tick = w->tick + 1;
	}
	size_t at = slot_of(tick);
	wheel_entry *head = &w->slots[at];
	entry->due_ms = tick * WHEEL_TICK_MS;
	entry->next = head;
	entry->prev = head->prev;
	head->prev->next = entry;
	head->prev = entry;
	w->used[at / WORD_BITS] |= 1ULL << at % WORD_BITS;
	w->count++;
}

void wheel_cancel(wheel *w, wheel_entry *entry)
{
	if (entry->prev != NULL) {
		entry->prev->next = entry->next;
		entry->next->prev = entry->prev;
		entry->prev = NULL;
		entry->next = NULL;
		w->count--;
	}
}

/* The first entry of the slot that is not for a later turn of the wheel. */
static wheel_entry *find_due(wheel *w, size_t at, int64_t now_ms)
{
	wheel_entry *head = &w->slots[at];
	for (wheel_entry *e = head->next; e != head; e = e->next) {
		if (e->due_ms <= now_ms) {
			return e;
		}
	}
	if (head->next == head) {
		w->used[at / WORD_BITS] &= ~(1ULL << at % WORD_BITS);
	}
	return NULL;
}

wheel_entry *wheel_take_due(wheel *w, int64_t now_ms)
{
	int64_t now_tick = now_ms / WHEEL_TICK_MS;
	if (w->count == 0) {
		w->tick = now_tick;
		return NULL;
	}
	/* After a long sleep one turn visits every slot. */
	if (now_tick - w->tick > WHEEL_SLOTS) {
		w->tick = now_tick - WHEEL_SLOTS;
	}
	while (w->tick < now_tick) {
		size_t at = slot_of(w->tick + 1);
		wheel_entry *e = (w->used[at / WORD_BITS] >> at % WORD_BITS & 1) != 0 ? find_due(w, at, now_ms) : NULL;
		if (e != NULL) {
			wheel_cancel(w, e);
			return e;
		}
		w->tick++;
	}
	return NULL;
}

int wheel_sleep_ms(const wheel *w, int64_t now_ms, int max_ms)
{
	if (w->count == 0) {
		return -1;
	}
	for (int64_t tick = w->tick + 1; tick <= w->tick + WHEEL_SLOTS; tick++) {
		size_t at = slot_of(tick);
		if ((w->used[at / WORD_BITS] >> at % WORD_BITS & 1) != 0) {
			int64_t sleep = tick * WHEEL_TICK_MS - now_ms;
			return sleep < 0 ? 0 : sleep < max_ms ? (int)sleep : max_ms;
		}
	}
	return max_ms;
}
