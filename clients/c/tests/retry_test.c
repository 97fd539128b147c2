#include "retry.h"
#include "suite.h"

static tg_retry_policy policy(tg_retry_strategy strategy, int64_t initial_ms, int64_t max_ms)
{
	return (tg_retry_policy){sizeof(tg_retry_policy), strategy, 4, initial_ms, max_ms, 300000};
}

static void check_delays(tg_retry_policy p, const int64_t *expected, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(tgi_retry_delay_ms(&p, (uint32_t)i), expected[i]);
	}
}

START_TEST(exponential_delays_multiply_by_the_first_one)
{
	const int64_t defaults[] = {20, 400, 8000, 160000, 200000, 200000};
	const int64_t ten[] = {10, 100, 1000, 1500, 1500};
	check_delays(policy(TG_RETRY_EXPONENTIAL, 20, 200000), defaults, 6);
	check_delays(policy(TG_RETRY_EXPONENTIAL, 10, 1500), ten, 5);
}
END_TEST

START_TEST(fibonacci_and_fixed_delays)
{
	const int64_t fibonacci[] = {10, 10, 20, 30, 50, 60, 60};
	const int64_t fixed[] = {7, 7, 7};
	check_delays(policy(TG_RETRY_FIBONACCI, 10, 60), fibonacci, 7);
	check_delays(policy(TG_RETRY_FIXED, 7, 60), fixed, 3);
}
END_TEST

START_TEST(no_policy_overflows_or_runs_long)
{
	const tg_retry_strategy all[] = {TG_RETRY_FIXED, TG_RETRY_EXPONENTIAL, TG_RETRY_FIBONACCI};
	for (size_t i = 0; i < 3; i++) {
		for (int64_t initial_ms = 0; initial_ms < 4; initial_ms++) {
			tg_retry_policy p = policy(all[i], initial_ms, INT64_C(1) << 40);
			int64_t delay_ms = tgi_retry_delay_ms(&p, UINT32_MAX);
			ck_assert(delay_ms >= initial_ms && delay_ms <= INT64_C(1) << 40);
		}
	}
}
END_TEST

START_TEST(a_stream_reconnects_after_1_s_up_to_30_s)
{
	ck_assert_int_eq(tgi_retry_reconnect_delay_ms(0), 1000);
	ck_assert_int_eq(tgi_retry_reconnect_delay_ms(1), 1100);
	ck_assert_int_eq(tgi_retry_reconnect_delay_ms(2), 1210);
	ck_assert_int_eq(tgi_retry_reconnect_delay_ms(100), 30000);
	ck_assert_int_eq(tgi_retry_reconnect_delay_ms(UINT32_MAX), 30000);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {exponential_delays_multiply_by_the_first_one, fibonacci_and_fixed_delays,
								  no_policy_overflows_or_runs_long, a_stream_reconnects_after_1_s_up_to_30_s};
	return SUITE_RUN("client/retry", tests);
}
