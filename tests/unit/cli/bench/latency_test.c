#include "cli/bench/latency.h"
#include "suite.h"

static latency l;

START_TEST(percentiles_are_within_one_percent)
{
	static const double SHARES[] = {0.01, 0.5, 0.9, 0.99, 1};
	latency_reset(&l);
	for (int64_t i = 1; i <= 1000; i++) {
		latency_add(&l, i * 1237);
	}
	for (size_t i = 0; i < sizeof SHARES / sizeof SHARES[0]; i++) {
		double wanted = SHARES[i] * 1000 * 1237;
		ck_assert_double_le_tol((double)latency_percentile(&l, SHARES[i]), wanted * 1.01, 0);
		ck_assert_double_ge_tol((double)latency_percentile(&l, SHARES[i]), wanted * 0.99, 0);
	}
	ck_assert_int_eq(latency_mean(&l), 1237 * 1001 / 2);
	ck_assert_int_eq(l.max_ns, 1237000);
}
END_TEST

START_TEST(extremes_have_a_bucket)
{
	latency_reset(&l);
	ck_assert_int_eq(latency_percentile(&l, 0.5), 0);
	latency_add(&l, -5);
	ck_assert_int_eq(latency_percentile(&l, 1), 0);
	latency_add(&l, INT64_MAX);
	ck_assert_int_gt(latency_percentile(&l, 1), (int64_t)17 * 60 * 1000000000);
	for (int bit = 0; bit < 63; bit++) {
		latency_add(&l, (int64_t)1 << bit);
	}
	ck_assert_uint_eq(l.count, 65);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {percentiles_are_within_one_percent, extremes_have_a_bucket};
	return SUITE_RUN("cli/bench/latency", tests);
}
