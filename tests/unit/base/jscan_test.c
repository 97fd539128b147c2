#include "base/jscan.h"
#include "failing_memory.h"
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

/* Each byte value inside a string, at each place around the borders of 8-byte words. */
START_TEST(every_byte_in_a_string_is_judged_wherever_it_stands)
{
	for (unsigned byte = 0; byte < 0x80; byte++) {
		bool is_plain = byte >= 0x20 && byte != '"' && byte != '\\';
		for (size_t at = 0; at < 18; at++) {
			char text[20];
			memset(text, 'n', sizeof text);
			text[0] = '"';
			text[19] = '"';
			text[1 + at] = (char)byte;
			/* A backslash makes \n of what follows it, and takes the closing quote at the end. */
			bool expected = is_plain || (byte == '\\' && at < 17);
			ck_assert_msg(accepts((str){text, sizeof text}) == expected, "byte %u at %zu", byte, at);
		}
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

START_TEST(keys_with_escapes_are_decoded)
{
	jscan s;
	jscan_init(&s, STR("{\"w\\u0061it\\n\":1,\"\":2,\"\\u0000\":3}"), 8);
	str key;
	jscan_begin_object(&s);
	ck_assert(jscan_next_member(&s, &key));
	ck_assert_view_eq(key, STR("wait\n"));
	jscan_skip(&s);
	ck_assert(jscan_next_member(&s, &key));
	ck_assert_view_eq(key, STR(""));
	ck_assert_ptr_nonnull(key.ptr);
	jscan_skip(&s);
	ck_assert(jscan_next_member(&s, &key));
	ck_assert_view_eq(key, STR("\0"));
}
END_TEST

START_TEST(only_long_keys_with_escapes_decode_to_none)
{
	for (size_t len = 253; len <= 257; len++) {
		for (int has_escape = 0; has_escape <= 1; has_escape++) {
			char text[300];
			memset(text, 'k', sizeof text);
			memcpy(text, "{\"", 2);
			size_t at = 2;
			if (has_escape) {
				memcpy(text + at, "\\n", 2);
				at++; /* the escape is one character of the key */
			}
			at += len;
			memcpy(text + at, "\":1}", 4);
			jscan s;
			jscan_init(&s, (str){text, at + 4}, 8);
			jscan_begin_object(&s);
			str key = STR("untouched");
			ck_assert(jscan_next_member(&s, &key));
			bool is_none = has_escape && len > 255;
			ck_assert_uint_eq(key.len, is_none ? 0 : len);
			ck_assert_int_eq(key.ptr == NULL, is_none);
			ck_assert(jscan_skip(&s));
			ck_assert(!jscan_next_member(&s, &key));
			ck_assert(jscan_end(&s));
		}
	}
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

START_TEST(strings_are_sliced_or_decoded)
{
	const struct {
		const char *json;
		str expected;
	} cases[] = {
		{"\"\"", STR("")},
		{"\"plain \xC3\xA4\"", STR("plain \xC3\xA4")},
		{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", STR("\"\\/\b\f\n\r\t")},
		{"\"a\\u0000b\"", STR("a\0b")},
		{"\"\\u007f\\u0080\\u07FF\\u0800\\uFFFF\"", STR("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF")},
		{"\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", STR("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
		{"\"\\uD83D\\uDE00!\"", STR("\xF0\x9F\x98\x80!")},
		{"\"\\uD83D\"", STR("\xEF\xBF\xBD")},
		{"\"\\uDE00\"", STR("\xEF\xBF\xBD")},
		{"\"\\uD83Dx\"", STR("\xEF\xBF\xBDx")},
		{"\"\\uD83D\\n\"", STR("\xEF\xBF\xBD\n")},
		{"\"\\uD83D\\u0041\"", STR("\xEF\xBF\xBD"
								   "A")},
		{"\"\\uD83D\\uD83D\\uDE00\"", STR("\xEF\xBF\xBD\xF0\x9F\x98\x80")},
		{"\"\\uDE00\\uD83D\"", STR("\xEF\xBF\xBD\xEF\xBF\xBD")},
		{"\"\\uDFFF\"", STR("\xEF\xBF\xBD")},
		{"\"\\uDE00\\uDE00\"", STR("\xEF\xBF\xBD\xEF\xBF\xBD")},
		{"\"\\uD83D__DE00\"", STR("\xEF\xBF\xBD__DE00")}, /* only \u makes it a pair */
		{"\"\\uD83DxuDE00\"", STR("\xEF\xBF\xBDxuDE00")},
		{"\"\\uD83D\\\\DE00\"", STR("\xEF\xBF\xBD\\DE00")},
		{"\"\\u9aAf\\u0F90\"", STR("\xE9\xAA\xAF\xE0\xBE\x90")},
		{"\"\\\\u0041\"", STR("\\u0041")},
	};
	arena *a = arena_new(10000);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		jscan s;
		str text = STR_NONE;
		jscan_init(&s, str_from_c(cases[i].json), 8);
		ck_assert_msg(jscan_text(&s, a, &text) && jscan_end(&s), "%s", cases[i].json);
		ck_assert_msg(str_equal(text, cases[i].expected), "%s", cases[i].json);
		ck_assert_ptr_nonnull(text.ptr);
	}
	arena_free(a);
}
END_TEST

START_TEST(a_string_without_escapes_needs_no_memory)
{
	arena *a = arena_new(0);
	str json = STR("\"plain\"");
	jscan s;
	str text;
	jscan_init(&s, json, 8);
	ck_assert(jscan_text(&s, a, &text));
	ck_assert_ptr_eq(text.ptr, json.ptr + 1);
	text = STR("untouched");
	jscan_init(&s, STR("\"\\n\""), 8);
	ck_assert(!jscan_text(&s, a, &text));
	ck_assert(jscan_failed(&s));
	ck_assert_view_eq(text, STR("untouched"));
	err e;
	ck_assert(!jscan_err(&s, &e));
	ck_assert_int_eq(e.code, ERR_NO_MEMORY); /* not the client's fault */
	arena_free(a);
}
END_TEST

START_TEST(a_raw_string_can_be_decoded_later)
{
	arena *a = arena_new(100);
	jscan s;
	jscan_string raw;
	str text;
	jscan_init(&s, STR("[\"a\\tb\",\"c\"]"), 8);
	jscan_begin_array(&s);
	ck_assert(jscan_next_element(&s) && jscan_string_raw(&s, &raw));
	ck_assert(raw.has_escapes);
	ck_assert_view_eq(raw.raw, STR("a\\tb"));
	ck_assert(jscan_string_decode(a, raw, &text));
	ck_assert_view_eq(text, STR("a\tb"));
	ck_assert(jscan_next_element(&s) && jscan_string_raw(&s, &raw));
	ck_assert(!raw.has_escapes);
	ck_assert(!jscan_next_element(&s) && jscan_end(&s));
	arena_free(a);
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

START_TEST(compact_drops_white_space_outside_strings_only)
{
	const struct {
		const char *raw;
		const char *compact;
	} cases[] = {
		{"{ \"a b\" : [ 1 ,\n2 ] ,\t\"c\\\" d\" : \" \" }\r\n", "{\"a b\":[1,2],\"c\\\" d\":\" \"}"},
		{" 1 ", "1"},
		{"[]", "[]"},
		{"\"\\\\\" ", "\"\\\\\""},
		{"[\"\xC3\xA4 \xE2\x82\xAC\" , true]", "[\"\xC3\xA4 \xE2\x82\xAC\",true]"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		buf b;
		buf_init(&b, 1000);
		jscan_compact(str_from_c(cases[i].raw), &b);
		ck_assert_view_eq(buf_str(&b), str_from_c(cases[i].compact));
		buf_dispose(&b);
	}
}
END_TEST

START_TEST(compact_ends_on_any_text_and_any_buffer)
{
	const str texts[] = {STR(""),       STR_NONE,    STR("\""), STR("\"\\"), STR("\"\\q\""),
						 STR("\"a\nb"), STR("\x01"), STR("\0"), STR("\xFF")};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		buf b;
		buf_init(&b, 1000);
		jscan_compact(texts[i], &b);
		ck_assert_uint_le(b.len, texts[i].len);
		buf_dispose(&b);
	}
	buf b;
	buf_init(&b, 3);
	jscan_compact(STR("[1, 2, 3]"), &b);
	ck_assert(b.failed);
	buf_dispose(&b);
}
END_TEST

static bool decode_two(void)
{
	arena *a = arena_new(100000);
	jscan s;
	str first;
	str second;
	jscan_init(&s, STR("[\"\\n\",\"\\t\"]"), 8);
	bool is_done = a != NULL && jscan_begin_array(&s) && jscan_next_element(&s) && jscan_text(&s, a, &first) &&
				   jscan_next_element(&s) && jscan_text(&s, a, &second) && !jscan_next_element(&s) && jscan_end(&s);
	arena_free(a);
	return is_done;
}

START_TEST(a_failed_allocation_is_a_problem)
{
	FAIL_EVERY_ALLOCATION(decode_two(), 2);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		skip_accepts_what_the_rfc_accepts,
		skip_refuses_what_the_rfc_refuses,
		a_text_cut_anywhere_is_refused,
		every_byte_in_a_string_is_judged_wherever_it_stands,
		nesting_is_accepted_to_its_limit_and_no_deeper,
		members_are_read_in_order_with_their_values,
		duplicate_keys_are_delivered_each_time,
		elements_are_read_in_order,
		keys_with_escapes_are_decoded,
		only_long_keys_with_escapes_decode_to_none,
		peek_names_the_type_and_consumes_nothing,
		peek_at_nothing_is_none_and_at_nonsense_an_error,
		raw_gives_the_values_own_text,
		raw_leaves_out_alone_when_the_value_is_wrong,
		u64_takes_whole_numbers_within_range,
		i64_takes_a_sign,
		null_is_asked_for_without_an_error,
		bool_takes_both,
		bool_refuses_other_values,
		strings_are_sliced_or_decoded,
		a_string_without_escapes_needs_no_memory,
		a_raw_string_can_be_decoded_later,
		errors_are_sticky_and_the_first_one_stays,
		an_error_after_the_last_value_sticks_too,
		a_wrong_key_is_not_delivered,
		a_text_that_is_no_utf8_is_refused_at_once,
		a_wrong_number_is_named_where_it_begins,
		a_value_of_another_type_is_an_error_at_its_place,
		problems_say_where_they_are,
		reading_out_of_turn_is_an_error,
		compact_drops_white_space_outside_strings_only,
		compact_ends_on_any_text_and_any_buffer,
		a_failed_allocation_is_a_problem,
	};
	return SUITE_RUN("base/jscan", tests);
}
