#include "api/durable/keep.h"

#include "api/pump.h"
#include "base/clock.h"

#include <pthread.h>
#include <search.h>

struct durable_kept {
	int64_t topic_id; /* first: compared by it */
	api *api;
	const durable_stream *stream;
	pump *pump;
	size_t readers; /* both under the keeper's lock */
	bool is_dead;   /* the pump is done */
};

typedef struct durable_kept kept;

struct durable_keeper {
	pthread_mutex_t lock;
	void *root; /* tsearch(3) tree of kept */
};

static int compare_ids(const void *left, const void *right)
{
	int64_t a = ((const kept *)left)->topic_id;
	int64_t b = ((const kept *)right)->topic_id;
	return a < b ? -1 : a > b ? 1 : 0;
}

durable_keeper *durable_keeper_new(void)
{
	durable_keeper *k = calloc(1, sizeof *k);
	if (k != NULL) {
		pthread_mutex_init(&k->lock, NULL);
	}
	return k;
}

void durable_keeper_free(durable_keeper *k)
{
	if (k != NULL) {
		tdestroy(k->root, free);
		pthread_mutex_destroy(&k->lock);
		free(k);
	}
}

/* ---- the pump ---- */

static void forget(kept *s)
{
	pump_unref(s->pump);
	durable_stream_unref(s->stream);
	free(s);
}

/* Takes it out of the tree unless somebody came back. */
static bool ends(kept *s)
{
	durable_keeper *k = s->api->durable_keeper;
	pthread_mutex_lock(&k->lock);
	bool is_over = s->readers == 0;
	if (is_over) {
		tdelete(s, &k->root, compare_ids);
	}
	pthread_mutex_unlock(&k->lock);
	return is_over;
}

static int64_t period_ms(const durable_stream *s)
{
	int64_t third_ms = s->ttl_s > KEEP_PERIOD_MS_MAX ? KEEP_PERIOD_MS_MAX : s->ttl_s * 1000 / 3;
	return third_ms < KEEP_PERIOD_MS_MIN   ? KEEP_PERIOD_MS_MIN
		   : third_ms > KEEP_PERIOD_MS_MAX ? KEEP_PERIOD_MS_MAX
										   : third_ms;
}

static pump_next touch(void *context, log_conn *conn)
{
	kept *s = context;
	err e;
	/* One that is gone, or a database that is away, is noticed by its readers. */
	bool is_there = durable_stream_enter(conn, s->stream, &e);
	if (ends(s)) {
		forget(s);
		return PUMP_DONE;
	}
	if (!is_there) {
		slog_err(s->api->slog, SLOG_DEBUG, "durable", "a stream that is read could not be kept", &e);
	}
	pump_kick_at(s->pump, clock_now_ms() + period_ms(s->stream));
	return PUMP_WAIT;
}

/* No job is to be had: the server stops, or has too much to do. The next reader tries again. */
static pump_next refuse(void *context, const err *e)
{
	kept *s = context;
	durable_keeper *k = s->api->durable_keeper;
	(void)e;
	pthread_mutex_lock(&k->lock);
	tdelete(s, &k->root, compare_ids);
	s->is_dead = true;
	bool is_over = s->readers == 0;
	pthread_mutex_unlock(&k->lock);
	if (is_over) {
		forget(s);
	}
	return PUMP_DONE;
}

/* ---- readers ---- */

static kept *find(durable_keeper *k, int64_t topic_id)
{
	kept key = {.topic_id = topic_id};
	kept *const *node = tfind(&key, &k->root, compare_ids);
	return node != NULL ? *node : NULL;
}

/* Caller holds the lock. NULL: it cannot be kept. */
static kept *add(api *a, const durable_stream *stream)
{
	err e;
	kept *s = calloc(1, sizeof *s);
	if (s == NULL) {
		return NULL;
	}
	*s = (kept){.topic_id = stream->topic_id, .api = a, .stream = durable_stream_ref(stream)};
	if (tsearch(s, &a->durable_keeper->root, compare_ids) == NULL) {
		goto fail;
	}
	s->pump = pump_new(a, (pump_body){touch, refuse, s}, &e);
	if (s->pump == NULL) {
		tdelete(s, &a->durable_keeper->root, compare_ids);
		goto fail;
	}
	return s;
fail:
	durable_stream_unref(s->stream);
	free(s);
	return NULL;
}

durable_kept *durable_keep(api *a, const durable_stream *s)
{
	if (!s->has_ttl) {
		return NULL;
	}
	durable_keeper *k = a->durable_keeper;
	pump *started = NULL;
	pthread_mutex_lock(&k->lock);
	kept *found = find(k, s->topic_id);
	if (found == NULL && (found = add(a, s)) != NULL) {
		started = pump_ref(found->pump);
	}
	if (found != NULL) {
		found->readers++;
	}
	pthread_mutex_unlock(&k->lock);
	if (started != NULL) {
		pump_kick(started);
		pump_unref(started);
	}
	return found;
}

void durable_unkeep(durable_kept *s)
{
	if (s == NULL) {
		return;
	}
	durable_keeper *k = s->api->durable_keeper;
	pthread_mutex_lock(&k->lock);
	bool is_last = --s->readers == 0;
	bool is_over = is_last && s->is_dead;
	pump *last = is_last && !s->is_dead ? pump_ref(s->pump) : NULL;
	pthread_mutex_unlock(&k->lock);
	if (is_over) {
		forget(s);
	} else if (last != NULL) {
		pump_kick(last);
		pump_unref(last);
	}
}
