#include "suite.h"

#include "api/durable/tag.h"

START_TEST(tag_tells_incarnation_range_and_closure)
{
	char a[DURABLE_TAG_SIZE];
	char b[DURABLE_TAG_SIZE];
	const durable_offset end = {2, 25};
	str tag = durable_tag_print(7, STR("-1"), end, false, a);
	ck_assert(str_ends_with(tag, STR(":-1:0000000000000002_0000000000000019\"")));
	ck_assert_int_eq(tag.ptr[0], '"');
	ck_assert(str_equal(tag, durable_tag_print(7, STR("-1"), end, false, b)));
	ck_assert(!str_equal(tag, durable_tag_print(8, STR("-1"), end, false, b)));
	ck_assert(!str_equal(tag, durable_tag_print(7, STR("-1"), (durable_offset){2, 26}, false, b)));
	ck_assert(str_ends_with(durable_tag_print(7, STR("-1"), end, true, b), STR(":c\"")));
}
END_TEST

START_TEST(lists_weak_tags_and_stars_match)
{
	const str tag = STR("\"x:y\"");
	const str matching[] = {STR("\"x:y\""), STR("W/\"x:y\""), STR("\"a\",\"x:y\""), STR(" \"a\" , W/\"x:y\" ,"),
							STR("*"),       STR(" * ")};
	const str others[] = {STR(""),          STR("x:y"),      STR("\"x\""), STR("\"x:y"),
						  STR("w/\"x:y\""), STR("\"x:y\"z"), STR("**")};
	for (size_t i = 0; i < sizeof matching / sizeof matching[0]; i++) {
		ck_assert_msg(durable_tag_matches(matching[i], tag), "%.*s", STR_ARG(matching[i]));
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		ck_assert_msg(!durable_tag_matches(others[i], tag), "%.*s", STR_ARG(others[i]));
	}
	ck_assert(!durable_tag_matches(STR_NONE, tag));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {tag_tells_incarnation_range_and_closure, lists_weak_tags_and_stars_match};
	return SUITE_RUN("api/durable/tag", tests);
}
