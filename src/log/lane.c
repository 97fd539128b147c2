#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "log/commit.h"

/* One group: enough to fill a commit, little enough to keep its latency low. */
enum { GROUP_OPS = 1024, GROUP_BYTES = 8 << 20, GROUP_ENTRIES = 2000, GROUP_ARENA_BYTES = 64 << 20 };
enum { PROBE_MS = 200 };
/* While one worker commits, another one begins only with as much as this, or when the commit takes as long as this. */
enum { JOIN_BYTES = 64 << 10, JOIN_MS = 20 };

typedef struct lane_worker {
	struct lane *lane;
	pthread_t thread;
	bool is_started;
	committer committer;
	log_append *ops[GROUP_OPS];
} lane_worker;

struct lane {
	log_engine *engine;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* for those who wait for work */
	pthread_cond_t aged;    /* for the one that watches the commits of others */
	log_append *first;
	log_append *last;
	uint64_t queued_bytes;
	uint32_t busy;    /* workers with a group */
	int64_t taken_ms; /* when one of them took it last */
	uint32_t idle;    /* workers that wait for work */
	bool is_watched;  /* a worker looks again and again whether a commit takes long */
	uint64_t queued_ops;
	uint64_t queued_ops_peak;
	bool is_relaxed; /* commits do not wait for the disk */
	bool is_stopping;
	int64_t stop_deadline_ms;
	atomic_bool is_down;   /* the last attempt to connect failed; written under the lock */
	int64_t next_probe_ms; /* until then operations are refused at once */
	err down_error;
	lane_worker *workers;
	uint32_t worker_count;

	metric *depth_bytes;
	metric *throttled;
	metric *group_ops;
	metric *group_records;
	metric *commit_seconds;
	metric *committed_bytes;
};

/* ---- the queue ---- */

/* Two workers with small groups would make more commits of the same records, and on one partition the later one waits
 * for the earlier one's lock. So what comes during a commit gathers for the next, by the same worker, unless that takes long.
 * Caller holds the lock. */
static bool is_worth_a_commit(const lane *l)
{
	return l->first != NULL &&
		   (l->busy == 0 || l->queued_bytes >= JOIN_BYTES || l->is_stopping || clock_now_ms() - l->taken_ms >= JOIN_MS);
}

/* What a topic was just made for is not refused for load: the topic would be left empty. Making topics is slow, and
 * max_buffered_bytes bounds what they are made for, so that the queue cannot grow far beyond its own bound. Caller holds the
 * lock. */
static bool is_full_for(const lane *l, const log_append *op)
{
	return !op->is_first && l->queued_bytes > 0 &&
		   l->queued_bytes + op->queued_bytes > l->engine->options.lane_queue_bytes;
}

/* The one that watches goes on with that while there are others. Caller holds the lock. */
static void wake_worker(lane *l)
{
	pthread_cond_signal(l->idle > 0 ? &l->changed : &l->aged);
}

bool lane_submit(lane *l, log_append *op, err *e)
{
	bool ok = false;
	pthread_mutex_lock(&l->lock);
	if (l->is_stopping) {
		err_set(e, ERR_SHUTTING_DOWN, "this server is stopping; repeat the request on another one");
	} else if (l->is_down && clock_now_ms() < l->next_probe_ms) {
		*e = l->down_error;
	} else if (is_full_for(l, op)) {
		err_set(e, ERR_THROTTLED, "more is being written than the database can take; try again");
		metric_add(l->throttled, 1);
	} else {
		if (l->last != NULL) {
			l->last->next = op;
		} else {
			l->first = op;
		}
		l->last = op;
		l->queued_bytes += op->queued_bytes;
		l->queued_ops++;
		l->queued_ops_peak = l->queued_ops > l->queued_ops_peak ? l->queued_ops : l->queued_ops_peak;
		metric_add(l->depth_bytes, (int64_t)op->queued_bytes);
		if (l->busy < l->worker_count && is_worth_a_commit(l)) {
			wake_worker(l);
		}
		ok = true;
	}
	pthread_mutex_unlock(&l->lock);
	return ok;
}

/* How many heads an operation may touch. */
static uint32_t most_partitions(const log_append *op)
{
	uint32_t partitions = op->partition_of != NULL ? (uint32_t)op->topic->partitions : 1;
	return partitions < op->columns.count ? partitions : op->columns.count;
}

/* Caller holds the lock. */
static size_t take_group(lane *l, log_append **ops)
{
	size_t count = 0;
	uint64_t bytes = 0;
	uint64_t entries = 0;
	while (l->first != NULL && count < GROUP_OPS) {
		log_append *op = l->first;
		if (count > 0 && (bytes + op->queued_bytes > GROUP_BYTES || entries + most_partitions(op) > GROUP_ENTRIES)) {
			break;
		}
		bytes += op->queued_bytes;
		entries += most_partitions(op);
		ops[count++] = op;
		l->first = op->next;
	}
	if (l->first == NULL) {
		l->last = NULL;
	}
	l->queued_bytes -= bytes;
	l->queued_ops -= count;
	metric_add(l->depth_bytes, -(int64_t)bytes);
	return count;
}

/* ---- a group ---- */

static void fail_all(log_append **ops, size_t count, const err *e)
{
	for (size_t i = 0; i < count; i++) {
		ops[i]->error = *e;
	}
}

/* Operations of one topic, in their order, to the judge; the others stay in ops. */
static void judge_by_topic(committer *c, log_append **ops, size_t count)
{
	enum { JUDGED_AT_ONCE = 128 };
	while (count > 0) {
		log_append *same[JUDGED_AT_ONCE];
		size_t picked = 0;
		size_t left = 0;
		int64_t topic_id = ops[0]->topic->topic_id;
		for (size_t i = 0; i < count; i++) {
			if (picked < JUDGED_AT_ONCE && ops[i]->topic->topic_id == topic_id) {
				same[picked++] = ops[i];
			} else {
				ops[left++] = ops[i];
			}
		}
		judge_commit(c, same, picked);
		count = left;
	}
}

static bool spoils_neighbours(const err *e)
{
	return e->code != ERR_UNAVAILABLE && e->code != ERR_OUTCOME_UNKNOWN && e->code != ERR_TIMEOUT &&
		   e->code != ERR_NOT_READY;
}

static void commit_group(lane_worker *w, log_append **ops, size_t count)
{
	committer *c = &w->committer;
	bool taken_of[GROUP_OPS] = {false};
	log_append *plain[GROUP_OPS];
	log_append *judged[GROUP_OPS];
	size_t plain_count = 0;
	size_t judged_count = 0;
	err e;
	for (size_t i = 0; i < count; i++) {
		if (plain_can_commit(c->engine, ops[i])) {
			plain[plain_count++] = ops[i];
		} else {
			judged[judged_count++] = ops[i];
		}
	}
	if (plain_count > 0 && !plain_commit(c, plain, plain_count, taken_of, &e)) {
		if (plain_count > 1 && spoils_neighbours(&e)) {
			/* One of them is at fault: alone, each gets its own answer. */
			for (size_t i = 0; i < plain_count; i++) {
				arena_reset(c->arena);
				if (!plain_commit(c, &plain[i], 1, &taken_of[i], &plain[i]->error)) {
					taken_of[i] = true;
				}
			}
		} else {
			fail_all(plain, plain_count, &e);
			plain_count = 0;
		}
	}
	for (size_t i = 0; i < plain_count; i++) {
		if (!taken_of[i]) {
			judged[judged_count++] = plain[i];
		}
	}
	judge_by_topic(c, judged, judged_count);
}

/* Records were added, or perhaps were. */
static bool has_news(const log_append *op)
{
	return !op->is_duplicate && (op->error.code == ERR_NONE || op->error.code == ERR_OUTCOME_UNKNOWN);
}

/* The next operation tells the same. */
static bool is_repeated(const log_append *op, const log_append *next)
{
	return op->result_count == 1 && next->result_count == 1 && has_news(next) &&
		   next->topic->topic_id == op->topic->topic_id && next->results[0].partition == op->results[0].partition;
}

/* Tells readers before writers: both only after the commit. */
static void announce(lane *l, log_append **ops, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const log_append *op = ops[i];
		if (!has_news(op) || (i + 1 < count && is_repeated(op, ops[i + 1]))) {
			continue;
		}
		if (op->close && op->result_count == 0) {
			wake_topic(l->engine->wakes, op->topic->topic_id, op->partition);
			notify_appended(l->engine->link, op->topic->topic_id, op->partition);
		}
		for (uint32_t r = 0; r < op->result_count; r++) {
			route_announce(l->engine, op->topic, op->results[r].partition, op->feeds_routers);
		}
	}
}

static void finish_group(lane_worker *w, size_t count, int64_t start_us)
{
	lane *l = w->lane;
	uint64_t records = 0;
	uint64_t bytes = 0;
	for (size_t i = 0; i < count; i++) {
		if (w->ops[i]->error.code == ERR_NONE && !w->ops[i]->is_duplicate) {
			records += w->ops[i]->columns.count;
			bytes += w->ops[i]->queued_bytes - sizeof *w->ops[i];
		}
		if (w->ops[i]->error.code == ERR_INTERNAL) {
			slog_err(l->engine->options.log, SLOG_ERROR, "lane", "an append failed", &w->ops[i]->error);
		}
	}
	metric_observe(l->group_ops, count);
	metric_observe(l->group_records, records);
	metric_add(l->committed_bytes, (int64_t)bytes);
	metric_observe(l->commit_seconds, (uint64_t)(clock_now_us() - start_us));
	announce(l, w->ops, count);
	for (size_t i = 0; i < count; i++) {
		w->ops[i]->done(w->ops[i]);
	}
}

static void note_connection(lane *l, bool is_connected, const err *e)
{
	pthread_mutex_lock(&l->lock);
	if (!is_connected && !l->is_down) {
		slog_err(l->engine->options.log, SLOG_WARN, "lane",
				 "the database is away; appends are refused until it is back", e);
	}
	l->is_down = !is_connected;
	l->next_probe_ms = clock_now_ms() + PROBE_MS;
	if (!is_connected) {
		l->down_error = *e;
	}
	pthread_mutex_unlock(&l->lock);
}

static void run_group(lane_worker *w, size_t count)
{
	err e;
	int64_t start_us = clock_now_us();
	for (size_t i = 0; i < count; i++) {
		err_clear(&w->ops[i]->error);
	}
	if (!db_conn_ensure(w->committer.conn, &e)) {
		note_connection(w->lane, false, &e);
		fail_all(w->ops, count, &e);
	} else {
		if (w->lane->is_down) {
			note_connection(w->lane, true, NULL);
		}
		arena_reset(w->committer.arena);
		if (w->committer.scratch.capacity > ROW_SCRATCH_KEPT) {
			buf_dispose(&w->committer.scratch);
		}
		log_append *ops[GROUP_OPS];
		memcpy(ops, w->ops, count * sizeof *ops);
		commit_group(w, ops, count);
	}
	finish_group(w, count, start_us);
}

/* What came while the commit was young has to be found once it is old, and nothing else may happen. Caller holds the lock. */
static void watch_commits(lane *l)
{
	int64_t until_ms = clock_now_ms() + JOIN_MS;
	struct timespec until = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};
	l->is_watched = true;
	pthread_cond_timedwait(&l->aged, &l->lock, &until);
	l->is_watched = false;
}

static void *worker_main(void *context)
{
	lane_worker *w = context;
	lane *l = w->lane;
	pthread_mutex_lock(&l->lock);
	for (;;) {
		if (is_worth_a_commit(l)) {
			size_t count = take_group(l, w->ops);
			bool too_late = l->is_stopping && clock_now_ms() > l->stop_deadline_ms;
			l->busy++;
			l->taken_ms = clock_now_ms();
			if (is_worth_a_commit(l) || !l->is_watched) {
				wake_worker(l);
			}
			pthread_mutex_unlock(&l->lock);
			if (too_late) {
				err e;
				err_set(&e, ERR_SHUTTING_DOWN, "this server is stopping; nothing was written; repeat the request");
				fail_all(w->ops, count, &e);
				for (size_t i = 0; i < count; i++) {
					w->ops[i]->done(w->ops[i]);
				}
			} else {
				run_group(w, count);
			}
			pthread_mutex_lock(&l->lock);
			l->busy--;
		} else if (l->is_stopping) {
			break;
		} else if (l->busy > 0 && !l->is_watched) {
			watch_commits(l);
		} else {
			l->idle++;
			pthread_cond_wait(&l->changed, &l->lock);
			l->idle--;
		}
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- life ---- */

static bool start_worker(lane *l, lane_worker *w, bool relaxed)
{
	const log_engine_options *o = &l->engine->options;
	db_conn_options options = {.url = o->database_url,
							   .role = "lane",
							   .relaxed_commit = relaxed,
							   .timeout_ms = o->database_timeout_ms,
							   .log = o->log};
	w->lane = l;
	w->committer.engine = l->engine;
	w->committer.conn = db_conn_new(&options);
	w->committer.arena = arena_new(GROUP_ARENA_BYTES);
	buf_init(&w->committer.scratch, ROW_SCRATCH_BYTES);
	if (w->committer.conn == NULL || w->committer.arena == NULL) {
		return false;
	}
	w->is_started = pthread_create(&w->thread, NULL, worker_main, w) == 0;
	return w->is_started;
}

lane *lane_new(log_engine *engine, uint32_t index, bool relaxed, err *e)
{
	char labels[64];
	metric_registry *m = engine->options.metrics;
	lane *l = calloc(1, sizeof *l);
	if (l == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		return NULL;
	}
	snprintf(labels, sizeof labels, "lane=\"%s%u\"", relaxed ? "relaxed-" : "", index);
	l->engine = engine;
	l->is_relaxed = relaxed;
	l->depth_bytes = metric_gauge(m, "tidegate_append_queue_bytes", "bytes of records waiting for a commit", labels);
	l->throttled =
		metric_counter(m, "tidegate_append_throttled_total", "appends refused because the queue was full", labels);
	l->group_ops =
		metric_histogram(m, "tidegate_append_group_operations", "operations committed together", labels, false);
	l->group_records =
		metric_histogram(m, "tidegate_append_group_records", "records committed together", labels, false);
	l->commit_seconds = metric_histogram(m, "tidegate_append_commit_seconds", "time of one group commit", labels, true);
	l->committed_bytes =
		metric_counter(m, "tidegate_append_bytes_total", "bytes of records that were committed", labels);
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	pthread_cond_init(&l->aged, &attributes);
	pthread_condattr_destroy(&attributes);
	l->workers = calloc(engine->options.lane_connections, sizeof *l->workers);
	bool is_running = l->workers != NULL;
	for (uint32_t i = 0; is_running && i < engine->options.lane_connections; i++) {
		l->worker_count = i + 1;
		is_running = start_worker(l, &l->workers[i], relaxed);
	}
	if (!is_running) {
		err_set(e, ERR_NO_MEMORY, "cannot start the append threads");
		lane_stop(l, 0);
		lane_free(l);
		return NULL;
	}
	return l;
}

void lane_add_stats(lane *l, log_writer_stats *to)
{
	pthread_mutex_lock(&l->lock);
	to->queued += l->queued_ops;
	to->queued_peak += l->queued_ops_peak;
	pthread_mutex_unlock(&l->lock);
	to->operations += metric_sum(l->group_ops);
	to->groups += (uint64_t)metric_value(l->group_ops);
	to->bytes += (uint64_t)metric_value(l->committed_bytes);
	to->throttled += (uint64_t)metric_value(l->throttled);
	if (!l->is_relaxed) {
		metric_add_buckets(l->commit_seconds, to->durable_groups);
		to->durable_us += metric_sum(l->commit_seconds);
	}
}

void lane_stop(lane *l, int64_t deadline_ms)
{
	pthread_mutex_lock(&l->lock);
	l->is_stopping = true;
	l->stop_deadline_ms = deadline_ms;
	pthread_cond_broadcast(&l->changed);
	pthread_cond_broadcast(&l->aged);
	pthread_mutex_unlock(&l->lock);
	for (uint32_t i = 0; i < l->worker_count; i++) {
		if (l->workers[i].is_started) {
			pthread_join(l->workers[i].thread, NULL);
			l->workers[i].is_started = false;
		}
	}
}

void lane_free(lane *l)
{
	if (l == NULL) {
		return;
	}
	for (uint32_t i = 0; i < l->worker_count; i++) {
		db_conn_free(l->workers[i].committer.conn);
		arena_free(l->workers[i].committer.arena);
		buf_dispose(&l->workers[i].committer.scratch);
	}
	pthread_cond_destroy(&l->changed);
	pthread_cond_destroy(&l->aged);
	pthread_mutex_destroy(&l->lock);
	free(l->workers);
	free(l);
}
