#include <pthread.h>
#include <search.h>
#include <stdatomic.h>

#include "log/private.h"

/* Beyond this many topics the cache starts afresh rather than growing without end. */
enum { CACHE_MAX = 100000 };

typedef struct counted_topic {
	log_topic topic; /* first: a log_topic* is a counted_topic* */
	atomic_size_t references;
	char texts[];
} counted_topic;

struct topic_cache {
	pthread_rwlock_t lock;
	void *root; /* tsearch(3) tree of log_topic by tenant and name */
	size_t count;
	uint64_t now; /* how many times something was removed or cleared */
};

/* ---- one topic ---- */

static str copy_text(char **at, str text)
{
	if (text.ptr == NULL) {
		return STR_NONE;
	}
	memcpy(*at, text.ptr, text.len);
	str copy = {*at, text.len};
	*at += text.len;
	return copy;
}

log_topic *topic_new(const log_topic *fields)
{
	counted_topic *t = malloc(sizeof *t + fields->name.len + fields->config.dead_letter.len + 1);
	if (t == NULL) {
		return NULL;
	}
	char *at = t->texts;
	t->topic = *fields;
	t->topic.name = copy_text(&at, fields->name);
	t->topic.config.dead_letter = copy_text(&at, fields->config.dead_letter);
	atomic_init(&t->references, 1);
	return &t->topic;
}

/* The count is the one part of a topic that changes, so it is reached through the handle that callers hold as const. */
static counted_topic *counted(const log_topic *t)
{
	union {
		const log_topic *shared;
		counted_topic *whole;
	} u = {.shared = t};
	return u.whole;
}

const log_topic *log_topic_ref(const log_topic *t)
{
	atomic_fetch_add_explicit(&counted(t)->references, 1, memory_order_relaxed);
	return t;
}

void log_topic_unref(const log_topic *t)
{
	if (t != NULL && atomic_fetch_sub_explicit(&counted(t)->references, 1, memory_order_acq_rel) == 1) {
		free(counted(t));
	}
}

/* ---- the tree ---- */

static int compare_topics(const void *left, const void *right)
{
	const log_topic *a = left;
	const log_topic *b = right;
	if (a->tenant_id != b->tenant_id) {
		return a->tenant_id < b->tenant_id ? -1 : 1;
	}
	return str_compare(a->name, b->name);
}

static void free_node(void *node)
{
	log_topic_unref(node);
}

topic_cache *topic_cache_new(void)
{
	topic_cache *c = calloc(1, sizeof *c);
	if (c != NULL) {
		pthread_rwlock_init(&c->lock, NULL);
	}
	return c;
}

/* Caller holds the lock for writing, or is the last. */
static void clear(topic_cache *c)
{
	tdestroy(c->root, free_node);
	c->root = NULL;
	c->count = 0;
}

void topic_cache_free(topic_cache *c)
{
	if (c != NULL) {
		clear(c);
		pthread_rwlock_destroy(&c->lock);
		free(c);
	}
}

/* Caller holds the lock. */
static const log_topic *find(topic_cache *c, const log_topic *key)
{
	const log_topic *const *node = tfind(key, &c->root, compare_topics);
	return node != NULL ? *node : NULL;
}

const log_topic *topic_cache_get(topic_cache *c, int64_t tenant_id, str name)
{
	log_topic key = {.tenant_id = tenant_id, .name = name};
	pthread_rwlock_rdlock(&c->lock);
	const log_topic *found = find(c, &key);
	if (found != NULL) {
		log_topic_ref(found);
	}
	pthread_rwlock_unlock(&c->lock);
	return found;
}

/* Caller holds the lock for writing. */
static void drop(topic_cache *c, const log_topic *old)
{
	tdelete(old, &c->root, compare_topics);
	c->count--;
	log_topic_unref(old);
}

uint64_t topic_cache_now(topic_cache *c)
{
	pthread_rwlock_rdlock(&c->lock);
	uint64_t now = c->now;
	pthread_rwlock_unlock(&c->lock);
	return now;
}

void topic_cache_put(topic_cache *c, const log_topic *t, uint64_t read_at)
{
	pthread_rwlock_wrlock(&c->lock);
	if (c->now != read_at) {
		pthread_rwlock_unlock(&c->lock);
		return;
	}
	const log_topic *old = find(c, t);
	if (old != NULL) {
		drop(c, old);
	}
	if (c->count >= CACHE_MAX) {
		clear(c);
	}
	log_topic_ref(t);
	if (tsearch(t, &c->root, compare_topics) != NULL) {
		c->count++;
	} else {
		log_topic_unref(t);
	}
	pthread_rwlock_unlock(&c->lock);
}

void topic_cache_remove(topic_cache *c, const log_topic *t)
{
	pthread_rwlock_wrlock(&c->lock);
	const log_topic *old = find(c, t);
	if (old != NULL && old->topic_id == t->topic_id) {
		drop(c, old);
	}
	c->now++;
	pthread_rwlock_unlock(&c->lock);
}

void topic_cache_clear(topic_cache *c)
{
	pthread_rwlock_wrlock(&c->lock);
	clear(c);
	c->now++;
	pthread_rwlock_unlock(&c->lock);
}
