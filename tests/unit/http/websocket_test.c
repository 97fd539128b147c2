#include "http/websocket.h"
#include "http/websocket_input.h"
#include "suite.h"

#include <string.h>

enum { MESSAGE_MAX = 100 };

static buf seen; /* "text;" for each message, "#;" for a binary one */

static void on_text(void *context, str text)
{
	(void)context;
	buf_append_str(&seen, text);
	buf_append_byte(&seen, ';');
}

static void on_binary(void *context)
{
	(void)context;
	buf_append(&seen, "#;", 2);
}

/* A client's frame: masked, up to 125 bytes. */
static void add_frame(buf *out, unsigned char first, str payload)
{
	static const char mask[4] = {'\x11', '\x22', '\x33', '\x44'};
	buf_append_byte(out, (char)first);
	buf_append_byte(out, (char)(0x80 | payload.len));
	buf_append(out, mask, sizeof mask);
	for (size_t i = 0; i < payload.len; i++) {
		buf_append_byte(out, (char)(payload.ptr[i] ^ mask[i % 4]));
	}
}

/* In pieces of `step` bytes. Whether the connection goes on. */
static bool take(const buf *frames, size_t step, buf *answer)
{
	websocket_input *in = websocket_input_new(MESSAGE_MAX, (websocket_sink){on_text, on_binary, NULL});
	bool goes_on = true;
	buf_init(&seen, 4096);
	for (str rest = buf_str(frames); rest.len > 0 && goes_on; rest = str_skip(rest, step)) {
		goes_on = websocket_input_take(in, str_take(rest, step), answer);
	}
	websocket_input_free(in);
	return goes_on;
}

static void expect_close(const buf *frames, unsigned code)
{
	buf answer;
	buf_init(&answer, 4096);
	ck_assert(!take(frames, 1, &answer));
	ck_assert_uint_ge(answer.len, 4);
	ck_assert_int_eq(answer.ptr[0], (char)0x88);
	ck_assert_uint_eq((unsigned)(unsigned char)answer.ptr[2] << 8 | (unsigned char)answer.ptr[3], code);
	buf_dispose(&answer);
	buf_dispose(&seen);
}

START_TEST(messages_come_whole_however_they_are_cut)
{
	buf frames;
	buf answer;
	buf_init(&frames, 4096);
	add_frame(&frames, 0x81, STR("one"));
	add_frame(&frames, 0x01, STR("tw"));
	add_frame(&frames, 0x89, STR("hi"));
	add_frame(&frames, 0x80, STR("o"));
	add_frame(&frames, 0x82, STR("\x01"));
	add_frame(&frames, 0x81, STR(""));
	for (size_t step = 1; step <= frames.len; step++) {
		buf_init(&answer, 4096);
		ck_assert(take(&frames, step, &answer));
		ck_assert_view_eq(buf_str(&seen), STR("one;two;#;;"));
		ck_assert_view_eq(buf_str(&answer), STR("\x8a\x02hi"));
		buf_dispose(&answer);
		buf_dispose(&seen);
	}
	buf_dispose(&frames);
}
END_TEST

START_TEST(what_breaks_the_protocol_ends_it_with_its_code)
{
	buf frames;
	char large[MESSAGE_MAX + 1];
	memset(large, 'x', sizeof large);
	buf_init(&frames, 4096);
	buf_append_str(&frames, STR("\x81\x03one"));
	expect_close(&frames, 1002);
	buf_clear(&frames);
	add_frame(&frames, 0x81, STR("\xff"));
	expect_close(&frames, 1007);
	buf_clear(&frames);
	add_frame(&frames, 0x81, (str){large, sizeof large});
	expect_close(&frames, 1009);
	/* Also when it comes in pieces. */
	buf_clear(&frames);
	add_frame(&frames, 0x01, (str){large, MESSAGE_MAX - 1});
	add_frame(&frames, 0x80, STR("xx"));
	expect_close(&frames, 1009);
	buf_clear(&frames);
	add_frame(&frames, 0x88, STR("\x03\xe8"));
	expect_close(&frames, 1000);
	buf_dispose(&frames);
}
END_TEST

START_TEST(heads_have_the_shortest_length)
{
	char head[WEBSOCKET_HEAD_MAX];
	ck_assert_view_eq(((str){head, websocket_write_head(head, 1, 0)}), ((str){"\x81\x00", 2}));
	ck_assert_view_eq(((str){head, websocket_write_head(head, 1, 125)}), STR("\x81\x7d"));
	ck_assert_view_eq(((str){head, websocket_write_head(head, 1, 126)}), ((str){"\x81\x7e\x00\x7e", 4}));
	ck_assert_view_eq(((str){head, websocket_write_head(head, 9, 65535)}), STR("\x89\x7e\xff\xff"));
	ck_assert_view_eq(((str){head, websocket_write_head(head, 1, 65536)}),
					  ((str){"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10}));
}
END_TEST

START_TEST(the_handshake_is_that_of_the_standard)
{
	buf accept;
	buf_init(&accept, 64);
	websocket_write_accept(&accept, STR("dGhlIHNhbXBsZSBub25jZQ=="));
	ck_assert_view_eq(buf_str(&accept), STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	buf_dispose(&accept);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {messages_come_whole_however_they_are_cut,
								  what_breaks_the_protocol_ends_it_with_its_code, heads_have_the_shortest_length,
								  the_handshake_is_that_of_the_standard};
	return SUITE_RUN("http/websocket", tests);
}
