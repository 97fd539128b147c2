/*
 * db/pool: threads with a connection each, that run jobs. A job blocks on the database, its submitter does not.
 *
 * Owns     its threads and connections. A job belongs to the pool from a successful submit until one of its two
 *          functions was called; exactly one of them is called, exactly once.
 * Threads  submit: any. run and refuse: a pool thread.
 * Limits   max_queue jobs wait; beyond, submit fails with ERR_THROTTLED.
 * Errors   while the database is away, jobs are refused with ERR_UNAVAILABLE at once; one thread at a time keeps trying
 * to connect, with backoff from 50 ms to 1 s.
 */
#ifndef TIDEGATE_DB_POOL_H
#define TIDEGATE_DB_POOL_H

#include "base/metric.h"
#include "db/conn.h"

typedef struct db_pool db_pool;

typedef struct db_job {
	void (*run)(void *context, db_conn *c);
	void (*refuse)(void *context, const err *e);
	void *context;
} db_job;

typedef struct db_pool_options {
	db_conn_options conn;
	uint32_t threads;
	uint32_t max_queue;
	metric_registry *metrics;
} db_pool_options;

bool db_pool_new(const db_pool_options *options, db_pool **out, err *e) MUST_CHECK;
bool db_pool_submit(db_pool *p, db_job job, err *e) MUST_CHECK;
/* Whether the last attempt to reach the database succeeded. */
bool db_pool_is_ready(const db_pool *p);
/* Finishes queued jobs (or refuses them when the database is away) and stops the threads; later submits fail. */
void db_pool_stop(db_pool *p);
void db_pool_free(db_pool *p); /* stops first if need be; accepts NULL */

#endif
