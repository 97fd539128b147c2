#include "base/shared_map.h"

#include "suite.h"

typedef struct thing {
	int key;
	int references;
} thing;

static int compare(const void *left, const void *right)
{
	return ((const thing *)left)->key - ((const thing *)right)->key;
}

/* Values are const to their readers; the count is not. */
static thing *whole(const void *value)
{
	union {
		const void *shared;
		thing *whole;
	} u = {.shared = value};
	return u.whole;
}

static void ref(const void *value)
{
	whole(value)->references++;
}

static void unref(void *value)
{
	ck_assert_int_gt(whole(value)->references--, 0);
}

static const shared_map_kind THINGS = {compare, ref, unref, 3};

static void put(shared_map *m, const thing *t)
{
	shared_map_put(m, t, shared_map_now(m));
}

static const thing *get(shared_map *m, int key)
{
	const thing *found = shared_map_get(m, &(thing){.key = key});
	if (found != NULL) {
		unref(whole(found));
	}
	return found;
}

START_TEST(what_is_put_is_found_by_its_key_and_counted)
{
	thing a = {1, 0};
	thing b = {2, 0};
	thing better = {1, 0};
	shared_map *m = shared_map_new(&THINGS);
	put(m, &a);
	put(m, &b);
	ck_assert_ptr_eq(shared_map_get(m, &(thing){.key = 1}), &a);
	ck_assert_int_eq(a.references, 2);
	put(m, &better);
	ck_assert_int_eq(a.references, 1); /* the reader's */
	ck_assert_ptr_eq(get(m, 1), &better);
	ck_assert_ptr_null(get(m, 3));
	shared_map_free(m);
	ck_assert_int_eq(better.references + b.references, 0);
}
END_TEST

START_TEST(removed_and_cleared_is_gone)
{
	thing a = {1, 0};
	thing b = {2, 0};
	shared_map *m = shared_map_new(&THINGS);
	put(m, &a);
	put(m, &b);
	shared_map_remove(m, &a);
	ck_assert_ptr_null(get(m, 1));
	ck_assert_ptr_eq(get(m, 2), &b);
	shared_map_clear(m);
	ck_assert_ptr_null(get(m, 2));
	ck_assert_int_eq(a.references + b.references, 0);
	shared_map_free(m);
}
END_TEST

/* It was read before somebody changed it, and arrives behind the news of that. */
START_TEST(what_was_read_before_a_removal_is_not_kept)
{
	thing a = {1, 0};
	thing b = {2, 0};
	shared_map *m = shared_map_new(&THINGS);
	uint64_t read_at = shared_map_now(m);
	shared_map_clear(m);
	shared_map_put(m, &a, read_at);
	ck_assert_ptr_null(get(m, 1));
	read_at = shared_map_now(m);
	shared_map_remove(m, &a); /* it is not even there */
	shared_map_put(m, &a, read_at);
	ck_assert_ptr_null(get(m, 1));
	read_at = shared_map_now(m);
	put(m, &b);
	shared_map_put(m, &a, read_at);
	ck_assert_ptr_eq(get(m, 1), &a);
	shared_map_free(m);
	ck_assert_int_eq(a.references + b.references, 0);
}
END_TEST

START_TEST(beyond_its_limit_it_starts_afresh)
{
	thing things[4] = {{1, 0}, {2, 0}, {3, 0}, {4, 0}};
	shared_map *m = shared_map_new(&THINGS);
	for (size_t i = 0; i < 3; i++) {
		put(m, &things[i]);
	}
	put(m, &things[1]); /* replaces */
	ck_assert_ptr_eq(get(m, 3), &things[2]);
	put(m, &things[3]);
	ck_assert_ptr_null(get(m, 3));
	ck_assert_ptr_eq(get(m, 4), &things[3]);
	shared_map_free(m);
	shared_map_free(NULL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_is_put_is_found_by_its_key_and_counted,
		removed_and_cleared_is_gone,
		what_was_read_before_a_removal_is_not_kept,
		beyond_its_limit_it_starts_afresh,
	};
	return SUITE_RUN("base/shared_map", tests);
}
