/*
 * log/janitor: background work: what readers and writers only mark, one elected worker in the fleet carries out.
 *
 * Each duty is a bounded step that can be repeated or cut short at any point; a round runs all of them, and again at
 * once while one of them found more than its step.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "log/lease_book.h"
#include "log/private.h"
#include "log/retain.h"
#include "sql/janitor.h"
#include "sql/retain.h"

enum {
	PARTITIONS_A_STEP = 100,
	ROWS_A_STEP = 1000,
	TOPICS_A_STEP = 10,
	KEYS_A_STEP = 5000,
	TAGS_A_STEP = 20000,
	LEASES_A_STEP = 10000
};

struct janitor {
	log_engine *engine;
	pthread_t thread;
	bool is_started;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_stopping;
	metric *is_elected;
	metric *round_seconds;
	metric *last_round;
	metric *reclaimed_rows;
	metric *backlog;
	metric *failures;
};

/* Tells whether there is more to do. */
typedef bool duty(janitor *j, db_conn *conn, bool *more, err *e);

static bool find(db_conn *conn, const db_query *query, int64_t limit, db_result **out, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, limit);
	return db_run(conn, query, &p, out, e);
}

static bool expire(janitor *j, db_conn *conn, bool *more, err *e)
{
	db_result *r = NULL;
	bool ok = true;
	(void)j;
	if (!find(conn, &SQL_RETAIN_FIND_EXPIRED, PARTITIONS_A_STEP, &r, e)) {
		return false;
	}
	for (int i = 0; i < db_rows(r) && ok; i++) {
		ok = retain_settle(conn, db_i64(r, i, 0), db_i32(r, i, 1), e);
	}
	*more = *more || db_rows(r) == PARTITIONS_A_STEP;
	db_result_free(r);
	return ok;
}

static bool reclaim_partition(janitor *j, db_conn *conn, int64_t topic_id, int32_t partition, int64_t floor,
							  bool ephemeral, bool *more, err *e)
{
	db_params p;
	int64_t rows = 0;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i32(&p, partition);
	db_param_i64(&p, floor);
	db_param_i64(&p, ROWS_A_STEP);
	if (!db_do(conn, ephemeral ? &SQL_RETAIN_DELETE_BELOW_EPHEMERAL : &SQL_RETAIN_DELETE_BELOW, &p, &rows, e)) {
		return false;
	}
	metric_add(j->reclaimed_rows, rows);
	if (rows == ROWS_A_STEP) {
		*more = true;
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i32(&p, partition);
	db_param_i64(&p, floor);
	db_param_bool(&p, ephemeral);
	return db_do(conn, &SQL_RETAIN_SET_RECLAIMED, &p, NULL, e);
}

static bool reclaim(janitor *j, db_conn *conn, bool *more, err *e)
{
	db_result *r = NULL;
	bool ok = true;
	if (!find(conn, &SQL_RETAIN_FIND_RECLAIMABLE, PARTITIONS_A_STEP, &r, e)) {
		return false;
	}
	metric_set(j->backlog, db_rows(r));
	for (int i = 0; i < db_rows(r) && ok; i++) {
		ok = reclaim_partition(j, conn, db_i64(r, i, 0), db_i32(r, i, 1), db_i64(r, i, 2), db_bool(r, i, 3), more, e);
	}
	*more = *more || db_rows(r) == PARTITIONS_A_STEP;
	db_result_free(r);
	return ok;
}

/* A step of deleting what else is kept of a topic. */
static bool forget_some(db_conn *conn, const db_query *query, int64_t topic_id, int64_t limit, bool *more, err *e)
{
	db_params p;
	int64_t rows = 0;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i64(&p, limit);
	if (!db_do(conn, query, &p, &rows, e)) {
		return false;
	}
	*more = *more || rows == limit;
	return true;
}

static bool bury_topic(janitor *j, db_conn *conn, int64_t topic_id, bool *more, err *e)
{
	db_params p;
	int64_t rows = 0;
	int64_t ephemeral_rows = 0;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i64(&p, ROWS_A_STEP);
	if (!db_do(conn, &SQL_RETAIN_DELETE_DISCARDED, &p, &rows, e) ||
		!db_do(conn, &SQL_RETAIN_DELETE_DISCARDED_EPHEMERAL, &p, &ephemeral_rows, e)) {
		return false;
	}
	metric_add(j->reclaimed_rows, rows + ephemeral_rows);
	if (rows == ROWS_A_STEP || ephemeral_rows == ROWS_A_STEP) {
		*more = true;
		return true;
	}
	bool more_here = false;
	if (!forget_some(conn, &SQL_RETAIN_DELETE_DISCARDED_TAGS, topic_id, TAGS_A_STEP, &more_here, e) ||
		!lease_book_bury(conn, topic_id, LEASES_A_STEP, &more_here, e)) {
		return false;
	}
	if (more_here) {
		*more = true;
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	return db_do(conn, &SQL_RETAIN_FORGET_DISCARDED, &p, NULL, e);
}

static bool bury(janitor *j, db_conn *conn, bool *more, err *e)
{
	db_result *r = NULL;
	bool ok = true;
	if (!find(conn, &SQL_RETAIN_FIND_DISCARDED, TOPICS_A_STEP, &r, e)) {
		return false;
	}
	for (int i = 0; i < db_rows(r) && ok; i++) {
		ok = bury_topic(j, conn, db_i64(r, i, 0), more, e);
	}
	*more = *more || db_rows(r) == TOPICS_A_STEP;
	db_result_free(r);
	return ok;
}

static bool forget_keys(janitor *j, db_conn *conn, bool *more, err *e)
{
	db_params p;
	int64_t rows = 0;
	(void)j;
	db_params_init(&p);
	db_param_i64(&p, KEYS_A_STEP);
	if (!db_do(conn, &SQL_RETAIN_DELETE_IDEMPOTENCY, &p, &rows, e)) {
		return false;
	}
	*more = *more || rows == KEYS_A_STEP;
	return true;
}

static bool dialects(janitor *j, db_conn *conn, bool *more, err *e)
{
	const log_engine_options *o = &j->engine->options;
	return o->duty == NULL || o->duty(o->duty_context, j->engine, conn, more, e);
}

/* What no worker copied when it was due. */
static bool route(janitor *j, db_conn *conn, bool *more, err *e)
{
	return route_sweep(j->engine->routes, conn, more, e);
}

static bool elect(db_conn *conn, bool *elected, err *e)
{
	db_result *r = NULL;
	if (!db_run(conn, &SQL_JANITOR_ELECT, NULL, &r, e)) {
		return false;
	}
	*elected = db_bool(r, 0, 0);
	db_result_free(r);
	return true;
}

static bool run_round(janitor *j, db_conn *conn, bool *more, err *e)
{
	static duty *const DUTIES[] = {expire, reclaim, bury, forget_keys, route, dialects};
	int64_t start_us = clock_now_us();
	*more = false;
	for (size_t i = 0; i < sizeof DUTIES / sizeof DUTIES[0]; i++) {
		if (!DUTIES[i](j, conn, more, e)) {
			return false;
		}
	}
	metric_observe(j->round_seconds, (uint64_t)(clock_now_us() - start_us));
	metric_set(j->last_round, clock_wall_ms() / 1000);
	return true;
}

/* Caller holds the lock. */
static void wait_ms(janitor *j, int64_t ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	if (!j->is_stopping) {
		pthread_cond_timedwait(&j->changed, &j->lock, &until);
	}
}

static void *janitor_main(void *context)
{
	janitor *j = context;
	const log_engine_options *o = &j->engine->options;
	db_conn_options options = {.url = o->database_url,
							   .role = "janitor",
							   .relaxed_commit = true,
							   .session_features = true,
							   .timeout_ms = o->database_timeout_ms,
							   .log = o->log};
	db_conn *conn = db_conn_new(&options);
	bool elected = false;
	pthread_mutex_lock(&j->lock);
	while (conn != NULL && !j->is_stopping) {
		err e;
		bool more = false;
		pthread_mutex_unlock(&j->lock);
		/* The lock belongs to the connection: a new one has to be elected anew. */
		elected = elected && db_conn_is_open(conn);
		bool ok = db_conn_ensure(conn, &e) && (elected || elect(conn, &elected, &e)) &&
				  (!elected || run_round(j, conn, &more, &e));
		metric_set(j->is_elected, elected ? 1 : 0);
		if (!ok) {
			metric_add(j->failures, 1);
			if (e.code != ERR_UNAVAILABLE) {
				slog_err(o->log, SLOG_WARN, "janitor", "a duty failed and will be repeated", &e);
			}
			db_rollback(conn);
		}
		pthread_mutex_lock(&j->lock);
		wait_ms(j, ok && more ? 1 : o->janitor_interval_ms);
	}
	pthread_mutex_unlock(&j->lock);
	db_conn_free(conn);
	return NULL;
}

janitor *janitor_new(log_engine *engine, err *e)
{
	pthread_condattr_t attributes;
	metric_registry *m = engine->options.metrics;
	janitor *j = calloc(1, sizeof *j);
	if (j == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	j->engine = engine;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&j->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	j->is_elected = metric_gauge(m, "tidegate_janitor_elected", "1 where this worker does the background work", NULL);
	j->round_seconds =
		metric_histogram(m, "tidegate_janitor_round_seconds", "time of one round of background work", NULL, true);
	j->last_round = metric_gauge(m, "tidegate_janitor_last_round_timestamp_seconds",
								 "when background work last finished a round here; its age is the janitor's lag", NULL);
	j->reclaimed_rows =
		metric_counter(m, "tidegate_janitor_reclaimed_rows_total", "rows of the log removed after retention", NULL);
	j->backlog =
		metric_gauge(m, "tidegate_janitor_backlog_partitions", "partitions with rows to remove (at most 100)", NULL);
	j->failures = metric_counter(m, "tidegate_janitor_failures_total", "rounds cut short by an error", NULL);
	j->is_started = pthread_create(&j->thread, NULL, janitor_main, j) == 0;
	if (!j->is_started) {
		err_set(e, ERR_NO_MEMORY, "cannot start the janitor");
		janitor_free(j);
		return NULL;
	}
	return j;
}

void janitor_free(janitor *j)
{
	if (j == NULL) {
		return;
	}
	pthread_mutex_lock(&j->lock);
	j->is_stopping = true;
	pthread_cond_broadcast(&j->changed);
	pthread_mutex_unlock(&j->lock);
	if (j->is_started) {
		pthread_join(j->thread, NULL);
	}
	pthread_cond_destroy(&j->changed);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
