#include "auth/limit_book.h"

#include <stdio.h>

#include "suite.h"

enum { SECOND_US = 1000000, MANY = 5000 };

static metric_registry *metrics;
static limit_book *book;
static const limit_set *none;

static void open_book(const char *defaults)
{
	static limit_set unset;
	const limit_set set = limit_set_read(str_from_c(defaults));
	unset = limit_set_none();
	none = &unset;
	metrics = metric_registry_new();
	book = limit_book_new(&set, metrics);
}

static void close_book(void)
{
	limit_book_free(book);
	metric_registry_free(metrics);
}

START_TEST(an_account_is_the_same_for_all_who_ask)
{
	open_book("");
	limit_account *a = limit_book_find(book, 7, STR("a"), none, 0);
	limit_account *again = limit_book_find(book, 7, STR("a"), none, 0);
	limit_account *other = limit_book_find(book, 8, STR("a"), none, 0);
	limit_account *tenant = limit_book_find(book, 7, STR_NONE, none, 0);
	ck_assert_ptr_eq(a, again);
	ck_assert(a != other && a != tenant);
	ck_assert_uint_eq(limit_book_count(book), 4);
	limit_account_unref(a);
	limit_account_unref(again);
	limit_account_unref(other);
	limit_account_unref(tenant);
	close_book();
}
END_TEST

START_TEST(a_tenants_own_limits_come_before_the_servers)
{
	open_book("body_bytes=1000,topics=5");
	limit_set own = limit_set_read(STR("body_bytes=10"));
	limit_account *a = limit_book_find(book, 7, STR("a"), &own, 0);
	ck_assert_int_eq(limit_of_tenant(a, LIMIT_BODY_BYTES), 10);
	ck_assert_int_eq(limit_of_tenant(a, LIMIT_TOPICS), 5);
	own = limit_set_read(STR("body_bytes=0"));
	limit_account_unref(limit_book_find(book, 7, STR("b"), &own, 0));
	ck_assert_int_eq(limit_of_tenant(a, LIMIT_BODY_BYTES), 0);
	limit_account_unref(limit_book_find(book, 7, STR_NONE, none, 0));
	ck_assert_int_eq(limit_of_tenant(a, LIMIT_BODY_BYTES), 1000);
	limit_account_unref(a);
	close_book();
}
END_TEST

START_TEST(accounts_that_nobody_uses_are_forgotten_and_no_other)
{
	err e;
	char name[16];
	open_book("requests_per_second_per_key=1");
	limit_account *held = limit_book_find(book, 7, STR("held"), none, 0);
	limit_account *owing = limit_book_find(book, 7, STR("owing"), none, 0);
	ck_assert(limit_take(owing, LIMIT_REQUESTS_PER_SECOND, 1, 0, &e));
	limit_account_unref(owing);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "%d", i);
		limit_account_unref(limit_book_find(book, 7, str_from_c(name), none, SECOND_US / 2));
	}
	ck_assert_uint_lt(limit_book_count(book), 200);
	ck_assert_ptr_eq(limit_book_find(book, 7, STR("held"), none, 0), held);
	owing = limit_book_find(book, 7, STR("owing"), none, 0);
	ck_assert(!limit_take(owing, LIMIT_REQUESTS_PER_SECOND, 1, SECOND_US / 2, &e));
	limit_account_unref(owing);
	limit_account_unref(held);
	limit_account_unref(held);
	close_book();
}
END_TEST

START_TEST(many_accounts_in_use_are_all_found)
{
	static limit_account *accounts[MANY];
	char name[16];
	open_book("");
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "%d", i);
		accounts[i] = limit_book_find(book, i % 100, str_from_c(name), none, 0);
	}
	ck_assert_uint_eq(limit_book_count(book), MANY + 100);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof name, "%d", i);
		limit_account *again = limit_book_find(book, i % 100, str_from_c(name), none, 0);
		ck_assert_ptr_eq(again, accounts[i]);
		limit_account_unref(again);
		limit_account_unref(again);
	}
	close_book();
}
END_TEST

START_TEST(an_account_outlives_its_book)
{
	err e;
	open_book("streams=1");
	limit_account *a = limit_book_find(book, 7, STR("a"), none, 0);
	ck_assert(limit_enter(a, LIMIT_STREAMS, &e));
	limit_book_free(book);
	limit_leave(a, LIMIT_STREAMS);
	limit_account_unref(a);
	metric_registry_free(metrics);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {an_account_is_the_same_for_all_who_ask, a_tenants_own_limits_come_before_the_servers,
								  accounts_that_nobody_uses_are_forgotten_and_no_other,
								  many_accounts_in_use_are_all_found, an_account_outlives_its_book};
	return SUITE_RUN("auth/limit_book", tests);
}
