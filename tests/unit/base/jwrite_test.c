#include "base/jwrite.h"
#include "suite.h"

#include <string.h>

static void expect(str in, str json)
{
	buf b;
	buf_init(&b, 100000);
	jwrite_string(&b, in);
	ck_assert_view_eq(buf_str(&b), json);
	buf_dispose(&b);
}

START_TEST(plain_text_is_only_quoted)
{
	expect(STR(""), STR("\"\""));
	expect(STR_NONE, STR("\"\""));
	expect(STR("plain, with / and \x7F and '"), STR("\"plain, with / and \x7F and '\""));
	expect(STR("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"), STR("\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\""));
}
END_TEST

START_TEST(special_characters_are_escaped_the_short_way)
{
	expect(STR("\"\\\b\f\n\r\t"), STR("\"\\\"\\\\\\b\\f\\n\\r\\t\""));
	expect(STR("\0\x01\x0B\x1F"), STR("\"\\u0000\\u0001\\u000b\\u001f\""));
}
END_TEST

/* Each byte value at each place around the borders of 8-byte words. */
START_TEST(every_byte_is_escaped_or_not_wherever_it_stands)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		bool is_special = byte < 0x20 || byte == '"' || byte == '\\';
		for (size_t len = 1; len <= 20; len++) {
			for (size_t at = 0; at < len; at++) {
				char text[20];
				memset(text, 'x', sizeof text);
				text[at] = (char)byte;
				buf b;
				buf_init(&b, 100);
				jwrite_string(&b, (str){text, len});
				ck_assert_msg((b.len != len + 2) == is_special, "byte %u at %zu of %zu", byte, at, len);
				ck_assert_mem_eq(b.ptr + 1, text, at);
				ck_assert_mem_eq(b.ptr + b.len - (len - at), text + at + 1, len - at - 1);
				ck_assert_int_eq(b.ptr[b.len - 1], '"');
				ck_assert_int_eq(b.ptr[at + 1], is_special ? '\\' : (char)byte);
				buf_dispose(&b);
			}
		}
	}
}
END_TEST

START_TEST(a_string_that_does_not_fit_appends_nothing)
{
	/* By its plain length, and only by its escapes. */
	const str texts[] = {STR("12345678"), STR("1234\n5"), STR("\n")};
	const size_t room[] = {11, 10, 5};
	for (size_t i = 0; i < 3; i++) {
		buf b;
		buf_init(&b, room[i]);
		buf_append(&b, "ab", 2);
		jwrite_string(&b, texts[i]);
		ck_assert_msg(b.failed, "case %zu", i);
		ck_assert_view_eq(buf_str(&b), STR("ab"));
		buf_dispose(&b);
		buf_init(&b, room[i] + 1);
		buf_append(&b, "ab", 2);
		jwrite_string(&b, texts[i]);
		ck_assert_msg(!b.failed, "case %zu", i);
		ck_assert_uint_eq(b.len, room[i] + 1);
		buf_dispose(&b);
	}
}
END_TEST

START_TEST(a_length_that_no_buffer_holds_fails_before_a_byte_is_read)
{
	for (size_t less = 0; less < 4; less++) {
		buf b;
		buf_init(&b, SIZE_MAX);
		jwrite_string(&b, (str){"", SIZE_MAX - less});
		ck_assert(b.failed);
		ck_assert_uint_eq(b.len, 0);
		buf_dispose(&b);
	}
}
END_TEST

START_TEST(keys_and_booleans_have_no_spaces)
{
	buf b;
	buf_init(&b, 18);
	jwrite_key(&b, "ok");
	jwrite_bool(&b, true);
	jwrite_key(&b, "");
	jwrite_bool(&b, false);
	ck_assert(!b.failed);
	ck_assert_view_eq(buf_str(&b), STR("\"ok\":true\"\":false"));
	jwrite_key(&b, "");
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 17);
	buf_dispose(&b);
}
END_TEST

START_TEST(a_failed_buffer_stays_as_it_is)
{
	static char too_much[200];
	buf b;
	buf_init(&b, 100);
	buf_append(&b, "abc", 3);
	buf_append(&b, too_much, sizeof too_much);
	jwrite_string(&b, STR("")); /* would fit */
	jwrite_key(&b, "");
	ck_assert_view_eq(buf_str(&b), STR("abc"));
	buf_dispose(&b);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		plain_text_is_only_quoted,
		special_characters_are_escaped_the_short_way,
		every_byte_is_escaped_or_not_wherever_it_stands,
		a_string_that_does_not_fit_appends_nothing,
		a_length_that_no_buffer_holds_fails_before_a_byte_is_read,
		keys_and_booleans_have_no_spaces,
		a_failed_buffer_stays_as_it_is,
	};
	return SUITE_RUN("base/jwrite", tests);
}
