#include "base/shared_map.h"

#include <pthread.h>
#include <search.h>
#include <stdlib.h>

struct shared_map {
	const shared_map_kind *kind;
	pthread_rwlock_t lock;
	void *root; /* tsearch(3) tree */
	size_t count;
	uint64_t removals;
};

shared_map *shared_map_new(const shared_map_kind *kind)
{
	shared_map *m = calloc(1, sizeof *m);
	if (m != NULL) {
		m->kind = kind;
		pthread_rwlock_init(&m->lock, NULL);
	}
	return m;
}

/* Caller holds the lock. */
static void *find(shared_map *m, const void *key)
{
	void *const *node = tfind(key, &m->root, m->kind->compare);
	return node != NULL ? *node : NULL;
}

/* Caller holds the lock for writing. */
static void drop(shared_map *m, const void *key)
{
	void *value = find(m, key);
	if (value != NULL) {
		tdelete(value, &m->root, m->kind->compare);
		m->count--;
		m->kind->unref(value);
	}
}

/* Caller holds the lock for writing, or is the last. */
static void drop_all(shared_map *m)
{
	tdestroy(m->root, m->kind->unref);
	m->root = NULL;
	m->count = 0;
}

void shared_map_free(shared_map *m)
{
	if (m != NULL) {
		drop_all(m);
		pthread_rwlock_destroy(&m->lock);
		free(m);
	}
}

const void *shared_map_get(shared_map *m, const void *key)
{
	pthread_rwlock_rdlock(&m->lock);
	const void *value = find(m, key);
	if (value != NULL) {
		m->kind->ref(value);
	}
	pthread_rwlock_unlock(&m->lock);
	return value;
}

uint64_t shared_map_now(shared_map *m)
{
	pthread_rwlock_rdlock(&m->lock);
	uint64_t now = m->removals;
	pthread_rwlock_unlock(&m->lock);
	return now;
}

void shared_map_put(shared_map *m, const void *value, uint64_t read_at)
{
	pthread_rwlock_wrlock(&m->lock);
	if (m->removals == read_at) {
		drop(m, value);
		if (m->count >= m->kind->most) {
			drop_all(m);
		}
		if (tsearch(value, &m->root, m->kind->compare) != NULL) {
			m->kind->ref(value);
			m->count++;
		}
	}
	pthread_rwlock_unlock(&m->lock);
}

void shared_map_remove(shared_map *m, const void *key)
{
	pthread_rwlock_wrlock(&m->lock);
	m->removals++;
	drop(m, key);
	pthread_rwlock_unlock(&m->lock);
}

void shared_map_clear(shared_map *m)
{
	pthread_rwlock_wrlock(&m->lock);
	m->removals++;
	drop_all(m);
	pthread_rwlock_unlock(&m->lock);
}
