/*
 * log/route_clerk: who copies when. One per worker: it is told of every append of this worker to a source, and keeps one
 * job per source at work until nothing is behind. What it misses (a full set, no reader, a worker that died) the sweep
 * of the janitor finds, and whoever reads a destination.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "log/private.h"
#include "log/route.h"
#include "log/route_step.h"
#include "sql/router.h"

enum {
	SOURCES_MAX = 1024, /* that wait for a job or have one; more are left to the sweep */
	JOBS_MAX = 2,       /* readers that copying may occupy at a time */
	SWEEP_SOURCES = 100,
	ROUTE_CATCH_UP_MS = 5000
};

typedef struct dirty {
	int64_t topic_id;
	int32_t partition;
	bool is_running;
	bool is_dirty; /* appended to since its job began; false only while it runs */
} dirty;

struct route_clerk {
	log_engine *engine;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	dirty sources[SOURCES_MAX];
	size_t count;
	uint32_t jobs;
	bool is_stopping;
	int64_t swept_topic; /* the janitor's thread: where its last sweep ended */
	int32_t swept_partition;
	metric *failures;
};

/* ---- the set ---- */

/* Caller holds the lock. */
static dirty *find(route_clerk *c, int64_t topic_id, int32_t partition)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->sources[i].topic_id == topic_id && c->sources[i].partition == partition) {
			return &c->sources[i];
		}
	}
	return NULL;
}

/* Caller holds the lock. The one that waits longest. */
static dirty *find_waiting(route_clerk *c)
{
	for (size_t i = 0; i < c->count; i++) {
		if (!c->sources[i].is_running) {
			return &c->sources[i];
		}
	}
	return NULL;
}

/* Caller holds the lock. Keeps the order. */
static void drop(route_clerk *c, dirty *d)
{
	size_t at = (size_t)(d - c->sources);
	for (c->count--; at < c->count; at++) {
		c->sources[at] = c->sources[at + 1];
	}
}

static void add_jobs(route_clerk *c);

void route_clerk_appended(route_clerk *c, int64_t topic_id, int32_t partition)
{
	pthread_mutex_lock(&c->lock);
	dirty *d = find(c, topic_id, partition);
	if (d != NULL) {
		d->is_dirty = true;
	} else if (c->count < SOURCES_MAX) {
		c->sources[c->count++] = (dirty){.topic_id = topic_id, .partition = partition, .is_dirty = true};
	}
	add_jobs(c);
	pthread_mutex_unlock(&c->lock);
}

/* ---- jobs ---- */

static void finish_job(route_clerk *c)
{
	c->jobs--;
	if (c->jobs == 0) {
		pthread_cond_broadcast(&c->idle);
	}
}

/* One source, one pass; the next one is another job, so that readers get their turn. */
static void run_job(void *context, db_conn *conn)
{
	route_clerk *c = context;
	err e;
	bool more = false;
	pthread_mutex_lock(&c->lock);
	dirty *d = c->is_stopping ? NULL : find_waiting(c);
	if (d == NULL) {
		finish_job(c);
		pthread_mutex_unlock(&c->lock);
		return;
	}
	dirty source = *d;
	d->is_running = true;
	d->is_dirty = false;
	pthread_mutex_unlock(&c->lock);

	bool ok = route_pass(c->engine, conn, source.topic_id, source.partition, 0, &more, &e);
	if (!ok) {
		metric_add(c->failures, 1);
		if (e.code != ERR_UNAVAILABLE) {
			slog_err(c->engine->options.log, SLOG_WARN, "route", "copying failed and will be repeated", &e);
		}
	}

	pthread_mutex_lock(&c->lock);
	d = find(c, source.topic_id, source.partition);
	bool again = ok && (more || d->is_dirty);
	drop(c, d);
	if (again) {
		/* Behind the others. */
		c->sources[c->count++] = (dirty){.topic_id = source.topic_id, .partition = source.partition, .is_dirty = true};
	}
	finish_job(c);
	add_jobs(c);
	pthread_mutex_unlock(&c->lock);
}

static void refuse_job(void *context, const err *e)
{
	route_clerk *c = context;
	(void)e;
	pthread_mutex_lock(&c->lock);
	finish_job(c);
	pthread_mutex_unlock(&c->lock);
}

/* Caller holds the lock. */
static void add_jobs(route_clerk *c)
{
	size_t waiting = 0;
	for (size_t i = 0; i < c->count; i++) {
		waiting += c->sources[i].is_running ? 0 : 1;
	}
	while (!c->is_stopping && c->jobs < JOBS_MAX && waiting > 0) {
		err e;
		c->jobs++;
		if (!db_pool_submit(c->engine->options.pool, (db_job){run_job, refuse_job, c}, &e)) {
			finish_job(c);
			return;
		}
		waiting--;
	}
}

void route_announce(log_engine *engine, const log_topic *topic, int32_t partition, bool is_source)
{
	wake_topic(engine->wakes, topic->topic_id, partition);
	notify_appended(engine->link, topic->topic_id, partition);
	if (engine->on_append != NULL) {
		engine->on_append(engine->on_append_context, topic, partition);
	}
	if (is_source) {
		route_clerk_appended(engine->routes, topic->topic_id, partition);
	}
}

/* ---- the sweep ---- */

bool route_sweep(route_clerk *c, db_conn *conn, bool *more, err *e)
{
	db_params p;
	db_result *r = NULL;
	bool ok = true;
	db_params_init(&p);
	db_param_i64(&p, c->swept_topic);
	db_param_i32(&p, c->swept_partition);
	db_param_i64(&p, SWEEP_SOURCES);
	if (!db_run(conn, &SQL_ROUTER_FIND_BEHIND, &p, &r, e)) {
		return false;
	}
	for (int i = 0; i < db_rows(r) && ok; i++) {
		c->swept_topic = db_i64(r, i, 0);
		c->swept_partition = db_i32(r, i, 1);
		ok = route_pass(c->engine, conn, c->swept_topic, c->swept_partition, 0, more, e);
	}
	if (db_rows(r) < SWEEP_SOURCES) {
		c->swept_topic = 0;
		c->swept_partition = 0;
	} else {
		*more = true;
	}
	db_result_free(r);
	return ok;
}

/* ---- catching up ---- */

static bool catch_up_edge(log_engine *engine, db_conn *conn, int64_t source_id, int32_t partition, int64_t dest_id,
						  int64_t deadline_ms, err *e)
{
	bool more;
	do {
		more = false;
		if (!route_pass(engine, conn, source_id, partition, dest_id, &more, e)) {
			return false;
		}
	} while (more && clock_now_ms() < deadline_ms);
	return true;
}

bool log_route_catch_up(log_engine *engine, log_conn *conn, int64_t topic_id, err *e)
{
	db_params p;
	db_result *r = NULL;
	bool ok = true;
	bool any = false;
	int64_t deadline_ms = clock_now_ms() + ROUTE_CATCH_UP_MS;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i32(&p, LOG_ROUTE_HOPS_MAX);
	if (!db_run(conn, &SQL_ROUTER_UPSTREAM, &p, &r, e)) {
		return err_frame(e, "log_route_catch_up");
	}
	/* Where an upper router was behind, the lower ones are as soon as it has copied, whoever did that. */
	for (int i = 0; i < db_rows(r) && ok; i++) {
		if (any || db_bool(r, i, 3)) {
			any = true;
			ok = catch_up_edge(engine, conn, db_i64(r, i, 0), db_i32(r, i, 2), db_i64(r, i, 1), deadline_ms, e);
		}
	}
	db_result_free(r);
	return ok || err_frame(e, "log_route_catch_up");
}

/* ---- life ---- */

route_clerk *route_clerk_new(log_engine *engine)
{
	route_clerk *c = calloc(1, sizeof *c);
	if (c != NULL) {
		c->engine = engine;
		pthread_mutex_init(&c->lock, NULL);
		pthread_cond_init(&c->idle, NULL);
		c->failures = metric_counter(engine->options.metrics, "tidegate_route_failures_total",
									 "copying steps cut short by an error and repeated", NULL);
	}
	return c;
}

void route_clerk_stop(route_clerk *c)
{
	pthread_mutex_lock(&c->lock);
	c->is_stopping = true;
	while (c->jobs > 0) {
		pthread_cond_wait(&c->idle, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
}

void route_clerk_free(route_clerk *c)
{
	if (c != NULL) {
		pthread_cond_destroy(&c->idle);
		pthread_mutex_destroy(&c->lock);
		free(c);
	}
}
