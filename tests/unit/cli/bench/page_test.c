#include <string.h>

#include "cli/bench/page.h"
#include "suite.h"

enum { RECORDS = 3, END = 12 };

static payload *values;
static ledger acknowledged;

/* Twelve records in four requests. */
static void begin(void)
{
	const payload_options options = {.records = RECORDS, .variants = 2, .value_bytes = 20};
	err e;
	values = payload_new(&options);
	ledger_init(&acknowledged);
	for (uint32_t i = 0; i < END / RECORDS; i++) {
		ck_assert(ledger_add(&acknowledged, (int64_t)i * RECORDS, RECORDS, i % 2, &e));
	}
	ck_assert(ledger_settle(&acknowledged, &e));
}

static void end(void)
{
	ledger_dispose(&acknowledged);
	payload_free(values);
}

static void add_message(buf *out, int64_t offset, str value)
{
	buf_printf(out,
			   "%s{\"partition\":0,\"offset\":%lld,\"key\":null,\"value\":\"%.*s\",\"timestamp\":1,\"headers\":[]}",
			   out->len > 13 ? "," : "", (long long)offset, STR_ARG(value));
}

static str value_at(int64_t offset)
{
	return payload_value(values, (uint32_t)(offset / RECORDS % 2), (uint32_t)(offset % RECORDS));
}

/* A page of the given offsets, each with the value that belongs to it. */
static bool check(const int64_t *offsets, size_t count, int64_t from, uint32_t *seen)
{
	buf body;
	err e;
	buf_init(&body, 65536);
	buf_append_str(&body, STR("{\"messages\":["));
	for (size_t i = 0; i < count; i++) {
		add_message(&body, offsets[i], value_at(offsets[i] % END));
	}
	buf_append_str(&body, STR("]}"));
	page_expectation x = page_expect(&acknowledged, values, from);
	bool ok = page_check_messages(buf_str(&body), &x, seen, &e);
	ck_assert(!ok || x.next_offset == from + (int64_t)count);
	buf_dispose(&body);
	return ok;
}

START_TEST(a_page_in_order_is_counted)
{
	static const int64_t OFFSETS[] = {5, 6, 7, 8, 9, 10, 11};
	uint32_t seen = 99;
	begin();
	ck_assert(check(OFFSETS, 7, 5, &seen));
	ck_assert_uint_eq(seen, 7);
	ck_assert(check(NULL, 0, 5, &seen));
	ck_assert_uint_eq(seen, 0);
	end();
}
END_TEST

START_TEST(a_hole_a_duplicate_and_a_wrong_order_are_found)
{
	static const int64_t PAGES[][4] = {{0, 1, 3, 4}, {0, 1, 1, 2}, {0, 2, 1, 3}, {1, 2, 3, 4}};
	uint32_t seen = 0;
	begin();
	for (size_t i = 0; i < sizeof PAGES / sizeof PAGES[0]; i++) {
		ck_assert_msg(!check(PAGES[i], 4, 0, &seen), "page %zu", i);
	}
	end();
}
END_TEST

START_TEST(a_record_that_nobody_produced_is_found)
{
	static const int64_t OFFSETS[] = {10, 11, 12};
	uint32_t seen = 0;
	buf body;
	err e;
	begin();
	ck_assert(!check(OFFSETS, 3, 10, &seen));
	/* Unless the log is known to grow meanwhile. */
	buf_init(&body, 65536);
	buf_append_str(&body, STR("{\"messages\":["));
	for (int64_t offset = 10; offset < 15; offset++) {
		add_message(&body, offset, value_at(offset % END));
	}
	page_expectation x = page_expect(&acknowledged, values, 10);
	x.log_grows = true;
	ck_assert(page_check_messages(buf_str(&body), &x, &seen, &e));
	ck_assert_uint_eq(seen, 2);
	ck_assert_int_eq(x.next_offset, END);
	buf_dispose(&body);
	end();
}
END_TEST

START_TEST(a_value_of_another_record_is_found)
{
	buf body;
	err e;
	uint32_t seen = 0;
	begin();
	buf_init(&body, 65536);
	buf_append_str(&body, STR("{\"messages\":["));
	add_message(&body, 0, value_at(0));
	add_message(&body, 1, value_at(2));
	page_expectation x = page_expect(&acknowledged, values, 0);
	ck_assert(!page_check_messages(buf_str(&body), &x, &seen, &e));
	/* One byte more than the value is wrong as well. */
	buf_clear(&body);
	buf_printf(&body, "{\"messages\":[{\"offset\":0,\"value\":\"%.*s!\"}]}", STR_ARG(value_at(0)));
	x = page_expect(&acknowledged, values, 0);
	ck_assert(!page_check_messages(buf_str(&body), &x, &seen, &e));
	buf_dispose(&body);
	end();
}
END_TEST

START_TEST(results_must_be_consecutive_and_complete)
{
	static const str GOOD = {"{\"results\":[{\"partition\":0,\"offset\":9},{\"partition\":0,\"offset\":10}]}", 69};
	static const str BAD = {"{\"results\":[{\"partition\":0,\"offset\":9},{\"partition\":0,\"offset\":11}]}", 69};
	int64_t base = 0;
	err e;
	ck_assert(page_check_results(GOOD, 2, &base, &e));
	ck_assert_int_eq(base, 9);
	ck_assert(!page_check_results(GOOD, 1, &base, &e));
	ck_assert(!page_check_results(GOOD, 3, &base, &e));
	ck_assert(!page_check_results(BAD, 2, &base, &e));
	ck_assert(!page_check_results(STR("{\"results\":[{\"offset\":null}]}"), 1, &base, &e));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_page_in_order_is_counted, a_hole_a_duplicate_and_a_wrong_order_are_found,
								  a_record_that_nobody_produced_is_found, a_value_of_another_record_is_found,
								  results_must_be_consecutive_and_complete};
	return SUITE_RUN("cli/bench/page", tests);
}
