#include "suite.h"

#include "api/streaming/encode.h"

static buf out;
static arena *memory;

static str record_text(const log_record *r)
{
	buf_dispose(&out);
	buf_init(&out, 1 << 24);
	encode_record(&out, r);
	ck_assert(!out.failed);
	return buf_str(&out);
}

START_TEST(a_record_has_all_members)
{
	log_record r = {
		.offset = 7, .timestamp_ms = 1705334401234, .partition = 2, .key = STR("user-1"), .value = STR("a \"b\"\n")};
	ck_assert_view_eq(record_text(&r),
					  STR("\"partition\":2,\"offset\":7,\"key\":\"user-1\",\"value\":\"a \\\"b\\\"\\n\","
						  "\"timestamp\":1705334401234,\"headers\":[]"));
}
END_TEST

START_TEST(an_absent_key_is_null_and_an_empty_one_is_not)
{
	log_record r = {.value = STR("v"), .headers = STR("[[\"a\",\"b\"]]")};
	ck_assert_view_eq(record_text(&r), STR("\"partition\":0,\"offset\":0,\"key\":null,\"value\":\"v\",\"timestamp\":0,"
										   "\"headers\":[[\"a\",\"b\"]]"));
	r.key = STR("");
	ck_assert_view_eq(record_text(&r), STR("\"partition\":0,\"offset\":0,\"key\":\"\",\"value\":\"v\",\"timestamp\":0,"
										   "\"headers\":[[\"a\",\"b\"]]"));
}
END_TEST

START_TEST(bytes_that_are_no_text_are_base64_with_their_key)
{
	log_record r = {.key = STR("k"), .value = (str){"\xff\x00", 2}};
	ck_assert_view_eq(record_text(&r), STR("\"partition\":0,\"offset\":0,\"key\":\"aw==\",\"value\":\"/wA=\","
										   "\"timestamp\":0,\"headers\":[],\"encoding\":\"base64\""));
	r = (log_record){.key = (str){"\x80", 1}, .value = STR("v")};
	ck_assert_view_eq(record_text(&r), STR("\"partition\":0,\"offset\":0,\"key\":\"gA==\",\"value\":\"dg==\","
										   "\"timestamp\":0,\"headers\":[],\"encoding\":\"base64\""));
	r = (log_record){.value = (str){"\x80", 1}};
	ck_assert_view_eq(record_text(&r), STR("\"partition\":0,\"offset\":0,\"key\":null,\"value\":\"gA==\","
										   "\"timestamp\":0,\"headers\":[],\"encoding\":\"base64\""));
}
END_TEST

START_TEST(a_gap_ends_before_what_is_kept)
{
	buf_dispose(&out);
	buf_init(&out, 1000);
	encode_gap(&out, 3, &(log_gap){.from = 5, .to = 9});
	ck_assert_view_eq(buf_str(&out), STR("\"partition\":3,\"from_offset\":5,\"to_offset\":9"));
}
END_TEST

static str results_text(log_append *op)
{
	arena_free(memory);
	memory = arena_new(1 << 20);
	op->arena = memory;
	buf_dispose(&out);
	buf_init(&out, 1 << 24);
	ck_assert(encode_results(&out, op));
	ck_assert(!out.failed);
	return buf_str(&out);
}

START_TEST(results_of_one_partition_count_up)
{
	log_append_result results[] = {{.partition = 1, .count = 3, .base_offset = 99}};
	log_append op = {.results = results, .result_count = 1};
	ck_assert_view_eq(results_text(&op),
					  STR("{\"results\":[{\"partition\":1,\"offset\":99},{\"partition\":1,\"offset\":100},"
						  "{\"partition\":1,\"offset\":101}]}"));
}
END_TEST

START_TEST(results_come_in_the_order_of_the_request)
{
	log_append_result results[] = {{.partition = 0, .count = 1, .base_offset = 0},
								   {.partition = 1023, .count = 2, .base_offset = INT64_MAX - 1}};
	const uint16_t result_of[] = {1, 0, 1};
	log_append op = {.results = results, .result_count = 2, .result_of = result_of, .is_duplicate = true};
	ck_assert_view_eq(results_text(&op), STR("{\"results\":[{\"partition\":1023,\"offset\":9223372036854775806},"
											 "{\"partition\":0,\"offset\":0},"
											 "{\"partition\":1023,\"offset\":9223372036854775807}],\"deduped\":true}"));
}
END_TEST

START_TEST(results_that_are_not_known_any_more_are_an_empty_list)
{
	log_append op = {.is_duplicate = true};
	ck_assert_view_eq(results_text(&op), STR("{\"results\":[],\"deduped\":true}"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_record_has_all_members,
		an_absent_key_is_null_and_an_empty_one_is_not,
		bytes_that_are_no_text_are_base64_with_their_key,
		a_gap_ends_before_what_is_kept,
		results_of_one_partition_count_up,
		results_come_in_the_order_of_the_request,
		results_that_are_not_known_any_more_are_an_empty_list,
	};
	int failed = SUITE_RUN("api/streaming/encode", tests);
	buf_dispose(&out);
	arena_free(memory);
	return failed;
}
