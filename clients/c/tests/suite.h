/* What every unit test program needs around Check. */
#ifndef TG_SUITE_H
#define TG_SUITE_H

#include <check.h>
#include <stdlib.h>

#define SUITE_RUN(name, tests) suite_run((name), (tests), sizeof(tests) / sizeof(tests)[0])

static inline int suite_run(const char *name, const TTest *const tests[], size_t count)
{
	Suite *suite = suite_create(name);
	TCase *cases = tcase_create(name);
	tcase_set_timeout(cases, 60);
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
