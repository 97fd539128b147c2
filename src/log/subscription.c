#include <string.h>

#include "log/feed.h"

enum { CATCH_UP_PAGES = 8 };

/* ---- references ---- */

void subscription_ref(log_subscription *s)
{
	atomic_fetch_add(&s->references, 1);
}

void subscription_unref(log_subscription *s)
{
	if (atomic_fetch_sub(&s->references, 1) == 1) {
		feed *f = s->feed;
		pthread_mutex_destroy(&s->lock);
		free(s->position);
		free(s->prior);
		free(s);
		feed_unref(f);
	}
}

/* ---- pushing ---- */

bool subscription_push_locked(log_subscription *s, const log_delivery *d)
{
	if (s->state == DEAD) {
		return false;
	}
	log_push result = s->sink.push(s->sink.context, d);
	if (result == LOG_PUSH_OK) {
		log_position_set(s->position, d->after);
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

void subscription_kill(log_subscription *s, const err *e)
{
	pthread_mutex_lock(&s->lock);
	if (s->state != DEAD) {
		s->state = DEAD;
		s->sink.on_error(s->sink.context, e);
	}
	pthread_mutex_unlock(&s->lock);
}

bool subscription_end(log_subscription *s)
{
	if (s->sink.on_end == NULL) {
		return false;
	}
	pthread_mutex_lock(&s->lock);
	if (s->state != DEAD && s->state != STALLED) {
		s->state = DEAD;
		s->sink.on_end(s->sink.context);
	}
	pthread_mutex_unlock(&s->lock);
	return true;
}

/* ---- scheduling ---- */

static void catch_up_run(void *context, log_conn *conn);
static void catch_up_refused(void *context, const err *e);
static void catch_up_retry(void *context);

static void catch_up_job_end(log_subscription *s)
{
	tail_registry *r = s->feed->registry;
	subscription_unref(s);
	tail_job_end(r);
}

static void catch_up_retry_later(log_subscription *s)
{
	if (!tail_retry_later(s->feed->registry, catch_up_retry, s)) {
		err e;
		err_set(&e, ERR_SHUTTING_DOWN,
				"this server stops reading the log; go on from the last position on another one");
		subscription_kill(s, &e);
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

void subscription_catch_up(log_subscription *s)
{
	subscription_ref(s);
	tail_job_begin(s->feed->registry);
	catch_up_submit(s);
}

/* ---- catching up ---- */

bool subscription_push(void *context, const log_delivery *d)
{
	log_subscription *s = context;
	pthread_mutex_lock(&s->lock);
	bool taken = subscription_push_locked(s, d);
	pthread_mutex_unlock(&s->lock);
	return taken;
}

subscription_state subscription_state_of(log_subscription *s)
{
	pthread_mutex_lock(&s->lock);
	subscription_state state = s->state;
	pthread_mutex_unlock(&s->lock);
	return state;
}

/* The first topic that still has something to read before the subscription's own; NULL: none. */
static const log_prior *find_prior(const log_subscription *s, int64_t offset)
{
	for (size_t i = 0; i < s->prior_count; i++) {
		if (offset < s->prior[i].until) {
			return &s->prior[i];
		}
	}
	return NULL;
}

/* Reads what other topics hold of this one; *pages are left for the topic itself: none when there is more of others. */
static bool read_prior(log_subscription *s, stretch *own, log_conn *conn, int *pages, err *e)
{
	const int64_t *at = &own->position->offsets[0];
	const log_prior *p = NULL;
	bool ok = true;
	/* A frame that is begun has to be completed. */
	while (ok && (*pages > 0 || own->out.len > 0) && (p = find_prior(s, *at)) != NULL) {
		int64_t before = *at;
		bool more = false;
		own->prior_topic_id = p->topic_id;
		ok = stretch_read(own, conn, 0, p->until, &more, e);
		if (ok && *at == before) {
			ok = err_set(e, ERR_TOPIC_NOT_FOUND, "what this topic begins with is gone");
		}
		*pages -= *pages > 0 ? 1 : 0;
	}
	own->prior_topic_id = 0;
	if (*pages == 0 && find_prior(s, *at) == NULL) {
		*pages = 1;
	}
	return ok;
}

/* Reads on from the subscription's position, a bounded stretch. *near_end: little is left, the feed may take over. */
static bool catch_up(log_subscription *s, log_conn *conn, bool *near_end, bool *is_ended, err *e)
{
	feed *f = s->feed;
	stretch own;
	int pages = CATCH_UP_PAGES;
	bool moved[LOG_PARTITIONS_MAX] = {true};
	bool ok = stretch_init(&own, f->registry->engine, f->topic, f->format, s->position, subscription_push, s, e) &&
			  read_prior(s, &own, conn, &pages, e);
	*near_end = pages > 0;
	if (ok && f->count > 1) {
		ok = stretch_find_moved(&own, conn, moved, e);
	}
	for (int32_t i = 0; i < f->count && ok; i++) {
		bool more = moved[i];
		for (int page = 0; page < pages && more && ok; page++) {
			ok = stretch_read(&own, conn, f->first + i, 0, &more, e);
		}
		*near_end = *near_end && !more;
	}
	if (ok) {
		pthread_mutex_lock(&s->lock);
		log_position_set(s->position, own.position);
		pthread_mutex_unlock(&s->lock);
	}
	*is_ended = own.is_ended;
	metric_add(f->registry->frames, (int64_t)own.frames);
	stretch_dispose(&own);
	return ok;
}

static void catch_up_run(void *context, log_conn *conn)
{
	log_subscription *s = context;
	bool near_end = false;
	bool is_ended = false;
	err e;
	err_clear(&e);
	if (subscription_state_of(s) != CATCHING) {
		catch_up_job_end(s);
		return;
	}
	if (catch_up(s, conn, &near_end, &is_ended, &e)) {
		if (is_ended && subscription_end(s)) {
			/* That was all. */
		} else if (near_end) {
			feed_join(s->feed, s);
		} else {
			/* Others want the reader too. */
			catch_up_submit(s);
			return;
		}
	} else if (e.code == ERR_TOPIC_NOT_FOUND) {
		subscription_kill(s, &e);
	} else if (e.code != ERR_NONE) {
		catch_up_retry_later(s);
		return;
	}
	catch_up_job_end(s);
}

/* ---- subscribing ---- */

/* Not reading yet. */
static log_subscription *subscription_new(tail_registry *r, const log_topic *t, const log_position *start,
										  const log_format *format)
{
	log_subscription *s = calloc(1, sizeof *s);
	if (s == NULL) {
		return NULL;
	}
	s->position = log_position_copy(start);
	s->feed = s->position != NULL ? feed_get(r, t, start, format) : NULL;
	if (s->feed == NULL) {
		free(s->position);
		free(s);
		return NULL;
	}
	s->state = CATCHING;
	atomic_init(&s->references, 1);
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

log_subscription *log_subscribe_fork(log_engine *engine, const log_topic *t, const log_prior *prior, size_t prior_count,
									 const log_position *start, const log_format *format, log_sink sink, err *e)
{
	tail_registry *r = engine->tails;
	if (metric_value(r->subscribers) >= (int64_t)engine->options.max_subscriptions) {
		err_set(e, ERR_THROTTLED, "this server has as many live readers as it may have; try another one or later");
		return NULL;
	}
	log_prior *copy = prior_count > 0 ? malloc(prior_count * sizeof *copy) : NULL;
	log_subscription *s = copy != NULL || prior_count == 0 ? subscription_new(r, t, start, format) : NULL;
	if (s == NULL) {
		free(copy);
		err_set(e, ERR_NO_MEMORY, "out of memory for a live reader");
		return NULL;
	}
	if (copy != NULL) {
		memcpy(copy, prior, prior_count * sizeof *copy);
	}
	s->prior = copy;
	s->prior_count = prior_count;
	s->sink = sink;
	metric_add(r->subscribers, 1);
	subscription_catch_up(s);
	return s;
}

log_subscription *log_subscribe(log_engine *engine, const log_topic *t, const log_position *start,
								const log_format *format, log_sink sink, err *e)
{
	return log_subscribe_fork(engine, t, NULL, 0, start, format, sink, e);
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
		subscription_catch_up(s);
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
