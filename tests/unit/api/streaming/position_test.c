#include "suite.h"

#include "api/streaming/position.h"
#include "base/text.h"

#include <string.h>

static const log_topic topic = {.topic_id = 42, .partitions = 4};
static arena *memory;
static buf text;

static log_position *make(int32_t first, int32_t count, const int64_t *offsets)
{
	arena_free(memory);
	memory = arena_new(1 << 24);
	log_position *p = position_new(memory, first, count);
	for (int32_t i = 0; i < count; i++) {
		p->offsets[i] = offsets[i];
	}
	return p;
}

static str write(const log_position *p)
{
	buf_dispose(&text);
	buf_init(&text, 1 << 20);
	position_write(&text, &topic, p);
	ck_assert(!text.failed);
	return buf_str(&text);
}

static void expect_round_trip(int32_t first, int32_t count, const int64_t *offsets, size_t most_bytes)
{
	log_position *back = NULL;
	log_position *p = make(first, count, offsets);
	str written = write(p);
	ck_assert_msg(written.len <= most_bytes, "%zu bytes", written.len);
	ck_assert_int_eq(position_read(written, &topic, memory, &back), POSITION_OF_TOPIC);
	ck_assert_int_eq(back->first, first);
	ck_assert_int_eq(back->count, count);
	ck_assert_mem_eq(back->offsets, offsets, (size_t)count * sizeof offsets[0]);
}

START_TEST(positions_come_back)
{
	expect_round_trip(0, 1, (int64_t[]){0}, 8);
	expect_round_trip(3, 1, (int64_t[]){127}, 8);
	expect_round_trip(0, 1, (int64_t[]){1000000}, 11);
	expect_round_trip(0, 1, (int64_t[]){INT64_MAX}, 20);
	expect_round_trip(0, 4, (int64_t[]){5, 3, 3, 9}, 14);
	expect_round_trip(0, 4, (int64_t[]){INT64_MAX, 0, 1, INT64_MAX}, 60);
	expect_round_trip(1020, 4, (int64_t[]){1, 2, 3, 4}, 16);
}
END_TEST

START_TEST(many_partitions_stay_short)
{
	int64_t offsets[LOG_PARTITIONS_MAX];
	for (int i = 0; i < LOG_PARTITIONS_MAX; i++) {
		offsets[i] = 1000000 + i % 100;
	}
	expect_round_trip(0, LOG_PARTITIONS_MAX, offsets, LOG_PARTITIONS_MAX * 4 / 3 + 20);
	for (int i = 0; i < LOG_PARTITIONS_MAX; i++) {
		offsets[i] = i % 2 == 0 ? INT64_MAX : 0;
	}
	expect_round_trip(0, LOG_PARTITIONS_MAX, offsets, 20000);
}
END_TEST

START_TEST(another_incarnation_is_told_apart)
{
	log_position *back = NULL;
	str written = write(make(0, 1, (int64_t[]){7}));
	log_topic other = {.topic_id = 43, .partitions = 4};
	ck_assert_int_eq(position_read(written, &other, memory, &back), POSITION_OF_EARLIER_TOPIC);
	ck_assert_ptr_null(back);
}
END_TEST

static void expect_broken(str bytes, const char *why)
{
	log_position *back = NULL;
	buf encoded;
	buf_init(&encoded, 1 << 16);
	text_base64url_encode(&encoded, bytes);
	ck_assert_msg(position_read(buf_str(&encoded), &topic, memory, &back) == POSITION_BROKEN, "%s", why);
	ck_assert_ptr_null(back);
	buf_dispose(&encoded);
}

START_TEST(what_never_was_a_position_is_broken)
{
	log_position *back = NULL;
	static const char *const texts[] = {"", "!", "AAAA", "x", "not a cursor", "null", "0"};
	make(0, 1, (int64_t[]){7});
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		ck_assert_int_eq(position_read(str_from_c(texts[i]), &topic, memory, &back), POSITION_BROKEN);
	}
	expect_broken((str){"\x02\0\0\0\1\0", 6}, "another version");
	expect_broken((str){"\x01\0\0\0\0\0", 6}, "no partitions");
	expect_broken((str){"\x01\0\0\xff\x07\x02\0\0\0", 9}, "beyond the last partition");
	expect_broken((str){"\x01\0\0\0\x81\x08\0", 7}, "too many partitions");
	expect_broken((str){"\x01\0\0\0\1\0\0", 7}, "more than it says");
	expect_broken((str){"\x01\0\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 15}, "a negative offset");
	expect_broken((str){"\x01\0\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 16}, "an endless number");
	expect_broken((str){"\x01\0\0\0\2\xff\xff\xff\xff\xff\xff\xff\xff\x7f\0\1", 16}, "an offset past the largest");
}
END_TEST

START_TEST(a_part_of_a_position_is_broken)
{
	log_position *back = NULL;
	str bytes;
	str written = write(make(0, 4, (int64_t[]){300, 5, 70000, 9}));
	ck_assert(text_base64url_decode(memory, written, &bytes));
	for (size_t len = 0; len < bytes.len; len++) {
		expect_broken(str_take(bytes, len), "cut");
	}
	ck_assert_int_eq(position_read(written, &topic, memory, &back), POSITION_OF_TOPIC);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		positions_come_back,
		many_partitions_stay_short,
		another_incarnation_is_told_apart,
		what_never_was_a_position_is_broken,
		a_part_of_a_position_is_broken,
	};
	int failed = SUITE_RUN("api/streaming/position", tests);
	arena_free(memory);
	buf_dispose(&text);
	return failed;
}
