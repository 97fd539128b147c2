/*
 * api/topics/watch_cursor: whatever is accepted names positions, and makes a cursor again that means the same.
 */
#include "fuzz.h"

#include "api/topics/watch_cursor.h"
#include "base/jwrite.h"

enum { MEMORY = 16 << 20, TEXT = 1 << 20 };

static void write_again(const watch_place *places, size_t count, buf *out)
{
	buf json;
	buf member;
	buf_init(&json, TEXT);
	buf_init(&member, TEXT);
	watch_cursor_begin(&json);
	for (size_t i = 0; i < count; i++) {
		buf_clear(&member);
		jwrite_string(&member, places[i].topic);
		buf_append_byte(&member, ':');
		watch_cursor_add(&json, buf_str(&member), places[i].seq);
	}
	watch_cursor_end(&json, out);
	buf_dispose(&json);
	buf_dispose(&member);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	arena *a = arena_new(MEMORY);
	watch_place *places = NULL;
	size_t count = 0;
	if (a != NULL && watch_cursor_read((str){(const char *)data, size}, a, &places, &count)) {
		buf id;
		watch_place *again = NULL;
		size_t again_count = 0;
		buf_init(&id, TEXT);
		write_again(places, count, &id);
		FUZZ_CHECK(!id.failed && watch_cursor_read(buf_str(&id), a, &again, &again_count) && again_count == count);
		for (size_t i = 0; i < count; i++) {
			FUZZ_CHECK(places[i].seq >= 0 && places[i].seq == again[i].seq);
			FUZZ_CHECK(str_equal(places[i].topic, again[i].topic));
		}
		buf_dispose(&id);
	}
	arena_free(a);
	return 0;
}
