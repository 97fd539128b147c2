#include "cli/table.h"

#include "suite.h"

static void print(const table *t, buf *out)
{
	buf_init(out, 4096);
	table_print(t, out);
}

START_TEST(columns_are_as_wide_as_their_widest_cell)
{
	table t;
	buf out;
	table_init(&t, (const char *const[]){"A", "TITLE", "LAST", NULL});
	table_add(&t, STR("long cell"));
	table_add(&t, STR("x"));
	table_add(&t, STR("end"));
	table_add(&t, STR("\xc3\xa4\xc3\xa4")); /* two characters */
	table_add(&t, STR(""));
	table_add(&t, STR("a\nb"));
	print(&t, &out);
	ck_assert_view_eq(buf_str(&out), STR("A          TITLE  LAST\n"
										 "long cell  x      end\n"
										 "\xc3\xa4\xc3\xa4         -      a b\n"));
	buf_dispose(&out);
	table_dispose(&t);
}
END_TEST

START_TEST(a_table_without_rows_has_titles)
{
	table t;
	buf out;
	table_init(&t, (const char *const[]){"A", "B", NULL});
	print(&t, &out);
	ck_assert_view_eq(buf_str(&out), STR("A  B\n"));
	buf_dispose(&out);
	table_dispose(&t);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		columns_are_as_wide_as_their_widest_cell,
		a_table_without_rows_has_titles,
	};
	return SUITE_RUN("cli/table", tests);
}
