#include "suite.h"

#include "http/target.h"

static arena *memory;

static size_t find(str query, str name, str *value)
{
	return target_query_find(memory, query, name, value);
}

START_TEST(splits_path_and_query_at_the_first_question_mark)
{
	static const struct {
		str target;
		str path;
		str query;
		bool has_query;
	} cases[] = {
		{{"/a/b", 4}, {"/a/b", 4}, {NULL, 0}, false},
		{{"/a?x=1?y", 8}, {"/a", 2}, {"x=1?y", 5}, true},
		{{"/a?", 3}, {"/a", 2}, {"", 0}, true},
		{{"*", 1}, {"*", 1}, {NULL, 0}, false},
		{{"http://host:80/p?q", 18}, {"/p", 2}, {"q", 1}, true},
		{{"HTTPS://host", 12}, {"/", 1}, {NULL, 0}, false},
		{{"http://host?q", 13}, {"/", 1}, {"q", 1}, true},
		{{"/\xC3\xA4", 3}, {"/\xC3\xA4", 3}, {NULL, 0}, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		str path = STR_NONE;
		str query = STR_NONE;
		ck_assert_msg(target_split(cases[i].target, &path, &query), "%.*s", STR_ARG(cases[i].target));
		ck_assert_view_eq(path, cases[i].path);
		ck_assert_view_eq(query, cases[i].query);
		ck_assert_int_eq(query.ptr != NULL, cases[i].has_query);
	}
}
END_TEST

START_TEST(refuses_what_is_no_target)
{
	static const str cases[] = {
		{"", 0},       {"a", 1},    {"/a b", 4},     {"/a\0b", 4},   {"/a\tb", 4},
		{"/a\x7f", 3}, {"/a#b", 4}, {"ftp://x/", 8}, {"http:/x", 7},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		str path;
		str query;
		ck_assert_msg(!target_split(cases[i], &path, &query), "case %zu", i);
	}
}
END_TEST

START_TEST(query_values_are_form_decoded_and_the_first_counts)
{
	str query = STR("a=1&b=x+y%2Bz&a=2&empty=&bare&%61%20b=q&broken=50%&=noname&&nul=%00");
	str value = STR_NONE;
	ck_assert_uint_eq(find(query, STR("a"), &value), 2);
	ck_assert_view_eq(value, STR("1"));
	ck_assert_uint_eq(find(query, STR("b"), &value), 1);
	ck_assert_view_eq(value, STR("x y+z"));
	ck_assert_uint_eq(find(query, STR("empty"), &value), 1);
	ck_assert_view_eq(value, STR(""));
	ck_assert_ptr_nonnull(value.ptr);
	ck_assert_uint_eq(find(query, STR("bare"), &value), 1);
	ck_assert_ptr_nonnull(value.ptr);
	ck_assert_uint_eq(find(query, STR("a b"), &value), 1);
	ck_assert_view_eq(value, STR("q"));
	ck_assert_uint_eq(find(query, STR("broken"), &value), 1);
	ck_assert_view_eq(value, STR("50%"));
	ck_assert_uint_eq(find(query, STR("nul"), &value), 1);
	ck_assert_view_eq(value, STR("\0"));
}
END_TEST

START_TEST(absent_names_leave_the_value_alone)
{
	str value = STR("before");
	ck_assert_uint_eq(find(STR("ab=1&A=2"), STR("a"), &value), 0);
	ck_assert_uint_eq(find(STR_NONE, STR("a"), &value), 0);
	ck_assert_view_eq(value, STR("before"));
	ck_assert_uint_eq(find(STR("a=1"), STR("a"), NULL), 1);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		splits_path_and_query_at_the_first_question_mark,
		refuses_what_is_no_target,
		query_values_are_form_decoded_and_the_first_counts,
		absent_names_leave_the_value_alone,
	};
	memory = arena_new(1 << 20);
	int failed = SUITE_RUN("http/target", tests);
	arena_free(memory);
	return failed;
}
