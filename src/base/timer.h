/*
 * base/timer: one thread that runs short callbacks at given times.
 *
 * Owns     its thread and heap. A scheduled entry belongs to the timer until it fired or was cancelled.
 * Threads  schedule and cancel: any, also from inside a callback. Callbacks run on the timer thread, without
 *          the timer's lock; they must not block.
 * Units    at_ms is absolute, on clock_now_ms().
 * Limits   max_entries given at creation; schedule returns 0 when full.
 */
#ifndef TIDEGATE_BASE_TIMER_H
#define TIDEGATE_BASE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct timer timer;
typedef uint64_t timer_id; /* 0 = none; never used twice */
typedef void timer_fn(void *context);

timer *timer_new(size_t max_entries); /* NULL without memory, without a thread, or with no entries */
void timer_free(timer *t);            /* stops the thread; entries not yet due are dropped without running */
timer_id timer_schedule(timer *t, int64_t at_ms, timer_fn *fn, void *context);
/* true: it will not run. false: it ran, is running now, or was never scheduled. O(log n). */
bool timer_cancel(timer *t, timer_id id);

#endif
