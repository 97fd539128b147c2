/*
 * What is remembered of streams, by topic_id.
 */
#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "api/durable/cache.h"

typedef struct counted_stream {
	durable_stream stream; /* first: a durable_stream* is a counted_stream* */
	atomic_size_t references;
	durable_segment segments[]; /* then the texts */
} counted_stream;

struct durable_cache {
	pthread_rwlock_t lock;
	void *root; /* tsearch(3) tree of durable_stream by topic_id */
	size_t count;
};

/* ---- one stream ---- */

static str copy_text(char **at, str text)
{
	str copy = {*at, text.len};
	if (text.len > 0) {
		memcpy(*at, text.ptr, text.len);
	}
	*at += text.len;
	return copy;
}

const durable_stream *durable_stream_new(const durable_stream *fields)
{
	size_t segment_bytes = fields->segment_count * sizeof(durable_segment);
	counted_stream *c = malloc(sizeof *c + segment_bytes + fields->content_type.len + fields->media_type.len +
							   fields->source_name.len + 1);
	if (c == NULL) {
		return NULL;
	}
	char *text = (char *)(c->segments + fields->segment_count);
	c->stream = *fields;
	if (segment_bytes > 0) {
		memcpy(c->segments, fields->segments, segment_bytes);
	}
	c->stream.segments = c->segments;
	c->stream.content_type = copy_text(&text, fields->content_type);
	c->stream.media_type = copy_text(&text, fields->media_type);
	c->stream.source_name = copy_text(&text, fields->source_name);
	atomic_init(&c->references, 1);
	return &c->stream;
}

/* The count is the one part that changes, reached through the handle that callers hold as const. */
static counted_stream *counted(const durable_stream *s)
{
	union {
		const durable_stream *shared;
		counted_stream *whole;
	} u = {.shared = s};
	return u.whole;
}

const durable_stream *durable_stream_ref(const durable_stream *s)
{
	atomic_fetch_add_explicit(&counted(s)->references, 1, memory_order_relaxed);
	return s;
}

void durable_stream_unref(const durable_stream *s)
{
	if (s != NULL && atomic_fetch_sub_explicit(&counted(s)->references, 1, memory_order_acq_rel) == 1) {
		free(counted(s));
	}
}

/* ---- the tree ---- */

static int compare(const void *left, const void *right)
{
	const durable_stream *a = left;
	const durable_stream *b = right;
	return a->topic_id < b->topic_id ? -1 : a->topic_id > b->topic_id ? 1 : 0;
}

static void free_node(void *node)
{
	durable_stream_unref(node);
}

durable_cache *durable_cache_new(void)
{
	durable_cache *c = calloc(1, sizeof *c);
	if (c != NULL) {
		pthread_rwlock_init(&c->lock, NULL);
	}
	return c;
}

void durable_cache_free(durable_cache *c)
{
	if (c != NULL) {
		tdestroy(c->root, free_node);
		pthread_rwlock_destroy(&c->lock);
		free(c);
	}
}

const durable_stream *durable_cache_get(durable_cache *c, int64_t topic_id)
{
	const durable_stream key = {.topic_id = topic_id};
	const durable_stream *found = NULL;
	pthread_rwlock_rdlock(&c->lock);
	const durable_stream *const *node = tfind(&key, &c->root, compare);
	if (node != NULL) {
		found = durable_stream_ref(*node);
	}
	pthread_rwlock_unlock(&c->lock);
	return found;
}

void durable_cache_put(durable_cache *c, const durable_stream *s)
{
	pthread_rwlock_wrlock(&c->lock);
	if (c->count >= DURABLE_STREAMS_CACHED) {
		tdestroy(c->root, free_node);
		c->root = NULL;
		c->count = 0;
	}
	durable_stream_ref(s);
	const durable_stream *const *node = tsearch(s, &c->root, compare);
	if (node != NULL && *node == s) {
		c->count++;
	} else {
		durable_stream_unref(s);
	}
	pthread_rwlock_unlock(&c->lock);
}
