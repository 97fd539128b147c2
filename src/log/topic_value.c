#include <stdatomic.h>

#include "log/private.h"

enum { TOPICS_KNOWN_MAX = 100000 };

typedef struct counted_topic {
	log_topic topic; /* first: a log_topic* is a counted_topic* */
	atomic_size_t references;
	char texts[];
} counted_topic;

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

/* ---- what is known of topics, by tenant and name ---- */

static int compare_topics(const void *left, const void *right)
{
	const log_topic *a = left;
	const log_topic *b = right;
	if (a->tenant_id != b->tenant_id) {
		return a->tenant_id < b->tenant_id ? -1 : 1;
	}
	return str_compare(a->name, b->name);
}

static void ref(const void *topic)
{
	log_topic_ref(topic);
}

static void unref(void *topic)
{
	log_topic_unref(topic);
}

const shared_map_kind TOPICS_KNOWN = {.compare = compare_topics, .ref = ref, .unref = unref, .most = TOPICS_KNOWN_MAX};
