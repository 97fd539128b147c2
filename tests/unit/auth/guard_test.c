#include "auth/guard.h"

#include <check.h>

#include "suite.h"

static const struct {
	const char *address;
	bool is_loopback;
} ADDRESSES[] = {
	{"127.0.0.1:5470", true},
	{"127.8.9.10:0", true},
	{"[::1]:80", true},
	{"localhost:5470", true},
	{"LocalHost:5470", true},
	{" 127.0.0.1:5470 ", true},
	{"[::ffff:127.0.0.1]:80", true},
	{"0.0.0.0:5470", false},
	{"[::]:80", false},
	{":80", false},
	{"80", false},
	{"", false},
	{"*:80", false},
	{"10.0.0.1:80", false},
	{"128.0.0.1:80", false},
	{"127.0.0.1.example.com:80", false},
	{"localhost.example.com:80", false},
	{"[::1", false},
	{"[::ffff:10.0.0.1]:80", false},
	{"[fe80::1]:80", false},
	{"2130706433:80", false}, /* resolvers take it for 127.0.0.1; nobody means it */
};

START_TEST(loopback_is_what_other_machines_cannot_reach)
{
	for (size_t i = 0; i < sizeof ADDRESSES / sizeof ADDRESSES[0]; i++) {
		ck_assert_msg(auth_address_is_loopback(str_from_c(ADDRESSES[i].address)) == ADDRESSES[i].is_loopback, "%s",
					  ADDRESSES[i].address);
	}
}
END_TEST

START_TEST(a_public_address_needs_credentials_or_consent)
{
	const str addresses[] = {STR("127.0.0.1:5470"), STR("0.0.0.0:8080")};
	err e;
	ck_assert(!auth_guard_listen(addresses, 2, false, false, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	ck_assert_ptr_nonnull(strstr(e.message, "0.0.0.0:8080"));
	ck_assert_ptr_nonnull(strstr(e.message, "tidegate key create"));
	ck_assert_ptr_nonnull(strstr(e.message, "allow_public_without_auth"));
	ck_assert(auth_guard_listen(addresses, 2, true, false, &e));
	ck_assert(auth_guard_listen(addresses, 2, false, true, &e));
	ck_assert(auth_guard_listen(addresses, 1, false, false, &e));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		loopback_is_what_other_machines_cannot_reach,
		a_public_address_needs_credentials_or_consent,
	};
	return SUITE_RUN("auth/guard", tests);
}
