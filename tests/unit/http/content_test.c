#include "encode.h"
#include "suite.h"

#include <string.h>

enum { MIXED_BYTES = 300000, BOMB_BYTES = 64 * 1024 * 1024 };

static const content_encoding ENCODINGS[] = {CONTENT_GZIP, CONTENT_ZSTD, CONTENT_LZ4, CONTENT_SNAPPY};
enum { ENCODING_COUNT = sizeof ENCODINGS / sizeof ENCODINGS[0] };

static buf plain;
static buf packed;
static buf out;

/* Half text that shrinks, half noise that does not. */
static str mixed(void)
{
	uint32_t noise = 1;
	buf_clear(&plain);
	for (size_t i = 0; i < MIXED_BYTES; i++) {
		noise = noise * 1664525U + 1013904223U;
		buf_append_byte(&plain, i % 40000 < 20000 ? (char)('a' + i % 7) : (char)(noise >> 24));
	}
	return buf_str(&plain);
}

static str pack(content_encoding encoding, str text)
{
	buf_clear(&packed);
	encode(encoding, text, &packed);
	return buf_str(&packed);
}

/* Feeds in pieces of `piece` bytes; the end is checked, too. */
static content_result decode(content_encoding encoding, str in, size_t piece, uint64_t max_bytes)
{
	content *c = content_new(encoding);
	content_result result = CONTENT_OK;
	ck_assert_ptr_nonnull(c);
	buf_clear(&out);
	while (in.len > 0 && result == CONTENT_OK) {
		result = content_feed(c, str_take(in, piece), max_bytes, &out);
		in = str_skip(in, piece);
	}
	if (result == CONTENT_OK) {
		result = content_finish(c);
	}
	content_free(c);
	return result;
}

START_TEST(every_encoding_comes_back_whatever_the_pieces)
{
	static const size_t pieces[] = {1, 3, 1000, 65536, SIZE_MAX};
	str text = mixed();
	for (size_t e = 0; e < ENCODING_COUNT; e++) {
		str in = pack(ENCODINGS[e], text);
		for (size_t p = 0; p < sizeof pieces / sizeof pieces[0]; p++) {
			ck_assert_int_eq(decode(ENCODINGS[e], in, pieces[p], MIXED_BYTES), CONTENT_OK);
			ck_assert_msg(str_equal(buf_str(&out), text), "%s in pieces of %zu", encode_name(ENCODINGS[e]), pieces[p]);
		}
	}
}
END_TEST

START_TEST(an_empty_body_can_be_encoded)
{
	for (size_t e = 0; e < ENCODING_COUNT; e++) {
		ck_assert_int_eq(decode(ENCODINGS[e], pack(ENCODINGS[e], STR("")), 1, 10), CONTENT_OK);
		ck_assert_uint_eq(out.len, 0);
		/* No bytes at all are no encoded body. */
		ck_assert_int_eq(decode(ENCODINGS[e], STR(""), 1, 10), CONTENT_CORRUPT);
	}
}
END_TEST

START_TEST(members_and_frames_can_follow_each_other)
{
	for (size_t e = 0; e < ENCODING_COUNT; e++) {
		buf_clear(&packed);
		encode(ENCODINGS[e], STR("one,"), &packed);
		encode(ENCODINGS[e], STR("two"), &packed);
		for (size_t piece = 1; piece < 100; piece += 9) {
			ck_assert_int_eq(decode(ENCODINGS[e], buf_str(&packed), piece, 100), CONTENT_OK);
			ck_assert_view_eq(buf_str(&out), STR("one,two"));
		}
	}
}
END_TEST

START_TEST(every_truncation_is_noticed)
{
	for (size_t e = 0; e < ENCODING_COUNT; e++) {
		str in = pack(ENCODINGS[e], STR("some text, some text, some text that is cut short"));
		/* A snappy stream of its identifier alone is an empty body; elsewhere nothing shorter is whole. */
		for (size_t len = 0; len < in.len; len++) {
			bool is_whole = ENCODINGS[e] == CONTENT_SNAPPY && len == 10;
			content_result wanted = is_whole ? CONTENT_OK : CONTENT_CORRUPT;
			ck_assert_msg(decode(ENCODINGS[e], str_take(in, len), 7, 1000) == wanted, "%s cut at %zu of %zu",
						  encode_name(ENCODINGS[e]), len, in.len);
		}
	}
}
END_TEST

START_TEST(flipped_bits_never_pass_for_the_text)
{
	str text = STR("some text, some text, some text that will be damaged on the way to its reader");
	for (size_t e = 0; e < ENCODING_COUNT; e++) {
		str in = pack(ENCODINGS[e], text);
		for (size_t bit = 0; bit < in.len * 8; bit++) {
			packed.ptr[bit / 8] = (char)(packed.ptr[bit / 8] ^ (1 << bit % 8));
			/* zstd and lz4 have no checksum unless asked: damage may go unnoticed, but must do no harm. */
			content_result result = decode(ENCODINGS[e], in, 13, 1 << 20);
			bool has_checksum = ENCODINGS[e] == CONTENT_GZIP || ENCODINGS[e] == CONTENT_SNAPPY;
			if (has_checksum && result == CONTENT_OK) {
				ck_assert_msg(out.len == 0 || str_equal(buf_str(&out), text), "%s, bit %zu", encode_name(ENCODINGS[e]),
							  bit);
			}
			packed.ptr[bit / 8] = (char)(packed.ptr[bit / 8] ^ (1 << bit % 8));
		}
	}
}
END_TEST

START_TEST(bytes_after_the_end_are_refused)
{
	for (size_t e = 0; e < ENCODING_COUNT; e++) {
		pack(ENCODINGS[e], STR("text"));
		buf_append_str(&packed, STR("xx"));
		ck_assert_msg(decode(ENCODINGS[e], buf_str(&packed), 1000, 1000) == CONTENT_CORRUPT, "%s",
					  encode_name(ENCODINGS[e]));
	}
}
END_TEST

START_TEST(a_body_of_exactly_the_limit_passes_and_one_more_byte_does_not)
{
	str text = mixed();
	for (size_t e = 0; e < ENCODING_COUNT; e++) {
		str in = pack(ENCODINGS[e], text);
		ck_assert_int_eq(decode(ENCODINGS[e], in, 1000, MIXED_BYTES), CONTENT_OK);
		ck_assert_int_eq(decode(ENCODINGS[e], in, 1000, MIXED_BYTES - 1), CONTENT_TOO_LARGE);
		ck_assert_uint_le(out.len, MIXED_BYTES);
	}
}
END_TEST

START_TEST(a_bomb_stops_at_the_limit)
{
	buf_clear(&plain);
	ck_assert(buf_reserve(&plain, BOMB_BYTES));
	memset(plain.ptr, 0, BOMB_BYTES);
	plain.len = BOMB_BYTES;
	for (size_t e = 0; e < ENCODING_COUNT; e++) {
		str in = pack(ENCODINGS[e], buf_str(&plain));
		buf_dispose(&out);
		ck_assert_int_eq(decode(ENCODINGS[e], in, SIZE_MAX, 100000), CONTENT_TOO_LARGE);
		ck_assert_uint_le(out.len, 100000);
		ck_assert_uint_le(out.capacity, 512 * 1024);
	}
	buf_dispose(&plain);
}
END_TEST

START_TEST(zstd_formats_from_before_its_specification_are_refused)
{
	/* What the library itself would take for an empty frame of version 0.5. */
	ck_assert_int_eq(decode(CONTENT_ZSTD, STR("\x25\xb5\x2f\xfd\0\xc0\0\0"), SIZE_MAX, 1000), CONTENT_CORRUPT);
	/* A skippable frame, then an ordinary one. */
	buf_clear(&packed);
	buf_append_str(&packed, STR("\x5f\x2a\x4d\x18\2\0\0\0xx"));
	encode(CONTENT_ZSTD, STR("text"), &packed);
	ck_assert_int_eq(decode(CONTENT_ZSTD, buf_str(&packed), 3, 1000), CONTENT_OK);
	ck_assert_view_eq(buf_str(&out), STR("text"));
}
END_TEST

START_TEST(snappy_framing_rules_are_kept)
{
	static const struct {
		str bytes;
		content_result wanted;
	} cases[] = {
		/* No identifier first. */
		{{"\x01\x05\0\0\0\0\0\0x", 9}, CONTENT_CORRUPT},
		/* The identifier is something else. */
		{{"\xff\x06\0\0sNaPpX", 10}, CONTENT_CORRUPT},
		{{"\xff\x05\0\0sNaPp", 9}, CONTENT_CORRUPT},
		/* Padding and other skippable chunks, empty and not, and a second identifier. */
		{{"\xff\x06\0\0sNaPpY\xfe\x03\0\0xxx\x80\0\0\0\xff\x06\0\0sNaPpY", 31}, CONTENT_OK},
		/* A chunk type that must not be skipped. */
		{{"\xff\x06\0\0sNaPpY\x02\x01\0\0x", 15}, CONTENT_CORRUPT},
		/* Too short for its checksum. */
		{{"\xff\x06\0\0sNaPpY\x01\x03\0\0xxx", 17}, CONTENT_CORRUPT},
		/* Longer than 64 KiB of plain bytes. */
		{{"\xff\x06\0\0sNaPpY\x01\x05\0\x02xxxx", 18}, CONTENT_CORRUPT},
		/* A checksum that is wrong. */
		{{"\xff\x06\0\0sNaPpY\x01\x05\0\0xxxxy", 19}, CONTENT_CORRUPT},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(decode(CONTENT_SNAPPY, cases[i].bytes, 5, 1000) == cases[i].wanted, "case %zu", i);
		ck_assert_uint_eq(out.len, 0);
	}
}
END_TEST

START_TEST(names_are_recognised_without_case_and_stacks_are_unknown)
{
	ck_assert_int_eq(content_encoding_parse(STR_NONE), CONTENT_IDENTITY);
	ck_assert_int_eq(content_encoding_parse(STR(" GZip ")), CONTENT_GZIP);
	ck_assert_int_eq(content_encoding_parse(STR("x-gzip")), CONTENT_GZIP);
	ck_assert_int_eq(content_encoding_parse(STR("identity")), CONTENT_IDENTITY);
	ck_assert_int_eq(content_encoding_parse(STR("zstd")), CONTENT_ZSTD);
	ck_assert_int_eq(content_encoding_parse(STR("lz4")), CONTENT_LZ4);
	ck_assert_int_eq(content_encoding_parse(STR("snappy")), CONTENT_SNAPPY);
	ck_assert_int_eq(content_encoding_parse(STR("gzip, gzip")), CONTENT_UNKNOWN);
	ck_assert_int_eq(content_encoding_parse(STR("br")), CONTENT_UNKNOWN);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		every_encoding_comes_back_whatever_the_pieces,
		an_empty_body_can_be_encoded,
		members_and_frames_can_follow_each_other,
		every_truncation_is_noticed,
		flipped_bits_never_pass_for_the_text,
		bytes_after_the_end_are_refused,
		a_body_of_exactly_the_limit_passes_and_one_more_byte_does_not,
		a_bomb_stops_at_the_limit,
		zstd_formats_from_before_its_specification_are_refused,
		snappy_framing_rules_are_kept,
		names_are_recognised_without_case_and_stacks_are_unknown,
	};
	buf_init(&plain, 2UL * BOMB_BYTES);
	buf_init(&packed, 2UL * BOMB_BYTES);
	buf_init(&out, 2UL * BOMB_BYTES);
	int failed = SUITE_RUN("http/content", tests);
	buf_dispose(&plain);
	buf_dispose(&packed);
	buf_dispose(&out);
	return failed;
}
