#include "api/pump.h"

#include "base/clock.h"

#include <pthread.h>

enum {
	RETRY_MS = 100,
	TRIES = 30,        /* for room in the queue, before the body is refused */
	REFUSED_MS = 1000, /* the database may be away for long */
};

typedef enum pump_state {
	STATE_IDLE,          /* waits for a kick */
	STATE_QUEUED,        /* a job is on its way */
	STATE_RUNNING,       /* the body runs */
	STATE_RUNNING_AGAIN, /* the body runs, and was kicked meanwhile */
	STATE_DONE           /* for good */
} pump_state;

struct pump {
	api *api;
	pump_body body;
	log_watch *watch; /* the body's thread only, and whoever finishes the pump */
	pump *previous;   /* both under the set's lock */
	pump *next;
	atomic_size_t references;
	pthread_mutex_t lock; /* guards what follows */
	pump_state state;
	int tries; /* in vain, since the last run */
	timer_id timer;
	int64_t due_ms; /* when `timer` fires */
};

struct pump_set {
	pthread_mutex_t lock;
	pump *first;
	size_t count;
	metric *waiting;
};

/* ---- the set ---- */

pump_set *pump_set_new(metric_registry *metrics)
{
	pump_set *s = calloc(1, sizeof *s);
	if (s == NULL) {
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->waiting = metric_gauge(metrics, "tidegate_waiting_reads", "long polls and group streams under way", NULL);
	return s;
}

void pump_set_free(pump_set *s)
{
	if (s != NULL) {
		pthread_mutex_destroy(&s->lock);
		free(s);
	}
}

static bool set_add(pump_set *s, pump *p)
{
	pthread_mutex_lock(&s->lock);
	bool has_room = s->count < API_WAITERS_MAX;
	if (has_room) {
		p->next = s->first;
		if (s->first != NULL) {
			s->first->previous = p;
		}
		s->first = p;
		s->count++;
		metric_set(s->waiting, (int64_t)s->count);
	}
	pthread_mutex_unlock(&s->lock);
	return has_room;
}

static void set_remove(pump_set *s, pump *p)
{
	pthread_mutex_lock(&s->lock);
	if (p->previous != NULL) {
		p->previous->next = p->next;
	} else {
		s->first = p->next;
	}
	if (p->next != NULL) {
		p->next->previous = p->previous;
	}
	s->count--;
	metric_set(s->waiting, (int64_t)s->count);
	pthread_mutex_unlock(&s->lock);
}

void pump_set_kick(pump_set *s)
{
	pthread_mutex_lock(&s->lock);
	for (pump *p = s->first; p != NULL; p = p->next) {
		pump_kick(p);
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- one pump ---- */

pump *pump_new(api *a, pump_body body, err *e)
{
	pump *p = calloc(1, sizeof *p);
	if (p == NULL) {
		err_set(e, ERR_NO_MEMORY, "the server has no memory left; try again");
		return NULL;
	}
	p->api = a;
	p->body = body;
	p->state = STATE_IDLE;
	atomic_init(&p->references, 2);
	pthread_mutex_init(&p->lock, NULL);
	if (!set_add(a->pumps, p)) {
		err_set(e, ERR_THROTTLED,
				"too many requests of this server are waiting for new records; try again without wait_ms");
		atomic_store(&p->references, 1);
		pump_unref(p);
		return NULL;
	}
	return p;
}

pump *pump_ref(pump *p)
{
	atomic_fetch_add_explicit(&p->references, 1, memory_order_relaxed);
	return p;
}

void pump_unref(pump *p)
{
	if (p != NULL && atomic_fetch_sub_explicit(&p->references, 1, memory_order_acq_rel) == 1) {
		pthread_mutex_destroy(&p->lock);
		free(p);
	}
}

static void on_time(void *context);

/* Caller holds the lock. An earlier entry goes; if it fires just now, that is one kick too many, which does no harm. */
static void arm(pump *p, int64_t at_ms)
{
	timer *t = log_engine_timer(p->api->log);
	if (p->timer != 0 && timer_cancel(t, p->timer)) {
		pump_unref(p); /* the entry's; ours keeps the pump alive */
	}
	p->due_ms = at_ms;
	p->timer = timer_schedule(t, at_ms, on_time, pump_ref(p));
	if (p->timer == 0) {
		pump_unref(p);
	}
}

/* The body is never called again. Not on a watch's callback: it stops the watch. */
static void finish(pump *p)
{
	pthread_mutex_lock(&p->lock);
	p->state = STATE_DONE;
	if (p->timer != 0 && timer_cancel(log_engine_timer(p->api->log), p->timer)) {
		pump_unref(p);
	}
	p->timer = 0;
	pthread_mutex_unlock(&p->lock);
	log_watch_stop(p->watch);
	p->watch = NULL;
	set_remove(p->api->pumps, p);
	pump_unref(p);
}

static void run_job(void *context, log_conn *conn);

static void refuse_job(void *context, const err *e)
{
	pump *p = context;
	if (p->body.refuse(p->body.context, e) == PUMP_DONE) {
		finish(p);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->state = STATE_IDLE;
	p->tries = 0;
	arm(p, clock_now_ms() + REFUSED_MS);
	pthread_mutex_unlock(&p->lock);
}

/* When it is only that the queue is full, the timer tries again: a crowd that is woken at once finds it so. */
static bool may_wait_for_room(pump *p, const err *e)
{
	pthread_mutex_lock(&p->lock);
	bool waits = e->code == ERR_THROTTLED && p->tries < TRIES;
	if (waits) {
		p->tries++;
		p->state = STATE_IDLE;
		arm(p, clock_now_ms() + RETRY_MS);
	}
	pthread_mutex_unlock(&p->lock);
	return waits;
}

static void submit(pump *p)
{
	err e;
	if (!log_engine_submit(p->api->log, (log_job){run_job, refuse_job, p}, &e) && !may_wait_for_room(p, &e)) {
		refuse_job(p, &e);
	}
}

static void run_job(void *context, log_conn *conn)
{
	pump *p = context;
	pthread_mutex_lock(&p->lock);
	p->state = STATE_RUNNING;
	p->tries = 0;
	pthread_mutex_unlock(&p->lock);
	if (p->body.run(p->body.context, conn) == PUMP_DONE) {
		finish(p);
		return;
	}
	pthread_mutex_lock(&p->lock);
	bool again = p->state == STATE_RUNNING_AGAIN;
	p->state = again ? STATE_QUEUED : STATE_IDLE;
	pthread_mutex_unlock(&p->lock);
	if (again) {
		submit(p);
	}
}

/* True when the caller has to submit the job. */
static bool begin_kick(pump *p)
{
	pthread_mutex_lock(&p->lock);
	bool is_idle = p->state == STATE_IDLE;
	if (is_idle) {
		p->state = STATE_QUEUED;
	} else if (p->state == STATE_RUNNING) {
		p->state = STATE_RUNNING_AGAIN;
	}
	pthread_mutex_unlock(&p->lock);
	return is_idle;
}

void pump_kick(pump *p)
{
	err e;
	if (!begin_kick(p) || log_engine_submit(p->api->log, (log_job){run_job, refuse_job, p}, &e)) {
		return;
	}
	/* The watch may be what called us, so the pump cannot be finished here: the timer tries again, and may. */
	pthread_mutex_lock(&p->lock);
	p->state = STATE_IDLE;
	int64_t at_ms = clock_now_ms() + RETRY_MS;
	if (p->timer == 0 || p->due_ms > at_ms) {
		arm(p, at_ms);
	}
	pthread_mutex_unlock(&p->lock);
}

static void on_time(void *context)
{
	pump *p = context;
	pthread_mutex_lock(&p->lock);
	if (clock_now_ms() >= p->due_ms) {
		p->timer = 0;
	}
	pthread_mutex_unlock(&p->lock);
	if (begin_kick(p)) {
		submit(p);
	}
	pump_unref(p);
}

void pump_kick_at(pump *p, int64_t at_ms)
{
	pthread_mutex_lock(&p->lock);
	if (p->state != STATE_DONE) {
		arm(p, at_ms);
	}
	pthread_mutex_unlock(&p->lock);
}

static void on_wake(void *context)
{
	pump_kick(context);
}

bool pump_watch(pump *p, int64_t topic_id, int32_t partition)
{
	if (p->watch == NULL) {
		p->watch = log_watch_start(p->api->log, topic_id, partition, on_wake, p);
	}
	return p->watch != NULL;
}
