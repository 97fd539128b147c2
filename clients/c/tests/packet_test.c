#include "packet.h"
#include "suite.h"

#include <string.h>

static packet take(char *bytes, size_t len)
{
	packet p = {0};
	ck_assert_uint_eq(tgi_packet_take(bytes, len, &p), len);
	return p;
}

START_TEST(a_record_is_read_as_it_was_written)
{
	buffer b = {0};
	tg_record r;
	tg_message m = {sizeof m, "\xff\0", 2, "value", 5, 1705334225873, -1};
	tgi_packet_write_record(&b, 70000, &m);
	packet p = take(b.ptr, b.len);
	ck_assert(p.type == PACKET_RECORD && tgi_packet_read_record(&p, &r));
	ck_assert(r.partition == 70000 && r.timestamp_ms == 1705334225873 && r.key_len == 2 && r.value_len == 5);
	ck_assert_mem_eq(r.key, "\xff\0", 2);
	ck_assert_mem_eq(r.value, "value", 5);
	tgi_buffer_dispose(&b);
}
END_TEST

START_TEST(no_key_is_not_an_empty_key)
{
	buffer b = {0};
	tg_record r;
	tg_message m = {sizeof m, NULL, 0, NULL, 0, 1, -1};
	tgi_packet_write_record(&b, 0, &m);
	packet p = take(b.ptr, b.len);
	ck_assert(tgi_packet_read_record(&p, &r) && r.key == NULL && r.value != NULL && r.value_len == 0);
	tgi_buffer_clear(&b);
	m.key = "";
	tgi_packet_write_record(&b, 0, &m);
	p = take(b.ptr, b.len);
	ck_assert(tgi_packet_read_record(&p, &r) && r.key != NULL && r.key_len == 0);
	tgi_buffer_dispose(&b);
}
END_TEST

START_TEST(headers_are_skipped)
{
	char bytes[] = "\0\0\0\x23\1\0\0\0\3\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x09\0\0\0\1\0\0\0\2k[]abc";
	tg_record r;
	packet p = take(bytes, sizeof bytes - 1);
	ck_assert(tgi_packet_read_record(&p, &r) && r.offset == 7 && r.key_len == 1 && r.value_len == 3);
	ck_assert_mem_eq(r.value, "abc", 3);
}
END_TEST

START_TEST(what_does_not_fit_its_lengths_is_refused)
{
	char bytes[] = "\0\0\0\x1d\1\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\xff\xff\xff\xff\0\0\0\0";
	size_t len = sizeof bytes - 1;
	packet p;
	tg_record r;
	packet_gap gap;
	for (size_t shorter = 0; shorter < len; shorter++) {
		ck_assert_uint_eq(tgi_packet_take(bytes, shorter, &p), 0);
	}
	static const char *const lengths[] = {"\0\0\0\1\0\0\0\0", "\xff\xff\xff\xff\0\0\0\1", "\0\0\0\0\x80\0\0\0",
										  "\x7f\xff\xff\xff\xff\xff\xff\xff"};
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		memcpy(bytes + 25, lengths[i], 8);
		p = take(bytes, len);
		ck_assert(!tgi_packet_read_record(&p, &r));
		ck_assert(!tgi_packet_read_gap(&p, &gap));
	}
	ck_assert_uint_eq(tgi_packet_take((char[]){0, 0, 0, 0, 1}, 5, &p), 0);
}
END_TEST

START_TEST(gaps_and_positions_are_read)
{
	buffer b = {0};
	packet_gap gap;
	const packet_gap lost = {3, 5, INT64_C(1) << 40};
	int32_t partition;
	int64_t offset;
	tgi_packet_write_gap(&b, &lost);
	packet p = take(b.ptr, b.len);
	ck_assert(p.type == PACKET_GAP && tgi_packet_read_gap(&p, &gap) && gap.partition == 3 && gap.from == 5 &&
			  gap.to == INT64_C(1) << 40);
	char caught_up[] = "\0\0\0\x19\3\0\0\0\2\0\0\0\2\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x01\0";
	p = take(caught_up, sizeof caught_up - 1);
	ck_assert(tgi_packet_read_caught_up(&p, 0, &partition, &offset) && partition == 2 && offset == 7);
	ck_assert(tgi_packet_read_caught_up(&p, 1, &partition, &offset) && partition == 3 && offset == 256);
	ck_assert(!tgi_packet_read_caught_up(&p, 2, &partition, &offset));
	char page_end[] = "\0\0\0\x1d\6\0\0\0\1\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b";
	p = take(page_end, sizeof page_end - 1);
	ck_assert(p.type == PACKET_PAGE_END && tgi_packet_read_page_end(&p, &partition, &offset) && partition == 1 &&
			  offset == 10);
	tgi_buffer_dispose(&b);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_record_is_read_as_it_was_written, no_key_is_not_an_empty_key, headers_are_skipped,
								  what_does_not_fit_its_lengths_is_refused, gaps_and_positions_are_read};
	return SUITE_RUN("client/packet", tests);
}
