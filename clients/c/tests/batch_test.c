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

START_TEST(text_travels_as_text_and_bytes_as_base64)
{
	batch *b = tgi_batch_new(3, 7, 0);
	tg_message text = {sizeof text, "k\"1", 3, "a\nb", 3, 7, -1};
	tg_message bytes = {sizeof bytes, "\xff", 1, "plain", 5, 8, -1};
	tg_message none = {sizeof none, NULL, 0, NULL, 0, 9, -1};
	ck_assert(tgi_batch_add(b, &text) && tgi_batch_add(b, &bytes) && tgi_batch_add(b, &none));
	static const char expected[] =
		"{\"partition\":3,\"timestamp\":7,\"key\":\"k\\u00221\",\"value\":\"a\\u000ab\"}\n"
		"{\"partition\":3,\"timestamp\":8,\"key\":\"/w==\",\"value\":\"cGxhaW4=\",\"encoding\":\"base64\"}\n"
		"{\"partition\":3,\"timestamp\":9,\"value\":\"\"}\n";
	ck_assert_uint_eq(b->lines.len, sizeof expected - 1);
	ck_assert_mem_eq(b->lines.ptr, expected, sizeof expected - 1);
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

START_TEST(base64_comes_back_as_it_was)
{
	for (size_t len = 0; len < 70; len++) {
		unsigned char bytes[70];
		buffer text = {0};
		buffer back = {0};
		for (size_t i = 0; i < len; i++) {
			bytes[i] = (unsigned char)(i * 37 + len * 11);
		}
		tgi_buffer_base64(&text, bytes, len);
		ck_assert(tgi_buffer_from_base64(&back, text.len > 0 ? text.ptr : "", text.len));
		ck_assert_uint_eq(back.len, len);
		ck_assert(len == 0 || memcmp(back.ptr, bytes, len) == 0);
		tgi_buffer_dispose(&text);
		tgi_buffer_dispose(&back);
	}
	buffer none = {0};
	ck_assert(!tgi_buffer_from_base64(&none, "abc", 3));
	ck_assert(!tgi_buffer_from_base64(&none, "ab=c", 4));
	ck_assert(!tgi_buffer_from_base64(&none, "a\x01==", 4));
	tgi_buffer_dispose(&none);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_record_counts_as_fluvio_would_encode_it, deltas_of_time_and_offset_count,
								  text_travels_as_text_and_bytes_as_base64, what_is_no_utf8_is_seen,
								  base64_comes_back_as_it_was};
	return SUITE_RUN("client/batch", tests);
}
