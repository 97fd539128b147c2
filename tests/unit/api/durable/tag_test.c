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

int main(void)
{
	const TTest *const tests[] = {tag_tells_incarnation_range_and_closure};
	return SUITE_RUN("api/durable/tag", tests);
}
