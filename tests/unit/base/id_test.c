#include "base/id.h"
#include "suite.h"

#include <errno.h>
#include <string.h>
#include <sys/types.h>

/* The kernel, or one that gives a few bytes at a time (1, 2, 3, …) and is interrupted in between. */
ssize_t __real_getrandom(void *out, size_t bytes, unsigned flags);
ssize_t __wrap_getrandom(void *out, size_t bytes, unsigned flags);

static bool kernel_is_slow;

ssize_t __wrap_getrandom(void *out, size_t bytes, unsigned flags)
{
	static unsigned calls;
	static unsigned char next;
	if (!kernel_is_slow) {
		return __real_getrandom(out, bytes, flags);
	}
	if (++calls % 2 == 0) {
		errno = EINTR;
		return -1;
	}
	size_t given = bytes < 7 ? bytes : 7;
	for (size_t i = 0; i < given; i++) {
		((unsigned char *)out)[i] = ++next;
	}
	return (ssize_t)given;
}

START_TEST(random_fills_exactly_the_bytes_asked_for)
{
	unsigned char bytes[1002];
	unsigned char seen[1000] = {0};
	memset(bytes, 0, sizeof bytes);
	for (int round = 0; round < 20; round++) {
		id_random(bytes + 1, 1000);
		for (size_t i = 0; i < 1000; i++) {
			seen[i] |= bytes[1 + i];
		}
	}
	ck_assert_uint_eq(bytes[0], 0);
	ck_assert_uint_eq(bytes[1001], 0);
	for (size_t i = 0; i < 1000; i++) {
		ck_assert_uint_ne(seen[i], 0); /* untouched with a chance of 256^-20 */
	}
	id_random(bytes, 0);
	ck_assert_uint_eq(bytes[0], 0);
}
END_TEST

START_TEST(random_fills_one_byte)
{
	unsigned char seen = 0;
	for (int round = 0; round < 30; round++) {
		unsigned char byte = 0;
		id_random(&byte, 1);
		seen |= byte;
	}
	ck_assert_uint_ne(seen, 0);
}
END_TEST

START_TEST(random_goes_on_where_the_kernel_stopped)
{
	unsigned char bytes[100] = {0};
	kernel_is_slow = true;
	id_random(bytes, 99);
	kernel_is_slow = false;
	for (size_t i = 0; i < 99; i++) {
		ck_assert_uint_eq(bytes[i], i + 1);
	}
	ck_assert_uint_eq(bytes[99], 0);
}
END_TEST

START_TEST(base64url_ids_have_the_length_of_their_bytes)
{
	const size_t sizes[] = {0, 1, 2, 3, 16, 48, 49, 100};
	const size_t lengths[] = {0, 2, 3, 4, 22, 64, 66, 134};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		buf b;
		buf_init(&b, 1000);
		id_append_base64url(&b, sizes[i]);
		ck_assert_uint_eq(b.len, lengths[i]);
		for (size_t k = 0; k < b.len; k++) {
			ck_assert_ptr_nonnull(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", b.ptr[k]));
		}
		buf_dispose(&b);
	}
}
END_TEST

START_TEST(ids_differ)
{
	buf a;
	buf b;
	buf_init(&a, 100);
	buf_init(&b, 100);
	id_append_base64url(&a, 16);
	id_append_base64url(&b, 16);
	ck_assert(!str_equal(buf_str(&a), buf_str(&b)));
	ck_assert_uint_ne(id_random_u64(), id_random_u64());
	buf_dispose(&a);
	buf_dispose(&b);
}
END_TEST

START_TEST(uuid_has_the_form_of_version_4)
{
	for (int round = 0; round < 50; round++) {
		buf b;
		buf_init(&b, 36);
		id_append_uuid(&b);
		ck_assert_uint_eq(b.len, 36);
		for (size_t i = 0; i < 36; i++) {
			const char *allowed = i == 8 || i == 13 || i == 18 || i == 23 ? "-"
								  : i == 14                               ? "4"
								  : i == 19                               ? "89ab"
																		  : "0123456789abcdef";
			ck_assert_ptr_nonnull(strchr(allowed, b.ptr[i]));
		}
		buf_dispose(&b);
	}
}
END_TEST

START_TEST(uuid_is_random_in_every_place_of_its_own)
{
	enum { ROUNDS = 60 };
	char ids[ROUNDS][36];
	for (size_t round = 0; round < ROUNDS; round++) {
		buf b;
		buf_init(&b, 36);
		id_append_uuid(&b);
		memcpy(ids[round], b.ptr, 36);
		buf_dispose(&b);
	}
	for (size_t i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 14 || i == 18 || i == 23) {
			continue;
		}
		/* No place repeats its first value, or another place, in all of the rounds. */
		for (size_t k = 0; k <= i; k++) {
			size_t same = 0;
			for (size_t round = 0; round < ROUNDS; round++) {
				same += ids[round][i] == (k == i ? ids[0][i] : ids[round][k]);
			}
			ck_assert_msg(same < ROUNDS, "places %zu and %zu", i, k);
		}
	}
}
END_TEST

START_TEST(an_id_that_does_not_fit_fails_the_buffer)
{
	buf b;
	buf_init(&b, 35);
	id_append_uuid(&b);
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 0);
	buf_dispose(&b);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		random_fills_exactly_the_bytes_asked_for,
		random_fills_one_byte,
		random_goes_on_where_the_kernel_stopped,
		base64url_ids_have_the_length_of_their_bytes,
		ids_differ,
		uuid_has_the_form_of_version_4,
		uuid_is_random_in_every_place_of_its_own,
		an_id_that_does_not_fit_fails_the_buffer,
	};
	return SUITE_RUN("base/id", tests);
}
