#include "api/topics/watch_cursor.h"

#include "base/jscan.h"
#include "base/text.h"

enum { CURSOR_DEPTH = 2, PLACES_FIRST = 16 };

void watch_cursor_begin(buf *json)
{
	buf_clear(json);
	buf_append_byte(json, '{');
}

void watch_cursor_add(buf *json, str member, int64_t seq)
{
	if (json->len > 1) {
		buf_append_byte(json, ',');
	}
	buf_append_str(json, member);
	buf_append_i64(json, seq);
}

void watch_cursor_end(buf *json, buf *out)
{
	buf_append_byte(json, '}');
	if (json->failed) {
		out->failed = true;
	} else {
		text_base64url_encode(out, buf_str(json));
	}
}

/* Room for one more. */
static bool grow(arena *a, watch_place **places, size_t count, size_t *capacity)
{
	if (count < *capacity) {
		return true;
	}
	size_t wanted = *capacity == 0 ? (size_t)PLACES_FIRST : *capacity * 2;
	watch_place *more = arena_alloc_array(a, wanted, sizeof *more);
	for (size_t i = 0; more != NULL && i < count; i++) {
		more[i] = (*places)[i];
	}
	if (more != NULL) {
		*places = more;
		*capacity = wanted;
	}
	return more != NULL;
}

bool watch_cursor_read(str id, arena *a, watch_place **out, size_t *count)
{
	str json;
	str key;
	jscan s;
	watch_place *places = NULL;
	size_t found = 0;
	size_t capacity = 0;
	if (id.len == 0 || !text_base64url_decode(a, id, &json)) {
		return false;
	}
	jscan_init(&s, json, CURSOR_DEPTH);
	jscan_begin_object(&s);
	while (jscan_next_member(&s, &key)) {
		uint64_t seq = 0;
		/* A key with escapes is valid only until the next call. */
		if (!grow(a, &places, found, &capacity) || !arena_copy_str(a, key, &key) || !jscan_u64(&s, UINT64_MAX, &seq)) {
			return false;
		}
		places[found++] = (watch_place){key, seq < INT64_MAX ? (int64_t)seq : INT64_MAX};
	}
	if (!jscan_end(&s)) {
		return false;
	}
	*out = places;
	*count = found;
	return true;
}
