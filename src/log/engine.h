/*
 * log/engine: the log of one worker: lanes, readers, listener, notifier, janitor, behind one handle.
 *
 * Owns     its threads and database connections.
 * Threads  new, start, stop, free: the main thread. Everything else: any.
 */
#ifndef TIDEGATE_LOG_ENGINE_H
#define TIDEGATE_LOG_ENGINE_H

#include "base/metric.h"
#include "base/slog.h"
#include "base/timer.h"
#include "log/topic.h"

enum { LOG_CHANNELS_MAX = 4 };

/* Notifications for somebody else. */
typedef struct log_channel {
	const char *name; /* a literal */
	/* On the listener's thread: must not block. STR_NONE after each reconnect: something may have been missed. */
	void (*hear)(void *context, str payload);
	void *context;
} log_channel;

typedef struct log_engine_options {
	str database_url;     /* for lanes, listener, notifier and janitor, which have connections of their own */
	struct db_pool *pool; /* the readers; the caller's, freed after log_engine_stop() */
	uint32_t lanes;
	uint32_t lane_connections;
	uint64_t lane_queue_bytes;
	uint32_t database_timeout_ms;
	uint32_t poll_interval_ms;
	uint32_t janitor_interval_ms;
	bool janitor;
	/* Background work of the dialects, carried out by the janitor after its own: a bounded step that can be repeated;
	 * sets *more when it found more than its step. On the janitor's thread; may be NULL. */
	bool (*duty)(void *context, struct log_engine *engine, log_conn *conn, bool *more, err *e);
	void *duty_context;
	int64_t max_topics;      /* per tenant; 0 = no limit */
	int64_t max_routers;     /* per tenant; 0 = no limit */
	int64_t max_total_bytes; /* live bytes of all topics; 0 = no limit (log/quota) */
	uint32_t max_subscriptions;
	log_channel channels[LOG_CHANNELS_MAX]; /* to be listened to besides the log's own; those without a name are none */
	timer *timer;
	slog *log;
	metric_registry *metrics;
} log_engine_options;

bool log_engine_new(const log_engine_options *options, log_engine **out, err *e) MUST_CHECK;
/* Ends subscriptions, finishes queued appends and jobs until deadline_ms, refuses the rest, stops the threads. */
void log_engine_stop(log_engine *engine, int64_t deadline_ms);
void log_engine_free(log_engine *engine); /* after stop; accepts NULL */
/* Whether the database answered last time and the schema is current. */
bool log_engine_is_ready(log_engine *engine);
timer *log_engine_timer(log_engine *engine);

/* What the lanes have done since the process began. */
typedef struct log_writer_stats {
	uint64_t operations; /* committed or refused */
	uint64_t groups;     /* transactions, roughly */
	uint64_t bytes;      /* of records that were committed */
	uint64_t queued;     /* operations that wait now */
	uint64_t queued_peak;
	uint64_t throttled;                      /* refused because a queue was full */
	uint64_t durable_groups[METRIC_BUCKETS]; /* groups that waited for the disk, by microseconds */
	uint64_t durable_us;                     /* their time in all */
} log_writer_stats;
void log_engine_writer_stats(log_engine *engine, log_writer_stats *out);

/* Work that needs the database, on a reader thread. Exactly one of run and refuse is called, exactly once. */
typedef struct log_job {
	void (*run)(void *context, log_conn *conn);
	void (*refuse)(void *context, const err *e);
	void *context;
} log_job;
bool log_engine_submit(log_engine *engine, log_job job, err *e) MUST_CHECK;

/* One listener to this worker's own commits, whatever dialect asked for them: called after each, before it is answered,
 * on the committing thread; it must not block. Set before the first append. */
typedef void log_on_append(void *context, const log_topic *topic, int32_t partition);
void log_engine_on_append(log_engine *engine, log_on_append *on_append, void *context);

#endif
