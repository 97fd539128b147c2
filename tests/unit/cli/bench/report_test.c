#include <string.h>

#include "cli/bench/report.h"
#include "suite.h"

START_TEST(a_row_is_judged_by_all_its_bounds)
{
	report_row row = {.figure = 100, .figure_at_least = 90, .ratio_at_least = 2};
	ck_assert_int_eq(report_judge(&row), REPORT_NOT_JUDGED); /* wants a baseline */
	row.baseline = 50;
	ck_assert_int_eq(report_judge(&row), REPORT_MET);
	row.baseline = 51;
	ck_assert_int_eq(report_judge(&row), REPORT_MISSED);
	row.baseline = 10;
	row.figure_at_least = 101;
	ck_assert_int_eq(report_judge(&row), REPORT_MISSED);
	row = (report_row){.figure = 1, .figure_at_most = 1};
	ck_assert_int_eq(report_judge(&row), REPORT_MET);
	row.figure = 1.01;
	ck_assert_int_eq(report_judge(&row), REPORT_MISSED);
	row.problem[0] = 'x';
	ck_assert_int_eq(report_judge(&row), REPORT_FAILED);
	row = (report_row){.figure = 1};
	ck_assert_int_eq(report_judge(&row), REPORT_NOT_JUDGED);
}
END_TEST

START_TEST(only_failures_fail_unless_targets_are_binding)
{
	report *r = report_new();
	*report_add(r) = (report_row){.figure = 2, .figure_at_most = 1};
	ck_assert(!report_has_failure(r, false));
	ck_assert(report_has_failure(r, true));
	report_add(r)->problem[0] = 'x';
	ck_assert(report_has_failure(r, false));
	report_free(r);
}
END_TEST

START_TEST(every_form_shows_figure_ratio_and_verdict)
{
	static void (*const FORMS[])(const report *, buf *) = {report_write_text, report_write_json, report_write_markdown};
	static const char *const FIGURES[] = {"1 234 567 records/s", "\"figure\":1.23457e+06", "1 234 567 records/s"};
	report *r = report_new();
	report_row *row = report_add(r);
	*row = (report_row){.name = "batch",
						.what = "produce",
						.unit = "records/s",
						.figure = 1234567,
						.baseline = 2469134,
						.baseline_what = "libpq",
						.ratio_at_least = 0.5};
	report_add_fact(r, "kernel", "a \"%s\"", "b");
	for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++) {
		buf out;
		buf_init(&out, 65536);
		FORMS[i](r, &out);
		buf_append_byte(&out, '\0');
		ck_assert(!out.failed);
		ck_assert_msg(strstr(out.ptr, FIGURES[i]) != NULL, "%s", out.ptr);
		ck_assert_msg(strstr(out.ptr, "0.5") != NULL, "%s", out.ptr);
		ck_assert_msg(strstr(out.ptr, "met") != NULL, "%s", out.ptr);
		buf_dispose(&out);
	}
	report_free(r);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_row_is_judged_by_all_its_bounds, only_failures_fail_unless_targets_are_binding,
								  every_form_shows_figure_ratio_and_verdict};
	return SUITE_RUN("cli/bench/report", tests);
}
