#include "base/clock.h"
#include "base/timer.h"
#include "failing_memory.h"
#include "suite.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument);

static bool threads_are_out;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
	return threads_are_out ? EAGAIN : __real_pthread_create(thread, attributes, start, argument);
}

static void sleep_ms(long ms)
{
	const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
	nanosleep(&pause, NULL);
}

/* Waits up to 10 s; a test never sleeps for something to happen. */
static bool wait_for(sem_t *s)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	return sem_timedwait(s, &until) == 0;
}

static void post(void *context)
{
	sem_post(context);
}

/* What ran, in order; written on the timer thread only, read after `last` was posted. */
typedef struct trace {
	sem_t last;
	size_t count;
	size_t order[200];
	size_t expected;
} trace;

typedef struct step {
	trace *trace;
	size_t number;
} step;

static void note(void *context)
{
	const step *s = context;
	s->trace->order[s->trace->count++] = s->number;
	if (s->trace->count == s->trace->expected) {
		sem_post(&s->trace->last);
	}
}

/* Holds the timer's thread, so that what is scheduled meanwhile is found all at once, however long it takes. */
static void block(void *context)
{
	sem_wait(context);
}

START_TEST(a_callback_runs_at_its_time_and_not_before)
{
	timer *t = timer_new(10);
	sem_t ran;
	sem_init(&ran, 0, 0);
	int64_t before_ms = clock_now_ms();
	ck_assert_uint_ne(timer_schedule(t, before_ms + 50, post, &ran), 0);
	ck_assert(wait_for(&ran));
	ck_assert_int_ge(clock_now_ms(), before_ms + 50);
	ck_assert_int_ne(sem_trywait(&ran), 0); /* once */
	timer_free(t);
	sem_destroy(&ran);
}
END_TEST

START_TEST(entries_run_in_the_order_of_their_times)
{
	enum { COUNT = 200 };
	static trace tr;
	static step steps[COUNT];
	sem_t go;
	sem_init(&go, 0, 0);
	sem_init(&tr.last, 0, 0);
	tr.expected = COUNT;
	timer *t = timer_new(COUNT + 1);
	timer_schedule(t, INT64_MIN, block, &go);
	int64_t base_ms = clock_now_ms() + 100;
	for (size_t i = 0; i < COUNT; i++) {
		size_t place = i * 77 % COUNT; /* scheduled out of order */
		steps[place] = (step){&tr, place};
		ck_assert_uint_ne(timer_schedule(t, base_ms + (int64_t)place / 4, note, &steps[place]), 0);
	}
	sem_post(&go);
	ck_assert(wait_for(&tr.last));
	for (size_t i = 1; i < COUNT; i++) {
		ck_assert_uint_le(tr.order[i - 1] / 4, tr.order[i] / 4);
	}
	timer_free(t);
}
END_TEST

START_TEST(entries_of_the_same_time_run_in_the_order_of_scheduling)
{
	enum { COUNT = 50 };
	static trace tr;
	static step steps[COUNT];
	sem_init(&tr.last, 0, 0);
	tr.expected = COUNT;
	timer *t = timer_new(COUNT);
	int64_t at_ms = clock_now_ms() + 50;
	for (size_t i = 0; i < COUNT; i++) {
		steps[i] = (step){&tr, i};
		timer_schedule(t, at_ms, note, &steps[i]);
	}
	ck_assert(wait_for(&tr.last));
	for (size_t i = 0; i < COUNT; i++) {
		ck_assert_uint_eq(tr.order[i], i);
	}
	timer_free(t);
}
END_TEST

START_TEST(an_earlier_entry_wakes_the_thread_that_waits_for_a_later_one)
{
	timer *t = timer_new(10);
	sem_t ran;
	sem_init(&ran, 0, 0);
	timer_schedule(t, clock_now_ms() + 3600000, post, &ran);
	sleep_ms(20); /* lets the thread go to sleep for the hour */
	timer_schedule(t, clock_now_ms() + 10, post, &ran);
	ck_assert(wait_for(&ran));
	timer_free(t);
}
END_TEST

START_TEST(a_time_in_the_past_runs_at_once)
{
	timer *t = timer_new(10);
	sem_t ran;
	sem_init(&ran, 0, 0);
	timer_schedule(t, 0, post, &ran);
	ck_assert(wait_for(&ran));
	timer_schedule(t, INT64_MIN, post, &ran);
	ck_assert(wait_for(&ran));
	timer_free(t);
}
END_TEST

START_TEST(a_time_that_never_comes_is_waited_for)
{
	timer *t = timer_new(10);
	sem_t ran;
	sem_init(&ran, 0, 0);
	timer_id id = timer_schedule(t, INT64_MAX, post, &ran);
	sleep_ms(50);
	ck_assert_int_ne(sem_trywait(&ran), 0);
	ck_assert(timer_cancel(t, id));
	timer_free(t);
}
END_TEST

START_TEST(a_cancelled_entry_does_not_run)
{
	timer *t = timer_new(10);
	sem_t go;
	sem_t cancelled;
	sem_t later;
	sem_init(&go, 0, 0);
	sem_init(&cancelled, 0, 0);
	sem_init(&later, 0, 0);
	timer_schedule(t, INT64_MIN, block, &go);
	int64_t now_ms = clock_now_ms();
	timer_id id = timer_schedule(t, now_ms + 100, post, &cancelled);
	timer_schedule(t, now_ms + 150, post, &later);
	ck_assert(timer_cancel(t, id));
	ck_assert(!timer_cancel(t, id));
	sem_post(&go);
	ck_assert(wait_for(&later));
	ck_assert_int_ne(sem_trywait(&cancelled), 0);
	timer_free(t);
}
END_TEST

START_TEST(cancelling_any_of_many_leaves_the_rest_in_order)
{
	enum { COUNT = 200 };
	static trace tr;
	static step steps[COUNT];
	timer_id ids[COUNT];
	sem_t go;
	sem_init(&go, 0, 0);
	sem_init(&tr.last, 0, 0);
	tr.expected = COUNT / 2;
	timer *t = timer_new(COUNT + 1);
	timer_schedule(t, INT64_MIN, block, &go);
	int64_t base_ms = clock_now_ms() + 200;
	for (size_t i = 0; i < COUNT; i++) {
		size_t place = i * 77 % COUNT;
		steps[place] = (step){&tr, place};
		ids[place] = timer_schedule(t, base_ms + (int64_t)place, note, &steps[place]);
	}
	for (size_t i = 0; i < COUNT; i += 2) {
		ck_assert(timer_cancel(t, ids[i * 33 % COUNT / 2 * 2]));
	}
	sem_post(&go);
	ck_assert(wait_for(&tr.last));
	for (size_t i = 0; i < COUNT / 2; i++) {
		ck_assert_uint_eq(tr.order[i], 2 * i + 1);
	}
	timer_free(t);
}
END_TEST

/* Any number of entries with any times, any of them cancelled: while the thread is held, so that it finds them all. */
START_TEST(every_mixture_runs_in_order)
{
	enum { MOST = 70 };
	static trace tr;
	static step steps[MOST];
	timer_id ids[MOST];
	int64_t times[MOST];
	bool is_cancelled[MOST];
	sem_t go;
	uint32_t seed = 1;
	sem_init(&go, 0, 0);
	sem_init(&tr.last, 0, 0);
	timer *t = timer_new(MOST + 1);
	for (size_t count = 1; count <= MOST; count++) {
		timer_schedule(t, INT64_MIN, block, &go);
		tr.count = 0;
		tr.expected = count;
		for (size_t i = 0; i < count; i++) {
			seed = seed * 1103515245 + 12345;
			times[i] = -(int64_t)(seed >> 16) % (int64_t)(1 + count / 2) - 1;
			is_cancelled[i] = seed >> 28 < 5;
			steps[i] = (step){&tr, i};
			ids[i] = timer_schedule(t, times[i], note, &steps[i]);
		}
		for (size_t i = 0; i < count; i++) {
			if (is_cancelled[i]) {
				ck_assert(timer_cancel(t, ids[i]));
				tr.expected--;
			}
		}
		sem_post(&go);
		if (tr.expected == 0) {
			continue;
		}
		ck_assert(wait_for(&tr.last));
		for (size_t i = 0; i < tr.expected; i++) {
			size_t now = tr.order[i];
			size_t before = tr.order[i - (i > 0)];
			ck_assert(!is_cancelled[now]);
			ck_assert_msg(i == 0 || times[before] < times[now] || (times[before] == times[now] && before < now),
						  "%zu entries: %zu ran before %zu", count, before, now);
		}
	}
	timer_free(t);
}
END_TEST

START_TEST(cancel_of_what_ran_or_never_was_is_false)
{
	timer *t = timer_new(10);
	sem_t ran;
	sem_init(&ran, 0, 0);
	timer_id id = timer_schedule(t, 0, post, &ran);
	ck_assert(wait_for(&ran));
	ck_assert(!timer_cancel(t, id));
	ck_assert(!timer_cancel(t, 0));
	ck_assert(!timer_cancel(t, 12345));
	ck_assert(!timer_cancel(t, UINT64_MAX));
	timer_free(t);
}
END_TEST

START_TEST(an_id_is_never_used_twice)
{
	enum { COUNT = 5000 };
	static timer_id seen[COUNT];
	timer *t = timer_new(3);
	sem_t ran;
	sem_init(&ran, 0, 0);
	for (size_t i = 0; i < COUNT; i++) {
		seen[i] = timer_schedule(t, INT64_MAX, post, &ran);
		ck_assert(timer_cancel(t, seen[i]));
		ck_assert(i == 0 || seen[i] > seen[i - 1]); /* growing, so none comes again */
	}
	/* An old id of the slot now in use again must not cancel the new entry. */
	timer_id current = timer_schedule(t, INT64_MAX, post, &ran);
	for (size_t i = 0; i < COUNT; i++) {
		ck_assert(!timer_cancel(t, seen[i]));
	}
	ck_assert(timer_cancel(t, current));
	timer_free(t);
}
END_TEST

START_TEST(a_full_timer_gives_zero_until_an_entry_is_gone)
{
	timer *t = timer_new(2);
	sem_t ran;
	sem_init(&ran, 0, 0);
	timer_id first = timer_schedule(t, INT64_MAX, post, &ran);
	ck_assert_uint_ne(timer_schedule(t, INT64_MAX, post, &ran), 0);
	ck_assert_uint_eq(timer_schedule(t, INT64_MAX, post, &ran), 0);
	ck_assert(timer_cancel(t, first));
	ck_assert_uint_ne(timer_schedule(t, 0, post, &ran), 0);
	ck_assert(wait_for(&ran));
	ck_assert_uint_ne(timer_schedule(t, INT64_MAX, post, &ran), 0);
	ck_assert_uint_eq(timer_schedule(t, INT64_MAX, post, &ran), 0);
	timer_free(t);
}
END_TEST

typedef struct chain {
	timer *timer;
	timer_id self;
	timer_id victim;
	int left;
	bool self_cancelled;
	bool victim_cancelled;
	sem_t start;
	sem_t done;
} chain;

static void run_chain(void *context)
{
	chain *c = context;
	if (c->left-- > 0) {
		timer_schedule(c->timer, clock_now_ms(), run_chain, c);
	} else {
		sem_post(&c->done);
	}
}

START_TEST(a_callback_may_schedule_the_next)
{
	timer *t = timer_new(1); /* its own slot is free again while it runs */
	chain c = {.timer = t, .left = 100};
	sem_init(&c.done, 0, 0);
	timer_schedule(t, 0, run_chain, &c);
	ck_assert(wait_for(&c.done));
	ck_assert_int_eq(c.left, -1);
	timer_free(t);
}
END_TEST

static void cancel_inside(void *context)
{
	chain *c = context;
	sem_wait(&c->start); /* until self and victim are set; tests may block */
	c->self_cancelled = timer_cancel(c->timer, c->self);
	c->victim_cancelled = timer_cancel(c->timer, c->victim);
	sem_post(&c->done);
}

START_TEST(a_callback_may_cancel_others_but_not_itself)
{
	timer *t = timer_new(10);
	chain c = {.timer = t};
	sem_init(&c.start, 0, 0);
	sem_init(&c.done, 0, 0);
	c.self = timer_schedule(t, 0, cancel_inside, &c);
	c.victim = timer_schedule(t, 0, post, &c.done);
	sem_post(&c.start);
	ck_assert(wait_for(&c.done));
	ck_assert(!c.self_cancelled);
	ck_assert(c.victim_cancelled);
	timer_free(t);
	ck_assert_int_ne(sem_trywait(&c.done), 0); /* the victim did not run */
}
END_TEST

START_TEST(free_drops_what_is_not_due)
{
	timer *t = timer_new(10);
	sem_t ran;
	sem_init(&ran, 0, 0);
	timer_schedule(t, clock_now_ms() + 3600000, post, &ran);
	timer_free(t); /* without waiting for it: no test may take an hour */
	ck_assert_int_ne(sem_trywait(&ran), 0);
	timer_free(NULL);
}
END_TEST

START_TEST(a_timer_without_entries_is_none)
{
	ck_assert_ptr_null(timer_new(0));
}
END_TEST

static void read_mask(void *context)
{
	chain *c = context;
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	c->victim_cancelled = sigismember(&mask, SIGTERM) == 1;
	sem_post(&c->done);
}

START_TEST(signals_are_left_to_the_other_threads)
{
	timer *t = timer_new(1);
	chain c = {.timer = t};
	sem_init(&c.done, 0, 0);
	timer_schedule(t, 0, read_mask, &c);
	ck_assert(wait_for(&c.done));
	ck_assert(c.victim_cancelled);
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	ck_assert_int_eq(sigismember(&mask, SIGTERM), 0);
	timer_free(t);
}
END_TEST

/* Each entry ends exactly once: cancelled or run. */
enum { THREADS = 4, ROUNDS = 2000 };

typedef struct crowd {
	timer *timer;
	atomic_int ran;
	atomic_int cancelled;
} crowd;

static void count_run(void *context)
{
	crowd *c = context;
	atomic_fetch_add(&c->ran, 1);
}

static void *schedule_and_cancel(void *context)
{
	crowd *c = context;
	for (int i = 0; i < ROUNDS; i++) {
		timer_id id = timer_schedule(c->timer, clock_now_ms() + i % 3, count_run, c);
		if (timer_cancel(c->timer, id)) {
			atomic_fetch_add(&c->cancelled, 1);
		}
	}
	return NULL;
}

START_TEST(each_entry_runs_or_is_cancelled_but_never_both)
{
	crowd c = {.timer = timer_new(THREADS * ROUNDS)};
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++) {
		pthread_create(&threads[i], NULL, schedule_and_cancel, &c);
	}
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	sem_t last;
	sem_init(&last, 0, 0);
	timer_schedule(c.timer, clock_now_ms() + 5, post, &last); /* after all others */
	ck_assert(wait_for(&last));
	ck_assert_int_eq(atomic_load(&c.ran) + atomic_load(&c.cancelled), THREADS * ROUNDS);
	timer_free(c.timer);
}
END_TEST

static bool make(void)
{
	timer *t = timer_new(100);
	bool is_made = t != NULL;
	timer_free(t);
	return is_made;
}

START_TEST(a_timer_without_memory_is_none)
{
	FAIL_EVERY_ALLOCATION(make(), 3);
}
END_TEST

START_TEST(a_timer_without_a_thread_is_none)
{
	threads_are_out = true;
	ck_assert_ptr_null(timer_new(10)); /* ASan looks for what is left */
	threads_are_out = false;
	timer_free(timer_new(10));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_callback_runs_at_its_time_and_not_before,
		entries_run_in_the_order_of_their_times,
		entries_of_the_same_time_run_in_the_order_of_scheduling,
		an_earlier_entry_wakes_the_thread_that_waits_for_a_later_one,
		a_time_in_the_past_runs_at_once,
		a_time_that_never_comes_is_waited_for,
		a_cancelled_entry_does_not_run,
		cancelling_any_of_many_leaves_the_rest_in_order,
		every_mixture_runs_in_order,
		cancel_of_what_ran_or_never_was_is_false,
		an_id_is_never_used_twice,
		a_full_timer_gives_zero_until_an_entry_is_gone,
		a_callback_may_schedule_the_next,
		a_callback_may_cancel_others_but_not_itself,
		free_drops_what_is_not_due,
		a_timer_without_entries_is_none,
		signals_are_left_to_the_other_threads,
		each_entry_runs_or_is_cancelled_but_never_both,
		a_timer_without_memory_is_none,
		a_timer_without_a_thread_is_none,
	};
	return SUITE_RUN("base/timer", tests);
}
