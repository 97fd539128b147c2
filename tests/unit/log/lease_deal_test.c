#include "log/lease_deal.h"

#include "suite.h"

/* Deals `records` of a size; *given tells how many each share got. */
static uint32_t deal_all(lease_share *shares, size_t count, uint32_t records, uint64_t bytes)
{
	lease_deal d;
	uint32_t dealt = 0;
	lease_deal_begin(&d, shares, count);
	while (dealt < records && lease_deal_one(&d, bytes) != LEASE_NOBODY) {
		dealt++;
	}
	return dealt;
}

START_TEST(everybody_gets_alike)
{
	lease_share shares[4] = {{.wanted = 10}, {.wanted = 10}, {.wanted = 10}, {.wanted = 10}};
	ck_assert_uint_eq(deal_all(shares, 4, 20, 100), 20);
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(shares[i].given, 5);
		ck_assert_uint_eq(shares[i].wanted, 5);
		ck_assert_uint_eq(shares[i].bytes, 500);
	}
}
END_TEST

START_TEST(who_wants_less_leaves_the_rest_to_others)
{
	lease_share shares[3] = {{.wanted = 1}, {.wanted = 0}, {.wanted = 100}};
	ck_assert_uint_eq(deal_all(shares, 3, 1000, 1), 101);
	ck_assert_uint_eq(shares[0].given, 1);
	ck_assert_uint_eq(shares[1].given, 0);
	ck_assert_uint_eq(shares[2].given, 100);
}
END_TEST

START_TEST(shares_take_turns_from_the_first_on)
{
	lease_deal d;
	lease_share shares[3] = {{.wanted = 2}, {.wanted = 1}, {.wanted = 2}};
	const int64_t expected[] = {0, 1, 2, 0, 2, LEASE_NOBODY, LEASE_NOBODY};
	lease_deal_begin(&d, shares, 3);
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		ck_assert_int_eq(lease_deal_one(&d, 1), expected[i]);
	}
}
END_TEST

START_TEST(an_answer_that_is_full_is_closed)
{
	lease_share shares[2] = {{.wanted = 10}, {.wanted = 10}};
	ck_assert_uint_eq(deal_all(shares, 2, 100, LOG_LEASE_CLAIM_BYTES / 2), 4);
	ck_assert_uint_eq(shares[0].given, 2);
	ck_assert_uint_eq(shares[1].given, 2);
	ck_assert_uint_eq(shares[0].wanted, 0);
}
END_TEST

START_TEST(a_record_that_is_larger_than_an_answer_goes_alone)
{
	lease_share shares[2] = {{.wanted = 10}, {.wanted = 10}};
	ck_assert_uint_eq(deal_all(shares, 2, 100, 3 * (uint64_t)LOG_LEASE_CLAIM_BYTES), 2);
}
END_TEST

START_TEST(nobody_wants_anything)
{
	lease_deal d;
	lease_deal_begin(&d, NULL, 0);
	ck_assert_int_eq(lease_deal_one(&d, 1), LEASE_NOBODY);
	ck_assert_uint_eq(d.wanted, 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		everybody_gets_alike,
		who_wants_less_leaves_the_rest_to_others,
		shares_take_turns_from_the_first_on,
		an_answer_that_is_full_is_closed,
		a_record_that_is_larger_than_an_answer_goes_alone,
		nobody_wants_anything,
	};
	return SUITE_RUN("log/lease_deal", tests);
}
