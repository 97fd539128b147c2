#include "api/topics/watch_options.h"

#include <stdio.h>

enum { STARTS_FIRST = 16 };

watch_options watch_options_default(void)
{
	return (watch_options){
		.limit = WATCH_LIMIT_DEFAULT, .max_bytes = WATCH_BYTES_DEFAULT, .has_meta = true, .has_data = true};
}

/* 0 means `for_0`; more than `most` becomes `most`. */
static void read_bounded(body *b, const char *name, uint32_t for_0, uint32_t most, uint32_t *out)
{
	int64_t value = *out;
	body_unsigned(b, name, &value);
	if (!b->failed) {
		*out = value == 0 ? for_0 : value < most ? (uint32_t)value : most;
	}
}

bool watch_options_read(body *b, str key, uint64_t node_bytes_max, watch_options *o)
{
	if (str_equal(key, STR("node"))) {
		node_filter_read(b, node_bytes_max, &o->nodes);
	} else if (str_equal(key, STR("limit"))) {
		read_bounded(b, "limit", WATCH_LIMIT_DEFAULT, WATCH_LIMIT_MAX, &o->limit);
	} else if (str_equal(key, STR("max_batch_bytes"))) {
		read_bounded(b, "max_batch_bytes", WATCH_BYTES_FOR_0, WATCH_BYTES_MAX, &o->max_bytes);
	} else if (str_equal(key, STR("include_meta"))) {
		body_bool(b, "include_meta", &o->has_meta);
	} else if (str_equal(key, STR("include_tags"))) {
		body_bool(b, "include_tags", &o->has_tags);
	} else if (str_equal(key, STR("include_data"))) {
		body_bool(b, "include_data", &o->has_data);
	} else {
		return false;
	}
	return true;
}

bool watch_start_read(body *b, str key, watch_start *start)
{
	if (str_equal(key, STR("from_seq"))) {
		body_unsigned(b, "from_seq", &start->seq);
	} else if (str_equal(key, STR("tail"))) {
		body_bool(b, "tail", &start->from_tail);
	} else {
		return false;
	}
	return true;
}

static bool grow(body *b, watch_starts *s)
{
	size_t wanted = s->capacity == 0 ? (size_t)STARTS_FIRST : s->capacity * 2;
	watch_start *more = arena_alloc_array(b->arena, wanted, sizeof *more);
	if (more == NULL) {
		b->failed = true;
		return err_set(b->error, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (size_t i = 0; i < s->count; i++) {
		more[i] = s->list[i];
	}
	s->list = more;
	s->capacity = wanted;
	return true;
}

void watch_starts_add(body *b, watch_starts *s, watch_start start)
{
	if (b->failed) {
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		if (str_equal(s->list[i].name, start.name)) {
			s->list[i] = start;
			return;
		}
	}
	if (s->count == s->most) {
		char rule[64];
		snprintf(rule, sizeof rule, "an object of 1 to %zu topics", s->most);
		body_refuse(b, "topics", rule);
		return;
	}
	if (s->count < s->capacity || grow(b, s)) {
		s->list[s->count++] = start;
	}
}

void watch_starts_read(body *b, watch_starts *s)
{
	str name;
	for (body_object(b, "topics"); body_next(b, &name);) {
		watch_start start = {.name = STR_NONE};
		str key;
		if (!arena_copy_str(b->arena, name, &start.name)) {
			b->failed = true;
			err_set(b->error, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
			return;
		}
		for (body_object(b, "a topic of topics"); body_next(b, &key);) {
			if (!watch_start_read(b, key, &start)) {
				body_skip(b);
			}
		}
		watch_starts_add(b, s, start);
	}
}
