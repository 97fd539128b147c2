#include "suite.h"

#include "api/streaming/offsets.h"

#include <string.h>

static arena *memory;
static err problem;
static log_group_offset *offsets;
static size_t count;

static bool read_offsets(str text)
{
	body b;
	str key;
	arena_free(memory);
	memory = arena_new(64 << 20);
	err_clear(&problem);
	if (!body_begin_text(&b, text, memory, &problem)) {
		return false;
	}
	while (body_next(&b, &key)) {
		offsets_read(&b, "offsets", &offsets, &count);
	}
	return body_end(&b);
}

START_TEST(entries_are_read_as_they_come)
{
	ck_assert(
		read_offsets(STR("{\"offsets\":[{\"partition\":3,\"offset\":9,\"x\":1},{\"offset\":0,\"partition\":3}]}")));
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(offsets[0].partition, 3);
	ck_assert_int_eq(offsets[0].offset, 9);
	ck_assert_int_eq(offsets[1].offset, 0);
	ck_assert(read_offsets(STR("{\"offsets\":[]}")));
	ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(wrong_entries_are_refused)
{
	static const char *const cases[] = {
		"{\"offsets\":7}",
		"{\"offsets\":[7]}",
		"{\"offsets\":[{}]}",
		"{\"offsets\":[{\"partition\":0}]}",
		"{\"offsets\":[{\"offset\":0}]}",
		"{\"offsets\":[{\"partition\":-1,\"offset\":0}]}",
		"{\"offsets\":[{\"partition\":1024,\"offset\":0}]}",
		"{\"offsets\":[{\"partition\":0,\"offset\":1.5}]}",
		"{\"offsets\":[{\"partition\":0,\"offset\":\"1\"}]}",
		"{\"offsets\":[{\"partition\":0,\"offset\":9223372036854775808}]}",
		"{\"offsets\":[{\"partition\":0,\"offset\":1}",
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(!read_offsets(str_from_c(cases[i])), "accepted: %s", cases[i]);
		ck_assert_int_eq(problem.code, ERR_INVALID_REQUEST);
	}
}
END_TEST

START_TEST(the_list_is_bounded)
{
	buf text;
	buf_init(&text, 1 << 24);
	for (int over = 0; over < 2; over++) {
		buf_clear(&text);
		buf_append_str(&text, STR("{\"offsets\":["));
		for (int i = 0; i < OFFSETS_MAX + over; i++) {
			buf_printf(&text, "%s{\"partition\":0,\"offset\":%d}", i > 0 ? "," : "", i);
		}
		buf_append_str(&text, STR("]}"));
		ck_assert_int_eq(read_offsets(buf_str(&text)), over == 0);
		ck_assert_int_eq(problem.code, over == 0 ? ERR_NONE : ERR_BATCH_TOO_LARGE);
		ck_assert(over == 1 || offsets[OFFSETS_MAX - 1].offset == OFFSETS_MAX - 1);
	}
	buf_dispose(&text);
}
END_TEST

START_TEST(entries_are_written_as_they_are_read)
{
	buf out;
	buf_init(&out, 1000);
	offsets_write(&out, (log_group_offset[]){{0, 1}, {7, INT64_MAX}}, 2);
	ck_assert_view_eq(buf_str(&out),
					  STR("[{\"partition\":0,\"offset\":1},{\"partition\":7,\"offset\":9223372036854775807}]"));
	buf_clear(&out);
	offsets_write(&out, NULL, 0);
	ck_assert_view_eq(buf_str(&out), STR("[]"));
	buf_dispose(&out);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		entries_are_read_as_they_come,
		wrong_entries_are_refused,
		the_list_is_bounded,
		entries_are_written_as_they_are_read,
	};
	int failed = SUITE_RUN("api/streaming/offsets", tests);
	arena_free(memory);
	return failed;
}
