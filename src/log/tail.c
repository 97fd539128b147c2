#include "log/tail.h"

#include <search.h>
#include <time.h>

#include "base/clock.h"
#include "log/feed.h"

enum { RETRY_MS = 200 };

/* A job ends by itself, at the latest when its statements time out. */
enum { STOP_MAX_MS = 60000 };

/* ---- jobs ---- */

void tail_job_begin(tail_registry *r)
{
	pthread_mutex_lock(&r->lock);
	r->busy++;
	pthread_mutex_unlock(&r->lock);
}

void tail_job_end(tail_registry *r)
{
	pthread_mutex_lock(&r->lock);
	if (--r->busy == 0) {
		pthread_cond_broadcast(&r->idle);
	}
	pthread_mutex_unlock(&r->lock);
}

bool tail_retry_later(tail_registry *r, timer_fn *fn, void *context)
{
	if (atomic_load(&r->is_stopping)) {
		return false;
	}
	if (timer_schedule(r->engine->options.timer, clock_now_ms() + RETRY_MS, fn, context) == 0) {
		SLOG(r->engine->options.log, SLOG_ERROR, "tail", "no timer for a retry", F_INT("ms", RETRY_MS));
		return false;
	}
	return true;
}

/* ---- life ---- */

tail_registry *tail_registry_new(log_engine *engine)
{
	metric_registry *m = engine->options.metrics;
	tail_registry *r = calloc(1, sizeof *r);
	if (r != NULL) {
		pthread_condattr_t attributes;
		r->engine = engine;
		pthread_mutex_init(&r->lock, NULL);
		pthread_condattr_init(&attributes);
		pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
		pthread_cond_init(&r->idle, &attributes);
		pthread_condattr_destroy(&attributes);
		atomic_init(&r->is_stopping, false);
		r->subscribers = metric_gauge(m, "tidegate_subscriptions", "live readers", NULL);
		r->frames = metric_counter(m, "tidegate_frames_total", "frames encoded for live readers", NULL);
		r->stalls =
			metric_counter(m, "tidegate_subscription_stalls_total", "times a live reader did not keep up", NULL);
	}
	return r;
}

typedef struct collected {
	feed **feeds;
	size_t count;
} collected;

static void collect_feed(const void *node, VISIT visit, void *context)
{
	collected *c = context;
	if (visit == postorder || visit == leaf) {
		feed *f = *(feed *const *)node;
		f->references++;
		c->feeds[c->count++] = f;
	}
}

/* The feeds' lists hold subscriptions until a job takes them off, and there will be none. */
static void end_subscriptions(tail_registry *r)
{
	err e;
	collected c = {NULL, 0};
	err_set(&e, ERR_SHUTTING_DOWN, "this server is stopping; go on from the last position on another one");
	pthread_mutex_lock(&r->lock);
	c.feeds = calloc(r->count + 1, sizeof(feed *));
	if (c.feeds != NULL) {
		twalk_r(r->root, collect_feed, &c);
	}
	pthread_mutex_unlock(&r->lock);
	for (size_t i = 0; i < c.count; i++) {
		feed_kill_all(c.feeds[i], &e);
		feed_unref(c.feeds[i]);
	}
	free(c.feeds);
}

void tail_registry_stop(tail_registry *r)
{
	int64_t until_ms = clock_now_ms() + STOP_MAX_MS;
	struct timespec until = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};
	int waited = 0;
	atomic_store(&r->is_stopping, true);
	pthread_mutex_lock(&r->lock);
	while (r->busy > 0 && waited == 0) {
		waited = pthread_cond_timedwait(&r->idle, &r->lock, &until);
	}
	bool is_idle = r->busy == 0;
	pthread_mutex_unlock(&r->lock);
	if (is_idle) {
		end_subscriptions(r);
	}
}

void tail_registry_free(tail_registry *r)
{
	if (r != NULL) {
		tdestroy(r->root, free);
		pthread_cond_destroy(&r->idle);
		pthread_mutex_destroy(&r->lock);
		free(r);
	}
}
