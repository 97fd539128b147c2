#include "cli/bench/ledger.h"
#include "suite.h"

START_TEST(acknowledgements_in_any_order_cover_the_log)
{
	ledger l;
	err e;
	ledger_init(&l);
	ck_assert(ledger_add(&l, 7, 3, 1, &e));
	ck_assert(ledger_add(&l, 0, 5, 2, &e));
	ck_assert(ledger_add(&l, 5, 2, 3, &e));
	ck_assert(ledger_settle(&l, &e));
	ck_assert_int_eq(l.end_offset, 10);
	ledger_dispose(&l);
}
END_TEST

START_TEST(an_offset_given_twice_or_to_nobody_is_found)
{
	static const int64_t SECOND[] = {4, 6, 0};
	err e;
	for (size_t i = 0; i < sizeof SECOND / sizeof SECOND[0]; i++) {
		ledger l;
		ledger_init(&l);
		ck_assert(ledger_add(&l, 0, 5, 0, &e));
		ck_assert(ledger_add(&l, SECOND[i], 5, 0, &e));
		ck_assert(!ledger_settle(&l, &e));
		ledger_dispose(&l);
	}
}
END_TEST

START_TEST(a_cursor_walks_from_request_to_request)
{
	ledger l;
	err e;
	ledger_init(&l);
	for (uint32_t i = 0; i < 5; i++) {
		ck_assert(ledger_add(&l, (int64_t)i * 4, 4, i, &e));
	}
	ck_assert(ledger_settle(&l, &e));
	ledger_cursor c = ledger_seek(&l, 6);
	for (int64_t offset = 6; offset < l.end_offset; offset++) {
		ck_assert_uint_eq(l.entries[c.entry].variant, (uint32_t)(offset / 4));
		ck_assert_uint_eq(c.record, (uint32_t)(offset % 4));
		ledger_step(&l, &c);
	}
	ledger_dispose(&l);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {acknowledgements_in_any_order_cover_the_log,
								  an_offset_given_twice_or_to_nobody_is_found, a_cursor_walks_from_request_to_request};
	return SUITE_RUN("cli/bench/ledger", tests);
}
