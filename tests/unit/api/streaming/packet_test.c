#include "suite.h"

#include "api/streaming/packet.h"
#include "api/streaming/produce_body.h"
#include "base/arena.h"

static buf out;

static str written(void)
{
	return buf_str(&out);
}

static void setup(void)
{
	buf_dispose(&out);
	buf_init(&out, 4096);
}

START_TEST(a_record_is_these_bytes)
{
	setup();
	const log_record r = {.partition = 3,
						  .offset = 0x0102030405060708,
						  .timestamp_ms = 1705334225873,
						  .key = STR("k1"),
						  .headers = STR("[[\"a\",\"b\"]]"),
						  .value = STR("hello")};
	packet_write_record(&out, &r);
	ck_assert_view_eq(written(), STR("\0\0\0\x2f\1\0\0\0\3\1\2\3\4\5\6\7\x08\0\0\1\x8d\x0d\xd7\x3b\xd1\0\0\0\2\0\0\0\xb"
									 "k1[[\"a\",\"b\"]]hello"));
}
END_TEST

START_TEST(other_packets_are_these_bytes)
{
	const log_gap gap = {.from = 1, .to = 0x100};
	setup();
	packet_write_gap(&out, 2, &gap);
	ck_assert_view_eq(written(), STR("\0\0\0\x15\2\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\1\0"));
	setup();
	packet_write_heartbeat(&out);
	ck_assert_view_eq(written(), STR("\0\0\0\1\4"));
	setup();
	packet_write_event(&out, STR("{}"));
	ck_assert_view_eq(written(), STR("\0\0\0\3\5{}"));
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
	const log_record records[] = {
		{.partition = -1, .value = STR("")},
		{.partition = 7, .offset = INT64_MAX, .timestamp_ms = 1, .key = STR(""), .value = STR("v")},
		{.key = STR("k"), .headers = STR("[]"), .value = STR("\0")},
	};
	setup();
	for (size_t i = 0; i < 3; i++) {
		packet_write_record(&out, &records[i]);
	}
	str rest = written();
	for (size_t i = 0; i < 3; i++) {
		packet p;
		log_record r;
		ck_assert(packet_take(&rest, &p) && p.type == PACKET_RECORD && packet_read_record(p.body, &r));
		ck_assert_int_eq(r.partition, records[i].partition);
		ck_assert_int_eq(r.offset, records[i].offset);
		ck_assert_int_eq(r.timestamp_ms, records[i].timestamp_ms);
		ck_assert_int_eq(r.key.ptr != NULL, records[i].key.ptr != NULL);
		ck_assert_view_eq(r.key, records[i].key);
		ck_assert_view_eq(r.headers, records[i].headers);
		ck_assert_view_eq(r.value, records[i].value);
	}
	ck_assert_uint_eq(rest.len, 0);
}
END_TEST

START_TEST(a_packet_that_is_cut_is_not_taken)
{
	const log_record r = {.key = STR("key"), .value = STR("value")};
	setup();
	packet_write_record(&out, &r);
	for (size_t len = 0; len < written().len; len++) {
		str rest = str_take(written(), len);
		packet p;
		ck_assert(!packet_take(&rest, &p));
		ck_assert_uint_eq(rest.len, len);
	}
}
END_TEST

START_TEST(a_batch_has_only_the_columns_that_are_used_and_copies_nothing)
{
	const log_record plain = {.partition = PRODUCE_ANY_PARTITION, .value = STR("plain")};
	arena *memory = arena_new(1 << 20);
	produce_batch batch;
	err e;
	setup();
	packet_write_record(&out, &plain);
	packet_write_record(&out, &plain);
	ck_assert(produce_decode_packets(written(), memory, &batch, &e));
	ck_assert_uint_eq(batch.columns.count, 2);
	ck_assert_ptr_null(batch.columns.keys);
	ck_assert_ptr_null(batch.columns.headers);
	ck_assert_ptr_null(batch.columns.timestamps_ms);
	ck_assert_ptr_null(batch.partitions);
	ck_assert_ptr_eq(batch.columns.values[1].ptr, out.ptr + out.len - 5);
	arena_free(memory);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_record_is_these_bytes,
		other_packets_are_these_bytes,
		what_is_written_is_read_again,
		a_packet_that_is_cut_is_not_taken,
		a_batch_has_only_the_columns_that_are_used_and_copies_nothing,
	};
	return SUITE_RUN("api/streaming/packet", tests);
}
