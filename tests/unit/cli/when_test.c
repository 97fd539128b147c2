#include "cli/when.h"

#include "suite.h"

static const struct {
	const char *text;
	int64_t ms; /* -1: refused */
} DURATIONS[] = {
	{"150ms", 150},
	{"90s", 90000},
	{"15m", 900000},
	{"24h", 86400000},
	{"30d", 2592000000},
	{"8w", 4838400000},
	{"1y", 31536000000},
	{"0", 0},
	{"1000000s", 1000000000},
	{"", -1},
	{"30", -1},
	{"d", -1},
	{"-1d", -1},
	{"+1d", -1},
	{"1.5d", -1},
	{"30 d", -1},
	{"30D", -1},
	{"0d", -1},
	{"1000001s", -1},
	{"30days", -1},
	{"99999999999999999999d", -1},
};

START_TEST(durations_are_a_number_and_a_unit)
{
	for (size_t i = 0; i < sizeof DURATIONS / sizeof DURATIONS[0]; i++) {
		int64_t ms = -1;
		err e;
		bool ok = when_parse_duration(str_from_c(DURATIONS[i].text), &ms, &e);
		ck_assert_msg(ms == DURATIONS[i].ms && ok == (ms >= 0), "%s", DURATIONS[i].text);
		ck_assert(ok || e.code == ERR_INVALID_REQUEST);
	}
}
END_TEST

START_TEST(times_are_shown_in_utc)
{
	buf out;
	buf_init(&out, 256);
	when_append_time(&out, 0);
	buf_append_byte(&out, ' ');
	when_append_time(&out, 1777638659999);
	ck_assert_view_eq(buf_str(&out), STR("- 2026-05-01 12:30"));
	buf_dispose(&out);
}
END_TEST

START_TEST(timestamps_are_rfc_3339)
{
	buf out;
	buf_init(&out, 256);
	when_append_timestamp(&out, 1777638659042);
	buf_append_byte(&out, ' ');
	when_append_timestamp(&out, 0);
	buf_append_byte(&out, ' ');
	when_append_timestamp(&out, -1);
	ck_assert_view_eq(buf_str(&out), STR("2026-05-01T12:30:59.042Z 1970-01-01T00:00:00.000Z NA"));
	buf_dispose(&out);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		durations_are_a_number_and_a_unit,
		times_are_shown_in_utc,
		timestamps_are_rfc_3339,
	};
	return SUITE_RUN("cli/when", tests);
}
