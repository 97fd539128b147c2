#include "suite.h"

#include "http/wheel.h"

#include <string.h>

static wheel w;
static wheel_entry entries[4];

static void begin(int64_t now_ms)
{
	memset(entries, 0, sizeof entries);
	wheel_init(&w, now_ms);
}

START_TEST(an_entry_is_due_at_its_time_and_not_before)
{
	begin(1000);
	wheel_set(&w, &entries[0], 1055);
	ck_assert_ptr_null(wheel_take_due(&w, 1054));
	ck_assert_ptr_eq(wheel_take_due(&w, 1060), &entries[0]);
	ck_assert_ptr_null(wheel_take_due(&w, 1060));
	ck_assert_uint_eq(w.count, 0);
}
END_TEST

START_TEST(a_past_time_is_due_at_the_next_tick)
{
	begin(1000);
	wheel_set(&w, &entries[0], 10);
	ck_assert_ptr_null(wheel_take_due(&w, 1000));
	ck_assert_ptr_eq(wheel_take_due(&w, 1000 + WHEEL_TICK_MS), &entries[0]);
}
END_TEST

START_TEST(setting_again_moves_and_cancelling_removes)
{
	begin(0);
	wheel_set(&w, &entries[0], 100);
	wheel_set(&w, &entries[1], 100);
	wheel_set(&w, &entries[0], 300);
	wheel_cancel(&w, &entries[1]);
	wheel_cancel(&w, &entries[1]);
	ck_assert_ptr_null(wheel_take_due(&w, 200));
	ck_assert_ptr_eq(wheel_take_due(&w, 300), &entries[0]);
}
END_TEST

START_TEST(entries_beyond_the_horizon_wait_their_turns)
{
	const int64_t horizon = (int64_t)WHEEL_SLOTS * WHEEL_TICK_MS;
	begin(0);
	wheel_set(&w, &entries[0], 3 * horizon + 50);
	wheel_set(&w, &entries[1], 50);
	ck_assert_ptr_eq(wheel_take_due(&w, 60), &entries[1]);
	for (int64_t now = 60; now < 3 * horizon + 50; now += 7 * WHEEL_TICK_MS) {
		ck_assert_ptr_null(wheel_take_due(&w, now));
	}
	ck_assert_ptr_eq(wheel_take_due(&w, 3 * horizon + 60), &entries[0]);
}
END_TEST

START_TEST(a_long_sleep_misses_nothing)
{
	const int64_t horizon = (int64_t)WHEEL_SLOTS * WHEEL_TICK_MS;
	begin(0);
	wheel_set(&w, &entries[0], 30);
	wheel_set(&w, &entries[1], horizon / 2);
	wheel_set(&w, &entries[2], 5 * horizon);
	ck_assert_ptr_nonnull(wheel_take_due(&w, 4 * horizon));
	ck_assert_ptr_nonnull(wheel_take_due(&w, 4 * horizon));
	ck_assert_ptr_null(wheel_take_due(&w, 4 * horizon));
	ck_assert_ptr_eq(wheel_take_due(&w, 5 * horizon), &entries[2]);
}
END_TEST

START_TEST(sleep_reaches_to_the_next_filled_slot)
{
	begin(0);
	ck_assert_int_eq(wheel_sleep_ms(&w, 0, 5000), -1);
	wheel_set(&w, &entries[0], 200);
	ck_assert_int_eq(wheel_sleep_ms(&w, 0, 5000), 200);
	ck_assert_int_eq(wheel_sleep_ms(&w, 150, 5000), 50);
	ck_assert_int_eq(wheel_sleep_ms(&w, 400, 5000), 0);
	ck_assert_int_eq(wheel_sleep_ms(&w, 0, 100), 100);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_entry_is_due_at_its_time_and_not_before,
		a_past_time_is_due_at_the_next_tick,
		setting_again_moves_and_cancelling_removes,
		entries_beyond_the_horizon_wait_their_turns,
		a_long_sleep_misses_nothing,
		sleep_reaches_to_the_next_filled_slot,
	};
	return SUITE_RUN("http/wheel", tests);
}
