#include <string.h>

#include "base/buf.h"
#include "cli/bench/chunk.h"
#include "suite.h"

/* Decodes `text` handed over in parts of `step` bytes; the answer is the last event. */
static chunk_event decode(const char *text, size_t step, buf *out)
{
	chunk_decoder d;
	str rest = str_from_c(text);
	chunk_event event = CHUNK_MORE;
	chunk_init(&d);
	buf_clear(out);
	while (rest.len > 0 && event == CHUNK_MORE) {
		str part = str_take(rest, step);
		str piece;
		rest = str_skip(rest, part.len);
		while ((event = chunk_next(&d, &part, &piece)) == CHUNK_PIECE) {
			buf_append_str(out, piece);
		}
	}
	return event;
}

START_TEST(pieces_are_the_same_however_the_bytes_arrive)
{
	static const char TEXT[] = "5\r\nhello\r\n1;name=value\r\n,\r\n00A\r\n 0123\n5678\r\n0\r\nTrailer: x\r\n\r\n";
	buf out;
	buf_init(&out, 1024);
	for (size_t step = 1; step < sizeof TEXT; step++) {
		ck_assert_int_eq(decode(TEXT, step, &out), CHUNK_END);
		ck_assert_view_eq(buf_str(&out), STR("hello, 0123\n5678"));
	}
	buf_dispose(&out);
}
END_TEST

START_TEST(a_body_without_its_last_chunk_is_not_finished)
{
	buf out;
	buf_init(&out, 1024);
	ck_assert_int_eq(decode("5\r\nhello\r\n", 100, &out), CHUNK_MORE);
	ck_assert_int_eq(decode("5\r\nhello\r\n0\r\n", 100, &out), CHUNK_MORE);
	buf_dispose(&out);
}
END_TEST

START_TEST(broken_framing_is_found)
{
	static const char *const TEXTS[] = {"x\r\n", "\r\n", "5\r\nhelloX\r\n", "1000000000000000\r\n", "-1\r\n"};
	buf out;
	buf_init(&out, 1024);
	for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
		ck_assert_msg(decode(TEXTS[i], 100, &out) == CHUNK_BROKEN, "%s", TEXTS[i]);
	}
	buf_dispose(&out);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {pieces_are_the_same_however_the_bytes_arrive,
								  a_body_without_its_last_chunk_is_not_finished, broken_framing_is_found};
	return SUITE_RUN("cli/bench/chunk", tests);
}
