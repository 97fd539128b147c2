/*
 * tests/unit/failing_memory: makes chosen allocations fail, in programs linked with
 * tidegate_failing_memory(target), see tests/unit/base/CMakeLists.txt.
 *
 *   FAIL_EVERY_ALLOCATION(scenario(), 3);
 *
 * The expression runs once undisturbed to count its allocations (at least 3 here), then once for each of them with
 * that one failing. It gives true when all went well; it must give false, and leak nothing, when one failed.
 * It must not use Check's assertions: they allocate.
 *
 * Threads  one at a time; allocations of other threads are counted too.
 */
#ifndef TIDEGATE_TESTS_FAILING_MEMORY_H
#define TIDEGATE_TESTS_FAILING_MEMORY_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

void failing_memory_start(size_t nth); /* the nth allocation from now (1, 2, …) fails; 0 = none */
size_t failing_memory_stop(void);      /* ends it; how many allocations were asked for */

#define FAIL_EVERY_ALLOCATION(scenario, least)                                                                         \
	do {                                                                                                               \
		failing_memory_start(0);                                                                                       \
		bool undisturbed_ = (scenario);                                                                                \
		size_t count_ = failing_memory_stop();                                                                         \
		ck_assert_msg(undisturbed_, "fails without any allocation failing");                                           \
		ck_assert_uint_ge(count_, (size_t)(least));                                                                    \
		for (size_t nth_ = 1; nth_ <= count_; nth_++) {                                                                \
			failing_memory_start(nth_);                                                                                \
			bool succeeded_ = (scenario);                                                                              \
			failing_memory_stop();                                                                                     \
			ck_assert_msg(!succeeded_, "claims success though allocation %zu of %zu failed", nth_, count_);            \
		}                                                                                                              \
	} while (0)

#endif
