#include "suite.h"

#include <string.h>

START_TEST(from_c_takes_the_length_and_null_is_absent)
{
	ck_assert_view_eq(str_from_c("abc"), STR("abc"));
	ck_assert_ptr_null(str_from_c(NULL).ptr);
	ck_assert_ptr_nonnull(str_from_c("").ptr);
}
END_TEST

START_TEST(equal_compares_bytes_and_length)
{
	ck_assert(str_equal(STR("ab"), STR("ab")));
	ck_assert(!str_equal(STR("ab"), STR("aB")));
	ck_assert(!str_equal(STR("ab"), STR("abc")));
	ck_assert(str_equal(STR_NONE, STR("")));
	ck_assert(!str_equal(STR("a\0b"), STR("a\0c")));
}
END_TEST

START_TEST(equal_ignore_case_folds_ascii_letters_only)
{
	ck_assert(str_equal_ignore_case(STR("Content-TYPE"), STR("content-type")));
	ck_assert(str_equal_ignore_case(STR("AZaz"), STR("azAZ")));
	ck_assert(!str_equal_ignore_case(STR("@["), STR("`{"))); /* the neighbours of the letters */
	ck_assert(!str_equal_ignore_case(STR("\xC3\x84"), STR("\xC3\xA4")));
	ck_assert(!str_equal_ignore_case(STR("a"), STR("ab")));
	ck_assert(!str_equal_ignore_case(STR("ab"), STR("xb")));
	ck_assert(!str_equal_ignore_case(STR("ab"), STR("ax")));
}
END_TEST

START_TEST(starts_and_ends_look_at_the_right_side)
{
	ck_assert(str_starts_with(STR("/v1/topics"), STR("/v1/")));
	ck_assert(!str_starts_with(STR("/v1"), STR("/v1/")));
	ck_assert(!str_starts_with(STR("x/v1/"), STR("/v1/")));
	ck_assert(str_ends_with(STR("body.json"), STR(".json")));
	ck_assert(!str_ends_with(STR("json"), STR(".json")));
	ck_assert(!str_ends_with(STR("body.json "), STR(".json")));
	ck_assert(str_starts_with(STR("/v1/"), STR("/v1/")));
	ck_assert(str_ends_with(STR("/v1/"), STR("/v1/")));
	ck_assert(str_starts_with(STR("a"), STR_NONE));
	ck_assert(str_ends_with(STR_NONE, STR("")));
}
END_TEST

START_TEST(compare_is_bytewise_and_puts_the_shorter_first)
{
	ck_assert_int_lt(str_compare(STR("a"), STR("b")), 0);
	ck_assert_int_gt(str_compare(STR("\xFF"), STR("a")), 0); /* unsigned */
	ck_assert_int_lt(str_compare(STR("ab"), STR("abc")), 0);
	ck_assert_int_gt(str_compare(STR("abc"), STR("ab")), 0);
	ck_assert_int_eq(str_compare(STR("ab"), STR("ab")), 0);
	ck_assert_int_eq(str_compare(STR_NONE, STR("")), 0);
	ck_assert_int_lt(str_compare(STR_NONE, STR("a")), 0);
}
END_TEST

START_TEST(trim_drops_spaces_and_tabs_at_both_ends_only)
{
	ck_assert_view_eq(str_trim(STR(" \t a b\t ")), STR("a b"));
	ck_assert_view_eq(str_trim(STR("\na")), STR("\na"));
	ck_assert_view_eq(str_trim(STR(" \t ")), STR(""));
	ck_assert_view_eq(str_trim(STR(" ")), STR(""));
	ck_assert_view_eq(str_trim(STR("a")), STR("a"));
	ck_assert_view_eq(str_trim(STR_NONE), STR(""));
}
END_TEST

START_TEST(skip_and_take_stop_at_the_end)
{
	ck_assert_view_eq(str_skip(STR("abc"), 1), STR("bc"));
	ck_assert_view_eq(str_skip(STR("abc"), 3), STR(""));
	ck_assert_view_eq(str_skip(STR("abc"), 99), STR(""));
	ck_assert_view_eq(str_skip(STR_NONE, 1), STR(""));
	ck_assert_view_eq(str_take(STR("abc"), 2), STR("ab"));
	ck_assert_view_eq(str_take(STR("abc"), 99), STR("abc"));
	ck_assert_view_eq(str_take(STR("abc"), 0), STR(""));
}
END_TEST

START_TEST(split_cuts_at_the_first_stop)
{
	str head, tail;
	ck_assert(str_split(STR("a=b=c"), '=', &head, &tail));
	ck_assert_view_eq(head, STR("a"));
	ck_assert_view_eq(tail, STR("b=c"));
	ck_assert(str_split(STR("="), '=', &head, &tail));
	ck_assert_view_eq(head, STR(""));
	ck_assert_view_eq(tail, STR(""));
	ck_assert_ptr_nonnull(tail.ptr); /* empty, but there */
}
END_TEST

START_TEST(split_without_stop_returns_the_whole)
{
	str head, tail;
	ck_assert(!str_split(STR("abc"), '=', &head, &tail));
	ck_assert_view_eq(head, STR("abc"));
	ck_assert_ptr_null(tail.ptr);
	ck_assert(!str_split(STR_NONE, '=', &head, &tail));
	ck_assert_uint_eq(head.len, 0);
}
END_TEST

START_TEST(split_may_put_its_answers_where_its_input_was)
{
	str s = STR("a,b");
	str head;
	ck_assert(str_split(s, ',', &head, &s));
	ck_assert_view_eq(head, STR("a"));
	ck_assert_view_eq(s, STR("b"));
}
END_TEST

START_TEST(find_gives_the_first_place_or_leaves_out_alone)
{
	size_t at = 77;
	ck_assert(str_find(STR("abcabc"), STR("bc"), &at));
	ck_assert_uint_eq(at, 1);
	ck_assert(str_find(STR("abc"), STR("abc"), &at));
	ck_assert_uint_eq(at, 0);
	at = 77;
	ck_assert(str_find(STR("a"), STR("a"), &at));
	ck_assert_uint_eq(at, 0);
	at = 77;
	ck_assert(!str_find(STR("abc"), STR("abcd"), &at));
	ck_assert(!str_find(STR_NONE, STR("a"), &at));
	ck_assert_uint_eq(at, 77);
	ck_assert(str_find(STR("abc"), STR(""), &at));
	ck_assert_uint_eq(at, 0);
}
END_TEST

START_TEST(parse_u64_takes_digits_up_to_max)
{
	uint64_t n = 0;
	ck_assert(str_parse_u64(STR("0"), 0, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert(str_parse_u64(STR("007"), 7, &n));
	ck_assert_uint_eq(n, 7);
	ck_assert(str_parse_u64(STR("18446744073709551615"), UINT64_MAX, &n));
	ck_assert_uint_eq(n, UINT64_MAX);
	ck_assert(str_parse_u64(STR("60000"), 60000, &n));
	ck_assert_uint_eq(n, 60000);
}
END_TEST

START_TEST(parse_u64_refuses_all_else_and_leaves_out_alone)
{
	const str wrong[] = {STR(""),
						 STR_NONE,
						 STR("-1"),
						 STR("+1"),
						 STR(" 1"),
						 STR("1 "),
						 STR("0x10"),
						 STR("1\0"),
						 STR("1.0"),
						 STR("18446744073709551616"),
						 STR("99999999999999999999999")};
	uint64_t n = 77;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		ck_assert_msg(!str_parse_u64(wrong[i], UINT64_MAX, &n), "case %zu", i);
	}
	ck_assert(!str_parse_u64(STR("60001"), 60000, &n));
	ck_assert(!str_parse_u64(STR("4"), 3, &n));
	ck_assert(!str_parse_u64(STR("9"), 3, &n));
	ck_assert(!str_parse_u64(STR("10"), 9, &n));
	ck_assert_uint_eq(n, 77);
}
END_TEST

START_TEST(parse_i64_reaches_both_ends_and_no_further)
{
	int64_t n = 0;
	ck_assert(str_parse_i64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &n));
	ck_assert_int_eq(n, INT64_MIN);
	ck_assert(str_parse_i64(STR("9223372036854775807"), INT64_MIN, INT64_MAX, &n));
	ck_assert_int_eq(n, INT64_MAX);
	ck_assert(str_parse_i64(STR("-0"), INT64_MIN, INT64_MAX, &n));
	ck_assert_int_eq(n, 0);
	ck_assert(str_parse_i64(STR("-1"), -5, 5, &n));
	ck_assert_int_eq(n, -1);
	ck_assert(str_parse_i64(STR("-5"), -5, 5, &n));
	ck_assert_int_eq(n, -5);
	const str wrong[] = {STR("-9223372036854775809"), STR("9223372036854775808"), STR("-"), STR("--1"), STR("")};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		ck_assert_msg(!str_parse_i64(wrong[i], INT64_MIN, INT64_MAX, &n), "case %zu", i);
	}
	ck_assert(!str_parse_i64(STR("-6"), -5, 5, &n));
	ck_assert(!str_parse_i64(STR("6"), -5, 5, &n));
	ck_assert_int_eq(n, -5);
}
END_TEST

START_TEST(parse_bool_takes_four_spellings)
{
	bool b = false;
	ck_assert(str_parse_bool(STR("true"), &b) && b);
	ck_assert(str_parse_bool(STR("false"), &b) && !b);
	ck_assert(str_parse_bool(STR("1"), &b) && b);
	ck_assert(str_parse_bool(STR("0"), &b) && !b);
	b = true;
	ck_assert(!str_parse_bool(STR("TRUE"), &b));
	ck_assert(!str_parse_bool(STR("yes"), &b));
	ck_assert(!str_parse_bool(STR(""), &b));
	ck_assert(b);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		from_c_takes_the_length_and_null_is_absent,
		equal_compares_bytes_and_length,
		equal_ignore_case_folds_ascii_letters_only,
		starts_and_ends_look_at_the_right_side,
		compare_is_bytewise_and_puts_the_shorter_first,
		trim_drops_spaces_and_tabs_at_both_ends_only,
		skip_and_take_stop_at_the_end,
		split_cuts_at_the_first_stop,
		split_without_stop_returns_the_whole,
		split_may_put_its_answers_where_its_input_was,
		find_gives_the_first_place_or_leaves_out_alone,
		parse_u64_takes_digits_up_to_max,
		parse_u64_refuses_all_else_and_leaves_out_alone,
		parse_i64_reaches_both_ends_and_no_further,
		parse_bool_takes_four_spellings,
	};
	return SUITE_RUN("base/str", tests);
}
