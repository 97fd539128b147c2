#include "batch.h"
#include "suite.h"

#include <string.h>

static tg_message message(const char *key, size_t key_len, size_t value_len, int64_t timestamp_ms)
{
	static const char value[20000] = {0};
	return (tg_message){sizeof(tg_message), key, key_len, value, value_len, timestamp_ms, -1};
}

/* Section 3 of the contract, added up by hand. */
START_TEST(a_record_counts_as_fluvio_would_encode_it)
{
	/* attributes 1, two deltas 1 + 1, no key 1, value length 1, value 10, headers 1 = 16; its own length 1 */
	tg_message small = message(NULL, 0, 10, 5000);
	ck_assert_uint_eq(tgi_batch_record_bytes(NULL, &small), 17);
	/* key: flag 1, length 1, bytes 3 */
	tg_message keyed = message("abc", 3, 10, 5000);
	ck_assert_uint_eq(tgi_batch_record_bytes(NULL, &keyed), 21);
	/* from 64 bytes on a length takes two */
	tg_message edge = message(NULL, 0, 63, 5000);
	ck_assert_uint_eq(tgi_batch_record_bytes(NULL, &edge), 1 + 1 + 1 + 1 + 1 + 63 + 1 + 2);
	tg_message over = message(NULL, 0, 64, 5000);
	ck_assert_uint_eq(tgi_batch_record_bytes(NULL, &over), 1 + 1 + 1 + 1 + 2 + 64 + 1 + 2);
	/* from 8192 on three */
	tg_message large = message(NULL, 0, 8192, 5000);
	ck_assert_uint_eq(tgi_batch_record_bytes(NULL, &large), 1 + 1 + 1 + 1 + 3 + 8192 + 1 + 3);
}
END_TEST

START_TEST(deltas_of_time_and_offset_count)
{
	batch *b = tgi_batch_new(0, 5000, 0);
	tg_message first = message(NULL, 0, 10, 5000);
	tg_message later = message(NULL, 0, 10, 5064);
	tg_message earlier = message(NULL, 0, 10, 4936); /* -64 still fits in one byte */
	ck_assert(tgi_batch_add(b, &first));
	ck_assert_uint_eq(b->bytes, 61 + 17);
	ck_assert_uint_eq(tgi_batch_record_bytes(b, &later), 18);
	ck_assert_uint_eq(tgi_batch_record_bytes(b, &earlier), 17);
	for (int i = 1; i < 64; i++) {
		ck_assert(tgi_batch_add(b, &first));
	}
	ck_assert_uint_eq(b->bytes, 61 + 64 * 17);
	ck_assert_uint_eq(tgi_batch_record_bytes(b, &first), 18); /* the 65th: offset delta 64 */
	tgi_batch_unref(b);
}
END_TEST

START_TEST(records_are_written_as_packets)
{
	batch *b = tgi_batch_new(3, 7, 0);
	tg_message keyed = {sizeof keyed, "k1", 2, "hello", 5, 1705334225873, -1};
	tg_message none = {sizeof none, NULL, 0, NULL, 0, 9, -1};
	ck_assert(tgi_batch_add(b, &keyed) && tgi_batch_add(b, &none));
	/* the first one is the example of docs/streaming.md */
	static const char expected[] =
		"\0\0\0\x24\1\0\0\0\3\0\0\0\0\0\0\0\0\0\0\x01\x8d\x0d\xd7\x3b\xd1\0\0\0\2\0\0\0\0k1hello"
		"\0\0\0\x1d\1\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\xff\xff\xff\xff\0\0\0\0";
	ck_assert_uint_eq(b->packets.len, sizeof expected - 1);
	ck_assert_mem_eq(b->packets.ptr, expected, sizeof expected - 1);
	tgi_batch_unref(b);
}
END_TEST

START_TEST(what_is_no_utf8_is_seen)
{
	static const char *const good[] = {"", "plain", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80",
									  "\xc1\xbf",
									  "\xc2",
									  "\xe0\x9f\xbf",
									  "\xed\xa0\x80",
									  "\xf0\x8f\xbf\xbf",
									  "\xf4\x90\x80\x80",
									  "\xf5\x80\x80\x80"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ck_assert(tgi_buffer_is_text(good[i], strlen(good[i])));
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		ck_assert(!tgi_buffer_is_text(bad[i], strlen(bad[i])));
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_record_counts_as_fluvio_would_encode_it, deltas_of_time_and_offset_count,
								  records_are_written_as_packets, what_is_no_utf8_is_seen};
	return SUITE_RUN("client/batch", tests);
}
