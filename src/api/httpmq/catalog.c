#include "api/httpmq/catalog.h"

#include "api/httpmq/subject.h"
#include "base/clock.h"

#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SET_BYTES_MAX = 256 << 20 };

struct httpmq_set {
	int64_t tenant_id; /* compared by it */
	int64_t read_ms;
	atomic_size_t references;
	arena *arena;
	httpmq_capture *literals; /* by pattern */
	size_t literal_count;
	httpmq_capture *wildcards;
	size_t wildcard_count;
};

struct httpmq_catalog {
	pthread_rwlock_t lock;
	void *root; /* tsearch(3) tree of sets by tenant */
	size_t count;
	uint64_t changes; /* how often something was forgotten */
};

/* ---- a set ---- */

/* The count is the one part that changes, reached through the handle that callers hold as const. */
static httpmq_set *whole(const httpmq_set *s)
{
	union {
		const httpmq_set *shared;
		httpmq_set *whole;
	} u = {.shared = s};
	return u.whole;
}

const httpmq_set *httpmq_set_ref(const httpmq_set *s)
{
	atomic_fetch_add_explicit(&whole(s)->references, 1, memory_order_relaxed);
	return s;
}

void httpmq_set_unref(const httpmq_set *s)
{
	if (s != NULL && atomic_fetch_sub_explicit(&whole(s)->references, 1, memory_order_acq_rel) == 1) {
		arena_free(s->arena);
		free(whole(s));
	}
}

static int compare_patterns(const void *left, const void *right)
{
	return str_compare(((const httpmq_capture *)left)->pattern, ((const httpmq_capture *)right)->pattern);
}

static void fill(httpmq_set *s, const httpmq_stream *streams, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < streams[i].subject_count; k++) {
			str pattern = streams[i].subjects[k];
			bool is_literal = !httpmq_subject_has_wildcard(pattern);
			httpmq_capture *to = is_literal ? &s->literals[s->literal_count++] : &s->wildcards[s->wildcard_count++];
			*to = (httpmq_capture){.pattern = pattern,
								   .stream = streams[i].name,
								   .topic_id = streams[i].topic_id,
								   .max_msg_size = streams[i].limits.max_msg_size,
								   .max_msgs_per_subject = streams[i].limits.max_msgs_per_subject};
		}
	}
	qsort(s->literals, s->literal_count, sizeof *s->literals, compare_patterns);
}

static bool read_set(httpmq_set *s, log_conn *conn, err *e)
{
	httpmq_stream *streams = NULL;
	size_t count = 0;
	size_t patterns = 0;
	if (!httpmq_streams_read(conn, s->tenant_id, STR_NONE, s->arena, &streams, &count, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		patterns += streams[i].subject_count;
	}
	s->literals = arena_alloc_array(s->arena, patterns + 1, sizeof *s->literals);
	s->wildcards = arena_alloc_array(s->arena, patterns + 1, sizeof *s->wildcards);
	if (s->literals == NULL || s->wildcards == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	fill(s, streams, count);
	return true;
}

const httpmq_capture *httpmq_set_find(const httpmq_set *s, str subject)
{
	const httpmq_capture key = {.pattern = subject};
	const httpmq_capture *found = bsearch(&key, s->literals, s->literal_count, sizeof *s->literals, compare_patterns);
	for (size_t i = 0; found == NULL && i < s->wildcard_count; i++) {
		if (httpmq_subject_matches(s->wildcards[i].pattern, subject)) {
			found = &s->wildcards[i];
		}
	}
	return found;
}

/* ---- the tree ---- */

static int compare_tenants(const void *left, const void *right)
{
	int64_t a = ((const httpmq_set *)left)->tenant_id;
	int64_t b = ((const httpmq_set *)right)->tenant_id;
	return a < b ? -1 : a > b ? 1 : 0;
}

static void free_node(void *node)
{
	httpmq_set_unref(node);
}

httpmq_catalog *httpmq_catalog_new(void)
{
	httpmq_catalog *c = calloc(1, sizeof *c);
	if (c != NULL) {
		pthread_rwlock_init(&c->lock, NULL);
	}
	return c;
}

/* Caller holds the lock. */
static void clear(httpmq_catalog *c)
{
	tdestroy(c->root, free_node);
	c->root = NULL;
	c->count = 0;
}

void httpmq_catalog_free(httpmq_catalog *c)
{
	if (c != NULL) {
		clear(c);
		pthread_rwlock_destroy(&c->lock);
		free(c);
	}
}

/* Caller holds the lock. */
static httpmq_set *find(httpmq_catalog *c, int64_t tenant_id)
{
	const httpmq_set key = {.tenant_id = tenant_id};
	httpmq_set *const *node = tfind(&key, &c->root, compare_tenants);
	return node != NULL ? *node : NULL;
}

/* Caller holds the lock. */
static void drop(httpmq_catalog *c, int64_t tenant_id)
{
	httpmq_set *s = find(c, tenant_id);
	if (s != NULL) {
		tdelete(s, &c->root, compare_tenants);
		c->count--;
		httpmq_set_unref(s);
	}
}

const httpmq_set *httpmq_catalog_get(httpmq_catalog *c, int64_t tenant_id)
{
	int64_t oldest_ms = clock_now_ms() - CATALOG_AGE_MS;
	pthread_rwlock_rdlock(&c->lock);
	const httpmq_set *s = find(c, tenant_id);
	s = s != NULL && s->read_ms >= oldest_ms ? httpmq_set_ref(s) : NULL;
	pthread_rwlock_unlock(&c->lock);
	return s;
}

static void put(httpmq_catalog *c, httpmq_set *s, uint64_t read_at)
{
	pthread_rwlock_wrlock(&c->lock);
	if (c->changes == read_at) {
		drop(c, s->tenant_id);
		if (c->count >= CATALOG_TENANTS_MAX) {
			clear(c);
		}
		if (tsearch(s, &c->root, compare_tenants) != NULL) {
			(void)httpmq_set_ref(s);
			c->count++;
		}
	}
	pthread_rwlock_unlock(&c->lock);
}

bool httpmq_catalog_load(httpmq_catalog *c, log_conn *conn, int64_t tenant_id, const httpmq_set **out, err *e)
{
	pthread_rwlock_rdlock(&c->lock);
	uint64_t read_at = c->changes;
	pthread_rwlock_unlock(&c->lock);
	httpmq_set *s = calloc(1, sizeof *s);
	if (s == NULL || (s->arena = arena_new(SET_BYTES_MAX)) == NULL) {
		free(s);
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	s->tenant_id = tenant_id;
	s->read_ms = clock_now_ms();
	atomic_init(&s->references, 1);
	if (!read_set(s, conn, e)) {
		httpmq_set_unref(s);
		return false;
	}
	put(c, s, read_at);
	*out = s;
	return true;
}

void httpmq_catalog_forget(httpmq_catalog *c, int64_t tenant_id)
{
	pthread_rwlock_wrlock(&c->lock);
	c->changes++;
	drop(c, tenant_id);
	pthread_rwlock_unlock(&c->lock);
}

void httpmq_catalog_hear(httpmq_catalog *c, str payload)
{
	int64_t tenant_id;
	if (str_parse_i64(payload, 1, INT64_MAX, &tenant_id)) {
		httpmq_catalog_forget(c, tenant_id);
		return;
	}
	/* After a reconnect anything may have been missed. */
	pthread_rwlock_wrlock(&c->lock);
	c->changes++;
	clear(c);
	pthread_rwlock_unlock(&c->lock);
}
