#include "api/topics/write_body.h"

#include "suite.h"

#include <string.h>

static arena *memory;
static write_body w;
static err problem;
static const write_limits limits = {
	.records = 3, .record_bytes = 100, .meta_bytes = 40, .tag_bytes = 8, .node_bytes = 4};

static bool read_text(const char *text)
{
	arena_free(memory);
	memory = arena_new(1 << 20);
	err_clear(&problem);
	return write_body_read(str_from_c(text), memory, &limits, &w, &problem);
}

START_TEST(records_become_columns_and_compact_data_is_not_copied)
{
	const char *text = "{\"records\":[{\"data\":{\"a\":[1,2]}},{\"tag\":\"t\\u0031\",\"data\":{ \"b\" : 1.0 },"
					   "\"meta\":{ \"m\" : null }}]}";
	ck_assert_msg(read_text(text), "%s", problem.message);
	ck_assert_uint_eq(w.columns.count, 2);
	ck_assert_ptr_eq(w.columns.values[0].ptr, strstr(text, "{\"a\""));
	ck_assert_view_eq(w.columns.values[0], STR("{\"a\":[1,2]}"));
	ck_assert_view_eq(w.columns.values[1], STR("{\"b\":1.0}"));
	ck_assert_ptr_null(w.columns.tags[0].ptr);
	ck_assert_view_eq(w.columns.tags[1], STR("t1"));
	ck_assert_view_eq(w.columns.metas[1], STR("{\"m\":null}"));
	ck_assert_ptr_null(w.columns.nodes);
	ck_assert_uint_eq(write_body_bytes(&w), 11 + 9 + 10);
	ck_assert(!w.has_create && !w.has_config && !w.disable_backpressure);
}
END_TEST

START_TEST(the_batchs_node_is_the_default_wherever_it_stands)
{
	ck_assert(read_text(
		"{\"records\":[{\"data\":1},{\"data\":2,\"node\":\"own\"},{\"data\":3,\"node\":null}],\"node\":\"all\"}"));
	ck_assert_view_eq(w.columns.nodes[0], STR("all"));
	ck_assert_view_eq(w.columns.nodes[1], STR("own"));
	ck_assert_view_eq(w.columns.nodes[2], STR("all"));
}
END_TEST

START_TEST(the_last_of_repeated_members_counts)
{
	ck_assert(read_text("{\"records\":[{\"data\":1,\"tag\":\"x\"},{\"data\":1}],\"records\":[{\"data\":2,\"data\":3}],"
						"\"create\":true,\"create\":null,\"idempotency_key\":\"a\",\"idempotency_key\":\"b\"}"));
	ck_assert_uint_eq(w.columns.count, 1);
	ck_assert_view_eq(w.columns.values[0], STR("3"));
	ck_assert_ptr_null(w.columns.tags);
	ck_assert(!w.has_create);
	ck_assert_view_eq(w.idempotency_key, STR("b"));
}
END_TEST

START_TEST(options_and_configuration_are_read)
{
	ck_assert(
		read_text("{\"config\":{\"cap_records\":5,\"durable\":true},\"create\":false,\"disable_backpressure\":true,"
				  "\"return_seqs\":false,\"records\":[{\"data\":null,\"extra\":{}}]}"));
	ck_assert(w.has_config && w.has_create && !w.create && w.disable_backpressure);
	ck_assert_int_eq(w.config.cap_records, 5);
	ck_assert_int_eq(w.config.durability, LOG_FSYNC);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
	static const struct {
		const char *text;
		err_code code;
		const char *says;
	} cases[] = {
		{"", ERR_INVALID_REQUEST, "empty"},
		{"[]", ERR_INVALID_REQUEST, "object"},
		{"{\"records\":[{\"data\":1}", ERR_INVALID_REQUEST, "JSON"},
		{"{}", ERR_INVALID_REQUEST, "no records"},
		{"{\"records\":[]}", ERR_INVALID_REQUEST, "no records"},
		{"{\"records\":[{\"data\":1},{\"tag\":\"x\"}]}", ERR_INVALID_REQUEST, "records[1]"},
		{"{\"records\":[1]}", ERR_INVALID_REQUEST, "records[0]"},
		{"{\"records\":[{\"data\":1,\"tag\":\"123456789\"}]}", ERR_INVALID_REQUEST, "records[0].tag"},
		{"{\"records\":[{\"data\":1,\"node\":\"12345\"}]}", ERR_INVALID_REQUEST, "records[0].node"},
		{"{\"records\":[{\"data\":1}],\"node\":\"12345\"}", ERR_INVALID_REQUEST, "node"},
		{"{\"records\":[{\"data\":1,\"tag\":7}]}", ERR_INVALID_REQUEST, "records[0].tag"},
		{"{\"records\":[{\"data\":1,\"meta\":\"x\"}]}", ERR_INVALID_REQUEST, "records[0].meta"},
		{"{\"records\":[{\"data\":1,\"meta\":{\"a\":\"123456789012345678901234567890123456\"}}]}", ERR_INVALID_REQUEST,
		 "records[0].meta"},
		{"{\"records\":[{\"data\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxx\"}]}",
		 ERR_RECORD_TOO_LARGE, "records[0]"},
		{"{\"records\":[{\"data\":1},{\"data\":1},{\"data\":1},{\"data\":1}]}", ERR_BATCH_TOO_LARGE, "at most 3"},
		{"{\"records\":[{\"data\":1}],\"create\":0}", ERR_INVALID_REQUEST, "create"},
		{"{\"records\":[{\"data\":1}],\"config\":7}", ERR_INVALID_REQUEST, "config"},
		{"{\"records\":[{\"data\":1}],\"config\":{\"ttl_ms\":-1}}", ERR_INVALID_REQUEST, "ttl_ms"},
		{"{\"records\":[{\"data\":tru}]}", ERR_INVALID_REQUEST, "JSON"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(!read_text(cases[i].text), "accepted: %s", cases[i].text);
		ck_assert_msg(problem.code == cases[i].code, "%s: %s", cases[i].text, problem.message);
		ck_assert_msg(strstr(problem.message, cases[i].says) != NULL, "%s: %s", cases[i].text, problem.message);
	}
}
END_TEST

START_TEST(a_full_arena_is_said_and_no_crash)
{
	arena *small = arena_new(16);
	ck_assert(!write_body_read(STR("{\"records\":[{\"data\":1}]}"), small, &limits, &w, &problem));
	ck_assert_int_eq(problem.code, ERR_PAYLOAD_TOO_LARGE);
	arena_free(small);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {records_become_columns_and_compact_data_is_not_copied,
								  the_batchs_node_is_the_default_wherever_it_stands,
								  the_last_of_repeated_members_counts,
								  options_and_configuration_are_read,
								  what_is_wrong_is_named,
								  a_full_arena_is_said_and_no_crash};
	int status = SUITE_RUN("api/topics/write_body", tests);
	arena_free(memory);
	return status;
}
