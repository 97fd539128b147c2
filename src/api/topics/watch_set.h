/*
 * api/topics/watch_set: the topics that one connection watches, each a subscription of the log, and where the reader is
 * in each. Shared by watch streams and WebSockets.
 *
 * What the log hands over goes out through the sink, one thing at a time. When the sink is full, the topic waits for
 * watch_set_resume(), which begins with another topic each time: a busy topic does not starve the rest.
 *
 * Owns     its entries: topics, formats, subscriptions.
 * Threads  any. The sink is called by any thread, never twice at once, under the set's lock: it must not call the set,
 *          but for watch_set_write_id(). resume, remove and close not from inside the sink.
 * Life     new, add, start, (add, start | remove | resume)…, close, free. Nothing is sent after freeze or close.
 */
#ifndef TIDEGATE_API_TOPICS_WATCH_SET_H
#define TIDEGATE_API_TOPICS_WATCH_SET_H

#include "api/api.h"
#include "api/topics/watch_format.h"
#include "http/stream.h"

typedef struct watch_set watch_set;

typedef struct watch_sink {
	/* The frame is borrowed. FULL: it comes again. */
	http_push (*send)(void *context, watch_set *set, frame *f);
	/* Every topic is gone, and that was sent. May be NULL. */
	void (*on_over)(void *context);
	/* A topic cannot be read any more, for another reason than its end. */
	void (*on_failed)(void *context, str topic, const err *e);
	void *context;
} watch_sink;

/* Where to begin. */
typedef struct watch_from {
	int64_t seq;          /* exclusive */
	int64_t head_seq;     /* the topic's; a seq beyond it, or is_recreated, means that it is another topic */
	int64_t earliest_seq; /* looked at only then */
	bool is_recreated;
} watch_from;

watch_set *watch_set_new(api *a, watch_surface surface, watch_sink sink); /* NULL when memory is out */
/* Takes references of topic and format. Replaces nothing: the name is not there. False: memory is out. */
bool watch_set_add(watch_set *s, const log_topic *t, const log_format *format, watch_from from) MUST_CHECK;
/* A topic that is not there any more. */
bool watch_set_add_gone(watch_set *s, str name, int64_t topic_id, int64_t seq) MUST_CHECK;
/* Begins to read the topics added since the last start. */
void watch_set_start(watch_set *s);
/* False when there is no such topic. Nothing of it is sent any more. */
bool watch_set_remove(watch_set *s, str name);
/* The sink has room again. */
void watch_set_resume(watch_set *s);
void watch_set_freeze(watch_set *s);
void watch_set_close(watch_set *s); /* ends the subscriptions */
void watch_set_free(watch_set *s);  /* after close; accepts NULL */

size_t watch_set_count(watch_set *s);
/* From inside the sink: the id that belongs to what is being sent. */
void watch_set_write_id(watch_set *s, buf *out);
/* Postgres array literals of topic ids and positions, in the order in which the topics were added. *is_news: something
 * changed since the last call. */
void watch_set_write_arrays(watch_set *s, buf *topic_ids, buf *positions, bool *is_news);
bool watch_set_has_news(watch_set *s);
enum { WATCH_ANY_TOPIC = 0 };
/* The position in the topic of this name and id (or WATCH_ANY_TOPIC); false when it is not there. */
bool watch_set_find_position(watch_set *s, str name, int64_t topic_id, int64_t *seq);

#endif
