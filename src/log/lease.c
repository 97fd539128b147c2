/*
 * log/lease: the desks: one per consumer that has operations waiting at this worker. At most one job a desk is under way; while
 * it commits, the next group gathers.
 */
#include "log/lease.h"

#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "log/lease_turn.h"
#include "log/private.h"
#include "sql/lease.h"

enum {
	BUCKETS = 1024,
	TURNS_A_JOB = 8, /* then others get the reader */
	ARENA_BYTES = 256 << 20,
};

typedef struct desk {
	lease_registry *registry;
	int64_t topic_id;
	int32_t partition;
	char *consumer;
	size_t consumer_len;
	log_lease *first; /* waiting */
	log_lease *last;
	size_t count;      /* waiting or parked */
	log_lease *parked; /* in a claim window, latest first */
	timer_id timer;    /* of the window's end */
	int64_t due_ms;    /* when it fires */
	bool has_job;
	struct desk *next;
} desk;

struct lease_registry {
	log_engine *engine;
	pthread_mutex_t lock;
	desk *buckets[BUCKETS];
	size_t desk_count;
	pthread_cond_t idle; /* the last desk has gone */
	bool is_stopping;
	metric *operations;
	metric *seconds;
};

lease_registry *lease_registry_new(log_engine *engine)
{
	metric_registry *m = engine->options.metrics;
	lease_registry *r = calloc(1, sizeof *r);
	if (r != NULL) {
		r->engine = engine;
		pthread_mutex_init(&r->lock, NULL);
		pthread_cond_init(&r->idle, NULL);
		r->operations = metric_histogram(m, "tidegate_lease_group_operations",
										 "claims, acknowledgements and returns served together", NULL, false);
		r->seconds = metric_histogram(m, "tidegate_lease_commit_seconds", "time of one group of them", NULL, true);
	}
	return r;
}

void lease_registry_free(lease_registry *r)
{
	if (r != NULL) {
		pthread_cond_destroy(&r->idle);
		pthread_mutex_destroy(&r->lock);
		free(r);
	}
}

/* ---- desks; the caller holds the lock ---- */

static desk **place_of(lease_registry *r, int64_t topic_id, str consumer, int32_t partition)
{
	uint64_t hash = (uint64_t)topic_id * 0x9E3779B97F4A7C15u + (uint64_t)(uint32_t)partition;
	for (size_t i = 0; i < consumer.len; i++) {
		hash = (hash ^ (unsigned char)consumer.ptr[i]) * 0x100000001B3u;
	}
	desk **place = &r->buckets[(hash >> 32) % BUCKETS];
	while (*place != NULL && ((*place)->topic_id != topic_id || (*place)->partition != partition ||
							  !str_equal((str){(*place)->consumer, (*place)->consumer_len}, consumer))) {
		place = &(*place)->next;
	}
	return place;
}

static desk *desk_new(lease_registry *r, const log_lease *op)
{
	desk *d = calloc(1, sizeof *d);
	if (d != NULL) {
		d->registry = r;
		d->topic_id = op->topic->topic_id;
		d->partition = op->partition;
		d->consumer_len = op->consumer.len;
		d->consumer = malloc(op->consumer.len + 1);
		if (d->consumer == NULL) {
			free(d);
			return NULL;
		}
		if (op->consumer.len > 0) {
			memcpy(d->consumer, op->consumer.ptr, op->consumer.len);
		}
	}
	return d;
}

static void desk_free(desk *d)
{
	desk **place = place_of(d->registry, d->topic_id, (str){d->consumer, d->consumer_len}, d->partition);
	*place = d->next;
	if (--d->registry->desk_count == 0) {
		pthread_cond_broadcast(&d->registry->idle);
	}
	free(d->consumer);
	free(d);
}

/* A desk lasts as long as something is under way at it. */
static void leave(desk *d)
{
	if (d->first == NULL && d->parked == NULL && d->timer == 0 && !d->has_job) {
		desk_free(d);
	}
}

static void queue_up(desk *d, log_lease *op)
{
	op->next = NULL;
	if (d->last != NULL) {
		d->last->next = op;
	} else {
		d->first = op;
	}
	d->last = op;
}

/* What one turn serves. */
static size_t take_group(desk *d, log_lease **ops)
{
	size_t count = 0;
	uint64_t records = 0;
	while (d->first != NULL && count < LEASE_TURN_OPS) {
		log_lease *op = d->first;
		uint64_t more = op->ref_count + op->max;
		if (count > 0 && records + more > LEASE_TURN_JOBS) {
			break;
		}
		records += more;
		ops[count++] = op;
		d->first = op->next;
	}
	if (d->first == NULL) {
		d->last = NULL;
	}
	return count;
}

/* ---- the job ---- */

static void run_job(void *context, log_conn *conn);
static void refuse_job(void *context, const err *e);
static void on_window_end(void *context);

/* Caller holds the lock. */
static void unpark(desk *d)
{
	while (d->parked != NULL) {
		log_lease *op = d->parked;
		d->parked = op->next;
		queue_up(d, op);
	}
}

/* Those in a claim window wait for its end, then have another turn. Caller holds the lock. */
static void park(desk *d, log_lease *op)
{
	timer *t = d->registry->engine->options.timer;
	int64_t due_ms = clock_now_ms() + op->wait_ms;
	op->next = d->parked;
	d->parked = op;
	if (d->timer != 0 && due_ms < d->due_ms && timer_cancel(t, d->timer)) {
		d->timer = 0;
	}
	if (d->timer == 0) {
		d->due_ms = due_ms;
		d->timer = timer_schedule(t, due_ms, on_window_end, d);
	}
	if (d->timer == 0) {
		/* The timer is full: at once is early, but they are not forgotten. */
		unpark(d);
	}
}

/* Caller holds the lock; false: no job can be had. */
static bool start_job(desk *d, err *e)
{
	if (!log_engine_submit(d->registry->engine, (log_job){run_job, refuse_job, d}, e)) {
		return false;
	}
	d->has_job = true;
	return true;
}

/* Takes all that waits. */
static log_lease *take_all(desk *d)
{
	lease_registry *r = d->registry;
	pthread_mutex_lock(&r->lock);
	if (d->timer != 0 && timer_cancel(r->engine->options.timer, d->timer)) {
		d->timer = 0;
	}
	unpark(d);
	log_lease *first = d->first;
	d->first = NULL;
	d->last = NULL;
	d->count = 0;
	if (first == NULL) {
		d->has_job = false;
		leave(d);
	}
	pthread_mutex_unlock(&r->lock);
	return first;
}

/* Nobody can serve them: everything that waits gets the error. The caller acts for the desk's job, which ends. */
static void refuse_all(desk *d, const err *e)
{
	log_lease *op;
	while ((op = take_all(d)) != NULL) {
		while (op != NULL) {
			log_lease *next = op->next;
			op->error = *e;
			op->job_count = 0;
			op->done(op);
			op = next;
		}
	}
}

static void refuse_job(void *context, const err *e)
{
	refuse_all(context, e);
}

static void on_window_end(void *context)
{
	desk *d = context;
	lease_registry *r = d->registry;
	err e;
	pthread_mutex_lock(&r->lock);
	d->timer = 0;
	unpark(d);
	bool refused = !d->has_job && d->first != NULL && !start_job(d, &e);
	d->has_job = d->has_job || refused;
	leave(d);
	pthread_mutex_unlock(&r->lock);
	if (refused) {
		refuse_all(d, &e);
	}
}

/* One turn, and its answers. */
static void serve(desk *d, lease_turn *t, log_lease **ops, size_t count)
{
	lease_registry *r = d->registry;
	int64_t start_us = clock_now_us();
	size_t answered = 0;
	lease_turn_run(t, ops, count);
	metric_observe(r->operations, count);
	metric_observe(r->seconds, (uint64_t)(clock_now_us() - start_us));
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < count; i++) {
		if (ops[i]->wait_ms > 0) {
			park(d, ops[i]);
		} else {
			ops[answered++] = ops[i];
		}
	}
	d->count -= answered;
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < answered; i++) {
		if (ops[i]->error.code == ERR_INTERNAL) {
			slog_err(r->engine->options.log, SLOG_ERROR, "lease", "an operation on leases failed", &ops[i]->error);
		}
		ops[i]->done(ops[i]);
	}
}

static void run_job(void *context, log_conn *conn)
{
	desk *d = context;
	lease_registry *r = d->registry;
	err e;
	log_lease *ops[LEASE_TURN_OPS];
	lease_turn t;
	bool goes_on = true;
	arena *a = arena_new(ARENA_BYTES);
	if (a == NULL) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left; try again");
		refuse_all(d, &e);
		return;
	}
	lease_turn_init(&t, r->engine, conn, a);
	for (int turn = 0; goes_on; turn++) {
		pthread_mutex_lock(&r->lock);
		size_t count = take_group(d, ops);
		/* When no further job can be had, this one goes on. */
		bool hands_over = count > 0 && turn >= TURNS_A_JOB && d->first != NULL &&
						  log_engine_submit(r->engine, (log_job){run_job, refuse_job, d}, &e);
		goes_on = count > 0 && !hands_over;
		if (hands_over) {
			/* Back to the front: the next job serves them. */
			for (size_t i = count; i > 0; i--) {
				ops[i - 1]->next = d->first;
				d->first = ops[i - 1];
			}
		} else if (count == 0) {
			d->has_job = false;
			leave(d);
		}
		pthread_mutex_unlock(&r->lock);
		if (goes_on) {
			serve(d, &t, ops, count);
		}
	}
	lease_turn_dispose(&t);
	arena_free(a);
}

bool log_lease_submit(log_engine *engine, log_lease *op, err *e)
{
	lease_registry *r = engine->leases;
	bool ok = false;
	err_clear(&op->error);
	op->jobs = NULL;
	op->job_count = 0;
	op->claim_id = 0;
	op->wait_ms = 0;
	pthread_mutex_lock(&r->lock);
	desk **place = place_of(r, op->topic->topic_id, op->consumer, op->partition);
	desk *d = *place;
	if (d == NULL && (d = desk_new(r, op)) != NULL) {
		*place = d;
		r->desk_count++;
	}
	if (d == NULL) {
		err_set(e, ERR_NO_MEMORY, "the server has no memory left; try again");
	} else if (r->is_stopping && op->action != LOG_LEASE_NACK) {
		/* What a claim brought that nobody reads any more still goes back. */
		err_set(e, ERR_SHUTTING_DOWN, "this server is stopping; repeat the request on another one");
	} else if (d->count == LOG_LEASE_WAITING_MAX) {
		err_set(e, ERR_THROTTLED, "too many requests wait for this queue; try again");
	} else if (d->has_job || start_job(d, e)) {
		queue_up(d, op);
		d->count++;
		ok = true;
	}
	if (d != NULL) {
		leave(d);
	}
	pthread_mutex_unlock(&r->lock);
	return ok;
}

void lease_registry_stop(lease_registry *r)
{
	pthread_mutex_lock(&r->lock);
	r->is_stopping = true;
	/* Claims in a window wait for its end. */
	while (r->desk_count > 0) {
		pthread_cond_wait(&r->idle, &r->lock);
	}
	pthread_mutex_unlock(&r->lock);
}

/* ---- without a turn ---- */

bool log_lease_describe(log_engine *engine, log_conn *conn, const log_topic *t, str consumer, int32_t partition,
						log_lease_counts *out, err *e)
{
	db_params p;
	db_result *r = NULL;
	(void)engine;
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	db_param_str(&p, consumer.ptr != NULL ? consumer : STR(""));
	db_param_i32(&p, partition);
	if (!db_run(conn, &SQL_LEASE_DESCRIBE, &p, &r, e)) {
		return err_frame(e, "log_lease_describe");
	}
	bool ok = db_rows(r) == 1;
	if (ok) {
		*out = (log_lease_counts){db_i64(r, 0, 0), db_i64(r, 0, 1), db_i64(r, 0, 2)};
	} else {
		err_set(e, ERR_TOPIC_NOT_FOUND, "there is no such topic");
	}
	db_result_free(r);
	return ok;
}
