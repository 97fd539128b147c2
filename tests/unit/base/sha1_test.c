#include "base/buf.h"
#include "base/sha1.h"
#include "base/text.h"
#include "suite.h"

static void check(str text, const char *hex)
{
	unsigned char digest[SHA1_BYTES];
	buf out;
	sha1(text, digest);
	buf_init(&out, 64);
	text_hex_encode(&out, (str){(const char *)digest, sizeof digest});
	ck_assert_view_eq(buf_str(&out), str_from_c(hex));
	buf_dispose(&out);
}

START_TEST(digests_are_those_of_the_standard)
{
	check(STR(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	check(STR("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
	check(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}
END_TEST

START_TEST(padding_is_right_at_the_edges_of_a_block)
{
	/* 55 and 56 bytes: the length still fits, and no longer fits, behind the text; 64: a whole block. */
	check(STR("0123456789012345678901234567890123456789012345678901234"), "9f3a4ce7f66b1b74c34da2c5d732c39f81e0f8df");
	check(STR("01234567890123456789012345678901234567890123456789012345"), "0a40b8fbdaafb7c29651618ac15d27e772287130");
	check(STR("0123456789012345678901234567890123456789012345678901234567890123"),
		  "cf0800f7644ace3cb4c3fa33388d3ba0ea3c8b6e");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		digests_are_those_of_the_standard,
		padding_is_right_at_the_edges_of_a_block,
	};
	return SUITE_RUN("base/sha1", tests);
}
