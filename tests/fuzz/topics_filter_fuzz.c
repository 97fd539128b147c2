/*
 * api/topics/filter and the cursors of lists: a filter that is accepted means the same when it is written down and read
 * again; a cursor that is accepted names a text that makes the same cursor.
 */
#include "fuzz.h"

#include "api/topics/filter.h"
#include "api/topics/wire.h"
#include "base/text.h"

enum { MEMORY = 1 << 20, TEXT = 1 << 20 };

static bool read_filter(str text, arena *a, log_tag_match *out)
{
	body b;
	str key;
	err e;
	bool found = false;
	if (!body_begin_text(&b, text, a, &e)) {
		return false;
	}
	while (body_next(&b, &key)) {
		filter_read(&b, "match", out);
		found = true;
	}
	if (!body_end(&b)) {
		FUZZ_CHECK(e.code == ERR_INVALID_REQUEST || e.code == ERR_NO_MEMORY);
		return false;
	}
	return found;
}

static void try_filter(str input, arena *a)
{
	buf text;
	log_tag_match first;
	log_tag_match again;
	if (!read_filter(input, a, &first)) {
		return;
	}
	buf_init(&text, TEXT);
	buf_append_str(&text, STR("{\"match\":"));
	filter_write(&text, &first);
	buf_append_byte(&text, '}');
	FUZZ_CHECK(!text.failed && read_filter(buf_str(&text), a, &again));
	FUZZ_CHECK(first.kind == again.kind && str_equal(first.text, again.text));
	FUZZ_CHECK(log_tag_matches(&first, first.text.ptr != NULL ? first.text : STR("")));
	buf_dispose(&text);
}

static void try_cursor(str input, arena *a)
{
	buf text;
	str after;
	err e;
	if (!wire_decode_cursor(a, input, &after, &e)) {
		FUZZ_CHECK(e.code == ERR_INVALID_REQUEST);
		return;
	}
	buf_init(&text, TEXT);
	text_base64url_encode(&text, after);
	FUZZ_CHECK(str_equal(buf_str(&text), input));
	buf_dispose(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str input = {(const char *)data, size};
	arena *a = arena_new(MEMORY);
	FUZZ_CHECK(a != NULL);
	try_filter(input, a);
	try_cursor(input, a);
	arena_free(a);
	return 0;
}
