#include "log/tail.h"

#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "log/private.h"
#include "log/stretch.h"

/*
 * A feed is moved by one job at a time, on a reader thread: it reads what is new, encodes it once, pushes the frames to
 * the live subscriptions, and lets those in that have caught up. Only the feed's job changes the feed's position, so
 * that joining at exactly that position needs no further agreement.
 *
 *   state of a subscription    what it waits for
 *   CATCHING                   its own job is reading
 *   STALLED                    log_subscription_resume(): its sink was full
 *   JOINING                    the feed's next run, which reads the last stretch for it
 *   LIVE                       frames of the feed
 *   DEAD                       unsubscribed, or told of an error
 */

enum { CAUGHT_UP_BYTES = 64 << 10, CATCH_UP_PAGES = 8, RETRY_MS = 200, JOIN_RECORDS = 2048 };

/* A job ends by itself, at the latest when its statements time out. */
enum { STOP_MAX_MS = 60000 };

typedef struct feed feed;

typedef enum subscription_state { CATCHING, STALLED, JOINING, LIVE, DEAD } subscription_state;

struct log_subscription {
	feed *feed;
	log_sink sink;
	atomic_size_t references;
	pthread_mutex_t lock; /* held while the sink is called: that is what makes log_unsubscribe() final */
	subscription_state state;
	log_position *position; /* after the last frame taken */
	bool is_listed;         /* under the feed's lock, as next */
	log_subscription *next; /* in the feed's list */
};

typedef enum run_state { IDLE, RUNNING, AGAIN } run_state;

struct feed {
	tail_registry *registry;
	const log_topic *topic;
	const log_format *format;
	int32_t first;
	int32_t count;
	size_t references; /* under the registry's lock */
	log_watch *watch;

	pthread_mutex_t lock;
	log_subscription *subscriptions; /* those that are, or lately were, LIVE or JOINING; a reference each */
	run_state run;
	log_position *position; /* changed by the feed's job only; read under the lock elsewhere */
	bool has_position;      /* some subscription is live at it */
};

struct tail_registry {
	log_engine *engine;
	pthread_mutex_t lock;
	void *root; /* tsearch(3) tree of feed by topic, partitions, format */
	size_t count;
	size_t busy; /* feeds and subscriptions whose job runs, is queued or waits for its next try */
	pthread_cond_t idle;
	atomic_bool is_stopping; /* nothing is queued any more */
	metric *subscribers;
	metric *frames;
	metric *stalls;
};

/* ---- references ---- */

static int compare_feeds(const void *left, const void *right)
{
	const feed *a = left;
	const feed *b = right;
	if (a->topic->topic_id != b->topic->topic_id) {
		return a->topic->topic_id < b->topic->topic_id ? -1 : 1;
	}
	if (a->first != b->first) {
		return a->first < b->first ? -1 : 1;
	}
	if (a->count != b->count) {
		return a->count < b->count ? -1 : 1;
	}
	return a->format == b->format ? 0 : (uintptr_t)a->format < (uintptr_t)b->format ? -1 : 1;
}

static void feed_free(feed *f)
{
	free(f->position);
	log_topic_unref(f->topic);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static void feed_unref(feed *f)
{
	tail_registry *r = f->registry;
	pthread_mutex_lock(&r->lock);
	bool last = --f->references == 0;
	if (last) {
		tdelete(f, &r->root, compare_feeds);
		r->count--;
	}
	pthread_mutex_unlock(&r->lock);
	if (last) {
		log_watch_stop(f->watch);
		feed_free(f);
	}
}

static void subscription_ref(log_subscription *s)
{
	atomic_fetch_add(&s->references, 1);
}

static void subscription_unref(log_subscription *s)
{
	if (atomic_fetch_sub(&s->references, 1) == 1) {
		feed *f = s->feed;
		pthread_mutex_destroy(&s->lock);
		free(s->position);
		free(s);
		feed_unref(f);
	}
}

/* ---- pushing ---- */

/* Caller holds the subscription's lock. After the frame the subscription is at `after`. False: it took no more. */
static bool push(log_subscription *s, frame *f, const log_position *after)
{
	if (s->state == DEAD) {
		return false;
	}
	log_push result = s->sink.push(s->sink.context, f);
	if (result == LOG_PUSH_OK) {
		log_position_set(s->position, after);
		return true;
	}
	if (result == LOG_PUSH_CLOSED) {
		s->state = DEAD;
	} else {
		s->state = STALLED;
		metric_add(s->feed->registry->stalls, 1);
	}
	return false;
}

static void kill_subscription(log_subscription *s, const err *e)
{
	pthread_mutex_lock(&s->lock);
	if (s->state != DEAD) {
		s->state = DEAD;
		s->sink.on_error(s->sink.context, e);
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- scheduling ---- */

static void feed_run(void *context, log_conn *conn);
static void feed_refused(void *context, const err *e);
static void catch_up_run(void *context, log_conn *conn);
static void catch_up_refused(void *context, const err *e);
static void feed_retry(void *context);
static void catch_up_retry(void *context);

/* A job is one from its start to its end, however often it is queued in between. */
static void job_begin(tail_registry *r)
{
	pthread_mutex_lock(&r->lock);
	r->busy++;
	pthread_mutex_unlock(&r->lock);
}

static void job_end(tail_registry *r)
{
	pthread_mutex_lock(&r->lock);
	if (--r->busy == 0) {
		pthread_cond_broadcast(&r->idle);
	}
	pthread_mutex_unlock(&r->lock);
}

/* False: there will be no next try. */
static bool retry_later(tail_registry *r, timer_fn *fn, void *context)
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

static void feed_job_end(feed *f)
{
	tail_registry *r = f->registry;
	feed_unref(f);
	job_end(r);
}

static void feed_retry_later(feed *f)
{
	if (!retry_later(f->registry, feed_retry, f)) {
		/* The next wake-up, or the slow poll, starts it again. */
		pthread_mutex_lock(&f->lock);
		f->run = IDLE;
		pthread_mutex_unlock(&f->lock);
		feed_job_end(f);
	}
}

/* The job holds a reference of the feed. */
static void feed_submit(feed *f)
{
	err e;
	log_job job = {feed_run, feed_refused, f};
	if (atomic_load(&f->registry->is_stopping) || !log_engine_submit(f->registry->engine, job, &e)) {
		feed_retry_later(f);
	}
}

static void feed_retry(void *context)
{
	feed_submit(context);
}

static void feed_refused(void *context, const err *e)
{
	(void)e;
	feed_retry_later(context);
}

static void feed_schedule(feed *f)
{
	pthread_mutex_lock(&f->lock);
	bool start = f->run == IDLE && f->subscriptions != NULL;
	f->run = f->run == IDLE ? (start ? RUNNING : IDLE) : AGAIN;
	pthread_mutex_unlock(&f->lock);
	if (start) {
		pthread_mutex_lock(&f->registry->lock);
		f->references++;
		f->registry->busy++;
		pthread_mutex_unlock(&f->registry->lock);
		feed_submit(f);
	}
}

static void on_wake(void *context)
{
	feed_schedule(context);
}

static void catch_up_job_end(log_subscription *s)
{
	tail_registry *r = s->feed->registry;
	subscription_unref(s);
	job_end(r);
}

static void catch_up_retry_later(log_subscription *s)
{
	if (!retry_later(s->feed->registry, catch_up_retry, s)) {
		err e;
		err_set(&e, ERR_SHUTTING_DOWN,
				"this server stops reading the log; go on from the last position on another one");
		kill_subscription(s, &e);
		catch_up_job_end(s);
	}
}

/* The job holds a reference of the subscription. */
static void catch_up_submit(log_subscription *s)
{
	err e;
	log_job job = {catch_up_run, catch_up_refused, s};
	if (atomic_load(&s->feed->registry->is_stopping) || !log_engine_submit(s->feed->registry->engine, job, &e)) {
		catch_up_retry_later(s);
	}
}

static void catch_up_retry(void *context)
{
	catch_up_submit(context);
}

static void catch_up_refused(void *context, const err *e)
{
	(void)e;
	catch_up_retry_later(context);
}

static void catch_up_start(log_subscription *s)
{
	subscription_ref(s);
	job_begin(s->feed->registry);
	catch_up_submit(s);
}

/* ---- catching up ---- */

static bool push_own(void *context, frame *f, const log_position *after)
{
	log_subscription *s = context;
	pthread_mutex_lock(&s->lock);
	bool taken = push(s, f, after);
	pthread_mutex_unlock(&s->lock);
	return taken;
}

static subscription_state state_of(log_subscription *s)
{
	pthread_mutex_lock(&s->lock);
	subscription_state state = s->state;
	pthread_mutex_unlock(&s->lock);
	return state;
}

static void join_feed(log_subscription *s)
{
	feed *f = s->feed;
	pthread_mutex_lock(&f->lock);
	pthread_mutex_lock(&s->lock);
	bool joins = s->state == CATCHING;
	if (joins) {
		s->state = JOINING;
		/* One that stalled and came back may still be on the list. */
		if (!s->is_listed) {
			s->is_listed = true;
			subscription_ref(s);
			s->next = f->subscriptions;
			f->subscriptions = s;
		}
	}
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&f->lock);
	if (joins) {
		feed_schedule(f);
	}
}

/* Reads on from the subscription's position, a bounded stretch. *near_end: little is left, the feed may take over. */
static bool catch_up(log_subscription *s, log_conn *conn, bool *near_end, err *e)
{
	feed *f = s->feed;
	stretch own;
	bool moved[LOG_PARTITIONS_MAX] = {true};
	bool ok = stretch_init(&own, f->registry->engine, f->topic, f->format, s->position, push_own, s, e);
	*near_end = true;
	if (ok && f->count > 1) {
		ok = stretch_find_moved(&own, conn, moved, e);
	}
	for (int32_t i = 0; i < f->count && ok; i++) {
		bool more = moved[i];
		for (int page = 0; page < CATCH_UP_PAGES && more && ok; page++) {
			ok = stretch_read(&own, conn, f->first + i, 0, &more, e);
		}
		*near_end = *near_end && !more;
	}
	if (ok) {
		pthread_mutex_lock(&s->lock);
		log_position_set(s->position, own.position);
		pthread_mutex_unlock(&s->lock);
	}
	metric_add(f->registry->frames, (int64_t)own.frames);
	stretch_dispose(&own);
	return ok;
}

static void catch_up_run(void *context, log_conn *conn)
{
	log_subscription *s = context;
	bool near_end = false;
	err e;
	err_clear(&e);
	if (state_of(s) != CATCHING) {
		catch_up_job_end(s);
		return;
	}
	if (catch_up(s, conn, &near_end, &e)) {
		if (near_end) {
			join_feed(s);
		} else {
			/* Others want the reader too. */
			catch_up_submit(s);
			return;
		}
	} else if (e.code == ERR_TOPIC_NOT_FOUND) {
		kill_subscription(s, &e);
	} else if (e.code != ERR_NONE) {
		catch_up_retry_later(s);
		return;
	}
	catch_up_job_end(s);
}

/* ---- the feed's job ---- */

/* Gives a frame to every live subscription. Those that do not take it leave, at the position before. */
static bool push_live(void *context, frame *f, const log_position *after)
{
	feed *d = context;
	pthread_mutex_lock(&d->lock);
	for (log_subscription *s = d->subscriptions; s != NULL; s = s->next) {
		pthread_mutex_lock(&s->lock);
		if (s->state == LIVE) {
			push(s, f, after);
		}
		pthread_mutex_unlock(&s->lock);
	}
	log_position_set(d->position, after);
	pthread_mutex_unlock(&d->lock);
	return true;
}

/* Takes one off the list that is neither live nor joining any more; NULL when there is none. */
static log_subscription *take_leaver(feed *f)
{
	log_subscription *leaver = NULL;
	pthread_mutex_lock(&f->lock);
	f->has_position = false;
	for (log_subscription **link = &f->subscriptions; *link != NULL && leaver == NULL;) {
		log_subscription *s = *link;
		subscription_state state = state_of(s);
		if (state == LIVE || state == JOINING) {
			f->has_position = f->has_position || state == LIVE;
			link = &s->next;
		} else {
			*link = s->next;
			s->is_listed = false;
			leaver = s;
		}
	}
	pthread_mutex_unlock(&f->lock);
	return leaver;
}

static void drop_leavers(feed *f)
{
	log_subscription *leaver;
	while ((leaver = take_leaver(f)) != NULL) {
		subscription_unref(leaver);
	}
}

/* Brings the live ones to the end. */
static bool advance(feed *f, log_conn *conn, err *e)
{
	bool moved[LOG_PARTITIONS_MAX] = {true};
	stretch news;
	bool ok = stretch_init(&news, f->registry->engine, f->topic, f->format, f->position, push_live, f, e);
	if (ok && f->count > 1) {
		ok = stretch_find_moved(&news, conn, moved, e);
	}
	for (int32_t i = 0; i < f->count && ok; i++) {
		bool more = moved[i];
		while (more && ok) {
			ok = stretch_read(&news, conn, f->first + i, 0, &more, e);
		}
	}
	if (ok) {
		pthread_mutex_lock(&f->lock);
		log_position_set(f->position, news.position);
		pthread_mutex_unlock(&f->lock);
	}
	metric_add(f->registry->frames, (int64_t)news.frames);
	stretch_dispose(&news);
	return ok;
}

/* To all that are live, or to the one that just became it. */
static void tell_caught_up(feed *f, stretch_take *take, void *context)
{
	buf out;
	if (f->format->write_caught_up == NULL) {
		return;
	}
	buf_init(&out, CAUGHT_UP_BYTES);
	f->format->write_caught_up(&out, f->topic, f->position);
	frame *told = out.failed ? NULL : frame_new(buf_str(&out));
	if (told != NULL) {
		take(context, told, f->position);
		frame_unref(told);
	}
	buf_dispose(&out);
}

/* Reads the last stretch for one that joins, up to the feed's position. */
static bool let_in(feed *f, log_subscription *s, log_conn *conn, err *e)
{
	stretch last;
	bool is_far = false;
	bool ok = stretch_init(&last, f->registry->engine, f->topic, f->format, s->position, push_own, s, e);
	if (ok && !f->has_position) {
		/* Nobody is live: the feed begins where this one is. */
		log_position_set(f->position, s->position);
		f->has_position = true;
	}
	for (int32_t i = 0; i < f->count && ok; i++) {
		int64_t *at = &last.position->offsets[i];
		int64_t until = f->position->offsets[i];
		bool more = *at < until;
		is_far = is_far || until - *at > JOIN_RECORDS;
		while (more && ok && !is_far) {
			ok = stretch_read(&last, conn, f->first + i, until, &more, e);
		}
		/* One that is ahead would get the feed's next frames twice: it comes again when the feed has passed it. */
		is_far = is_far || *at > until;
	}
	pthread_mutex_lock(&s->lock);
	if (ok) {
		log_position_set(s->position, last.position);
	}
	bool back = ok && is_far && s->state == JOINING;
	if (back) {
		s->state = CATCHING;
	} else if (ok && s->state == JOINING) {
		s->state = LIVE;
	}
	pthread_mutex_unlock(&s->lock);
	metric_add(f->registry->frames, (int64_t)last.frames);
	stretch_dispose(&last);
	if (back) {
		catch_up_start(s);
	} else if (ok) {
		tell_caught_up(f, push_own, s);
	}
	return ok || e->code == ERR_NONE;
}

static log_subscription *next_joining(feed *f)
{
	log_subscription *found = NULL;
	pthread_mutex_lock(&f->lock);
	for (log_subscription *s = f->subscriptions; s != NULL && found == NULL; s = s->next) {
		if (state_of(s) == JOINING) {
			found = s;
			subscription_ref(s);
		}
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}

static void kill_all(feed *f, const err *e)
{
	pthread_mutex_lock(&f->lock);
	log_subscription *list = f->subscriptions;
	f->subscriptions = NULL;
	f->has_position = false;
	pthread_mutex_unlock(&f->lock);
	/* Nobody joins again: from here on they are dead. */
	while (list != NULL) {
		log_subscription *s = list;
		list = s->next;
		kill_subscription(s, e);
		subscription_unref(s);
	}
}

static bool feed_step(feed *f, log_conn *conn, err *e)
{
	log_subscription *joining;
	log_position *before = log_position_copy(f->position);
	bool ok = before != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
	drop_leavers(f);
	ok = ok && (!f->has_position || advance(f, conn, e));
	if (ok && !log_position_equal(before, f->position)) {
		tell_caught_up(f, push_live, f);
	}
	while (ok && (joining = next_joining(f)) != NULL) {
		ok = let_in(f, joining, conn, e);
		subscription_unref(joining);
	}
	drop_leavers(f);
	free(before);
	return ok;
}

static void feed_run(void *context, log_conn *conn)
{
	feed *f = context;
	err e;
	err_clear(&e);
	if (!feed_step(f, conn, &e)) {
		if (e.code != ERR_TOPIC_NOT_FOUND) {
			feed_retry_later(f);
			return;
		}
		kill_all(f, &e);
	}
	pthread_mutex_lock(&f->lock);
	bool again = f->run == AGAIN && f->subscriptions != NULL;
	f->run = again ? RUNNING : IDLE;
	pthread_mutex_unlock(&f->lock);
	if (again) {
		/* To the end of the queue: others want the reader too. */
		feed_submit(f);
	} else {
		feed_job_end(f);
	}
}

/* ---- subscribing ---- */

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
		kill_all(c.feeds[i], &e);
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

static feed *feed_new(tail_registry *r, const feed *key, const log_position *start)
{
	feed *f = calloc(1, sizeof *f);
	if (f == NULL) {
		return NULL;
	}
	*f = *key;
	f->registry = r;
	f->position = log_position_copy(start);
	f->topic = log_topic_ref(key->topic);
	pthread_mutex_init(&f->lock, NULL);
	if (f->position == NULL || tsearch(f, &r->root, compare_feeds) == NULL) {
		feed_free(f);
		return NULL;
	}
	r->count++;
	return f;
}

/* With a reference for the caller. */
static feed *feed_get(tail_registry *r, const log_topic *t, const log_position *start, const log_format *format)
{
	feed key = {.topic = t, .format = format, .first = start->first, .count = start->count};
	pthread_mutex_lock(&r->lock);
	feed *const *node = tfind(&key, &r->root, compare_feeds);
	feed *f = node != NULL ? *node : feed_new(r, &key, start);
	bool is_new = f != NULL && f->references == 0;
	if (f != NULL) {
		f->references++;
	}
	pthread_mutex_unlock(&r->lock);
	if (is_new) {
		log_watch *w =
			log_watch_start(r->engine, t->topic_id, f->count == 1 ? f->first : LOG_ALL_PARTITIONS, on_wake, f);
		f->watch = w;
		if (w == NULL) {
			feed_unref(f);
			return NULL;
		}
	}
	return f;
}

log_subscription *log_subscribe(log_engine *engine, const log_topic *t, const log_position *start,
								const log_format *format, log_sink sink, err *e)
{
	tail_registry *r = engine->tails;
	if (metric_value(r->subscribers) >= (int64_t)engine->options.max_subscriptions) {
		err_set(e, ERR_THROTTLED, "this server has as many live readers as it may have; try another one or later");
		return NULL;
	}
	log_subscription *s = calloc(1, sizeof *s);
	log_position *position = log_position_copy(start);
	feed *f = s != NULL && position != NULL ? feed_get(r, t, start, format) : NULL;
	if (f == NULL) {
		free(s);
		free(position);
		err_set(e, ERR_NO_MEMORY, "out of memory for a live reader");
		return NULL;
	}
	s->feed = f;
	s->sink = sink;
	s->position = position;
	s->state = CATCHING;
	atomic_init(&s->references, 1);
	pthread_mutex_init(&s->lock, NULL);
	metric_add(r->subscribers, 1);
	catch_up_start(s);
	return s;
}

void log_subscription_resume(log_subscription *s)
{
	pthread_mutex_lock(&s->lock);
	bool again = s->state == STALLED;
	if (again) {
		s->state = CATCHING;
	}
	pthread_mutex_unlock(&s->lock);
	if (again) {
		catch_up_start(s);
	}
}

log_position *log_subscription_position(log_subscription *s)
{
	pthread_mutex_lock(&s->lock);
	log_position *copy = log_position_copy(s->position);
	pthread_mutex_unlock(&s->lock);
	return copy;
}

void log_unsubscribe(log_subscription *s)
{
	if (s == NULL) {
		return;
	}
	metric *subscribers = s->feed->registry->subscribers;
	pthread_mutex_lock(&s->lock);
	s->state = DEAD;
	pthread_mutex_unlock(&s->lock);
	metric_add(subscribers, -1);
	feed_schedule(s->feed);
	subscription_unref(s);
}
