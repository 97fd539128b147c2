#include "suite.h"

#include "api/durable/path.h"

static arena *memory;

static err_code decode(str raw, str *out)
{
	err e = {.code = ERR_NONE};
	arena_free(memory);
	memory = arena_new(1 << 20);
	return durable_path_decode(memory, raw, (durable_path_limits){1024, 32}, out, &e) ? ERR_NONE : e.code;
}

START_TEST(two_spellings_are_one_path)
{
	str a;
	str b;
	ck_assert_int_eq(decode(STR("x/%c3%a9"), &a), ERR_NONE);
	ck_assert_view_eq(a, STR("x/\xc3\xa9"));
	ck_assert_int_eq(decode(STR("x%2F%C3%A9"), &b), ERR_NONE);
	ck_assert_view_eq(b, STR("x/\xc3\xa9"));
}
END_TEST

START_TEST(odd_names_are_fine)
{
	const str good[] = {STR(".updates"), STR(".snapshots/x"), STR("a b"), STR("a+b"),
						STR("__dsx"),    STR("a/__ds"),       STR("...")};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		str out;
		ck_assert_int_eq(decode(good[i], &out), ERR_NONE);
		ck_assert_view_eq(out, good[i]);
	}
}
END_TEST

START_TEST(what_cannot_be_a_name_is_refused)
{
	const str bad[] = {STR(""),       STR("/"),   STR("a//b"), STR("a/"),   STR("/a"),     STR("."),
					   STR("a/../b"), STR("%2e"), STR("a%00"), STR("a%0d"), STR("%c2%85"), STR("%7f"),
					   STR("%ff"),    STR("%"),   STR("a%2"),  STR("%zz")};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		str out;
		ck_assert_msg(decode(bad[i], &out) == ERR_INVALID_REQUEST, "%.*s", STR_ARG(bad[i]));
	}
}
END_TEST

START_TEST(control_space_holds_no_streams)
{
	str out;
	ck_assert_int_eq(decode(STR("__ds"), &out), ERR_NOT_FOUND);
	ck_assert_int_eq(decode(STR("__ds/x"), &out), ERR_NOT_FOUND);
	ck_assert_int_eq(decode(STR("%5f_ds%2fx"), &out), ERR_NOT_FOUND);
}
END_TEST

START_TEST(length_and_depth_have_limits)
{
	char text[2000];
	str out;
	for (size_t i = 0; i < sizeof text; i++) {
		text[i] = i % 2 == 0 ? 'x' : '/';
	}
	ck_assert_int_eq(decode((str){text, 63}, &out), ERR_NONE);
	ck_assert_int_eq(decode((str){text, 65}, &out), ERR_INVALID_REQUEST);
	for (size_t i = 0; i < sizeof text; i++) {
		text[i] = 'x';
	}
	ck_assert_int_eq(decode((str){text, 1024}, &out), ERR_NONE);
	ck_assert_int_eq(decode((str){text, 1025}, &out), ERR_INVALID_REQUEST);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {two_spellings_are_one_path, odd_names_are_fine, what_cannot_be_a_name_is_refused,
								  control_space_holds_no_streams, length_and_depth_have_limits};
	int result = SUITE_RUN("api/durable/path", tests);
	arena_free(memory);
	return result;
}
