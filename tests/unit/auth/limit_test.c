#include "auth/limit.h"

#include <pthread.h>

#include "auth/limit_book.h"
#include "suite.h"

enum { SECOND_US = 1000000, THREADS = 4, TAKES = 5000 };

#define KEY STR("0123456789ab")

static metric_registry *metrics;
static limit_book *book;

static limit_account *open_account(const char *limits)
{
	err e;
	limit_set own;
	const limit_set none = limit_set_none();
	metrics = metric_registry_new();
	book = limit_book_new(&none, metrics);
	ck_assert(limit_set_parse(str_from_c(limits), &own, &e));
	return limit_book_find(book, 7, KEY, &own, 0);
}

static void close_account(limit_account *a)
{
	limit_account_unref(a);
	limit_book_free(book);
	metric_registry_free(metrics);
}

static int take_until_refused(limit_account *a, limit_kind kind, int64_t count, int64_t now_us, err *e)
{
	int taken = 0;
	while (taken < 1000 && limit_take(a, kind, count, now_us, e)) {
		taken++;
	}
	return taken;
}

/* ---- rates; the clock is the argument ---- */

START_TEST(a_bucket_holds_one_second_and_fills_evenly)
{
	err e;
	limit_account *a = open_account("requests_per_second=10");
	int64_t now_us = 77 * SECOND_US;
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, now_us, &e), 10);
	ck_assert_uint_eq(e.retry_after_ms, 100);
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, now_us + SECOND_US / 10 - 1, &e), 0);
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, now_us + SECOND_US / 10, &e), 1);
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, now_us + SECOND_US / 2, &e), 4);
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, now_us + 60 * SECOND_US, &e), 10);
	close_account(a);
}
END_TEST

START_TEST(one_a_second_is_one_a_second)
{
	err e;
	limit_account *a = open_account("requests_per_second=1");
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, SECOND_US, &e), 1);
	ck_assert_uint_eq(e.retry_after_ms, 1000);
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, 2 * SECOND_US - 1, &e), 0);
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, 2 * SECOND_US, &e), 1);
	close_account(a);
}
END_TEST

START_TEST(a_refusal_says_which_limit_it_was)
{
	err e;
	limit_account *a = open_account("requests_per_second=1,requests_per_second_per_key=1");
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, SECOND_US, &e), 1);
	ck_assert_int_eq(e.code, ERR_THROTTLED);
	ck_assert_str_eq(e.detail, "{\"limit\":\"requests_per_second_per_key\",\"max\":1,\"retry_after_ms\":1000}");
	ck_assert_int_eq(
		metric_value(metric_counter(metrics, "tidegate_limited_total", "", "limit=\"requests_per_second_per_key\"")),
		1);
	close_account(a);
}
END_TEST

START_TEST(more_than_there_is_leaves_a_debt)
{
	err e;
	limit_account *a = open_account("records_per_second=100");
	ck_assert(limit_take(a, LIMIT_RECORDS_PER_SECOND, 350, 0, &e));
	ck_assert(!limit_take(a, LIMIT_RECORDS_PER_SECOND, 0, 0, &e));
	/* 250 are owed, and one token is needed */
	ck_assert_uint_eq(e.retry_after_ms, 2510);
	ck_assert(!limit_take(a, LIMIT_RECORDS_PER_SECOND, 1, 2509999, &e));
	ck_assert(limit_take(a, LIMIT_RECORDS_PER_SECOND, 1, 2510000, &e));
	close_account(a);
}
END_TEST

START_TEST(a_debt_ends_after_a_minute_whatever_it_was)
{
	err e;
	limit_account *a = open_account("bytes_per_second=1");
	limit_charge(a, LIMIT_BYTES_PER_SECOND, INT64_MAX, 0);
	limit_charge(a, LIMIT_BYTES_PER_SECOND, INT64_MAX, 0);
	ck_assert(!limit_take(a, LIMIT_BYTES_PER_SECOND, 0, (int64_t)LIMIT_DEBT_MAX_S * SECOND_US, &e));
	ck_assert(limit_take(a, LIMIT_BYTES_PER_SECOND, 0, (int64_t)(LIMIT_DEBT_MAX_S + 1) * SECOND_US, &e));
	close_account(a);
}
END_TEST

START_TEST(what_the_tenant_refuses_is_not_taken_from_the_key)
{
	err e;
	const limit_set none = limit_set_none();
	limit_account *a = open_account("requests_per_second=1,requests_per_second_per_key=2");
	limit_set own = none;
	own.most[LIMIT_OF_TENANT][LIMIT_REQUESTS_PER_SECOND] = 0;
	own.most[LIMIT_OF_KEY][LIMIT_REQUESTS_PER_SECOND] = 2;
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, 0, &e), 1);
	ck_assert(!limit_take(a, LIMIT_REQUESTS_PER_SECOND, 1, 0, &e));
	limit_account_unref(limit_book_find(book, 7, KEY, &own, 0));
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1, 0, &e), 1);
	close_account(a);
}
END_TEST

START_TEST(without_a_limit_nothing_is_refused)
{
	err e;
	limit_account *a = open_account("");
	ck_assert_int_eq(take_until_refused(a, LIMIT_REQUESTS_PER_SECOND, 1 << 30, 0, &e), 1000);
	ck_assert(!limit_is_set(a, LIMIT_REQUESTS_PER_SECOND));
	ck_assert(limit_take(NULL, LIMIT_REQUESTS_PER_SECOND, 1, 0, &e) && limit_enter(NULL, LIMIT_STREAMS, &e));
	close_account(a);
}
END_TEST

static void *take_many(void *context)
{
	err e;
	int64_t taken = 0;
	for (int i = 0; i < TAKES; i++) {
		taken += limit_take(context, LIMIT_REQUESTS_PER_SECOND, 1, SECOND_US, &e);
	}
	return (void *)(intptr_t)taken;
}

START_TEST(threads_together_take_no_more_than_there_is)
{
	pthread_t threads[THREADS];
	intptr_t sum = 0;
	limit_account *a = open_account("requests_per_second=1000");
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_many, a), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		void *taken = NULL;
		pthread_join(threads[i], &taken);
		sum += (intptr_t)taken;
	}
	ck_assert_int_eq(sum, 1000);
	close_account(a);
}
END_TEST

/* ---- counts ---- */

START_TEST(what_goes_on_is_counted_for_the_key_and_for_the_tenant)
{
	err e;
	limit_account *a = open_account("streams=3,streams_per_key=2");
	const limit_set own = limit_set_read(STR("streams=3,streams_per_key=2"));
	limit_account *other = limit_book_find(book, 7, STR("another"), &own, 0);
	ck_assert(limit_enter(a, LIMIT_STREAMS, &e) && limit_enter(a, LIMIT_STREAMS, &e));
	ck_assert(!limit_enter(a, LIMIT_STREAMS, &e));
	ck_assert_ptr_nonnull(strstr(e.detail, "\"streams_per_key\",\"max\":2"));
	ck_assert(limit_enter(other, LIMIT_STREAMS, &e));
	ck_assert(!limit_enter(other, LIMIT_STREAMS, &e));
	ck_assert_ptr_nonnull(strstr(e.detail, "\"streams\",\"max\":3"));
	limit_leave(a, LIMIT_STREAMS);
	ck_assert(limit_enter(other, LIMIT_STREAMS, &e));
	ck_assert_int_eq(limit_in_use(a, LIMIT_STREAMS), 1);
	ck_assert_int_eq(limit_in_use(other, LIMIT_STREAMS), 2);
	limit_account_unref(other);
	close_account(a);
}
END_TEST

/* ---- stored bytes ---- */

START_TEST(stored_bytes_are_what_was_read_and_what_was_added_since)
{
	err e;
	bool is_due = false;
	limit_account *a = open_account("stored_bytes=100");
	ck_assert(limit_store(a, 10, SECOND_US, &is_due, &e) && is_due);
	ck_assert(limit_store(a, 10, SECOND_US, &is_due, &e) && !is_due); /* somebody reads already */
	int64_t begun = limit_begin_stored(a);
	ck_assert(limit_store(a, 10, SECOND_US, &is_due, &e));
	limit_tell_stored(a, begun, 70);
	ck_assert(limit_store(a, 20, SECOND_US, &is_due, &e)); /* 70 and 10 and 20 */
	ck_assert(!limit_store(a, 1, SECOND_US, &is_due, &e));
	ck_assert_ptr_nonnull(strstr(e.detail, "\"stored_bytes\",\"max\":100"));
	ck_assert(!limit_store(a, 1, 2 * SECOND_US, &is_due, &e) && is_due);
	limit_tell_stored(a, limit_begin_stored(a), 40);
	ck_assert(limit_store(a, 60, 2 * SECOND_US, &is_due, &e) && !is_due);
	close_account(a);
}
END_TEST

START_TEST(a_reading_that_failed_is_made_again)
{
	err e;
	bool is_due = false;
	limit_account *a = open_account("stored_bytes=100");
	ck_assert(limit_store(a, 10, SECOND_US, &is_due, &e) && is_due);
	limit_tell_stored(a, limit_begin_stored(a), -1);
	ck_assert(limit_store(a, 10, SECOND_US, &is_due, &e) && is_due);
	close_account(a);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_bucket_holds_one_second_and_fills_evenly,
								  one_a_second_is_one_a_second,
								  a_refusal_says_which_limit_it_was,
								  more_than_there_is_leaves_a_debt,
								  a_debt_ends_after_a_minute_whatever_it_was,
								  what_the_tenant_refuses_is_not_taken_from_the_key,
								  without_a_limit_nothing_is_refused,
								  threads_together_take_no_more_than_there_is,
								  what_goes_on_is_counted_for_the_key_and_for_the_tenant,
								  stored_bytes_are_what_was_read_and_what_was_added_since,
								  a_reading_that_failed_is_made_again};
	return SUITE_RUN("auth/limit", tests);
}
