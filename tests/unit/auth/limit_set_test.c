#include "auth/limit_set.h"

#include "suite.h"

START_TEST(every_limit_is_found_by_its_name)
{
	limit_kind kind;
	limit_scope scope;
	for (int s = 0; s < LIMIT_SCOPES; s++) {
		for (int k = 0; k < LIMIT_KINDS; k++) {
			const char *name = limit_name((limit_kind)k, (limit_scope)s);
			ck_assert((name == NULL) == (s == LIMIT_OF_KEY && k >= LIMIT_KEY_KINDS));
			if (name != NULL) {
				ck_assert(limit_find(str_from_c(name), &kind, &scope));
				ck_assert(kind == (limit_kind)k && scope == (limit_scope)s);
			}
		}
	}
	ck_assert(!limit_find(STR("topics_per_key"), &kind, &scope) && !limit_find(STR(""), &kind, &scope));
}
END_TEST

START_TEST(what_is_parsed_is_printed)
{
	err e;
	limit_set set;
	buf out;
	buf_init(&out, 1024);
	ck_assert(
		limit_set_parse(STR(" streams_per_key=5 , requests_per_second = 100,topics=server,body_bytes=0"), &set, &e));
	ck_assert_int_eq(set.most[LIMIT_OF_TENANT][LIMIT_STREAMS], LIMIT_UNSET);
	limit_set_print(&set, &out);
	ck_assert_view_eq(buf_str(&out), STR("requests_per_second=100,topics=server,body_bytes=0,streams_per_key=5"));
	buf_dispose(&out);
}
END_TEST

static const char *const WRONG[] = {"requests=1",
									"streams",
									"streams=",
									"streams=-1",
									"streams=1.5",
									"streams=1,",
									",streams=1",
									"streams=9223372036854775807",
									"stored_bytes_per_key=1"};

START_TEST(what_is_wrong_is_refused_and_changes_nothing)
{
	err e;
	limit_set set = limit_set_none();
	for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
		ck_assert_msg(!limit_set_parse(str_from_c(WRONG[i]), &set, &e), "%s", WRONG[i]);
		ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	}
	const limit_set none = limit_set_none();
	ck_assert_mem_eq(&set, &none, sizeof set);
	ck_assert(limit_set_parse(STR(""), &set, &e));
	ck_assert_mem_eq(&set, &none, sizeof set);
}
END_TEST

START_TEST(a_database_may_hold_limits_that_are_not_known_here)
{
	limit_set set = limit_set_read(STR("colours=7,streams=3"));
	ck_assert_int_eq(set.most[LIMIT_OF_TENANT][LIMIT_STREAMS], 3);
	const limit_set none = limit_set_none();
	set = limit_set_read(STR_NONE);
	ck_assert_mem_eq(&set, &none, sizeof set);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {every_limit_is_found_by_its_name, what_is_parsed_is_printed,
								  what_is_wrong_is_refused_and_changes_nothing,
								  a_database_may_hold_limits_that_are_not_known_here};
	return SUITE_RUN("auth/limit_set", tests);
}
