/*
 * The pump between a fake log, whose jobs run when the test says so, and a real timer.
 */
#include "suite.h"

#include "api/pump.h"
#include "base/clock.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

enum { JOBS_MAX = 64, LOOKS_MAX = 6000 }; /* looks every 10 ms */

struct log_watch {
	void (*on_wake)(void *context);
	void *context;
};

static timer *clockwork;
static log_job jobs[JOBS_MAX]; /* guarded by `lock` */
static size_t job_count;
static bool is_busy; /* no job is taken */
static log_watch watch;
static int watches_started;
static int watches_stopped;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the log's side ---- */

timer *log_engine_timer(log_engine *engine)
{
	(void)engine;
	return clockwork;
}

bool log_engine_submit(log_engine *engine, log_job job, err *e)
{
	(void)engine;
	pthread_mutex_lock(&lock);
	bool ok = !is_busy;
	if (ok) {
		jobs[job_count++] = job;
	}
	pthread_mutex_unlock(&lock);
	return ok || err_set(e, ERR_THROTTLED, "busy");
}

log_watch *log_watch_start(log_engine *engine, int64_t topic_id, int32_t partition, void (*on_wake)(void *context),
						   void *context)
{
	(void)engine;
	(void)topic_id;
	(void)partition;
	watch = (log_watch){on_wake, context};
	watches_started++;
	return &watch;
}

void log_watch_stop(log_watch *w)
{
	watches_stopped += w != NULL ? 1 : 0;
}

static void set_busy(bool value)
{
	pthread_mutex_lock(&lock);
	is_busy = value;
	pthread_mutex_unlock(&lock);
}

static size_t queued(void)
{
	pthread_mutex_lock(&lock);
	size_t count = job_count;
	pthread_mutex_unlock(&lock);
	return count;
}

static void run_next(void)
{
	ck_assert_uint_gt(queued(), 0);
	pthread_mutex_lock(&lock);
	log_job job = jobs[0];
	job_count--;
	memmove(jobs, jobs + 1, job_count * sizeof jobs[0]);
	pthread_mutex_unlock(&lock);
	job.run(job.context, NULL);
}

static void wait_for_job(void)
{
	for (int i = 0; i < LOOKS_MAX && queued() == 0; i++) {
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	ck_assert_uint_eq(queued(), 1);
}

/* ---- the body ---- */

typedef struct probe {
	api api;
	pump *pump;
	int runs;
	atomic_int refusals; /* the timer's thread refuses */
	pump_next after_refusal;
	int kicks_inside; /* what the next run does to its own pump */
	int64_t kick_at_ms;
	bool makes_busy; /* the next run does */
	bool watches;
	pump_next answer;
} probe;

static pump_next run(void *context, log_conn *conn)
{
	probe *p = context;
	(void)conn;
	p->runs++;
	for (; p->kicks_inside > 0; p->kicks_inside--) {
		pump_kick(p->pump);
	}
	if (p->kick_at_ms != 0) {
		pump_kick_at(p->pump, p->kick_at_ms);
		p->kick_at_ms = 0;
	}
	if (p->makes_busy) {
		set_busy(true);
		p->makes_busy = false;
	}
	if (p->watches) {
		ck_assert(pump_watch(p->pump, 1, 0));
	}
	return p->answer;
}

static pump_next refuse(void *context, const err *e)
{
	probe *p = context;
	ck_assert_int_eq(e->code, ERR_THROTTLED);
	p->refusals++;
	return p->after_refusal;
}

static void setup(probe *p)
{
	err e;
	memset(p, 0, sizeof *p);
	p->after_refusal = PUMP_DONE;
	job_count = 0;
	watches_started = 0;
	watches_stopped = 0;
	set_busy(false);
	clockwork = timer_new(100);
	p->api.metrics = metric_registry_new();
	p->api.pumps = pump_set_new(p->api.metrics);
	p->pump = pump_new(&p->api, (pump_body){run, refuse, p}, &e);
	ck_assert_ptr_nonnull(p->pump);
}

/* The pump must be done by now. */
static void teardown(probe *p)
{
	timer_free(clockwork);
	pump_unref(p->pump);
	ck_assert_int_eq(metric_value(metric_gauge(p->api.metrics, "tidegate_waiting_reads", "", NULL)), 0);
	pump_set_free(p->api.pumps);
	metric_registry_free(p->api.metrics);
}

START_TEST(kicks_before_a_run_are_one_run)
{
	probe p;
	setup(&p);
	pump_kick(p.pump);
	pump_kick(p.pump);
	ck_assert_uint_eq(queued(), 1);
	p.answer = PUMP_DONE;
	run_next();
	ck_assert_int_eq(p.runs, 1);
	pump_kick(p.pump);
	ck_assert_uint_eq(queued(), 0);
	teardown(&p);
}
END_TEST

START_TEST(kicks_during_a_run_are_one_more_run)
{
	probe p;
	setup(&p);
	p.kicks_inside = 3;
	pump_kick(p.pump);
	run_next();
	ck_assert_uint_eq(queued(), 1);
	run_next();
	ck_assert_uint_eq(queued(), 0);
	ck_assert_int_eq(p.runs, 2);
	p.answer = PUMP_DONE;
	pump_kick(p.pump);
	run_next();
	teardown(&p);
}
END_TEST

START_TEST(a_watch_kicks_until_the_pump_is_done)
{
	probe p;
	setup(&p);
	p.watches = true;
	pump_kick(p.pump);
	run_next();
	watch.on_wake(watch.context);
	ck_assert_uint_eq(queued(), 1);
	p.answer = PUMP_DONE;
	run_next();
	ck_assert_int_eq(watches_started, 1);
	ck_assert_int_eq(watches_stopped, 1);
	teardown(&p);
}
END_TEST

START_TEST(the_time_kicks_once_and_the_later_call_counts)
{
	probe p;
	setup(&p);
	p.kick_at_ms = clock_now_ms() + 3600000;
	pump_kick(p.pump);
	run_next();
	p.kick_at_ms = clock_now_ms() + 20;
	pump_kick(p.pump);
	run_next();
	wait_for_job();
	p.answer = PUMP_DONE;
	run_next();
	ck_assert_int_eq(p.runs, 3);
	teardown(&p);
}
END_TEST

START_TEST(a_done_pump_is_not_kicked_by_the_time)
{
	probe p;
	setup(&p);
	p.kick_at_ms = clock_now_ms() + 20;
	p.answer = PUMP_DONE;
	pump_kick(p.pump);
	run_next();
	nanosleep(&(struct timespec){0, 60000000}, NULL);
	ck_assert_uint_eq(queued(), 0);
	teardown(&p);
}
END_TEST

START_TEST(a_refused_kick_is_tried_again_then_told)
{
	probe p;
	setup(&p);
	set_busy(true);
	pump_kick(p.pump);
	ck_assert_int_eq(p.refusals, 0);
	for (int i = 0; i < LOOKS_MAX && atomic_load(&p.refusals) == 0; i++) {
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	ck_assert_int_eq(p.refusals, 1);
	ck_assert_int_eq(p.runs, 0);
	teardown(&p);
}
END_TEST

START_TEST(a_refused_kick_may_find_room_again)
{
	probe p;
	setup(&p);
	/* A time that is over must not count as one that is still to come. */
	p.kick_at_ms = clock_now_ms();
	pump_kick(p.pump);
	run_next();
	wait_for_job();
	run_next();
	set_busy(true);
	pump_kick(p.pump);
	set_busy(false);
	wait_for_job();
	p.answer = PUMP_DONE;
	run_next();
	ck_assert_int_eq(p.refusals, 0);
	teardown(&p);
}
END_TEST

START_TEST(a_full_queue_is_waited_for_after_a_run_too)
{
	probe p;
	setup(&p);
	p.kicks_inside = 1;
	p.makes_busy = true;
	pump_kick(p.pump);
	run_next();
	ck_assert_uint_eq(queued(), 0);
	/* Longer than until the first try. */
	nanosleep(&(struct timespec){0, 300000000}, NULL);
	ck_assert_int_eq(p.refusals, 0);
	set_busy(false);
	wait_for_job();
	p.answer = PUMP_DONE;
	run_next();
	ck_assert_int_eq(p.runs, 2);
	teardown(&p);
}
END_TEST

START_TEST(a_refused_pump_may_wait_for_better_times)
{
	probe p;
	setup(&p);
	p.after_refusal = PUMP_WAIT;
	set_busy(true);
	pump_kick(p.pump);
	for (int i = 0; i < LOOKS_MAX && atomic_load(&p.refusals) == 0; i++) {
		nanosleep(&(struct timespec){0, 10000000}, NULL);
	}
	ck_assert_int_ge(p.refusals, 1);
	set_busy(false);
	/* By itself. */
	wait_for_job();
	p.answer = PUMP_DONE;
	run_next();
	ck_assert_int_eq(p.runs, 1);
	teardown(&p);
}
END_TEST

START_TEST(all_pumps_of_a_set_are_kicked)
{
	probe p;
	err e;
	setup(&p);
	probe q = {.api = p.api, .answer = PUMP_DONE};
	q.pump = pump_new(&p.api, (pump_body){run, refuse, &q}, &e);
	p.answer = PUMP_DONE;
	pump_set_kick(p.api.pumps);
	ck_assert_uint_eq(queued(), 2);
	run_next();
	run_next();
	ck_assert_int_eq(p.runs, 1);
	ck_assert_int_eq(q.runs, 1);
	pump_unref(q.pump);
	teardown(&p);
}
END_TEST

START_TEST(the_number_of_pumps_is_bounded)
{
	probe p;
	err e;
	setup(&p);
	p.answer = PUMP_DONE;
	pump **many = calloc(API_WAITERS_MAX, sizeof(pump *));
	size_t made = 0;
	while (made < API_WAITERS_MAX && (many[made] = pump_new(&p.api, (pump_body){run, refuse, &p}, &e)) != NULL) {
		made++;
	}
	ck_assert_uint_eq(made, API_WAITERS_MAX - 1);
	ck_assert_int_eq(e.code, ERR_THROTTLED);
	for (size_t i = 0; i < made; i++) {
		pump_kick(many[i]);
		run_next();
		pump_unref(many[i]);
	}
	free(many);
	pump_kick(p.pump);
	run_next();
	teardown(&p);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		kicks_before_a_run_are_one_run,
		kicks_during_a_run_are_one_more_run,
		a_watch_kicks_until_the_pump_is_done,
		the_time_kicks_once_and_the_later_call_counts,
		a_done_pump_is_not_kicked_by_the_time,
		a_refused_kick_is_tried_again_then_told,
		a_refused_kick_may_find_room_again,
		all_pumps_of_a_set_are_kicked,
		the_number_of_pumps_is_bounded,
		a_refused_pump_may_wait_for_better_times,
		a_full_queue_is_waited_for_after_a_run_too,
	};
	return SUITE_RUN("api/pump", tests);
}
