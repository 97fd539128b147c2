#include <string.h>

#include "cli/bench/reply.h"
#include "suite.h"

/* Feeds a reply byte by byte: it must be complete with the last byte, and not before. */
static void check_whole(const char *text, int status, str body)
{
	char bytes[512];
	reply r;
	size_t len = strlen(text);
	memcpy(bytes, text, len);
	reply_init(&r);
	for (size_t i = 1; i < len; i++) {
		ck_assert_msg(reply_feed(&r, bytes, i) == REPLY_MORE, "after %zu bytes of %s", i, text);
	}
	ck_assert_int_eq(reply_feed(&r, bytes, len), REPLY_DONE);
	ck_assert_int_eq(r.head.status, status);
	ck_assert_view_eq(reply_body(&r, bytes), body);
}

START_TEST(a_reply_with_a_length_ends_with_it)
{
	check_whole("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nDate: x\r\n\r\nhello", 200, STR("hello"));
	check_whole("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, STR(""));
	check_whole("HTTP/1.1 204 No Content\r\n\r\n", 204, STR(""));
}
END_TEST

START_TEST(a_chunked_reply_becomes_one_body)
{
	check_whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", 200,
				STR("abcdefg"));
}
END_TEST

START_TEST(what_is_no_reply_to_one_request_is_broken)
{
	static const char *const TEXTS[] = {"HTTP/1.1 200 OK\r\n\r\n",       /* ends with the connection */
										"HTTP/1.1 100 Continue\r\n\r\n", /* interim */
										"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc",    /* more than it says */
										"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nab",   /* no number */
										"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", /* not asked for */
										"SSH-2.0-OpenSSH_9\r\n\r\n"};
	for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
		char bytes[128];
		reply r;
		size_t len = strlen(TEXTS[i]);
		memcpy(bytes, TEXTS[i], len);
		reply_init(&r);
		ck_assert_msg(reply_feed(&r, bytes, len) == REPLY_BROKEN, "%s", TEXTS[i]);
	}
}
END_TEST

START_TEST(what_is_missing_is_known_from_the_length)
{
	char bytes[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc";
	reply r;
	reply_init(&r);
	ck_assert_int_eq(reply_feed(&r, bytes, sizeof bytes - 1), REPLY_MORE);
	ck_assert_uint_eq(reply_missing(&r, sizeof bytes - 1), 97);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_reply_with_a_length_ends_with_it, a_chunked_reply_becomes_one_body,
								  what_is_no_reply_to_one_request_is_broken, what_is_missing_is_known_from_the_length};
	return SUITE_RUN("cli/bench/reply", tests);
}
