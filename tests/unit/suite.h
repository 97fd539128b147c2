/*
 * tests/unit/suite: what every unit test program needs around Check.
 *
 *   START_TEST(split_without_stop_returns_the_whole) … END_TEST
 *
 *   int main(void)
 *   {
 *       const TTest *const tests[] = {split_without_stop_returns_the_whole, …};
 *       return SUITE_RUN("base/str", tests);
 *   }
 */
#ifndef TIDEGATE_TESTS_SUITE_H
#define TIDEGATE_TESTS_SUITE_H

#include "base/str.h"

#include <check.h>
#include <stdlib.h>

#define SUITE_RUN(name, tests) suite_run((name), (tests), sizeof(tests) / sizeof(tests)[0])

#define ck_assert_view_eq(actual, expected)                                                                            \
	do {                                                                                                               \
		str actual_ = (actual);                                                                                        \
		str expected_ = (expected);                                                                                    \
		ck_assert_msg(str_equal(actual_, expected_), "%s: \"%.*s\" instead of \"%.*s\"", #actual, STR_ARG(actual_),    \
					  STR_ARG(expected_));                                                                             \
	} while (0)

static inline int suite_run(const char *name, const TTest *const tests[], size_t count)
{
	Suite *suite = suite_create(name);
	TCase *cases = tcase_create(name);
	tcase_set_timeout(cases, 120);
	for (size_t i = 0; i < count; i++) {
		tcase_add_test(cases, tests[i]);
	}
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
