#include "log/wake.h"

#include <pthread.h>
#include <search.h>

#include "log/private.h"

struct log_watch {
	wake_registry *registry;
	struct watched *topic;
	int32_t partition;
	void (*on_wake)(void *context);
	void *context;
	log_watch *previous;
	log_watch *next;
};

/* A topic somebody watches. */
typedef struct watched {
	int64_t topic_id; /* first: compared by it */
	log_watch *first;
	int64_t *known; /* marks seen by the slow poll, by partition; -1 = not yet */
	int32_t known_count;
} watched;

struct wake_registry {
	pthread_mutex_t lock; /* held while on_wake runs: that is what makes log_watch_stop() final */
	void *root;           /* tsearch(3) tree of watched */
	metric *watches;
	metric *wakes;
};

static int compare_ids(const void *left, const void *right)
{
	int64_t a = ((const watched *)left)->topic_id;
	int64_t b = ((const watched *)right)->topic_id;
	return a < b ? -1 : a > b ? 1 : 0;
}

wake_registry *wake_registry_new(log_engine *engine)
{
	wake_registry *r = calloc(1, sizeof *r);
	if (r != NULL) {
		pthread_mutex_init(&r->lock, NULL);
		r->watches = metric_gauge(engine->options.metrics, "tidegate_watches", "readers waiting for new records", NULL);
		r->wakes =
			metric_counter(engine->options.metrics, "tidegate_wakes_total", "wake-ups given to waiting readers", NULL);
	}
	return r;
}

void wake_registry_free(wake_registry *r)
{
	if (r != NULL) {
		tdestroy(r->root, free);
		pthread_mutex_destroy(&r->lock);
		free(r);
	}
}

/* Caller holds the lock. */
static watched *find(wake_registry *r, int64_t topic_id)
{
	watched key = {.topic_id = topic_id};
	watched *const *node = tfind(&key, &r->root, compare_ids);
	return node != NULL ? *node : NULL;
}

static watched *find_or_add(wake_registry *r, int64_t topic_id)
{
	watched *t = find(r, topic_id);
	if (t == NULL && (t = calloc(1, sizeof *t)) != NULL) {
		t->topic_id = topic_id;
		if (tsearch(t, &r->root, compare_ids) == NULL) {
			free(t);
			t = NULL;
		}
	}
	return t;
}

log_watch *log_watch_start(log_engine *engine, int64_t topic_id, int32_t partition, void (*on_wake)(void *context),
						   void *context)
{
	wake_registry *r = engine->wakes;
	log_watch *w = calloc(1, sizeof *w);
	if (w == NULL) {
		return NULL;
	}
	*w = (log_watch){.registry = r, .partition = partition, .on_wake = on_wake, .context = context};
	pthread_mutex_lock(&r->lock);
	w->topic = find_or_add(r, topic_id);
	if (w->topic == NULL) {
		pthread_mutex_unlock(&r->lock);
		free(w);
		return NULL;
	}
	w->next = w->topic->first;
	if (w->next != NULL) {
		w->next->previous = w;
	}
	w->topic->first = w;
	pthread_mutex_unlock(&r->lock);
	metric_add(r->watches, 1);
	return w;
}

void log_watch_stop(log_watch *w)
{
	if (w == NULL) {
		return;
	}
	wake_registry *r = w->registry;
	pthread_mutex_lock(&r->lock);
	if (w->previous != NULL) {
		w->previous->next = w->next;
	} else {
		w->topic->first = w->next;
	}
	if (w->next != NULL) {
		w->next->previous = w->previous;
	}
	if (w->topic->first == NULL) {
		tdelete(w->topic, &r->root, compare_ids);
		free(w->topic->known);
		free(w->topic);
	}
	pthread_mutex_unlock(&r->lock);
	metric_add(r->watches, -1);
	free(w);
}

/* Caller holds the lock. */
static void wake_watches(wake_registry *r, watched *t, int32_t partition)
{
	int64_t count = 0;
	for (log_watch *w = t->first; w != NULL; w = w->next) {
		if (partition == LOG_ALL_PARTITIONS || w->partition == LOG_ALL_PARTITIONS || w->partition == partition) {
			w->on_wake(w->context);
			count++;
		}
	}
	metric_add(r->wakes, count);
}

void wake_topic(wake_registry *r, int64_t topic_id, int32_t partition)
{
	pthread_mutex_lock(&r->lock);
	watched *t = find(r, topic_id);
	if (t != NULL) {
		wake_watches(r, t, partition);
	}
	pthread_mutex_unlock(&r->lock);
}

static void wake_node(const void *node, VISIT visit, void *context)
{
	if (visit == postorder || visit == leaf) {
		wake_watches(context, *(watched *const *)node, LOG_ALL_PARTITIONS);
	}
}

void wake_everything(wake_registry *r)
{
	pthread_mutex_lock(&r->lock);
	twalk_r(r->root, wake_node, r);
	pthread_mutex_unlock(&r->lock);
}

typedef struct collecting {
	int64_t after;
	int64_t *ids;
	size_t count;
	size_t max;
} collecting;

static void collect_node(const void *node, VISIT visit, void *context)
{
	collecting *c = context;
	const watched *t = *(watched *const *)node;
	if ((visit == postorder || visit == leaf) && t->topic_id > c->after && c->count < c->max) {
		c->ids[c->count++] = t->topic_id;
	}
}

size_t wake_watched(wake_registry *r, int64_t after, int64_t *topic_ids, size_t max)
{
	collecting c = {after, topic_ids, 0, max};
	pthread_mutex_lock(&r->lock);
	twalk_r(r->root, collect_node, &c);
	pthread_mutex_unlock(&r->lock);
	return c.count;
}

/* Caller holds the lock. */
static bool grow_known(watched *t, int32_t count)
{
	if (count <= t->known_count) {
		return true;
	}
	int64_t *known = realloc(t->known, (size_t)count * sizeof *known);
	if (known == NULL) {
		return false;
	}
	for (int32_t i = t->known_count; i < count; i++) {
		known[i] = -1;
	}
	t->known = known;
	t->known_count = count;
	return true;
}

void wake_seen(wake_registry *r, int64_t topic_id, int32_t partition, int64_t mark)
{
	pthread_mutex_lock(&r->lock);
	watched *t = find(r, topic_id);
	if (t != NULL && partition < LOG_PARTITIONS_MAX && grow_known(t, partition + 1) && t->known[partition] != mark) {
		t->known[partition] = mark;
		wake_watches(r, t, partition);
	}
	pthread_mutex_unlock(&r->lock);
}

void log_wake(log_engine *engine, int64_t topic_id, int32_t partition)
{
	wake_topic(engine->wakes, topic_id, partition);
	notify_appended(engine->link, topic_id, partition);
}
