#include "base/arena.h"
#include "failing_memory.h"
#include "suite.h"

#include <string.h>

START_TEST(allocations_are_aligned_and_do_not_overlap)
{
	arena *a = arena_new(1 << 20);
	char *parts[500];
	for (size_t i = 0; i < 500; i++) {
		parts[i] = arena_alloc(a, i);
		ck_assert_ptr_nonnull(parts[i]);
		ck_assert_uint_eq((uintptr_t)parts[i] % _Alignof(max_align_t), 0);
		memset(parts[i], (int)(i % 256), i);
	}
	for (size_t i = 0; i < 500; i++) {
		for (size_t k = 0; k < i; k++) {
			ck_assert_uint_eq((unsigned char)parts[i][k], i % 256);
		}
	}
	arena_free(a);
}
END_TEST

START_TEST(every_allocation_has_an_address_of_its_own)
{
	arena *a = arena_new(1000);
	const void *first = arena_alloc(a, 0);
	const void *second = arena_alloc(a, 0);
	ck_assert_ptr_nonnull(first);
	ck_assert_ptr_ne(first, second);
	arena_free(a);
}
END_TEST

START_TEST(passing_the_cap_gives_null_and_smaller_ones_still_fit)
{
	arena *a = arena_new(1024);
	ck_assert_ptr_nonnull(arena_alloc(a, 1000));
	ck_assert_ptr_null(arena_alloc(a, 100));
	ck_assert_ptr_nonnull(arena_alloc(a, 16));
	ck_assert_ptr_null(arena_alloc(a, 1));
	ck_assert_uint_le(arena_used(a), 1024);
	ck_assert_ptr_null(arena_alloc(a, SIZE_MAX));
	ck_assert_ptr_null(arena_alloc(a, SIZE_MAX - 15));
	arena_free(a);
}
END_TEST

START_TEST(the_cap_can_be_used_to_its_last_byte)
{
	arena *a = arena_new(1 << 20);
	ck_assert_ptr_nonnull(arena_alloc(a, 1 << 20));
	ck_assert_uint_eq(arena_used(a), 1 << 20);
	ck_assert_ptr_null(arena_alloc(a, 0));
	arena_free(a);
}
END_TEST

START_TEST(a_cap_beyond_any_memory_does_not_overflow)
{
	arena *a = arena_new(SIZE_MAX);
	ck_assert_ptr_null(arena_alloc(a, SIZE_MAX));
	ck_assert_ptr_null(arena_alloc(a, SIZE_MAX - 15)); /* what is left of it after the chunk's own head */
	ck_assert_ptr_null(arena_alloc_array(a, SIZE_MAX / 2, 3));
	ck_assert_uint_eq(arena_used(a), 0);
	arena_free(a);
}
END_TEST

START_TEST(reset_frees_all_and_the_cap_starts_anew)
{
	arena *a = arena_new(200000);
	for (int round = 0; round < 10; round++) {
		ck_assert_ptr_nonnull(arena_alloc(a, 100000));
		for (int i = 0; i < 90; i++) {
			char *part = arena_alloc(a, 1000);
			ck_assert_ptr_nonnull(part);
			memset(part, round, 1000);
		}
		ck_assert_uint_ge(arena_used(a), 190000);
		arena_reset(a);
		ck_assert_uint_eq(arena_used(a), 0);
	}
	arena_free(a);
}
END_TEST

START_TEST(zeroed_memory_is_zero_also_after_a_reset)
{
	arena *a = arena_new(1 << 16);
	memset(arena_alloc(a, 1000), 0xAA, 1000);
	arena_reset(a);
	const char *zero = arena_alloc_zero(a, 1000);
	for (size_t i = 0; i < 1000; i++) {
		ck_assert_int_eq(zero[i], 0);
	}
	ck_assert_ptr_null(arena_alloc_zero(a, 1 << 16));
	arena_free(a);
}
END_TEST

START_TEST(an_array_that_overflows_gives_null)
{
	arena *a = arena_new(1 << 16);
	ck_assert_ptr_null(arena_alloc_array(a, SIZE_MAX / 4 + 2, 4)); /* 4 after wrapping around */
	ck_assert_ptr_nonnull(arena_alloc_array(a, 10, 4));
	ck_assert_uint_ge(arena_used(a), 40);
	arena_free(a);
}
END_TEST

START_TEST(copies_outlive_their_original)
{
	arena *a = arena_new(1000);
	char text[] = "abc\0d";
	str copy;
	ck_assert(arena_copy_str(a, (str){text, 5}, &copy));
	memset(text, 'x', sizeof text);
	ck_assert_view_eq(copy, STR("abc\0d"));
	arena_free(a);
}
END_TEST

START_TEST(copies_keep_absent_and_empty_apart)
{
	arena *a = arena_new(1000);
	str copy = STR("x");
	ck_assert(arena_copy_str(a, STR_NONE, &copy));
	ck_assert_ptr_null(copy.ptr);
	ck_assert(arena_copy_str(a, STR(""), &copy));
	ck_assert_ptr_nonnull(copy.ptr);
	ck_assert_uint_eq(copy.len, 0);
	arena_free(a);
}
END_TEST

START_TEST(a_copy_past_the_cap_leaves_out_alone)
{
	arena *a = arena_new(8);
	str copy = STR("x");
	ck_assert(!arena_copy_str(a, STR("123456789"), &copy));
	ck_assert_view_eq(copy, STR("x"));
	ck_assert_ptr_null(arena_copy_c(a, STR("123456789")));
	arena_free(a);
}
END_TEST

START_TEST(a_copy_for_c_ends_with_nul_and_holds_none)
{
	arena *a = arena_new(1000);
	ck_assert_str_eq(arena_copy_c(a, str_take(STR("host:port"), 4)), "host");
	ck_assert_str_eq(arena_copy_c(a, STR("h")), "h");
	ck_assert_str_eq(arena_copy_c(a, STR_NONE), "");
	ck_assert_ptr_null(arena_copy_c(a, STR("\0")));
	ck_assert_ptr_null(arena_copy_c(a, STR("a\0b")));
	ck_assert_ptr_null(arena_copy_c(a, STR("a\0")));
	arena_free(a);
}
END_TEST

START_TEST(free_accepts_null)
{
	arena_free(NULL);
}
END_TEST

static bool allocate_much(void)
{
	arena *a = arena_new(1 << 23);
	if (a == NULL) {
		return false;
	}
	bool is_done = true;
	for (size_t i = 0; is_done && i < 300; i++) {
		char *part = arena_alloc(a, i * 100);
		is_done = part != NULL;
		if (part != NULL) {
			memset(part, 1, i * 100);
		}
	}
	str copy;
	is_done = is_done && arena_copy_str(a, STR("copy"), &copy) && arena_copy_c(a, STR("copy")) != NULL;
	arena_free(a);
	return is_done;
}

START_TEST(every_failed_allocation_gives_null)
{
	FAIL_EVERY_ALLOCATION(allocate_much(), 10);
}
END_TEST

START_TEST(a_failed_allocation_uses_nothing)
{
	arena *a = arena_new(1 << 20);
	failing_memory_start(1);
	ck_assert_ptr_null(arena_alloc(a, 100));
	failing_memory_stop();
	ck_assert_uint_eq(arena_used(a), 0);
	ck_assert_ptr_nonnull(arena_alloc(a, 100));
	arena_free(a);
}
END_TEST

#ifndef TIDEGATE_SANITIZE
START_TEST(small_allocations_share_few_chunks)
{
	arena *a = arena_new(1 << 20);
	failing_memory_start(0);
	for (int i = 0; i < 10000; i++) {
		arena_alloc(a, 50);
	}
	ck_assert_uint_lt(failing_memory_stop(), 20);
	arena_reset(a);
	failing_memory_start(0);
	for (int i = 0; i < 1000; i++) {
		arena_alloc(a, 50);
	}
	ck_assert_uint_eq(failing_memory_stop(), 0); /* the chunk in use was kept, all of it */
	arena_free(a);
}
END_TEST
#endif

int main(void)
{
	const TTest *const tests[] = {
		allocations_are_aligned_and_do_not_overlap,
		every_allocation_has_an_address_of_its_own,
		passing_the_cap_gives_null_and_smaller_ones_still_fit,
		the_cap_can_be_used_to_its_last_byte,
		a_cap_beyond_any_memory_does_not_overflow,
		reset_frees_all_and_the_cap_starts_anew,
		zeroed_memory_is_zero_also_after_a_reset,
		an_array_that_overflows_gives_null,
		copies_outlive_their_original,
		copies_keep_absent_and_empty_apart,
		a_copy_past_the_cap_leaves_out_alone,
		a_copy_for_c_ends_with_nul_and_holds_none,
		free_accepts_null,
		every_failed_allocation_gives_null,
		a_failed_allocation_uses_nothing,
#ifndef TIDEGATE_SANITIZE
		small_allocations_share_few_chunks,
#endif
	};
	return SUITE_RUN("base/arena", tests);
}
