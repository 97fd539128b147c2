#include "api/durable/stream_value.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { DURABLE_STREAMS_KNOWN_MAX = 50000 };

typedef struct counted_stream {
	durable_stream stream; /* first: a durable_stream* is a counted_stream* */
	atomic_size_t references;
	durable_segment segments[]; /* then the texts */
} counted_stream;

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

/* ---- what is known of streams, by topic_id ---- */

static int compare(const void *left, const void *right)
{
	const durable_stream *a = left;
	const durable_stream *b = right;
	return a->topic_id < b->topic_id ? -1 : a->topic_id > b->topic_id ? 1 : 0;
}

static void ref(const void *stream)
{
	durable_stream_ref(stream);
}

static void unref(void *stream)
{
	durable_stream_unref(stream);
}

const shared_map_kind DURABLE_STREAMS_KNOWN = {
	.compare = compare, .ref = ref, .unref = unref, .most = DURABLE_STREAMS_KNOWN_MAX};
