#include "auth/cache.h"

#include <check.h>

#include "suite.h"

static auth_cache *cache;

static void make(uint32_t max_entries)
{
	cache = auth_cache_new(max_entries);
	ck_assert_ptr_nonnull(cache);
}

static auth_digest digest(uint32_t number)
{
	auth_digest d = {{0}};
	/* All in one bucket: the first bytes, which choose it, are the same. */
	memcpy(d.bytes + 8, &number, sizeof number);
	return d;
}

static void put(uint32_t number, const char *key_id, int64_t until_ms)
{
	const auth_principal from = {.tenant_id = number, .tenant = STR("acme"), .key_id = str_from_c(key_id)};
	auth_digest d = digest(number);
	auth_cached value = {.principal = auth_principal_new(&from), .reason = AUTH_REASON_GRANTED, .until_ms = until_ms};
	snprintf(value.key_id, sizeof value.key_id, "%s", key_id);
	auth_cache_put(cache, &d, &value);
	auth_principal_unref(value.principal);
}

static int64_t found(uint32_t number, int64_t now_ms)
{
	auth_digest d = digest(number);
	const auth_cached *value = auth_cache_find(cache, &d, now_ms);
	return value != NULL ? value->principal->tenant_id : 0;
}

START_TEST(what_was_put_is_found_until_its_time)
{
	make(10);
	put(1, "one", 100);
	ck_assert_int_eq(found(1, 99), 1);
	ck_assert_int_eq(found(2, 99), 0);
	ck_assert_int_eq(found(1, 100), 0);
	ck_assert_uint_eq(auth_cache_count(cache), 0);
	auth_cache_free(cache);
}
END_TEST

START_TEST(an_entry_is_replaced_not_doubled)
{
	make(10);
	put(1, "one", 100);
	put(1, "one", 200);
	ck_assert_int_eq(found(1, 150), 1);
	ck_assert_uint_eq(auth_cache_count(cache), 1);
	auth_cache_free(cache);
}
END_TEST

START_TEST(the_least_recently_used_makes_room)
{
	make(3);
	put(1, "one", 100);
	put(2, "two", 100);
	put(3, "three", 100);
	ck_assert_int_eq(found(1, 0), 1);
	put(4, "four", 100);
	ck_assert_uint_eq(auth_cache_count(cache), 3);
	ck_assert_int_eq(found(2, 0), 0);
	ck_assert_int_eq(found(1, 0), 1);
	ck_assert_int_eq(found(3, 0), 3);
	ck_assert_int_eq(found(4, 0), 4);
	auth_cache_free(cache);
}
END_TEST

START_TEST(all_entries_of_a_key_are_dropped_and_no_other)
{
	make(10);
	put(1, "one", 100);
	put(2, "two", 100);
	put(3, "one", 100);
	auth_cache_drop_key(cache, STR("one"));
	ck_assert_int_eq(found(1, 0), 0);
	ck_assert_int_eq(found(2, 0), 2);
	ck_assert_int_eq(found(3, 0), 0);
	auth_cache_drop_key(cache, STR("nobody"));
	ck_assert_uint_eq(auth_cache_count(cache), 1);
	auth_cache_clear(cache);
	ck_assert_uint_eq(auth_cache_count(cache), 0);
	auth_cache_free(cache);
}
END_TEST

/* Against a plain array that says what must be there. */
START_TEST(long_use_keeps_it_consistent)
{
	enum { NUMBERS = 64, ROOM = 16 };
	int64_t last_use[NUMBERS] = {0}; /* 0: not there */
	uint32_t random = 12345;
	make(ROOM);
	for (int64_t step = 1; step < 20000; step++) {
		random = random * 1664525u + 1013904223u;
		uint32_t number = 1 + (random >> 10) % (NUMBERS - 1);
		if ((random >> 28) < 4) {
			ck_assert_int_eq(found(number, 0), last_use[number] != 0 ? number : 0);
			last_use[number] = last_use[number] != 0 ? step : 0;
			continue;
		}
		uint32_t oldest = 0;
		uint32_t present = 0;
		for (uint32_t i = 1; i < NUMBERS; i++) {
			present += last_use[i] != 0 ? 1 : 0;
			if (last_use[i] != 0 && (oldest == 0 || last_use[i] < last_use[oldest])) {
				oldest = i;
			}
		}
		if (last_use[number] == 0 && present == ROOM) {
			last_use[oldest] = 0;
		}
		put(number, "key", 100);
		last_use[number] = step;
	}
	for (uint32_t i = 1; i < NUMBERS; i++) {
		ck_assert_int_eq(found(i, 0), last_use[i] != 0 ? i : 0);
	}
	auth_cache_free(cache);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_was_put_is_found_until_its_time, an_entry_is_replaced_not_doubled,
		the_least_recently_used_makes_room,   all_entries_of_a_key_are_dropped_and_no_other,
		long_use_keeps_it_consistent,
	};
	return SUITE_RUN("auth/cache", tests);
}
