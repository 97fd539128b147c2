/*
 * api/durable: what clients write in paths, queries and headers. What is accepted is what we would have written, or means
 * the same when it is read again.
 */
#include "fuzz.h"

#include "api/durable/instant.h"
#include "api/durable/messages.h"
#include "api/durable/offset.h"
#include "api/durable/path.h"
#include "api/durable/tag.h"
#include "api/entity_tag.h"
#include "base/text.h"

enum { MEMORY = 64 << 20 };

static void check_offset(str text)
{
	durable_offset offset;
	durable_from from;
	err e;
	char token[DURABLE_OFFSET_SIZE];
	bool is_token = durable_offset_parse(text, &offset);
	if (is_token) {
		FUZZ_CHECK(offset.count >= 0 && offset.bytes >= 0);
		str back = durable_offset_print(offset, token);
		FUZZ_CHECK(str_equal(back, text) || offset.count == INT64_MAX || offset.bytes == INT64_MAX);
	}
	if (durable_from_parse(text, &from, &e)) {
		FUZZ_CHECK(is_token == (from.kind == DURABLE_FROM_TOKEN) && str_equal(from.text, text));
	} else {
		FUZZ_CHECK(!is_token && e.code == ERR_INVALID_REQUEST);
	}
}

static void check_instant(str text)
{
	int64_t ms;
	int64_t again;
	buf printed;
	if (!durable_instant_parse(text, &ms)) {
		return;
	}
	buf_init(&printed, 64);
	durable_instant_print(&printed, ms);
	/* A zone may move the ends of the range to the years before and after it. */
	bool is_in_range = ms >= INT64_C(-62167219200000) && ms < INT64_C(253402300800000);
	FUZZ_CHECK(!is_in_range || (durable_instant_parse(buf_str(&printed), &again) && again == ms));
	buf_dispose(&printed);
}

static void check_path(str text, arena *a)
{
	str path;
	err e;
	if (durable_path_decode(a, text, (durable_path_limits){1024, 32}, &path, &e)) {
		FUZZ_CHECK(path.len > 0 && path.len <= text.len && text_is_utf8(path) &&
				   durable_path_check(path, (durable_path_limits){1024, 32}, &e));
		FUZZ_CHECK(path.ptr[0] != '/' && path.ptr[path.len - 1] != '/');
	} else {
		FUZZ_CHECK(e.code == ERR_INVALID_REQUEST || e.code == ERR_NOT_FOUND);
	}
}

/* The messages, put together again, are JSON that gives the same messages. */
static void check_messages(str body, arena *a)
{
	log_columns first;
	log_columns second;
	err e;
	buf joined;
	if (!durable_messages_split(body, DURABLE_MEDIA_JSON, a, &first, &e)) {
		FUZZ_CHECK(e.code == ERR_INVALID_REQUEST);
		return;
	}
	buf_init(&joined, 2 * body.len + 16);
	buf_append_byte(&joined, '[');
	for (uint32_t i = 0; i < first.count; i++) {
		if (i > 0) {
			buf_append_byte(&joined, ',');
		}
		buf_append_str(&joined, first.values[i]);
	}
	buf_append_byte(&joined, ']');
	/* One value at the depth limit is too deep inside an array. */
	if (durable_messages_split(buf_str(&joined), DURABLE_MEDIA_JSON, a, &second, &e)) {
		FUZZ_CHECK(second.count == first.count);
		for (uint32_t i = 0; i < first.count; i++) {
			FUZZ_CHECK(str_equal(first.values[i], second.values[i]));
		}
	}
	buf_dispose(&joined);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	arena *a = arena_new(MEMORY);
	str text = {(const char *)data, size};
	FUZZ_CHECK(a != NULL);
	check_offset(text);
	check_instant(text);
	check_path(text, a);
	check_messages(text, a);
	FUZZ_CHECK(entity_tag_matches(text, STR("\"a\"")) || !str_equal(text, STR("\"a\"")));
	arena_free(a);
	return 0;
}
