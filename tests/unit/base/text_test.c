#include "base/text.h"
#include "failing_memory.h"
#include "suite.h"

#include <string.h>

/* The definition (RFC 3629), decoded by value; slow and unlike the implementation. */
static bool reference_is_utf8(str s)
{
	size_t at = 0;
	while (at < s.len) {
		unsigned char first = (unsigned char)s.ptr[at];
		size_t length = first < 0x80 ? 1 : (first & 0xE0) == 0xC0 ? 2 : (first & 0xF0) == 0xE0 ? 3 : 4;
		if (length == 4 && (first & 0xF8) != 0xF0) {
			return false;
		}
		static const unsigned char mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
		static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
		uint32_t point = first & mask[length];
		if (length > s.len - at) {
			return false;
		}
		for (size_t i = 1; i < length; i++) {
			unsigned char byte = (unsigned char)s.ptr[at + i];
			if ((byte & 0xC0) != 0x80) {
				return false;
			}
			point = point << 6 | (byte & 0x3F);
		}
		if (point < least[length] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
			return false;
		}
		at += length;
	}
	return true;
}

START_TEST(utf8_agrees_with_the_definition_on_every_short_text)
{
	/* All texts of 2 bytes; of 3 and 4 bytes all that the borders of the ranges distinguish. */
	static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0,
										  0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF};
	const size_t n = sizeof edges;
	char t[4];
	for (unsigned i = 0; i < 0x10000; i++) {
		t[0] = (char)(i >> 8);
		t[1] = (char)(i & 0xFF);
		ck_assert_msg(text_is_utf8((str){t, 2}) == reference_is_utf8((str){t, 2}), "%04x", i);
	}
	for (size_t i = 0; i < n * n * n * n; i++) {
		t[0] = (char)edges[i % n];
		t[1] = (char)edges[i / n % n];
		t[2] = (char)edges[i / n / n % n];
		t[3] = (char)edges[i / n / n / n];
		for (size_t len = 3; len <= 4; len++) {
			str s = {t, len};
			if (text_is_utf8(s) != reference_is_utf8(s)) {
				ck_abort_msg("text %zu of %zu bytes", i, len);
			}
		}
	}
}
END_TEST

START_TEST(utf8_finds_one_wrong_byte_wherever_it_stands)
{
	char text[70];
	for (size_t len = 1; len <= sizeof text; len++) {
		memset(text, 'x', sizeof text);
		ck_assert(text_is_utf8((str){text, len}));
		for (size_t at = 0; at < len; at++) {
			text[at] = (char)0x80;
			ck_assert_uint_eq(text_utf8_valid((str){text, len}), at);
			text[at] = 'x';
		}
	}
}
END_TEST

START_TEST(utf8_takes_characters_across_word_borders)
{
	for (size_t shift = 0; shift < 17; shift++) {
		char text[64];
		memset(text, 'x', sizeof text);
		memcpy(text + shift, "\xF0\x9F\x98\x80\xE2\x82\xAC\xC3\xA4", 9);
		ck_assert(text_is_utf8((str){text, sizeof text}));
		ck_assert_uint_eq(text_utf8_valid((str){text, shift + 3}), shift); /* cut within a character */
	}
	ck_assert(text_is_utf8(STR_NONE));
	ck_assert(text_is_utf8(STR("a\0b")));
}
END_TEST

START_TEST(utf8_length_is_that_of_the_first_character)
{
	ck_assert_uint_eq(text_utf8_length(STR("a\xFF")), 1);
	ck_assert_uint_eq(text_utf8_length(STR("\xC3\xA4x")), 2);
	ck_assert_uint_eq(text_utf8_length(STR("\xE2\x82\xAC")), 3);
	ck_assert_uint_eq(text_utf8_length(STR("\xF0\x9F\x98\x80")), 4);
	ck_assert_uint_eq(text_utf8_length(STR("\xF0\x9F\x98")), 0);
	ck_assert_uint_eq(text_utf8_length(STR_NONE), 0);
}
END_TEST

static void expect_percent(str in, bool plus_is_space, str expected, bool expected_clean)
{
	arena *a = arena_new(1000);
	str out;
	bool clean = !expected_clean;
	ck_assert(text_percent_decode(a, in, plus_is_space, &out, &clean));
	ck_assert_view_eq(out, expected);
	ck_assert_msg(clean == expected_clean, "%.*s", STR_ARG(in));
	arena_free(a);
}

START_TEST(percent_escapes_are_decoded)
{
	expect_percent(STR("a%20b%2Fc%2f"), false, STR("a b/c/"), true);
	expect_percent(STR("%00%ff%C3%A4"), false, STR("\0\xFF\xC3\xA4"), true);
	expect_percent(STR("%2525"), false, STR("%25"), true); /* once */
	expect_percent(STR(""), true, STR(""), true);
}
END_TEST

START_TEST(a_plus_is_a_space_only_in_query_strings)
{
	expect_percent(STR("a+b%2B"), true, STR("a b+"), true);
	expect_percent(STR("a+b%2B"), false, STR("a+b+"), true);
	expect_percent(STR("a+b"), true, STR("a b"), true);
	expect_percent(STR("+"), true, STR(" "), true);
}
END_TEST

START_TEST(broken_percent_escapes_are_kept_and_reported)
{
	expect_percent(STR("%"), false, STR("%"), false);
	expect_percent(STR("a%4"), false, STR("a%4"), false);
	expect_percent(STR("%zz%41"), false, STR("%zzA"), false);
	expect_percent(STR("%4g%g4"), false, STR("%4g%g4"), false);
	expect_percent(STR("%%41"), false, STR("%A"), false);
	expect_percent(str_take(STR("a%41"), 3), false, STR("a%4"), false); /* its end is its length */
}
END_TEST

START_TEST(a_text_without_escapes_is_returned_itself)
{
	arena *a = arena_new(0);
	str in = STR("plain+text");
	str out;
	bool clean;
	ck_assert(text_percent_decode(a, in, false, &out, &clean));
	ck_assert_ptr_eq(out.ptr, in.ptr);
	out = STR("untouched");
	ck_assert(!text_percent_decode(a, in, true, &out, &clean));
	ck_assert_view_eq(out, STR("untouched"));
	arena_free(a);
}
END_TEST

typedef void encode_fn(buf *out, str bytes);
typedef bool decode_fn(arena *a, str encoded, str *out);

static void expect_pair(encode_fn *encode, decode_fn *decode, str bytes, str text)
{
	buf b;
	buf_init(&b, 1000);
	buf_append_byte(&b, '>');
	encode(&b, bytes);
	ck_assert_view_eq(str_skip(buf_str(&b), 1), text);
	ck_assert_int_eq(b.ptr[0], '>');
	buf_dispose(&b);
	arena *a = arena_new(1000);
	str out = STR_NONE;
	ck_assert_msg(decode(a, text, &out), "%.*s", STR_ARG(text));
	ck_assert_view_eq(out, bytes);
	ck_assert_ptr_nonnull(out.ptr);
	arena_free(a);
}

START_TEST(base64_agrees_with_the_rfc)
{
	const str bytes[] = {STR(""), STR("f"), STR("fo"), STR("foo"), STR("foob"), STR("fooba"), STR("foobar")};
	const str padded[] = {STR(""),         STR("Zg=="),     STR("Zm8="),    STR("Zm9v"),
						  STR("Zm9vYg=="), STR("Zm9vYmE="), STR("Zm9vYmFy")};
	const str bare[] = {STR(""), STR("Zg"), STR("Zm8"), STR("Zm9v"), STR("Zm9vYg"), STR("Zm9vYmE"), STR("Zm9vYmFy")};
	for (size_t i = 0; i < 7; i++) {
		expect_pair(text_base64_encode, text_base64_decode, bytes[i], padded[i]);
		expect_pair(text_base64url_encode, text_base64url_decode, bytes[i], bare[i]);
	}
	expect_pair(text_base64_encode, text_base64_decode, STR("\0\0\0\0"), STR("AAAAAA=="));
	expect_pair(text_base64url_encode, text_base64url_decode, STR("\0\0\0\0"), STR("AAAAAA"));
	expect_pair(text_base64_encode, text_base64_decode, STR("\xFB\xFF\xBF"), STR("+/+/"));
	expect_pair(text_base64url_encode, text_base64url_decode, STR("\xFB\xFF\xBF"), STR("-_-_"));
}
END_TEST

START_TEST(encodings_cover_every_byte)
{
	char bytes[256];
	for (size_t i = 0; i < sizeof bytes; i++) {
		bytes[i] = (char)i;
	}
	const struct {
		encode_fn *encode;
		decode_fn *decode;
	} codecs[] = {{text_base64_encode, text_base64_decode},
				  {text_base64url_encode, text_base64url_decode},
				  {text_hex_encode, text_hex_decode}};
	for (size_t c = 0; c < 3; c++) {
		for (size_t from = 0; from < sizeof bytes; from++) {
			buf b;
			buf_init(&b, 1000);
			arena *a = arena_new(1000);
			str part = {bytes + from, sizeof bytes - from};
			str out = STR_NONE;
			codecs[c].encode(&b, part);
			ck_assert(codecs[c].decode(a, buf_str(&b), &out));
			ck_assert(str_equal(out, part));
			arena_free(a);
			buf_dispose(&b);
		}
	}
}
END_TEST

static void expect_refused(decode_fn *decode, const str *texts, size_t count)
{
	arena *a = arena_new(1000);
	str out = STR("untouched");
	for (size_t i = 0; i < count; i++) {
		ck_assert_msg(!decode(a, texts[i], &out), "%.*s", STR_ARG(texts[i]));
	}
	ck_assert_view_eq(out, STR("untouched"));
	arena_free(a);
}

START_TEST(base64_is_strict)
{
	const str wrong[] = {STR("Zg"),       STR("Zg="),     STR("Zm8"),      STR("Z==="),  STR("===="),
						 STR("=Zm9"),     STR("Zg=v"),    STR("Zm9v===="), STR("Zm9v="), STR("Zh=="),
						 STR("Zm9="),     STR("Zm-v"),    STR("Zm_v"),     STR("Zm v"),  STR("Zm9v\n"),
						 STR("Zg==Zg=="), STR("Zm\xC3v"), STR("Zm\0v"),    STR("-g=="),  STR("A_8=")};
	expect_refused(text_base64_decode, wrong, sizeof wrong / sizeof wrong[0]);
}
END_TEST

START_TEST(base64url_is_strict)
{
	const str wrong[] = {STR("Zg=="), STR("Zm8="), STR("Z"),    STR("Zm9vY"), STR("Zh"),
						 STR("Zm9"),  STR("Zm+v"), STR("Zm/v"), STR("Zm v"),  STR("Zg=")};
	expect_refused(text_base64url_decode, wrong, sizeof wrong / sizeof wrong[0]);
}
END_TEST

START_TEST(hex_is_lower_case_and_read_in_both)
{
	expect_pair(text_hex_encode, text_hex_decode, STR("\x00\x9f\xA0\xff"), STR("009fa0ff"));
	expect_pair(text_hex_encode, text_hex_decode, STR(""), STR(""));
	arena *a = arena_new(100);
	str out;
	ck_assert(text_hex_decode(a, STR("aFAf09"), &out));
	ck_assert_view_eq(out, STR("\xAF\xAF\x09"));
	arena_free(a);
	const str wrong[] = {STR("0"),  STR("abc"), STR("0g"), STR("g0"), STR("/0"),
						 STR(":0"), STR("@0"),  STR("`0"), STR(" 0")};
	expect_refused(text_hex_decode, wrong, sizeof wrong / sizeof wrong[0]);
}
END_TEST

START_TEST(encoders_append_nothing_when_it_does_not_fit)
{
	encode_fn *const encoders[] = {text_base64_encode, text_base64url_encode, text_hex_encode};
	const size_t lengths[] = {8, 6, 8}; /* of 4 bytes */
	for (size_t i = 0; i < 3; i++) {
		buf b;
		buf_init(&b, lengths[i] - 1);
		encoders[i](&b, STR("1234"));
		ck_assert_msg(b.failed && b.len == 0, "encoder %zu", i);
		buf_dispose(&b);
		buf_init(&b, lengths[i]);
		encoders[i](&b, STR("1234"));
		ck_assert_msg(!b.failed && b.len == lengths[i], "encoder %zu", i);
		buf_dispose(&b);
	}
}
END_TEST

START_TEST(encoders_refuse_lengths_that_no_buffer_holds)
{
	encode_fn *const encoders[] = {text_base64_encode, text_base64url_encode, text_hex_encode};
	const size_t lengths[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1, SIZE_MAX / 4 * 3 + 3};
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < 4; k++) {
			buf b;
			buf_init(&b, SIZE_MAX);
			encoders[i](&b, (str){"", lengths[k]});
			ck_assert_msg(b.failed && b.len == 0, "encoder %zu, length %zu", i, k);
			buf_dispose(&b);
		}
	}
}
END_TEST

static bool decode_all(void)
{
	arena *a = arena_new(100000);
	str out;
	bool clean;
	bool is_done = a != NULL && text_base64_decode(a, STR("Zm9v"), &out) &&
				   text_base64url_decode(a, STR("Zm8"), &out) && text_hex_decode(a, STR("00"), &out) &&
				   text_percent_decode(a, STR("%41"), false, &out, &clean);
	arena_free(a);
	return is_done;
}

START_TEST(decoders_report_a_failed_allocation)
{
	FAIL_EVERY_ALLOCATION(decode_all(), 2);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		utf8_agrees_with_the_definition_on_every_short_text,
		utf8_finds_one_wrong_byte_wherever_it_stands,
		utf8_takes_characters_across_word_borders,
		utf8_length_is_that_of_the_first_character,
		percent_escapes_are_decoded,
		a_plus_is_a_space_only_in_query_strings,
		broken_percent_escapes_are_kept_and_reported,
		a_text_without_escapes_is_returned_itself,
		base64_agrees_with_the_rfc,
		encodings_cover_every_byte,
		base64_is_strict,
		base64url_is_strict,
		hex_is_lower_case_and_read_in_both,
		encoders_append_nothing_when_it_does_not_fit,
		encoders_refuse_lengths_that_no_buffer_holds,
		decoders_report_a_failed_allocation,
	};
	return SUITE_RUN("base/text", tests);
}
