#include "api/topics/watch_cursor.h"
#include "suite.h"

#include "base/text.h"

static arena *memory;

static bool read_text(const char *json, watch_place **places, size_t *count)
{
	buf id;
	buf_init(&id, 4096);
	text_base64url_encode(&id, str_from_c(json));
	bool ok = watch_cursor_read(buf_str(&id), memory, places, count);
	buf_dispose(&id);
	return ok;
}

START_TEST(what_was_written_is_read_again)
{
	buf json;
	buf id;
	watch_place *places = NULL;
	size_t count = 0;
	buf_init(&json, 4096);
	buf_init(&id, 4096);
	watch_cursor_begin(&json);
	watch_cursor_add(&json, STR("\"orders\":"), 12);
	watch_cursor_add(&json, STR("\"a\\\"b\":"), 0);
	watch_cursor_end(&json, &id);
	ck_assert_view_eq(buf_str(&id), STR("eyJvcmRlcnMiOjEyLCJhXCJiIjowfQ"));
	ck_assert(watch_cursor_read(buf_str(&id), memory, &places, &count));
	ck_assert_uint_eq(count, 2);
	ck_assert_view_eq(places[0].topic, STR("orders"));
	ck_assert_int_eq(places[0].seq, 12);
	ck_assert_view_eq(places[1].topic, STR("a\"b"));
	ck_assert_int_eq(places[1].seq, 0);
	buf_dispose(&json);
	buf_dispose(&id);
}
END_TEST

START_TEST(a_cursor_of_a_client_may_be_any_map_of_positions)
{
	watch_place *places = NULL;
	size_t count = 7;
	ck_assert(read_text("{}", &places, &count));
	ck_assert_uint_eq(count, 0);
	ck_assert(read_text(" { \"a\" : 18446744073709551615 } ", &places, &count));
	ck_assert_int_eq(places[0].seq, INT64_MAX);
	buf many;
	buf_init(&many, 4096);
	for (int i = 0; i < 100; i++) {
		buf_printf(&many, "%c\"t%d\":%d", i > 0 ? ',' : '{', i, i);
	}
	buf_append(&many, "}", 2);
	ck_assert(read_text(many.ptr, &places, &count));
	buf_dispose(&many);
	ck_assert_uint_eq(count, 100);
	ck_assert_view_eq(places[99].topic, STR("t99"));
	ck_assert_int_eq(places[99].seq, 99);
}
END_TEST

START_TEST(anything_else_is_no_cursor)
{
	static const char *const broken[] = {
		"", "[]", "{", "{\"a\":-1}", "{\"a\":1.5}", "{\"a\":\"1\"}", "{\"a\":null}", "{\"a\":{}}", "{\"a\":1}x", "1"};
	watch_place *places = NULL;
	size_t count = 0;
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		ck_assert_msg(!read_text(broken[i], &places, &count), "%s", broken[i]);
	}
	ck_assert(!watch_cursor_read(STR("e30="), memory, &places, &count));
	ck_assert(!watch_cursor_read(STR("not base64!"), memory, &places, &count));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {what_was_written_is_read_again, a_cursor_of_a_client_may_be_any_map_of_positions,
								  anything_else_is_no_cursor};
	memory = arena_new(1 << 20);
	int failed = SUITE_RUN("api/topics/watch_cursor", tests);
	arena_free(memory);
	return failed;
}
