/*
 * api/topics/watch_options: what a watch, or a WebSocket's subscribe, wants to see of its topics.
 *
 * Owns     nothing; nodes live where they were read.
 * Threads  any.
 */
#ifndef TIDEGATE_API_TOPICS_WATCH_OPTIONS_H
#define TIDEGATE_API_TOPICS_WATCH_OPTIONS_H

#include "api/topics/node_filter.h"

enum {
	WATCH_LIMIT_DEFAULT = 256,
	WATCH_LIMIT_MAX = 1000,
	WATCH_BYTES_DEFAULT = 262144,
	WATCH_BYTES_FOR_0 = 1 << 20,
	WATCH_BYTES_MAX = 8 << 20
};

typedef struct watch_options {
	node_filter nodes;
	uint32_t limit;     /* records a frame */
	uint32_t max_bytes; /* of payload a frame; one record always fits */
	bool has_meta;
	bool has_tags;
	bool has_data;
} watch_options;

/* One topic as it was asked for. */
typedef struct watch_start {
	str name;
	int64_t seq; /* exclusive */
	bool from_tail;
} watch_start;

typedef struct watch_starts {
	watch_start *list;
	size_t count;
	size_t capacity;
	size_t most; /* topics; beyond, ERR_INVALID_REQUEST */
} watch_starts;

/* The defaults of POST /v0/watch. */
watch_options watch_options_default(void);
/* False when `key` is none of the options. Errors stick in the body. */
bool watch_options_read(body *b, str key, uint64_t node_bytes_max, watch_options *o);
/* The value of `topics`: an object of names and {"from_seq","tail"}. A repeated name counts once, the last time. */
void watch_starts_read(body *b, watch_starts *s);
/* Errors stick in the body. */
void watch_starts_add(body *b, watch_starts *s, watch_start start);
/* from_seq and tail of one topic; false when `key` is neither. */
bool watch_start_read(body *b, str key, watch_start *start);

#endif
