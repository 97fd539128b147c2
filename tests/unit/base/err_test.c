#include "base/err.h"
#include "base/text.h"
#include "suite.h"

#include <string.h>

START_TEST(set_fills_a_fresh_error_and_returns_false)
{
	err e;
	memset(&e, 0x5A, sizeof e);
	ck_assert(!err_set(&e, ERR_TOPIC_NOT_FOUND, "there is no topic %s", "orders"));
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	ck_assert_str_eq(e.message, "there is no topic orders");
	ck_assert_str_eq(e.detail, "");
	ck_assert_str_eq(e.log, "");
	ck_assert_str_eq(e.sqlstate, "");
	ck_assert_uint_eq(e.retry_after_ms, 0);
	ck_assert_uint_eq(e.frame_count, 0);
}
END_TEST

START_TEST(texts_may_be_made_from_the_error_itself)
{
	err e;
	err_set(&e, ERR_TIMEOUT, "%s", "the query took too long");
	err_set(&e, ERR_TIMEOUT, "produce: %s", e.message);
	ck_assert_str_eq(e.message, "produce: the query took too long");
	err_log(&e, "a");
	err_log(&e, "%s%s", e.log, "b");
	ck_assert_str_eq(e.log, "ab");
}
END_TEST

START_TEST(long_texts_are_cut_to_their_field)
{
	char text[1000];
	memset(text, 'm', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	err e;
	err_set(&e, ERR_INTERNAL, "%s", text);
	err_log(&e, "%s", text);
	ck_assert_uint_eq(strlen(e.message), ERR_MESSAGE_MAX - 1);
	ck_assert_uint_eq(strlen(e.log), ERR_LOG_MAX - 1);
}
END_TEST

START_TEST(cuts_fall_between_characters)
{
	/* Characters of 2, 3 and 4 bytes, moved along so that the cut meets each of their bytes. */
	const char *const characters[] = {"\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
	for (size_t c = 0; c < 3; c++) {
		for (size_t shift = 0; shift < 4; shift++) {
			char text[1000];
			memset(text, 'x', sizeof text);
			size_t length = strlen(characters[c]);
			size_t at = shift;
			for (; at + length < 900; at += length) {
				memcpy(text + at, characters[c], length);
			}
			text[at] = '\0';
			err e;
			err_set(&e, ERR_INTERNAL, "%s", text);
			str message = str_from_c(e.message);
			ck_assert_msg(text_is_utf8(message), "character %zu, shift %zu", c, shift);
			ck_assert_uint_gt(message.len, ERR_MESSAGE_MAX - 1 - length);
			ck_assert(str_starts_with(str_from_c(text), message));
		}
	}
}
END_TEST

START_TEST(a_text_that_just_fits_is_kept_whole)
{
	err e;
	err_set(&e, ERR_INTERNAL, "%*s\xC3\xA4", ERR_MESSAGE_MAX - 3, "");
	ck_assert_uint_eq(strlen(e.message), ERR_MESSAGE_MAX - 1);
	err_detail(&e, "{%*s}", ERR_DETAIL_MAX - 3, "");
	ck_assert_uint_eq(strlen(e.detail), ERR_DETAIL_MAX - 1);
}
END_TEST

START_TEST(a_detail_that_is_too_long_is_dropped)
{
	err e;
	err_set(&e, ERR_INTERNAL, "x");
	err_detail(&e, "{\"n\":%d}", 5);
	ck_assert_str_eq(e.detail, "{\"n\":5}");
	err_detail(&e, "{%*s}", ERR_DETAIL_MAX - 2, "");
	ck_assert_str_eq(e.detail, "");
}
END_TEST

START_TEST(frames_are_kept_innermost_first_and_keep_the_code)
{
	err e;
	err_set(&e, ERR_TIMEOUT, "x");
	ck_assert(!err_frame(&e, "reading the head"));
	ck_assert(!err_frame(&e, "appending"));
	ck_assert_uint_eq(e.frame_count, 2);
	ck_assert_str_eq(e.frames[0], "reading the head");
	ck_assert_str_eq(e.frames[1], "appending");
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	for (int i = 0; i < 10; i++) {
		ck_assert(!err_frame(&e, "further out"));
	}
	ck_assert_uint_eq(e.frame_count, ERR_FRAMES_MAX);
	ck_assert_str_eq(e.frames[0], "reading the head");
}
END_TEST

START_TEST(clear_leaves_no_error)
{
	err e;
	err_set(&e, ERR_TIMEOUT, "x");
	err_detail(&e, "{}");
	err_log(&e, "y");
	err_frame(&e, "z");
	e.retry_after_ms = 5;
	e.sqlstate[0] = '4';
	err_clear(&e);
	ck_assert_int_eq(e.code, ERR_NONE);
	ck_assert_str_eq(e.message, "");
	ck_assert_str_eq(e.detail, "");
	ck_assert_str_eq(e.log, "");
	ck_assert_str_eq(e.sqlstate, "");
	ck_assert_uint_eq(e.retry_after_ms, 0);
	ck_assert_uint_eq(e.frame_count, 0);
}
END_TEST

START_TEST(each_code_has_its_own_wire_code_and_an_error_status)
{
	ck_assert_str_eq(err_wire_code(ERR_TOPIC_NOT_FOUND), "topic_not_found");
	ck_assert_int_eq(err_http_status(ERR_TOPIC_NOT_FOUND), 404);
	ck_assert_str_eq(err_wire_code(ERR_OUTCOME_UNKNOWN), "outcome_unknown");
	ck_assert_int_eq(err_http_status(ERR_THROTTLED), 429);
	const err_code codes[] = {
#define ERR_CODE(name, wire, status) ERR_##name,
		ERR_TABLE(ERR_CODE)
#undef ERR_CODE
	};
	size_t count = sizeof codes / sizeof codes[0];
	for (size_t i = 0; i < count; i++) {
		int status = err_http_status(codes[i]);
		ck_assert_msg(status >= 400 && status <= 599, "%s", err_wire_code(codes[i]));
		for (size_t k = 0; k < i; k++) {
			ck_assert_str_ne(err_wire_code(codes[i]), err_wire_code(codes[k]));
		}
	}
}
END_TEST

START_TEST(an_unknown_code_is_internal)
{
	ck_assert_str_eq(err_wire_code((err_code)9999), "internal");
	ck_assert_int_eq(err_http_status((err_code)9999), 500);
	ck_assert_str_eq(err_wire_code(ERR_NONE), "internal");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		set_fills_a_fresh_error_and_returns_false,
		texts_may_be_made_from_the_error_itself,
		long_texts_are_cut_to_their_field,
		cuts_fall_between_characters,
		a_text_that_just_fits_is_kept_whole,
		a_detail_that_is_too_long_is_dropped,
		frames_are_kept_innermost_first_and_keep_the_code,
		clear_leaves_no_error,
		each_code_has_its_own_wire_code_and_an_error_status,
		an_unknown_code_is_internal,
	};
	return SUITE_RUN("base/err", tests);
}
