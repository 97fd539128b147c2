#include "base/buf.h"
#include "failing_memory.h"
#include "suite.h"

#include <string.h>

START_TEST(init_allocates_nothing)
{
	buf b;
	buf_init(&b, 100);
	ck_assert_ptr_null(b.ptr);
	ck_assert_uint_eq(buf_str(&b).len, 0);
	buf_dispose(&b);
}
END_TEST

START_TEST(appends_follow_each_other)
{
	buf b;
	buf_init(&b, 1000);
	buf_append(&b, "ab\0c", 4);
	buf_append_str(&b, STR("d"));
	buf_append_str(&b, STR_NONE);
	buf_append_byte(&b, '|');
	buf_append_u64(&b, 0);
	buf_append_byte(&b, ' ');
	buf_append_u64(&b, UINT64_MAX);
	buf_append_byte(&b, ' ');
	buf_append_i64(&b, INT64_MIN);
	buf_append_byte(&b, ' ');
	buf_append_i64(&b, -7);
	buf_append_byte(&b, ' ');
	buf_append_i64(&b, 7);
	buf_append_byte(&b, ' ');
	buf_append_i64(&b, 0);
	buf_printf(&b, " %s-%d", "x", 5);
	buf_printf(&b, "!");
	ck_assert(!b.failed);
	ck_assert_view_eq(buf_str(&b), STR("ab\0cd|0 18446744073709551615 -9223372036854775808 -7 7 0 x-5!"));
	buf_dispose(&b);
}
END_TEST

START_TEST(growing_keeps_every_byte)
{
	buf b;
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < 100000; i++) {
		buf_append_byte(&b, (char)(i % 251));
	}
	ck_assert_uint_eq(b.len, 100000);
	for (size_t i = 0; i < b.len; i++) {
		ck_assert_int_eq(b.ptr[i], (char)(i % 251));
	}
	buf_dispose(&b);
}
END_TEST

START_TEST(max_bytes_are_reached_exactly)
{
	buf b;
	buf_init(&b, 1000);
	for (int i = 0; i < 1000; i++) {
		buf_append_byte(&b, 'x');
	}
	ck_assert(!b.failed);
	ck_assert_uint_le(b.capacity, 1000);
	buf_append_byte(&b, 'x');
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 1000);
	buf_dispose(&b);
}
END_TEST

START_TEST(an_append_that_does_not_fit_appends_nothing_and_sticks)
{
	buf b;
	buf_init(&b, 4);
	buf_append(&b, "abc", 3);
	buf_append(&b, "de", 2);
	ck_assert(b.failed);
	buf_append_byte(&b, 'f'); /* would fit, but comes after */
	ck_assert(!buf_reserve(&b, 0));
	ck_assert_view_eq(buf_str(&b), STR("abc"));
	buf_dispose(&b);
}
END_TEST

START_TEST(numbers_that_do_not_fit_append_nothing)
{
	buf b;
	buf_init(&b, 3);
	buf_append_i64(&b, -123);
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 0);
	buf_clear(&b);
	buf_append_i64(&b, -12);
	ck_assert_view_eq(buf_str(&b), STR("-12"));
	buf_dispose(&b);
}
END_TEST

START_TEST(printf_fits_exactly_and_fails_one_byte_beyond)
{
	buf b;
	buf_init(&b, 6);
	buf_printf(&b, "%s", "");
	ck_assert_uint_eq(b.len, 0);
	buf_printf(&b, "%s", "abc");
	buf_printf(&b, "%s", "def");
	ck_assert(!b.failed);
	ck_assert_view_eq(buf_str(&b), STR("abcdef"));
	buf_clear(&b);
	buf_printf(&b, "%s", "abcdefg");
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 0);
	buf_printf(&b, "x");
	ck_assert_uint_eq(b.len, 0);
	buf_dispose(&b);
}
END_TEST

START_TEST(printf_longer_than_the_room_at_hand_grows)
{
	buf b;
	buf_init(&b, 100000);
	buf_append(&b, "<", 1);
	buf_printf(&b, "%5000d%s", 1, ">");
	ck_assert_uint_eq(b.len, 5002);
	ck_assert_view_eq(str_skip(buf_str(&b), 4998), STR("  1>"));
	buf_dispose(&b);
}
END_TEST

START_TEST(clear_keeps_memory_and_takes_failed_off)
{
	buf b;
	buf_init(&b, 4);
	buf_append(&b, "abcde", 5);
	ck_assert(b.failed);
	buf_append(&b, "abcd", 4);
	buf_clear(&b);
	buf_append(&b, "abcd", 4);
	const char *before = b.ptr;
	ck_assert(!b.failed);
	buf_clear(&b);
	buf_append(&b, "efgh", 4);
	ck_assert_ptr_eq(b.ptr, before);
	ck_assert_view_eq(buf_str(&b), STR("efgh"));
	buf_dispose(&b);
}
END_TEST

START_TEST(a_disposed_buffer_may_be_used_again)
{
	buf b;
	buf_init(&b, 4);
	buf_append(&b, "abcde", 5);
	buf_dispose(&b);
	buf_append(&b, "abcd", 4);
	ck_assert_view_eq(buf_str(&b), STR("abcd"));
	buf_dispose(&b);
}
END_TEST

START_TEST(detach_hands_over_the_bytes)
{
	buf b;
	buf_init(&b, 10);
	buf_append(&b, "abc", 3);
	size_t len = 77;
	char *bytes = buf_detach(&b, &len);
	ck_assert_uint_eq(len, 3);
	ck_assert_mem_eq(bytes, "abc", 3);
	ck_assert_uint_eq(b.len, 0);
	free(bytes);
	buf_append(&b, "d", 1); /* goes on, elsewhere */
	ck_assert_view_eq(buf_str(&b), STR("d"));
	bytes = buf_detach(&b, &len);
	ck_assert_uint_eq(len, 1);
	ck_assert_int_eq(bytes[0], 'd');
	free(bytes);
	buf_dispose(&b);
}
END_TEST

START_TEST(detach_of_an_empty_or_failed_buffer_gives_null)
{
	buf b;
	buf_init(&b, 3);
	size_t len = 77;
	ck_assert_ptr_null(buf_detach(&b, &len));
	ck_assert_uint_eq(len, 0);
	buf_append(&b, "abc", 3);
	buf_clear(&b);
	ck_assert_ptr_null(buf_detach(&b, &len));
	buf_append(&b, "abc", 3);
	buf_append(&b, "d", 1);
	len = 77;
	ck_assert_ptr_null(buf_detach(&b, &len));
	ck_assert_uint_eq(len, 0);
	ck_assert(b.failed);
	buf_dispose(&b);
}
END_TEST

START_TEST(sizes_beyond_any_memory_fail)
{
	buf b;
	buf_init(&b, SIZE_MAX);
	buf_append_byte(&b, 'x');
	ck_assert(!buf_reserve(&b, SIZE_MAX));
	ck_assert(b.failed);
	buf_clear(&b);
	ck_assert(!buf_reserve(&b, SIZE_MAX - 1));
	ck_assert_uint_eq(b.len, 0);
	buf_dispose(&b);
}
END_TEST

static bool fill(void)
{
	buf b;
	buf_init(&b, 1 << 20);
	buf_append_str(&b, STR("first"));
	buf_printf(&b, "%1000d", 1);
	for (int i = 0; i < 5000; i++) {
		buf_append_u64(&b, UINT64_MAX);
	}
	bool is_done = !b.failed;
	if (is_done && b.len != 5 + 1000 + 5000 * 20) {
		abort(); /* an append is missing and the buffer does not say so */
	}
	buf_dispose(&b);
	return is_done;
}

START_TEST(every_failed_allocation_makes_the_buffer_failed)
{
	FAIL_EVERY_ALLOCATION(fill(), 5);
}
END_TEST

START_TEST(a_failed_allocation_keeps_what_was_there)
{
	buf b;
	buf_init(&b, 1 << 20);
	buf_append(&b, "abc", 3);
	failing_memory_start(1);
	ck_assert(!buf_reserve(&b, 100000));
	failing_memory_stop();
	ck_assert_view_eq(buf_str(&b), STR("abc"));
	buf_dispose(&b);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		init_allocates_nothing,
		appends_follow_each_other,
		growing_keeps_every_byte,
		max_bytes_are_reached_exactly,
		an_append_that_does_not_fit_appends_nothing_and_sticks,
		numbers_that_do_not_fit_append_nothing,
		printf_fits_exactly_and_fails_one_byte_beyond,
		printf_longer_than_the_room_at_hand_grows,
		clear_keeps_memory_and_takes_failed_off,
		a_disposed_buffer_may_be_used_again,
		detach_hands_over_the_bytes,
		detach_of_an_empty_or_failed_buffer_gives_null,
		sizes_beyond_any_memory_fail,
		every_failed_allocation_makes_the_buffer_failed,
		a_failed_allocation_keeps_what_was_there,
	};
	return SUITE_RUN("base/buf", tests);
}
