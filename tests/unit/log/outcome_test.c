#include "log/outcome.h"

#include "suite.h"

#include <string.h>

enum { ARENA_BYTES = 4 << 20 };

static log_append decoded(arena *a)
{
	return (log_append){.arena = a};
}

static void expect_same(const log_append *one, const log_append *other, uint32_t records)
{
	ck_assert_uint_eq(one->result_count, other->result_count);
	for (uint32_t i = 0; i < one->result_count; i++) {
		ck_assert_int_eq(one->results[i].partition, other->results[i].partition);
		ck_assert_uint_eq(one->results[i].count, other->results[i].count);
		ck_assert_int_eq(one->results[i].base_offset, other->results[i].base_offset);
	}
	ck_assert_int_eq(one->result_of == NULL, other->result_of == NULL);
	for (uint32_t i = 0; one->result_of != NULL && i < records; i++) {
		ck_assert_uint_eq(one->result_of[i], other->result_of[i]);
	}
}

START_TEST(answer_of_one_partition_comes_back)
{
	arena *a = arena_new(ARENA_BYTES);
	buf b;
	log_append_result result = {.partition = 7, .count = 10000, .base_offset = INT64_MAX - 10000};
	log_append op = {.columns.count = 10000, .results = &result, .result_count = 1};
	log_append back = decoded(a);
	buf_init(&b, 65536);
	outcome_encode(&b, &op);
	ck_assert(outcome_decode(buf_str(&b), &back));
	expect_same(&op, &back, 10000);
	buf_dispose(&b);
	arena_free(a);
}
END_TEST

START_TEST(answer_without_records_comes_back)
{
	arena *a = arena_new(ARENA_BYTES);
	buf b;
	log_append_result result = {.partition = 0, .count = 0, .base_offset = 5};
	log_append closing = {.results = &result, .result_count = 1};
	log_append nothing = {.result_count = 0};
	log_append back = decoded(a);
	buf_init(&b, 65536);
	outcome_encode(&b, &closing);
	ck_assert(outcome_decode(buf_str(&b), &back));
	expect_same(&closing, &back, 0);
	buf_clear(&b);
	outcome_encode(&b, &nothing);
	ck_assert(outcome_decode(buf_str(&b), &back));
	expect_same(&nothing, &back, 0);
	buf_dispose(&b);
	arena_free(a);
}
END_TEST

/* 10 000 records over 1024 partitions: the largest there is. */
static void largest(arena *a, log_append *op)
{
	uint16_t *result_of = arena_alloc_array(a, LOG_RECORDS_PER_APPEND_MAX, sizeof *result_of);
	log_append_result *results = arena_alloc_zero(a, LOG_PARTITIONS_MAX * sizeof *results);
	for (uint32_t i = 0; i < LOG_RECORDS_PER_APPEND_MAX; i++) {
		result_of[i] = (uint16_t)(i * 7 % LOG_PARTITIONS_MAX);
		results[result_of[i]].count++;
	}
	for (int32_t i = 0; i < LOG_PARTITIONS_MAX; i++) {
		results[i].partition = i;
		results[i].base_offset = (int64_t)1 << 62;
	}
	*op = (log_append){.columns.count = LOG_RECORDS_PER_APPEND_MAX,
					   .results = results,
					   .result_count = LOG_PARTITIONS_MAX,
					   .result_of = result_of};
}

START_TEST(largest_answer_comes_back_and_fits_what_is_kept)
{
	arena *a = arena_new(ARENA_BYTES);
	buf b;
	log_append op;
	log_append back = decoded(a);
	largest(a, &op);
	buf_init(&b, 64 << 10); /* what the judge allows */
	outcome_encode(&b, &op);
	ck_assert(!b.failed);
	ck_assert(outcome_decode(buf_str(&b), &back));
	expect_same(&op, &back, LOG_RECORDS_PER_APPEND_MAX);
	buf_dispose(&b);
	arena_free(a);
}
END_TEST

static void two_partitions(log_append *op)
{
	static log_append_result results[] = {{.partition = 1, .count = 2, .base_offset = 10},
										  {.partition = 3, .count = 1, .base_offset = 20}};
	static const uint16_t result_of[] = {0, 1, 0};
	*op = (log_append){.columns.count = 3, .results = results, .result_count = 2, .result_of = result_of};
}

START_TEST(text_cut_anywhere_is_refused_and_changes_nothing)
{
	arena *a = arena_new(ARENA_BYTES);
	buf b;
	log_append op;
	two_partitions(&op);
	buf_init(&b, 65536);
	outcome_encode(&b, &op);
	for (size_t len = 0; len < b.len; len++) {
		/* Where the process may read no further. */
		char *exact = malloc(len + 1);
		log_append back = decoded(a);
		memcpy(exact, b.ptr, len);
		ck_assert_msg(!outcome_decode((str){exact, len}, &back), "cut at %zu", len);
		ck_assert_ptr_null(back.results);
		ck_assert_uint_eq(back.result_count, 0);
		free(exact);
	}
	buf_append_byte(&b, 0);
	log_append back = decoded(a);
	ck_assert(!outcome_decode(buf_str(&b), &back));
	ck_assert(!outcome_decode(STR_NONE, &back));
	buf_dispose(&b);
	arena_free(a);
}
END_TEST

/* What a reader would walk beyond its end with. */
START_TEST(text_that_contradicts_itself_is_refused)
{
#define RESULT(partition, records) "\0\0\0" partition "\0\0\0" records "\0\0\0\0\0\0\0\5"
	const struct {
		const char *what;
		str bytes;
		bool good;
	} table[] = {
		{"one result", STR("\0\0\0\1" RESULT("\1", "\2") "\0\0\0\0"), true},
		{"two results", STR("\0\0\0\2" RESULT("\1", "\2") RESULT("\2", "\1") "\0\0\0\3\0\0\0\1\0\0"), true},
		{"an index beyond the results", STR("\0\0\0\2" RESULT("\1", "\2") RESULT("\2", "\1") "\0\0\0\3\0\0\0\2\0\0"),
		 false},
		{"an index without results",
		 STR("\0\0\0\0"
			 "\0\0\0\1\0\0"),
		 false},
		{"more records than indexes", STR("\0\0\0\2" RESULT("\1", "\2") RESULT("\2", "\2") "\0\0\0\3\0\0\0\1\0\0"),
		 false},
		{"fewer records than indexes", STR("\0\0\0\2" RESULT("\1", "\1") RESULT("\2", "\1") "\0\0\0\3\0\0\0\1\0\0"),
		 false},
		{"several results and no index", STR("\0\0\0\2" RESULT("\1", "\2") RESULT("\2", "\1") "\0\0\0\0"), false},
		{"more records than an append may have", STR("\0\0\0\1\0\0\0\1\xff\xff\xff\xff\0\0\0\0\0\0\0\5\0\0\0\0"),
		 false},
		{"more results than partitions", STR("\0\0\4\1"), false},
		{"4 G results", STR("\xff\xff\xff\xff"), false},
		{"4 G indexes", STR("\0\0\0\1" RESULT("\1", "\2") "\xff\xff\xff\xff"), false},
		{"a negative partition", STR("\0\0\0\1\xff\xff\xff\xff\0\0\0\2\0\0\0\0\0\0\0\5\0\0\0\0"), false},
		{"a negative offset", STR("\0\0\0\1\0\0\0\1\0\0\0\2\xff\0\0\0\0\0\0\0\0\0\0\0"), false},
	};
#undef RESULT
	arena *a = arena_new(ARENA_BYTES);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		log_append back = decoded(a);
		ck_assert_msg(outcome_decode(table[i].bytes, &back) == table[i].good, "%s", table[i].what);
	}
	arena_free(a);
}
END_TEST

START_TEST(arena_without_room_is_told)
{
	arena *a = arena_new(ARENA_BYTES);
	buf b;
	log_append op;
	largest(a, &op);
	buf_init(&b, 65536);
	outcome_encode(&b, &op);
	for (size_t room = 0; room < 40000; room += 2000) {
		arena *small = arena_new(room);
		log_append back = decoded(small);
		bool fits = room >= 1025 * sizeof(log_append_result) + 10000 * sizeof(uint16_t) + 32;
		bool ok = outcome_decode(buf_str(&b), &back);
		ck_assert(fits || !ok);
		arena_free(small);
	}
	buf_dispose(&b);
	arena_free(a);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		answer_of_one_partition_comes_back,
		answer_without_records_comes_back,
		largest_answer_comes_back_and_fits_what_is_kept,
		text_cut_anywhere_is_refused_and_changes_nothing,
		text_that_contradicts_itself_is_refused,
		arena_without_room_is_told,
	};
	return SUITE_RUN("log/outcome", tests);
}
