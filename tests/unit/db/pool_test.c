#include "db/pool.h"

#include "suite.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/db_fixture.h"
#include "postgres_fixture.h"

enum { TIMEOUT_MS = 30000 };

typedef struct bench {
	char url[POSTGRES_FIXTURE_URL_MAX];
	metric_registry *metrics;
	db_pool *pool;
	atomic_int runs;    /* jobs that were run */
	atomic_int good;    /* of these, those whose statement succeeded */
	atomic_int refused; /* jobs that were refused */
	atomic_int codes[64];
	sem_t gate; /* blocking jobs wait for it */
	sem_t entered;
} bench;

static void bench_open(bench *b, uint32_t threads, uint32_t max_queue)
{
	err e;
	*b = (bench){.metrics = metric_registry_new()};
	postgres_fixture_create_database(b->url);
	db_fixture_sql(b->url, "CREATE TABLE t (id bigint)");
	sem_init(&b->gate, 0, 0);
	sem_init(&b->entered, 0, 0);
	db_pool_options options = {
		.conn = {.url = str_from_c(b->url), .role = "test", .timeout_ms = TIMEOUT_MS},
		.threads = threads,
		.max_queue = max_queue,
		.metrics = b->metrics,
	};
	db_fixture_must(db_pool_new(&options, &b->pool, &e), &e, "pool");
}

static void bench_close(bench *b)
{
	db_pool_free(b->pool);
	metric_registry_free(b->metrics);
	sem_destroy(&b->gate);
	sem_destroy(&b->entered);
}

static void run(void *context, db_conn *c)
{
	bench *b = context;
	err e;
	db_result *r = NULL;
	const db_query question = DB_FIXTURE_QUERY(0, 0, "SELECT 1::bigint");
	if (db_run(c, &question, NULL, &r, &e)) {
		atomic_fetch_add(&b->good, 1);
		db_result_free(r);
	}
	atomic_fetch_add(&b->runs, 1);
}

static void refuse(void *context, const err *e)
{
	bench *b = context;
	atomic_fetch_add(&b->codes[e->code], 1);
	atomic_fetch_add(&b->refused, 1);
}

static void run_blocked(void *context, db_conn *c)
{
	bench *b = context;
	sem_post(&b->entered);
	while (sem_wait(&b->gate) != 0) {
	}
	run(context, c);
}

static int done(bench *b)
{
	return atomic_load(&b->runs) + atomic_load(&b->refused);
}

static void wait_done(bench *b, int count)
{
	for (int64_t until_ms = clock_now_ms() + 20000; done(b) < count && clock_now_ms() < until_ms;) {
		usleep(1000);
	}
	ck_assert_int_eq(done(b), count);
}

static void submit(bench *b, void (*what)(void *, db_conn *))
{
	err e;
	db_fixture_must(db_pool_submit(b->pool, (db_job){what, refuse, b}, &e), &e, "submit");
}

START_TEST(every_job_is_run_once)
{
	bench b;
	bench_open(&b, 3, 1000);
	ck_assert(db_pool_is_ready(b.pool));
	for (int i = 0; i < 500; i++) {
		submit(&b, run);
	}
	wait_done(&b, 500);
	ck_assert_int_eq(atomic_load(&b.good), 500);
	bench_close(&b);
	ck_assert_int_eq(done(&b), 500);
}
END_TEST

START_TEST(full_queue_is_throttled_and_drains)
{
	bench b;
	err e;
	bench_open(&b, 1, 4);
	submit(&b, run_blocked);
	sem_wait(&b.entered);
	for (int i = 0; i < 4; i++) {
		submit(&b, run);
	}
	ck_assert(!db_pool_submit(b.pool, (db_job){run, refuse, &b}, &e));
	ck_assert_int_eq(e.code, ERR_THROTTLED);
	sem_post(&b.gate);
	wait_done(&b, 5);
	submit(&b, run);
	wait_done(&b, 6);
	ck_assert_int_eq(atomic_load(&b.good), 6);
	bench_close(&b);
}
END_TEST

static void run_and_forget(void *context, db_conn *c)
{
	bench *b = context;
	err e;
	if (db_begin(c, &e) && db_run_script(c, "INSERT INTO t VALUES (1)", &e)) {
		atomic_fetch_add(&b->good, 1);
	}
	atomic_fetch_add(&b->runs, 1);
}

static void run_in_pipeline_and_forget(void *context, db_conn *c)
{
	bench *b = context;
	err e;
	const db_query insert = DB_FIXTURE_QUERY(1, 0, "INSERT INTO t VALUES (2)");
	if (db_pipeline_start(c, &e) && db_pipeline_send(c, &insert, NULL, &e)) {
		atomic_fetch_add(&b->good, 1);
	}
	atomic_fetch_add(&b->runs, 1);
}

START_TEST(transaction_that_a_job_forgot_is_rolled_back)
{
	bench b;
	bench_open(&b, 1, 10);
	submit(&b, run_and_forget);
	submit(&b, run);
	submit(&b, run_in_pipeline_and_forget);
	submit(&b, run);
	wait_done(&b, 4);
	ck_assert_int_eq(atomic_load(&b.good), 4);
	ck_assert_int_eq(db_fixture_i64(b.url, "SELECT count(*) FROM t"), 0);
	ck_assert_int_eq(
		db_fixture_i64(b.url, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"), 0);
	bench_close(&b);
}
END_TEST

START_TEST(jobs_are_refused_at_once_while_the_database_is_away_and_run_when_it_is_back)
{
	bench b;
	err e;
	int submitted = 0;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	bench_open(&b, 3, 100);
	for (int i = 0; i < 10; i++) {
		submit(&b, run);
	}
	submitted += 10;
	wait_done(&b, submitted);
	ck_assert_int_eq(atomic_load(&b.good), 10);
	postgres_fixture_stop();
	int64_t stopped_ms = clock_now_ms();
	bool refused_by_submit = false;
	while (clock_now_ms() < stopped_ms + 2500 || (!refused_by_submit && clock_now_ms() < stopped_ms + TIMEOUT_MS)) {
		if (db_pool_submit(b.pool, (db_job){run, refuse, &b}, &e)) {
			submitted++;
			wait_done(&b, submitted); /* its patience is less than a connection's */
		} else {
			ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
			refused_by_submit = true;
		}
		usleep(10000);
	}
	ck_assert(refused_by_submit);
	ck_assert(!db_pool_is_ready(b.pool));
	ck_assert_int_eq(atomic_load(&b.good), 10);
	ck_assert_int_eq(atomic_load(&b.codes[ERR_UNAVAILABLE]), atomic_load(&b.refused));
	ck_assert_int_ge(atomic_load(&b.refused), 1);
	postgres_fixture_start();
	int64_t back_ms = clock_now_ms();
	while (!db_pool_is_ready(b.pool) && clock_now_ms() < back_ms + TIMEOUT_MS) {
		usleep(5000);
	}
	ck_assert(db_pool_is_ready(b.pool));
	for (int i = 0; i < 20; i++) {
		submit(&b, run);
	}
	submitted += 20;
	wait_done(&b, submitted);
	ck_assert_int_eq(atomic_load(&b.good), 30);
	bench_close(&b);
	ck_assert_int_eq(done(&b), submitted);
}
END_TEST

START_TEST(free_finishes_what_is_queued)
{
	bench b;
	bench_open(&b, 2, 100);
	submit(&b, run_blocked);
	submit(&b, run_blocked);
	sem_wait(&b.entered);
	sem_wait(&b.entered);
	for (int i = 0; i < 50; i++) {
		submit(&b, run);
	}
	sem_post(&b.gate);
	sem_post(&b.gate);
	bench_close(&b);
	ck_assert_int_eq(atomic_load(&b.good), 52);
	ck_assert_int_eq(done(&b), 52);
	db_pool_free(NULL);
}
END_TEST

START_TEST(free_refuses_what_is_queued_while_the_database_is_away)
{
	bench b;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	bench_open(&b, 2, 100);
	submit(&b, run_blocked);
	submit(&b, run_blocked);
	sem_wait(&b.entered);
	sem_wait(&b.entered);
	for (int i = 0; i < 50; i++) {
		submit(&b, run);
	}
	postgres_fixture_stop();
	sem_post(&b.gate);
	sem_post(&b.gate);
	int64_t start_ms = clock_now_ms();
	bench_close(&b);
	ck_assert_int_lt(clock_now_ms() - start_ms, TIMEOUT_MS);
	ck_assert_int_eq(done(&b), 52);
	ck_assert_int_eq(atomic_load(&b.good), 0);
	ck_assert_int_ge(atomic_load(&b.refused), 49);
	postgres_fixture_start();
}
END_TEST

START_TEST(free_does_not_wait_for_a_database_that_is_away)
{
	bench b;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	bench_open(&b, 3, 100);
	postgres_fixture_stop();
	submit(&b, run);
	wait_done(&b, 1);
	usleep(300000); /* one thread is trying to connect, the others wait */
	int64_t start_ms = clock_now_ms();
	bench_close(&b);
	ck_assert_int_lt(clock_now_ms() - start_ms, TIMEOUT_MS);
	postgres_fixture_start();
}
END_TEST

/* Until the pool says that it is stopping. */
static void run_submitting(void *context, db_conn *c)
{
	bench *b = context;
	err e = {0};
	(void)c;
	sem_post(&b->entered);
	while (e.code != ERR_SHUTTING_DOWN) {
		if (!db_pool_submit(b->pool, (db_job){run, refuse, b}, &e)) {
			usleep(1000);
		} else {
			atomic_fetch_add(&b->codes[0], 1);
		}
	}
	atomic_fetch_add(&b->runs, 1);
}

START_TEST(job_cannot_follow_another_once_the_pool_is_stopping)
{
	bench b;
	bench_open(&b, 1, 3);
	submit(&b, run_submitting);
	sem_wait(&b.entered);
	bench_close(&b);
	ck_assert_int_eq(done(&b), 1 + atomic_load(&b.codes[0]));
	ck_assert_int_ge(atomic_load(&b.codes[0]), 0);
}
END_TEST

START_TEST(jobs_survive_backends_that_are_killed)
{
	bench b;
	bench_open(&b, 3, 1000);
	/* Every thread has its connection: one that was being made would be refused, not replaced. */
	for (int i = 0; i < 3; i++) {
		submit(&b, run_blocked);
	}
	for (int i = 0; i < 3; i++) {
		sem_wait(&b.entered);
	}
	for (int i = 0; i < 3; i++) {
		sem_post(&b.gate);
	}
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 50; i++) {
			submit(&b, run);
		}
		db_fixture_sql(b.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
							  "'tidegate test' AND datname = current_database() AND pid <> pg_backend_pid()");
		wait_done(&b, 3 + 50 * (round + 1));
	}
	ck_assert_int_eq(atomic_load(&b.runs), 3 + 500);
	/* At most one statement of each thread is hit by each round. */
	ck_assert_int_ge(atomic_load(&b.good), 3 + 500 - 3 * 10);
	bench_close(&b);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_job_is_run_once,
		full_queue_is_throttled_and_drains,
		transaction_that_a_job_forgot_is_rolled_back,
		jobs_are_refused_at_once_while_the_database_is_away_and_run_when_it_is_back,
		free_finishes_what_is_queued,
		free_refuses_what_is_queued_while_the_database_is_away,
		free_does_not_wait_for_a_database_that_is_away,
		job_cannot_follow_another_once_the_pool_is_stopping,
		jobs_survive_backends_that_are_killed,
	};
	postgres_fixture_url();
	return SUITE_RUN("db/pool", tests);
}
