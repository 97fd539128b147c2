#include "log/feed.h"

#include <search.h>

enum { CAUGHT_UP_BYTES = 64 << 10, JOIN_RECORDS = 2048 };

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
	if (f->format->release != NULL) {
		f->format->release(f->format);
	}
	pthread_mutex_destroy(&f->lock);
	free(f);
}

void feed_unref(feed *f)
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

/* ---- scheduling ---- */

static void feed_run(void *context, log_conn *conn);
static void feed_refused(void *context, const err *e);
static void feed_retry(void *context);

static void feed_job_end(feed *f)
{
	tail_registry *r = f->registry;
	feed_unref(f);
	tail_job_end(r);
}

static void feed_retry_later(feed *f)
{
	if (!tail_retry_later(f->registry, feed_retry, f)) {
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

void feed_schedule(feed *f)
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

void feed_join(feed *f, log_subscription *s)
{
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

/* ---- the feed's job ---- */

/* Gives a frame to every live subscription. Those that do not take it leave, at the position before. */
static bool push_live(void *context, const log_delivery *d)
{
	feed *f = context;
	pthread_mutex_lock(&f->lock);
	for (log_subscription *s = f->subscriptions; s != NULL; s = s->next) {
		pthread_mutex_lock(&s->lock);
		if (s->state == LIVE) {
			subscription_push_locked(s, d);
		}
		pthread_mutex_unlock(&s->lock);
	}
	log_position_set(f->position, d->after);
	pthread_mutex_unlock(&f->lock);
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
		subscription_state state = subscription_state_of(s);
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

/* Those that are live have got everything. */
static void end_live(feed *f)
{
	pthread_mutex_lock(&f->lock);
	for (log_subscription *s = f->subscriptions; s != NULL; s = s->next) {
		if (subscription_state_of(s) == LIVE) {
			subscription_end(s);
		}
	}
	pthread_mutex_unlock(&f->lock);
}

/* Brings the live ones to the end. *has_news: they were given something. */
static bool advance(feed *f, log_conn *conn, bool *has_news, err *e)
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
	if (ok && news.is_ended) {
		end_live(f);
	}
	*has_news = news.frames > 0;
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
		take(context, &(log_delivery){.frame = told, .after = f->position});
		frame_unref(told);
	}
	buf_dispose(&out);
}

/* Reads the last stretch for one that joins, up to the feed's position. */
static bool let_in(feed *f, log_subscription *s, log_conn *conn, err *e)
{
	stretch last;
	bool is_far = false;
	bool ok = stretch_init(&last, f->registry->engine, f->topic, f->format, s->position, subscription_push, s, e);
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
	bool ended = ok && last.is_ended;
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
		subscription_catch_up(s);
	} else if (ended && subscription_end(s)) {
		/* That was all. */
	} else if (ok) {
		tell_caught_up(f, subscription_push, s);
	}
	return ok || e->code == ERR_NONE;
}

static log_subscription *next_joining(feed *f)
{
	log_subscription *found = NULL;
	pthread_mutex_lock(&f->lock);
	for (log_subscription *s = f->subscriptions; s != NULL && found == NULL; s = s->next) {
		if (subscription_state_of(s) == JOINING) {
			found = s;
			subscription_ref(s);
		}
	}
	pthread_mutex_unlock(&f->lock);
	return found;
}

void feed_kill_all(feed *f, const err *e)
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
		subscription_kill(s, e);
		subscription_unref(s);
	}
}

/* What is new, to those that are live. */
static bool follow(feed *f, log_conn *conn, err *e)
{
	bool has_news = false;
	bool ok = advance(f, conn, &has_news, e);
	if (ok && has_news) {
		tell_caught_up(f, push_live, f);
	}
	return ok;
}

static bool feed_step(feed *f, log_conn *conn, err *e)
{
	log_subscription *joining;
	bool begins = false;
	drop_leavers(f);
	bool ok = !f->has_position || follow(f, conn, e);
	while (ok && (joining = next_joining(f)) != NULL) {
		begins = begins || !f->has_position;
		ok = let_in(f, joining, conn, e);
		subscription_unref(joining);
	}
	if (ok && begins) {
		/* Whatever came between the first one's last look and its joining woke nobody. */
		ok = follow(f, conn, e);
	}
	drop_leavers(f);
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
		feed_kill_all(f, &e);
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

/* ---- finding ---- */

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
	if (f->format->retain != NULL) {
		f->format->retain(f->format);
	}
	pthread_mutex_init(&f->lock, NULL);
	if (f->position == NULL || tsearch(f, &r->root, compare_feeds) == NULL) {
		feed_free(f);
		return NULL;
	}
	r->count++;
	return f;
}

feed *feed_get(tail_registry *r, const log_topic *t, const log_position *start, const log_format *format)
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
