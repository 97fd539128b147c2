#include "base/clock.h"
#include "suite.h"

#include <time.h>

START_TEST(monotonic_clock_measures_a_sleep)
{
	int64_t before_ms = clock_now_ms();
	int64_t before_us = clock_now_us();
	const struct timespec pause = {0, 30 * 1000000};
	nanosleep(&pause, NULL);
	int64_t passed_ms = clock_now_ms() - before_ms;
	int64_t passed_us = clock_now_us() - before_us;
	ck_assert_int_ge(passed_ms, 29);
	ck_assert_int_ge(passed_us, 30000);
	ck_assert_int_lt(passed_us, 60 * 1000000); /* microseconds, not nanoseconds */
	ck_assert_int_le(passed_ms, passed_us / 1000 + 1);
}
END_TEST

START_TEST(monotonic_clock_is_the_one_that_waits_use)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t expected_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	ck_assert_int_le(llabs(clock_now_ms() - expected_ms), 5000);
}
END_TEST

START_TEST(wall_clock_is_in_milliseconds_since_1970)
{
	int64_t seconds = (int64_t)time(NULL);
	ck_assert_int_le(llabs(clock_wall_ms() / 1000 - seconds), 2);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		monotonic_clock_measures_a_sleep,
		monotonic_clock_is_the_one_that_waits_use,
		wall_clock_is_in_milliseconds_since_1970,
	};
	return SUITE_RUN("base/clock", tests);
}
