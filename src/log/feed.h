/*
 * log/feed: the parts of live reading, for the files of log only: tail.c (the registry), feed.c, subscription.c.
 *
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
 *
 * Owns     a feed belongs to its subscriptions and its job, a subscription to its caller, its feed's list and its job,
 *          by reference count. The registry owns the tree.
 * Threads  any. Locks are taken in the order registry or feed, subscription; a sink is called under the latter.
 * Limits   those of log/tail.
 */
#ifndef TIDEGATE_LOG_FEED_H
#define TIDEGATE_LOG_FEED_H

#include <pthread.h>
#include <stdatomic.h>

#include "log/private.h"
#include "log/stretch.h"

typedef struct feed feed;

typedef enum subscription_state { CATCHING, STALLED, JOINING, LIVE, DEAD } subscription_state;

struct log_subscription {
	feed *feed;
	log_sink sink;
	atomic_size_t references;
	pthread_mutex_t lock; /* held while the sink is called: that is what makes log_unsubscribe() final */
	subscription_state state;
	log_position *position; /* after the last frame taken */
	log_prior *prior;       /* read before the topic itself */
	size_t prior_count;
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

/* ---- registry (tail.c) ---- */

/* A job is one from its start to its end, however often it is queued in between. */
void tail_job_begin(tail_registry *r);
void tail_job_end(tail_registry *r);
/* False: there will be no next try. */
bool tail_retry_later(tail_registry *r, timer_fn *fn, void *context);

/* ---- feed ---- */

/* With a reference for the caller; NULL when memory is out. */
feed *feed_get(tail_registry *r, const log_topic *t, const log_position *start, const log_format *format);
void feed_unref(feed *f);
/* There may be something to do. */
void feed_schedule(feed *f);
/* The subscription is near the end: if it is still catching up, the feed takes over. */
void feed_join(feed *f, log_subscription *s);
/* The last word to everybody. */
void feed_kill_all(feed *f, const err *e);

/* ---- subscription ---- */

void subscription_ref(log_subscription *s);
void subscription_unref(log_subscription *s);
subscription_state subscription_state_of(log_subscription *s);
/* Caller holds the subscription's lock. Once taken, the subscription is at d->after. False: it took no more. */
bool subscription_push_locked(log_subscription *s, const log_delivery *d);
/* The same with the lock taken, for a stretch of one subscription. */
stretch_take subscription_push;
void subscription_kill(log_subscription *s, const err *e);
/* It has got everything there will ever be, unless its sink was full. False: it does not want to know. */
bool subscription_end(log_subscription *s);
/* Reads on from its position; the state is CATCHING. */
void subscription_catch_up(log_subscription *s);

#endif
