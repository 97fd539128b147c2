#include "api/durable/messages.h"

#include "base/jscan.h"

#include <string.h>

enum { FIRST_CAPACITY = 16 };

typedef struct list {
	arena *arena;
	str *values;
	uint32_t count;
	uint32_t capacity;
} list;

static bool add(list *l, str value, err *e)
{
	if (l->count == LOG_ENGINE_RECORDS_MAX) {
		return err_set(e, ERR_PAYLOAD_TOO_LARGE, "one append has at most %d messages; split it",
					   LOG_ENGINE_RECORDS_MAX);
	}
	if (l->count == l->capacity) {
		uint32_t capacity = l->capacity > 0 ? l->capacity * 4 : FIRST_CAPACITY;
		str *more = arena_alloc_array(l->arena, capacity, sizeof *more);
		if (more == NULL) {
			return err_set(e, ERR_PAYLOAD_TOO_LARGE, "the request needs more memory than one may use; split it");
		}
		if (l->count > 0) {
			memcpy(more, l->values, l->count * sizeof *more);
		}
		l->values = more;
		l->capacity = capacity;
	}
	l->values[l->count++] = value;
	return true;
}

static bool split_json(str body, list *l, err *e)
{
	jscan s;
	str value;
	jscan_init(&s, body, DURABLE_JSON_DEPTH);
	if (jscan_peek(&s) == JSCAN_ARRAY) {
		jscan_begin_array(&s);
		while (jscan_next_element(&s)) {
			if (jscan_raw(&s, &value) && !add(l, value, e)) {
				return false;
			}
		}
	} else if (jscan_raw(&s, &value) && !add(l, value, e)) {
		return false;
	}
	return jscan_end(&s) || jscan_err(&s, e);
}

bool durable_messages_split(str body, durable_media media, arena *a, log_columns *out, err *e)
{
	list l = {.arena = a};
	if (body.len > 0 && !(media == DURABLE_MEDIA_JSON ? split_json(body, &l, e) : add(&l, body, e))) {
		return false;
	}
	*out = (log_columns){.count = l.count, .values = l.values};
	return true;
}
