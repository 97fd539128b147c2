#include "suite.h"

#include "api/entity_tag.h"

START_TEST(lists_weak_tags_and_stars_match)
{
	const str tag = STR("\"x:y\"");
	const str matching[] = {STR("\"x:y\""), STR("W/\"x:y\""), STR("\"a\",\"x:y\""), STR(" \"a\" , W/\"x:y\" ,"),
							STR("*"),       STR(" * ")};
	const str others[] = {STR(""),          STR("x:y"),      STR("\"x\""), STR("\"x:y"),
						  STR("w/\"x:y\""), STR("\"x:y\"z"), STR("**")};
	for (size_t i = 0; i < sizeof matching / sizeof matching[0]; i++) {
		ck_assert_msg(entity_tag_matches(matching[i], tag), "%.*s", STR_ARG(matching[i]));
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		ck_assert_msg(!entity_tag_matches(others[i], tag), "%.*s", STR_ARG(others[i]));
	}
	ck_assert(!entity_tag_matches(STR_NONE, tag));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {lists_weak_tags_and_stars_match};
	return SUITE_RUN("api/entity_tag", tests);
}
