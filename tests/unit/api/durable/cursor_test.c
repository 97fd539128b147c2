#include "api/durable/cursor.h"

#include "suite.h"

START_TEST(cursor_of_no_request_is_the_present)
{
	static const char *const none[] = {"", "x", "-1", "1.5", " 7", "99999999999999999999", "9223372036854775807", "99"};
	ck_assert_int_eq(durable_cursor_answer(STR_NONE, 100, 7), 100);
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		ck_assert_int_eq(durable_cursor_answer(str_from_c(none[i]), 100, 7), 100);
	}
}
END_TEST

START_TEST(cursor_that_comes_back_moves_on)
{
	ck_assert_int_eq(durable_cursor_answer(STR("100"), 100, 0), 101);
	ck_assert_int_eq(durable_cursor_answer(STR("100"), 100, 19), 101);
	ck_assert_int_eq(durable_cursor_answer(STR("100"), 100, 20), 102);
	ck_assert_int_eq(durable_cursor_answer(STR("500"), 100, 3599), 680);
	ck_assert_int_eq(durable_cursor_answer(STR("500"), 100, UINT64_MAX), 500 + (1 + UINT64_MAX % 3600 + 19) / 20);
	ck_assert_int_gt(durable_cursor_answer(STR("9223372036854772207"), 100, 3599), INT64_C(9223372036854772207));
}
END_TEST

START_TEST(present_is_counted_in_intervals)
{
	/* 1 945 000 intervals had passed by the end of 2025. */
	ck_assert_int_gt(durable_cursor_now(), 1900000);
	ck_assert_int_lt(durable_cursor_now(), 100000000);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		cursor_of_no_request_is_the_present,
		cursor_that_comes_back_moves_on,
		present_is_counted_in_intervals,
	};
	return SUITE_RUN("api/durable/cursor", tests);
}
