#include "suite.h"

#include "api/topics/queue_body.h"

#include <string.h>

static void expect_lease(const char *text, int64_t number)
{
	int64_t got = 0;
	ck_assert_msg(queue_parse_lease_id(str_from_c(text), &got), "%s", text);
	ck_assert_msg(got == number, "%s: %lld", text, (long long)got);
}

START_TEST(lease_ids_come_back)
{
	const int64_t numbers[] = {1, 15, 16, 0x1f, 1700000000000000, INT64_MAX};
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		buf text;
		int64_t got = 0;
		buf_init(&text, 64);
		queue_write_lease_id(&text, numbers[i]);
		ck_assert(queue_parse_lease_id(buf_str(&text), &got));
		ck_assert_int_eq(got, numbers[i]);
		buf_dispose(&text);
	}
}
END_TEST

START_TEST(well_formed_ids_that_are_no_lease_of_ours_match_none)
{
	expect_lease("lease_0", -1);
	expect_lease("lease_0000000000000000", -1);
	expect_lease("lease_8000000000000000", -1);
	expect_lease("lease_ffffffffffffffff", -1);
	expect_lease("lease_000000000000001f", 0x1f);
	expect_lease("lease_1F", 0x1f);
}
END_TEST

START_TEST(anything_else_is_no_lease_id)
{
	const char *const wrong[] = {"",        "1f",       "lease_",     "lease_g", "lease_1 ", " lease_1",
								 "Lease_1", "lease_-1", "lease_0x1f", "lease",   "lease_1_", "lease_11111111111111111"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		int64_t number = 7;
		ck_assert_msg(!queue_parse_lease_id(str_from_c(wrong[i]), &number), "%s", wrong[i]);
		ck_assert_int_eq(number, 7);
	}
}
END_TEST

START_TEST(numbers_are_clamped)
{
	ck_assert_uint_eq(queue_clamp_max(0, 1000), 1);
	ck_assert_uint_eq(queue_clamp_max(1, 1000), 1);
	ck_assert_uint_eq(queue_clamp_max(1000, 1000), 1000);
	ck_assert_uint_eq(queue_clamp_max(1001, 1000), 1000);
	ck_assert_uint_eq(queue_clamp_max(UINT64_MAX, 1000), 1000);
	ck_assert_uint_eq(queue_clamp_max(1000, 7), 7);
	ck_assert_int_eq(queue_clamp_lease(0), 100);
	ck_assert_int_eq(queue_clamp_lease(100), 100);
	ck_assert_int_eq(queue_clamp_lease(86400000), 86400000);
	ck_assert_int_eq(queue_clamp_lease(UINT64_MAX), 86400000);
}
END_TEST

START_TEST(nodes_are_short_and_not_empty)
{
	char text[QUEUE_NODE_BYTES_MAX + 1];
	err e;
	memset(text, 'n', sizeof text);
	ck_assert(queue_check_node((str){text, QUEUE_NODE_BYTES_MAX}, &e));
	ck_assert(queue_check_node(STR("w"), &e));
	ck_assert(!queue_check_node((str){text, sizeof text}, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	ck_assert(!queue_check_node(STR(""), &e));
	ck_assert(!queue_check_node(STR_NONE, &e));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		lease_ids_come_back,           well_formed_ids_that_are_no_lease_of_ours_match_none,
		anything_else_is_no_lease_id,  numbers_are_clamped,
		nodes_are_short_and_not_empty,
	};
	return SUITE_RUN("api/topics/queue_body", tests);
}
