#include "db/url.h"

#include "suite.h"

enum { URL_MAX = 512 };

static void check(const char *url, const char *expected)
{
	err e;
	buf out;
	buf_init(&out, URL_MAX);
	ck_assert_msg(db_url_with_database(str_from_c(url), STR("other"), &out, &e), "%s: %s", url, e.message);
	ck_assert_msg(str_equal(buf_str(&out), str_from_c(expected)), "%s: %.*s", url, STR_ARG(buf_str(&out)));
	buf_dispose(&out);
}

START_TEST(only_the_database_changes)
{
	check("host=h dbname=first user=u", "user='u' host='h' dbname='other' ");
	check("postgresql://u:p%20w@h1:5433,h2:5434/first?target_session_attrs=read-write",
		  "user='u' password='p w' host='h1,h2' port='5433,5434' target_session_attrs='read-write' dbname='other' ");
	check("host=h", "host='h' dbname='other' ");
}
END_TEST

START_TEST(quotes_and_backslashes_are_kept)
{
	check("password='it\\'s \\\\ that'", "password='it\\'s \\\\ that' dbname='other' ");
}
END_TEST

START_TEST(what_is_no_url_is_refused)
{
	err e;
	buf out;
	buf_init(&out, URL_MAX);
	ck_assert(!db_url_with_database(STR("this is none"), STR("other"), &out, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	buf_dispose(&out);
	buf_init(&out, 4);
	ck_assert(!db_url_with_database(STR("host=h"), STR("other"), &out, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	buf_dispose(&out);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		only_the_database_changes,
		quotes_and_backslashes_are_kept,
		what_is_no_url_is_refused,
	};
	return SUITE_RUN("db/url", tests);
}
