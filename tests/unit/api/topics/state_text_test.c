#include "api/topics/state_text.h"

#include "suite.h"

START_TEST(priorities_fade_by_half_every_thirty_seconds)
{
	log_topic_config c = log_topic_config_default(LOG_DISK);
	static const struct {
		int64_t idle_ms;
		int64_t priority;
	} cases[] = {{0, 500}, {-5, 500}, {15000, 354}, {30000, 250}, {60000, 125}, {299999, 0}, {300000, 0}, {1000000, 0}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_int_eq(state_priority(&c, 1000000000, 1000000000 + cases[i].idle_ms), cases[i].priority);
	}
	ck_assert_int_eq(state_priority(&c, 0, 5), 0);
}
END_TEST

START_TEST(a_manual_priority_counts_within_its_bounds)
{
	log_topic_config c = log_topic_config_default(LOG_DISK);
	c.has_priority = true;
	c.priority = 17;
	ck_assert_int_eq(state_priority(&c, 1, 1), 17);
	c.priority = INT32_MAX;
	ck_assert_int_eq(state_priority(&c, 1, 1), 1000);
	c.priority = INT32_MIN;
	ck_assert_int_eq(state_priority(&c, 1, 1), -1000);
	c.has_priority = false;
	c.auto_priority = false;
	ck_assert_int_eq(state_priority(&c, 1, 1), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {priorities_fade_by_half_every_thirty_seconds,
								  a_manual_priority_counts_within_its_bounds};
	return SUITE_RUN("api/topics/state_text", tests);
}
