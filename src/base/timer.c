#include "base/timer.h"

#include "base/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/*
 * Entries live in slots that never move; the heap orders slot numbers by due time. An id is
 * sequence * slot_count + slot, so it leads to its slot, grows with time and never comes again.
 */
typedef struct slot {
	timer_id id; /* 0 = free */
	int64_t at_ms;
	timer_fn *fn;
	void *context;
	size_t heap_at;   /* where in the heap, while in use */
	size_t next_free; /* while free */
} slot;

struct timer {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* the earliest entry is another one, or stop */
	pthread_t thread;
	bool is_stopping;
	size_t slot_count;
	size_t free_slot; /* first of the free list; slot_count = none */
	uint64_t sequence;
	size_t heap_len;
	size_t *heap;
	slot *slots;
};

static bool is_before(const timer *t, size_t a, size_t b)
{
	const slot *x = &t->slots[a];
	const slot *y = &t->slots[b];
	return x->at_ms != y->at_ms ? x->at_ms < y->at_ms : x->id < y->id;
}

static void heap_put(timer *t, size_t at, size_t slot_number)
{
	t->heap[at] = slot_number;
	t->slots[slot_number].heap_at = at;
}

/* Moves the entry at `at` towards the root or the leaves until its neighbours are in order. */
static void heap_settle(timer *t, size_t at)
{
	size_t moving = t->heap[at];
	while (at > 0 && is_before(t, moving, t->heap[(at - 1) / 2])) {
		heap_put(t, at, t->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * at + 1;
		if (child + 1 < t->heap_len && is_before(t, t->heap[child + 1], t->heap[child])) {
			child++;
		}
		if (child >= t->heap_len || !is_before(t, t->heap[child], moving)) {
			break;
		}
		heap_put(t, at, t->heap[child]);
		at = child;
	}
	heap_put(t, at, moving);
}

/* Takes a slot out of the heap and frees it. */
static void slot_release(timer *t, size_t number)
{
	size_t hole = t->slots[number].heap_at;
	t->heap_len--;
	if (hole < t->heap_len) {
		heap_put(t, hole, t->heap[t->heap_len]);
		heap_settle(t, hole);
	}
	t->slots[number].id = 0;
	t->slots[number].next_free = t->free_slot;
	t->free_slot = number;
}

static void wait_until(timer *t, int64_t at_ms)
{
	struct timespec until = {.tv_sec = (time_t)(at_ms / 1000), .tv_nsec = (long)(at_ms % 1000) * 1000000};
	pthread_cond_timedwait(&t->changed, &t->lock, &until);
}

static void *timer_main(void *argument)
{
	timer *t = argument;
	pthread_mutex_lock(&t->lock);
	while (!t->is_stopping) {
		if (t->heap_len == 0) {
			pthread_cond_wait(&t->changed, &t->lock);
			continue;
		}
		slot due = t->slots[t->heap[0]];
		if (due.at_ms > clock_now_ms()) {
			wait_until(t, due.at_ms);
			continue;
		}
		slot_release(t, t->heap[0]);
		pthread_mutex_unlock(&t->lock);
		due.fn(due.context);
		pthread_mutex_lock(&t->lock);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Signals are for the main thread: the new one starts with all of them blocked. */
static bool thread_start(timer *t)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool is_started = pthread_create(&t->thread, NULL, timer_main, t) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (is_started) {
		pthread_setname_np(t->thread, "timer");
	}
	return is_started;
}

static void timer_dispose(timer *t)
{
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t->heap);
	free(t->slots);
	free(t);
}

timer *timer_new(size_t max_entries)
{
	timer *t = calloc(1, sizeof *t);
	if (t == NULL) {
		return NULL;
	}
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&t->lock, NULL);
	t->slot_count = max_entries;
	t->heap = calloc(max_entries, sizeof *t->heap);
	t->slots = calloc(max_entries, sizeof *t->slots);
	if (max_entries == 0 || t->heap == NULL || t->slots == NULL) {
		timer_dispose(t);
		return NULL;
	}
	for (size_t i = 0; i < max_entries; i++) {
		t->slots[i].next_free = i + 1;
	}
	if (!thread_start(t)) {
		timer_dispose(t);
		return NULL;
	}
	return t;
}

void timer_free(timer *t)
{
	if (t == NULL) {
		return;
	}
	pthread_mutex_lock(&t->lock);
	t->is_stopping = true;
	pthread_cond_signal(&t->changed);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	timer_dispose(t);
}

timer_id timer_schedule(timer *t, int64_t at_ms, timer_fn *fn, void *context)
{
	timer_id id = 0;
	pthread_mutex_lock(&t->lock);
	size_t number = t->free_slot;
	if (number < t->slot_count) {
		slot *s = &t->slots[number];
		t->free_slot = s->next_free;
		id = ++t->sequence * t->slot_count + number;
		*s = (slot){.id = id, .at_ms = at_ms, .fn = fn, .context = context};
		heap_put(t, t->heap_len++, number);
		heap_settle(t, t->heap_len - 1);
		if (t->heap[0] == number) {
			pthread_cond_signal(&t->changed);
		}
	}
	pthread_mutex_unlock(&t->lock);
	return id;
}

bool timer_cancel(timer *t, timer_id id)
{
	pthread_mutex_lock(&t->lock);
	size_t number = id % t->slot_count;
	bool is_waiting = id != 0 && t->slots[number].id == id;
	if (is_waiting) {
		slot_release(t, number);
	}
	pthread_mutex_unlock(&t->lock);
	return is_waiting;
}
