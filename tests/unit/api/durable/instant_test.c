#include "suite.h"

#include "api/durable/instant.h"

typedef struct sample {
	const char *text;
	int64_t ms;
	const char *printed;
} sample;

static const sample GOOD[] = {
	{"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
	{"2000-02-29T23:59:59.999Z", 951868799999, "2000-02-29T23:59:59.999Z"},
	{"2026-01-31t12:00:00+01:30", 1769855400000, "2026-01-31T10:30:00Z"},
	{"2026-01-31T12:00:00.1234567-00:30", 1769862600123, "2026-01-31T12:30:00.123Z"},
	{"1969-12-31T23:59:59.500Z", -500, "1969-12-31T23:59:59.500Z"},
	{"0000-03-01T00:00:00Z", -62162035200000, "0000-03-01T00:00:00Z"},
	{"9999-12-31T23:59:60Z", 253402300800000, "10000-01-01T00:00:00Z"},
};

START_TEST(date_times_are_read_and_written)
{
	for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
		int64_t ms;
		buf out;
		buf_init(&out, 64);
		ck_assert_msg(durable_instant_parse(str_from_c(GOOD[i].text), &ms), "%s", GOOD[i].text);
		ck_assert_int_eq(ms, GOOD[i].ms);
		durable_instant_print(&out, ms);
		ck_assert_view_eq(buf_str(&out), str_from_c(GOOD[i].printed));
		buf_dispose(&out);
	}
}
END_TEST

START_TEST(every_day_of_a_thousand_years_reads_back)
{
	for (int64_t day = -200000; day < 200000; day++) {
		int64_t ms;
		buf out;
		buf_init(&out, 64);
		durable_instant_print(&out, day * 86400000);
		ck_assert(durable_instant_parse(buf_str(&out), &ms));
		ck_assert_int_eq(ms, day * 86400000);
		buf_dispose(&out);
	}
}
END_TEST

START_TEST(what_is_no_date_time_is_refused)
{
	const char *const bad[] = {"",
							   "tomorrow",
							   "2026-01-31",
							   "2026-01-31T12:00:00",
							   "2026-02-29T12:00:00Z",
							   "2026-13-01T12:00:00Z",
							   "2026-00-01T12:00:00Z",
							   "2026-01-31 12:00:00Z",
							   "2026-01-31T24:00:00Z",
							   "2026-01-31T12:60:00Z",
							   "2026-01-31T12:00:00.Z",
							   "2026-01-31T12:00:00+0100",
							   "2026-01-31T12:00:00Z ",
							   "+026-01-31T12:00:00Z",
							   "1769860800"};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t ms;
		ck_assert_msg(!durable_instant_parse(str_from_c(bad[i]), &ms), "%s", bad[i]);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {date_times_are_read_and_written, every_day_of_a_thousand_years_reads_back,
								  what_is_no_date_time_is_refused};
	return SUITE_RUN("api/durable/instant", tests);
}
