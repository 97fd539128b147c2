#include "suite.h"

#include "api/durable/offset.h"

START_TEST(token_is_printed_as_the_contract_shows_it)
{
	char out[DURABLE_OFFSET_SIZE];
	ck_assert_view_eq(durable_offset_print((durable_offset){2, 25}, out), STR("0000000000000002_0000000000000019"));
	ck_assert_view_eq(durable_offset_print((durable_offset){INT64_MAX, 0}, out),
					  STR("7fffffffffffffff_0000000000000000"));
}
END_TEST

START_TEST(token_reads_back)
{
	const durable_offset some[] = {{0, 0}, {1, 11}, {INT64_MAX, INT64_MAX}, {0x123456789abcdef0, 16}};
	for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
		char out[DURABLE_OFFSET_SIZE];
		durable_offset back;
		ck_assert(durable_offset_parse(durable_offset_print(some[i], out), &back));
		ck_assert_int_eq(durable_offset_compare(back, some[i]), 0);
	}
}
END_TEST

START_TEST(half_beyond_a_signed_number_is_beyond_every_tail)
{
	durable_offset out;
	ck_assert(durable_offset_parse(STR("ffffffffffffffff_8000000000000000"), &out));
	ck_assert_int_eq(out.count, INT64_MAX);
	ck_assert_int_eq(out.bytes, INT64_MAX);
}
END_TEST

START_TEST(anything_else_is_no_token)
{
	const str bad[] = {STR(""),
					   STR("-1"),
					   STR("now"),
					   STR("000000000000000A_0000000000000000"),
					   STR("0000000000000000-0000000000000000"),
					   STR("0000000000000000_000000000000000"),
					   STR("0000000000000000_00000000000000000"),
					   STR("000000000000000g_0000000000000000"),
					   STR("0000000000000000_000000000000000\0")};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		durable_offset out = {7, 7};
		ck_assert(!durable_offset_parse(bad[i], &out));
		ck_assert_int_eq(out.count, 7);
	}
}
END_TEST

START_TEST(read_begins_at_the_start_now_or_a_token)
{
	durable_from from;
	err e;
	ck_assert(durable_from_parse(STR("-1"), &from, &e));
	ck_assert_int_eq(from.kind, DURABLE_FROM_START);
	ck_assert(durable_from_parse(STR("now"), &from, &e));
	ck_assert_int_eq(from.kind, DURABLE_FROM_NOW);
	ck_assert(durable_from_parse(STR("0000000000000001_000000000000000b"), &from, &e));
	ck_assert_int_eq(from.kind, DURABLE_FROM_TOKEN);
	ck_assert_int_eq(from.offset.bytes, 11);
	ck_assert(!durable_from_parse(STR("0"), &from, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {token_is_printed_as_the_contract_shows_it, token_reads_back,
								  half_beyond_a_signed_number_is_beyond_every_tail, anything_else_is_no_token,
								  read_begins_at_the_start_now_or_a_token};
	return SUITE_RUN("api/durable/offset", tests);
}
