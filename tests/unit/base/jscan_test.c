#include "base/jscan.h"
#include "suite.h"

#include <string.h>

/* Whether skip() takes the whole text as one value. */
static bool accepts(str text)
{
	jscan s;
	jscan_init(&s, text, 64);
	bool is_skipped = jscan_skip(&s);
	ck_assert_int_eq(is_skipped, !jscan_failed(&s));
	bool is_accepted = jscan_end(&s);
	ck_assert_int_eq(is_accepted, !jscan_failed(&s));
	return is_accepted;
}

START_TEST(skip_accepts_what_the_rfc_accepts)
{
	const char *const texts[] = {
		"null",
		"true",
		"false",
		"0",
		"-0",
		"10",
		"-1.5",
		"1e5",
		"1E+5",
		"0.5e-10",
		"123456789012345678901234567890",
		"1e999",
		"\"\"",
		"\"a\"",
		"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\u00e4\\uD83D\\uDE00\"",
		"\"\\uD800\"",
		"\"\\u0000\"",
		"\"\x7F\"",
		"\"\xC3\xA4\"",
		"[]",
		"[ ]",
		"[1]",
		"[1,2]",
		" [ 1 , 2 ] ",
		"[[],[[]]]",
		"{}",
		"{ }",
		"{\"\":0}",
		"{\"a\":1,\"a\":2}",
		" { \"a\" : { \"b\" : [ ] } } ",
		"\t\n\r 1 \t\n\r",
		"[null,true,false,0,\"\",[],{}]",
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		ck_assert_msg(accepts(str_from_c(texts[i])), "%s", texts[i]);
	}
}
END_TEST

START_TEST(skip_refuses_what_the_rfc_refuses)
{
	const char *const texts[] = {
		"",
		" ",
		"nul",
		"nulll",
		"True",
		"tru",
		"falsE",
		"+1",
		"01",
		"-",
		"-01",
		"1.",
		".5",
		"1.e5",
		"1e",
		"1e+",
		"0x1",
		"1_0",
		"NaN",
		"Infinity",
		"--1",
		"\"",
		"\"a",
		"\"\\\"",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\u123g\"",
		"\"\\u\"",
		"\"\\",
		"\"\t\"",
		"\"\n\"",
		"'a'",
		"[",
		"]",
		"[,]",
		"[1,]",
		"[,1]",
		"[1 2]",
		"[1,,2]",
		"[1",
		"[1,",
		"[}",
		"{",
		"}",
		"{,}",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{\"a\" 1}",
		"{\"a\",1}",
		"{a:1}",
		"{1:1}",
		"{null:1}",
		"{\"a\":1 \"b\":2}",
		"{\"a\":1",
		"{\"a\":1,",
		"{\"a\":1]",
		"{\"a\":",
		"1 2",
		"[] []",
		"{}{}",
		"null,",
		"\f1",
		"\v1",
		"/**/1",
		"1//",
		"\xEF\xBB\xBF"
		"1",
		"\"\xC3\"",
		"\"\xED\xA0\x80\"",
		"\xC2\xA0"
		"1",
		"[1]]",
		"[\"a\"\"b\"]",
		"[truefalse]",
		"[1\"a\"]",
		"\"a\"1",
	};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		ck_assert_msg(!accepts(str_from_c(texts[i])), "%s", texts[i]);
	}
	ck_assert(!accepts(STR("\"a\0b\"")));
	ck_assert(!accepts(STR("\0")));
	ck_assert(!accepts(STR("1\0")));
	ck_assert(!accepts(STR_NONE));
}
END_TEST

/* A valid text, cut anywhere, is not valid (a number's end apart) and reads nothing past its end (ASan looks). */
START_TEST(a_text_cut_anywhere_is_refused)
{
	str text = STR("{\"k\\u00e4\":[1.5e+3,-0,\"s\\n\\ud83d\\ude00 and longer than a word\",true,false,null,{}]}");
	ck_assert(accepts(text));
	for (size_t len = 0; len < text.len; len++) {
		char *cut = malloc(len + (len == 0));
		memcpy(cut, text.ptr, len);
		ck_assert_msg(!accepts((str){cut, len}), "%zu bytes", len);
		free(cut);
	}
}
END_TEST

START_TEST(nesting_is_accepted_to_its_limit_and_no_deeper)
{
	char text[200];
	for (uint32_t depth = 1; depth <= 100; depth++) {
		for (uint32_t i = 0; i < depth; i++) {
			text[i] = '[';
			text[2 * depth - 1 - i] = ']';
		}
		ck_assert_msg(accepts((str){text, 2 * depth}) == (depth <= 64), "depth %u", depth);
	}
	jscan s;
	jscan_init(&s, STR("{\"a\":{\"b\":[]}}"), 2);
	ck_assert(!jscan_skip(&s));
	ck_assert_uint_eq(s.problem_offset, 10);
	jscan_init(&s, STR("1"), 0);
	ck_assert(jscan_skip(&s) && jscan_end(&s));
	jscan_init(&s, STR("[]"), 0);
	ck_assert(!jscan_begin_array(&s));
	/* Side by side is not deeper. */
	jscan_init(&s, STR("[[],[],{},{}]"), 2);
	ck_assert(jscan_skip(&s) && jscan_end(&s));
}
END_TEST

START_TEST(members_are_read_in_order_with_their_values)
{
	arena *a = arena_new(1000);
	jscan s;
	jscan_init(&s, STR(" { \"n\" : 5 , \"skip\":[1,{\"n\":6}], \"s\":\"x\",\"b\":false,\"z\":null,\"i\":-3} "), 8);
	ck_assert(jscan_begin_object(&s));
	uint64_t n = 0;
	int64_t i = 0;
	bool b = true;
	bool z = false;
	str text = STR_NONE;
	str key;
	size_t count = 0;
	while (jscan_next_member(&s, &key)) {
		count++;
		if (str_equal(key, STR("n"))) {
			jscan_u64(&s, 10, &n);
		} else if (str_equal(key, STR("s"))) {
			jscan_text(&s, a, &text);
		} else if (str_equal(key, STR("b"))) {
			jscan_bool(&s, &b);
		} else if (str_equal(key, STR("z"))) {
			z = jscan_null(&s);
		} else if (str_equal(key, STR("i"))) {
			jscan_i64(&s, -3, 3, &i);
		} else {
			jscan_skip(&s);
		}
	}
	ck_assert(jscan_end(&s));
	ck_assert_uint_eq(count, 6);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(i, -3);
	ck_assert(!b && z);
	ck_assert_view_eq(text, STR("x"));
	arena_free(a);
}
END_TEST

START_TEST(duplicate_keys_are_delivered_each_time)
{
	jscan s;
	jscan_init(&s, STR("{\"a\":1,\"a\":2}"), 8);
	jscan_begin_object(&s);
	str key;
	uint64_t n = 0;
	uint64_t sum = 0;
	while (jscan_next_member(&s, &key)) {
		ck_assert_view_eq(key, STR("a"));
		jscan_u64(&s, 9, &n);
		sum = sum * 10 + n;
	}
	ck_assert(jscan_end(&s));
	ck_assert_uint_eq(sum, 12);
}
END_TEST

START_TEST(elements_are_read_in_order)
{
	jscan s;
	jscan_init(&s, STR("[[1,2],[],[3]]"), 8);
	uint64_t sum = 0;
	size_t outer = 0;
	jscan_begin_array(&s);
	while (jscan_next_element(&s)) {
		outer++;
		jscan_begin_array(&s);
		while (jscan_next_element(&s)) {
			uint64_t n = 0;
			jscan_u64(&s, 9, &n);
			sum = sum * 10 + n;
		}
	}
	ck_assert(jscan_end(&s));
	ck_assert_uint_eq(outer, 3);
	ck_assert_uint_eq(sum, 123);
}
END_TEST

START_TEST(peek_names_the_type_and_consumes_nothing)
{
	const struct {
		str text;
		jscan_type type;
	} cases[] = {{STR(" null"), JSCAN_NULL},  {STR("true"), JSCAN_BOOL},  {STR("false"), JSCAN_BOOL},
				 {STR("-1"), JSCAN_NUMBER},   {STR(" 0"), JSCAN_NUMBER},  {STR("9"), JSCAN_NUMBER},
				 {STR("\"\""), JSCAN_STRING}, {STR("\n[]"), JSCAN_ARRAY}, {STR("{}"), JSCAN_OBJECT}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		jscan s;
		jscan_init(&s, cases[i].text, 8);
		ck_assert_int_eq(jscan_peek(&s), cases[i].type);
		ck_assert_int_eq(jscan_peek(&s), cases[i].type);
		ck_assert(jscan_skip(&s) && jscan_end(&s));
		ck_assert_int_eq(jscan_peek(&s), JSCAN_NONE);
		ck_assert(!jscan_failed(&s));
	}
}
END_TEST

START_TEST(peek_at_nothing_is_none_and_at_nonsense_an_error)
{
	jscan s;
	jscan_init(&s, STR("  "), 8);
	ck_assert_int_eq(jscan_peek(&s), JSCAN_NONE);
	ck_assert(!jscan_failed(&s));
	ck_assert(!jscan_end(&s)); /* nothing was read */
	jscan_init(&s, STR(" x"), 8);
	ck_assert_int_eq(jscan_peek(&s), JSCAN_NONE);
	ck_assert(jscan_failed(&s));
	ck_assert_uint_eq(s.problem_offset, 1);
}
END_TEST

START_TEST(raw_gives_the_values_own_text)
{
	const char *const values[] = {"null", "-1.5e3", "\"a\\u0041\"", "[ 1 , 2 ]", "{ \"a\" : [ ] }", "true"};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		char text[100];
		int len = snprintf(text, sizeof text, " [ %s , %s ]", values[i], values[i]);
		jscan s;
		jscan_init(&s, (str){text, (size_t)len}, 8);
		jscan_begin_array(&s);
		for (int k = 0; k < 2; k++) {
			str raw = STR_NONE;
			ck_assert(jscan_next_element(&s));
			ck_assert(jscan_raw(&s, &raw));
			ck_assert_view_eq(raw, str_from_c(values[i]));
		}
		ck_assert(!jscan_next_element(&s));
		ck_assert(jscan_end(&s));
	}
}
END_TEST

START_TEST(raw_leaves_out_alone_when_the_value_is_wrong)
{
	jscan s;
	str raw = STR("untouched");
	jscan_init(&s, STR("[1,{\"a\":tru}]"), 8);
	ck_assert(!jscan_raw(&s, &raw));
	ck_assert_view_eq(raw, STR("untouched"));
	ck_assert_uint_eq(s.problem_offset, 8);
}
END_TEST

START_TEST(u64_takes_whole_numbers_within_range)
{
	const struct {
		const char *text;
		uint64_t max;
		bool is_ok;
		uint64_t value;
	} cases[] = {
		{"0", 0, true, 0},
		{"60000", 60000, true, 60000},
		{"60001", 60000, false, 0},
		{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, false, 0},
		{"1.0", 10, false, 0},
		{"1e1", 10, false, 0},
		{"-1", 10, false, 0},
		{"-0", 10, false, 0},
		{"01", 10, true, 0}, /* 0, and then a problem for whoever goes on */
		{"\"1\"", 10, false, 0},
		{"null", 10, false, 0},
		{"true", 10, false, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		jscan s;
		uint64_t n = 77;
		jscan_init(&s, str_from_c(cases[i].text), 8);
		ck_assert_msg(jscan_u64(&s, cases[i].max, &n) == cases[i].is_ok, "%s", cases[i].text);
		ck_assert_msg(n == (cases[i].is_ok ? cases[i].value : 77), "%s", cases[i].text);
		ck_assert_msg(jscan_failed(&s) == !cases[i].is_ok, "%s", cases[i].text);
		ck_assert_msg(jscan_end(&s) == (cases[i].is_ok && strcmp(cases[i].text, "01") != 0), "%s", cases[i].text);
	}
}
END_TEST

START_TEST(i64_takes_a_sign)
{
	jscan s;
	int64_t n = 77;
	jscan_init(&s, STR("-9223372036854775808"), 8);
	ck_assert(jscan_i64(&s, INT64_MIN, INT64_MAX, &n));
	ck_assert_int_eq(n, INT64_MIN);
	jscan_init(&s, STR("-0"), 8);
	ck_assert(jscan_i64(&s, -1, 1, &n));
	ck_assert_int_eq(n, 0);
	const char *const wrong[] = {"-2", "2", "-9223372036854775809", "1.5", "-1e0", "\"1\""};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		jscan_init(&s, str_from_c(wrong[i]), 8);
		ck_assert_msg(!jscan_i64(&s, -1, 1, &n), "%s", wrong[i]);
	}
	ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(null_is_asked_for_without_an_error)
{
	jscan s;
	uint64_t n = 0;
	jscan_init(&s, STR("5"), 8);
	ck_assert(!jscan_null(&s));
	ck_assert(!jscan_failed(&s));
	ck_assert(jscan_u64(&s, 9, &n));
	jscan_init(&s, STR("nuts"), 8);
	ck_assert(!jscan_null(&s));
	ck_assert(jscan_failed(&s));
}
END_TEST

START_TEST(bool_takes_both)
{
	jscan s;
	bool b = false;
	jscan_init(&s, STR("[true,false]"), 8);
	jscan_begin_array(&s);
	ck_assert(jscan_next_element(&s) && jscan_bool(&s, &b) && b);
	ck_assert(jscan_next_element(&s) && jscan_bool(&s, &b) && !b);
	ck_assert(!jscan_bool(&s, &b)); /* no value is due */
}
END_TEST

START_TEST(bool_refuses_other_values)
{
	const char *const wrong[] = {"1", "\"true\"", "null", "tru", "falsy", "[]"};
	bool b = true;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		jscan s;
		jscan_init(&s, str_from_c(wrong[i]), 8);
		ck_assert_msg(!jscan_bool(&s, &b) && jscan_failed(&s), "%s", wrong[i]);
	}
	ck_assert(b);
}
END_TEST

START_TEST(errors_are_sticky_and_the_first_one_stays)
{
	arena *a = arena_new(100);
	jscan s;
	jscan_init(&s, STR("[1,2]"), 8);
	jscan_begin_array(&s);
	jscan_next_element(&s);
	ck_assert(!jscan_fail(&s, "first"));
	ck_assert(!jscan_fail(&s, "second"));
	jscan before = s;
	uint64_t n = 77;
	int64_t i = 77;
	bool b = true;
	str out = STR("untouched");
	jscan_string string;
	ck_assert(!jscan_next_element(&s) && !jscan_next_member(&s, &out));
	ck_assert(!jscan_begin_array(&s) && !jscan_begin_object(&s));
	ck_assert(!jscan_skip(&s) && !jscan_raw(&s, &out) && !jscan_null(&s) && !jscan_bool(&s, &b));
	ck_assert(!jscan_u64(&s, 9, &n) && !jscan_i64(&s, 0, 9, &i));
	ck_assert(!jscan_string_raw(&s, &string) && !jscan_text(&s, a, &out) && !jscan_end(&s));
	ck_assert_int_eq(jscan_peek(&s), JSCAN_NONE);
	ck_assert_str_eq(s.problem, "first");
	ck_assert_ptr_eq(s.at, before.at);
	ck_assert_uint_eq(s.problem_offset, before.problem_offset);
	ck_assert(n == 77 && i == 77 && b);
	ck_assert_view_eq(out, STR("untouched"));
	arena_free(a);
}
END_TEST

START_TEST(an_error_after_the_last_value_sticks_too)
{
	jscan s;
	str key = STR("untouched");
	jscan_init(&s, STR("1"), 8);
	ck_assert(jscan_skip(&s));
	jscan_fail(&s, "too small");
	ck_assert(!jscan_end(&s));
	jscan_init(&s, STR("{\"a\":1,\"b\":2}"), 8);
	jscan_begin_object(&s);
	jscan_next_member(&s, &key);
	jscan_skip(&s);
	jscan_fail(&s, "too small");
	ck_assert(!jscan_next_member(&s, &key));
	ck_assert_view_eq(key, STR("a"));
	jscan_init(&s, STR("[1,2]"), 8);
	jscan_begin_array(&s);
	jscan_next_element(&s);
	jscan_skip(&s);
	jscan_fail(&s, "too small");
	ck_assert(!jscan_next_element(&s));
}
END_TEST

START_TEST(a_wrong_key_is_not_delivered)
{
	const char *const texts[] = {"{\"a", "{\"\\q\":1}", "{\"a\" 1}", "{1:1}", "{,\"a\":1}", "{\"a\n\":1}"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		jscan s;
		str key = STR("untouched");
		jscan_init(&s, str_from_c(texts[i]), 8);
		ck_assert(jscan_begin_object(&s));
		ck_assert_msg(!jscan_next_member(&s, &key) && jscan_failed(&s), "%s", texts[i]);
		ck_assert_view_eq(key, STR("untouched"));
	}
}
END_TEST

START_TEST(a_text_that_is_no_utf8_is_refused_at_once)
{
	jscan s;
	err e;
	jscan_init(&s, STR("[1]  \xFF"), 8);
	ck_assert(jscan_failed(&s));
	jscan_err(&s, &e);
	ck_assert_str_eq(e.message, "JSON: the text is not valid UTF-8 at byte 5");
}
END_TEST

START_TEST(a_wrong_number_is_named_where_it_begins)
{
	const struct {
		const char *text;
		const char *message;
	} cases[] = {{"[ 1.5]", "JSON: expected a whole number at byte 2"},
				 {"[ 1e2]", "JSON: expected a whole number at byte 2"},
				 {"[ 100]", "JSON: number out of range at byte 2"},
				 {"[ -1]", "JSON: number out of range at byte 2"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		jscan s;
		err e;
		uint64_t n;
		jscan_init(&s, str_from_c(cases[i].text), 8);
		jscan_begin_array(&s);
		jscan_next_element(&s);
		ck_assert(!jscan_u64(&s, 10, &n));
		jscan_err(&s, &e);
		ck_assert_str_eq(e.message, cases[i].message);
	}
}
END_TEST

START_TEST(a_value_of_another_type_is_an_error_at_its_place)
{
	jscan s;
	str key;
	uint64_t n;
	err e;
	jscan_init(&s, STR("{\"n\": \"5\"}"), 8);
	jscan_begin_object(&s);
	jscan_next_member(&s, &key);
	ck_assert(!jscan_u64(&s, 9, &n));
	ck_assert(!jscan_err(&s, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	ck_assert_str_eq(e.message, "JSON: expected a number at byte 6");
	jscan_init(&s, STR("[]"), 8);
	ck_assert(!jscan_begin_object(&s) && jscan_failed(&s));
	jscan_init(&s, STR("{}"), 8);
	ck_assert(!jscan_begin_array(&s) && jscan_failed(&s));
}
END_TEST

START_TEST(problems_say_where_they_are)
{
	const struct {
		const char *text;
		size_t offset;
	} cases[] = {{"[1, 2, x]", 7},   {"[1 2]", 3}, {"{\"a\" 1}", 5}, {"[\"abc\n\"]", 5},
				 {"[\"ab\\q\"]", 4}, {"[1.x]", 3}, {"\"abc", 4},     {"{\"a\":1,}", 7},
				 {"\"ok\xFF\"", 3},  {"[1] 2", 4}, {"[99999, 5", 9}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		jscan s;
		jscan_init(&s, str_from_c(cases[i].text), 8);
		jscan_skip(&s);
		ck_assert(!jscan_end(&s));
		ck_assert_msg(s.problem_offset == cases[i].offset, "%s: %zu", cases[i].text, s.problem_offset);
	}
}
END_TEST

/* A reader that forgets a step must not take a wrong text for a right one. */
START_TEST(reading_out_of_turn_is_an_error)
{
	jscan s;
	str key;
	jscan_init(&s, STR("[1,2]"), 8);
	jscan_begin_array(&s);
	ck_assert(!jscan_skip(&s)); /* no next_element before */
	jscan_init(&s, STR("[1 2]"), 8);
	jscan_begin_array(&s);
	jscan_next_element(&s);
	ck_assert(jscan_skip(&s));
	ck_assert(!jscan_skip(&s));
	jscan_init(&s, STR("{\"a\":1}"), 8);
	jscan_begin_object(&s);
	ck_assert(jscan_next_member(&s, &key));
	ck_assert(!jscan_next_member(&s, &key)); /* the value was not read */
	jscan_init(&s, STR("1 2"), 8);
	ck_assert(jscan_skip(&s));
	ck_assert(!jscan_skip(&s));
	jscan_init(&s, STR("[1]"), 8);
	jscan_begin_array(&s);
	ck_assert(!jscan_end(&s)); /* not read to its end */
	jscan_init(&s, STR("[1"), 8);
	jscan_begin_array(&s);
	ck_assert(jscan_next_element(&s) && jscan_skip(&s));
	ck_assert(!jscan_end(&s)); /* the text is, the array is not */
	jscan_init(&s, STR("1]"), 8);
	jscan_skip(&s);
	ck_assert(!jscan_next_element(&s) && jscan_failed(&s));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		skip_accepts_what_the_rfc_accepts,
		skip_refuses_what_the_rfc_refuses,
		a_text_cut_anywhere_is_refused,
		nesting_is_accepted_to_its_limit_and_no_deeper,
		members_are_read_in_order_with_their_values,
		duplicate_keys_are_delivered_each_time,
		elements_are_read_in_order,
		peek_names_the_type_and_consumes_nothing,
		peek_at_nothing_is_none_and_at_nonsense_an_error,
		raw_gives_the_values_own_text,
		raw_leaves_out_alone_when_the_value_is_wrong,
		u64_takes_whole_numbers_within_range,
		i64_takes_a_sign,
		null_is_asked_for_without_an_error,
		bool_takes_both,
		bool_refuses_other_values,
		errors_are_sticky_and_the_first_one_stays,
		an_error_after_the_last_value_sticks_too,
		a_wrong_key_is_not_delivered,
		a_text_that_is_no_utf8_is_refused_at_once,
		a_wrong_number_is_named_where_it_begins,
		a_value_of_another_type_is_an_error_at_its_place,
		problems_say_where_they_are,
		reading_out_of_turn_is_an_error,
	};
	return SUITE_RUN("base/jscan", tests);
}
