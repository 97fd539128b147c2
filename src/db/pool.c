#include "db/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"

enum { BACKOFF_FIRST_MS = 50, BACKOFF_MAX_MS = 1000 };

typedef struct worker {
	db_pool *pool;
	db_conn *conn;
	pthread_t thread;
	bool is_started;
} worker;

struct db_pool {
	worker *workers;
	uint32_t worker_count;
	slog *log;
	metric *depth;
	metric *refused;
	metric *job_seconds;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	db_job *queue; /* ring */
	uint32_t max_queue;
	uint32_t first;
	uint32_t count;
	bool is_stopping;
	bool is_down;    /* the last attempt to connect failed: jobs are refused */
	bool is_probing; /* one thread is trying to connect again */
	atomic_bool is_ready;
	err down_error;
};

static db_job pop(db_pool *p)
{
	db_job job = p->queue[p->first];
	p->first = (p->first + 1) % p->max_queue;
	p->count--;
	metric_set(p->depth, p->count);
	return job;
}

/* Caller holds the lock. */
static void set_down(db_pool *p, const err *e)
{
	if (!p->is_down) {
		slog_err(p->log, SLOG_WARN, "db", "the database is away; operations are refused until it is back", e);
	}
	p->is_down = true;
	p->down_error = *e;
	atomic_store(&p->is_ready, false);
	pthread_cond_broadcast(&p->changed);
}

static void set_up(db_pool *p)
{
	if (p->is_down) {
		SLOG(p->log, SLOG_INFO, "db", "the database is back", F_INT("threads", p->worker_count));
	}
	p->is_down = false;
	atomic_store(&p->is_ready, true);
	pthread_cond_broadcast(&p->changed);
}

static void wait_ms(db_pool *p, int64_t ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&p->changed, &p->lock, &until);
}

/* Caller holds the lock, which is let go while connecting and between attempts; jobs that come meanwhile are refused by
 * the other threads, or by this one between two attempts. */
static void probe(db_pool *p, worker *w)
{
	int64_t backoff_ms = BACKOFF_FIRST_MS;
	p->is_probing = true;
	/* An open connection to a server that hangs proves nothing. */
	db_conn_close(w->conn);
	while (p->is_down && !p->is_stopping) {
		err e;
		pthread_mutex_unlock(&p->lock);
		bool connected = db_conn_ensure(w->conn, &e);
		pthread_mutex_lock(&p->lock);
		if (connected) {
			set_up(p);
			break;
		}
		p->down_error = e;
		while (p->count > 0) {
			db_job job = pop(p);
			pthread_mutex_unlock(&p->lock);
			metric_add(p->refused, 1);
			job.refuse(job.context, &e);
			pthread_mutex_lock(&p->lock);
		}
		int64_t until_ms = clock_now_ms() + backoff_ms;
		while (!p->is_stopping && p->count == 0 && clock_now_ms() < until_ms) {
			wait_ms(p, until_ms - clock_now_ms());
		}
		backoff_ms = backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff_ms * 2;
	}
	p->is_probing = false;
	pthread_cond_broadcast(&p->changed);
}

/* Without the lock. */
static void do_job(db_pool *p, worker *w, db_job job)
{
	err e;
	int64_t start_us = clock_now_us();
	if (!db_conn_ensure(w->conn, &e)) {
		pthread_mutex_lock(&p->lock);
		set_down(p, &e);
		pthread_mutex_unlock(&p->lock);
		metric_add(p->refused, 1);
		job.refuse(job.context, &e);
		return;
	}
	job.run(job.context, w->conn);
	/* A job that forgot its transaction must not pass it on. */
	db_rollback(w->conn);
	metric_observe(p->job_seconds, (uint64_t)(clock_now_us() - start_us));
}

static void *worker_main(void *context)
{
	worker *w = context;
	db_pool *p = w->pool;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		if (p->is_down && !p->is_probing && !p->is_stopping) {
			probe(p, w);
		} else if (p->count > 0) {
			db_job job = pop(p);
			bool refuse = p->is_down;
			err e = p->down_error;
			pthread_mutex_unlock(&p->lock);
			if (refuse) {
				metric_add(p->refused, 1);
				job.refuse(job.context, &e);
			} else {
				do_job(p, w, job);
			}
			pthread_mutex_lock(&p->lock);
		} else if (p->is_stopping) {
			break;
		} else {
			pthread_cond_wait(&p->changed, &p->lock);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

bool db_pool_new(const db_pool_options *options, db_pool **out, err *e)
{
	pthread_condattr_t attributes;
	db_pool *p = calloc(1, sizeof *p);
	if (p == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	p->log = options->conn.log;
	p->max_queue = options->max_queue;
	p->depth = metric_gauge(options->metrics, "tidegate_reader_queue_depth", "operations waiting for a reader", NULL);
	p->refused = metric_counter(options->metrics, "tidegate_reader_refused_total",
								"operations refused because the database was away", NULL);
	p->job_seconds = metric_histogram(options->metrics, "tidegate_reader_job_seconds",
									  "time of one operation on a reader, waiting for it excluded", NULL, true);
	p->queue = calloc(p->max_queue, sizeof *p->queue);
	p->workers = calloc(options->threads, sizeof *p->workers);
	if (p->queue == NULL || p->workers == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto fail;
	}
	/* Assume the best: the first job finds out. */
	atomic_init(&p->is_ready, true);
	for (uint32_t i = 0; i < options->threads; i++) {
		worker *w = &p->workers[i];
		w->pool = p;
		w->conn = db_conn_new(&options->conn);
		p->worker_count = i + 1;
		if (w->conn == NULL || pthread_create(&w->thread, NULL, worker_main, w) != 0) {
			err_set(e, ERR_NO_MEMORY, "cannot start reader threads");
			goto fail;
		}
		w->is_started = true;
	}
	*out = p;
	return true;
fail:
	db_pool_free(p);
	return false;
}

bool db_pool_submit(db_pool *p, db_job job, err *e)
{
	bool ok = false;
	pthread_mutex_lock(&p->lock);
	if (p->is_stopping) {
		err_set(e, ERR_SHUTTING_DOWN, "this server is stopping; repeat the request on another one");
	} else if (p->is_down) {
		*e = p->down_error;
	} else if (p->count == p->max_queue) {
		err_set(e, ERR_THROTTLED, "too many operations are waiting for the database; try again");
	} else {
		p->queue[(p->first + p->count) % p->max_queue] = job;
		p->count++;
		metric_set(p->depth, p->count);
		pthread_cond_signal(&p->changed);
		ok = true;
	}
	pthread_mutex_unlock(&p->lock);
	return ok;
}

bool db_pool_is_ready(const db_pool *p)
{
	return atomic_load(&p->is_ready);
}

void db_pool_stop(db_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->is_stopping = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	for (uint32_t i = 0; i < p->worker_count; i++) {
		if (p->workers[i].is_started) {
			pthread_join(p->workers[i].thread, NULL);
			p->workers[i].is_started = false;
		}
	}
}

void db_pool_free(db_pool *p)
{
	if (p == NULL) {
		return;
	}
	db_pool_stop(p);
	for (uint32_t i = 0; i < p->worker_count; i++) {
		db_conn_free(p->workers[i].conn);
	}
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p->queue);
	free(p);
}
