#include "base/jscan.h"
#include "failing_memory.h"
#include "suite.h"

#include <string.h>

static bool accepts(str text)
{
	jscan s;
	jscan_init(&s, text, 64);
	return jscan_skip(&s) && jscan_end(&s);
}

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
		every_byte_in_a_string_is_judged_wherever_it_stands,
		keys_with_escapes_are_decoded,
		only_long_keys_with_escapes_decode_to_none,
		strings_are_sliced_or_decoded,
		a_string_without_escapes_needs_no_memory,
		a_raw_string_can_be_decoded_later,
		compact_drops_white_space_outside_strings_only,
		compact_ends_on_any_text_and_any_buffer,
		a_failed_allocation_is_a_problem,
	};
	return SUITE_RUN("base/jscan_string", tests);
}
