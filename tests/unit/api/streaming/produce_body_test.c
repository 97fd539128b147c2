#include "suite.h"

#include "api/streaming/produce_body.h"
#include "base/buf.h"
#include "base/jscan.h"

#include <string.h>

enum { MEMORY = 64 << 20 };

static arena *memory;
static produce_batch batch;
static err problem;

static void setup(void)
{
	arena_free(memory);
	memory = arena_new(MEMORY);
	memset(&batch, 0, sizeof batch);
	err_clear(&problem);
}

static bool decode(const char *text)
{
	setup();
	return produce_decode_json(str_from_c(text), memory, &batch, &problem);
}

static bool decode_lines(const char *text)
{
	setup();
	return produce_decode_lines(str_from_c(text), memory, &batch, &problem);
}

static void expect_refused(const char *text, err_code code, const char *part)
{
	ck_assert_msg(!decode(text), "accepted: %s", text);
	ck_assert_msg(problem.code == code, "%s: code %s, \"%s\"", text, err_wire_code(problem.code), problem.message);
	ck_assert_msg(strstr(problem.message, part) != NULL, "%s: \"%s\" lacks \"%s\"", text, problem.message, part);
}

START_TEST(the_seeds_messages_are_sliced)
{
	const char *body = "{\"messages\": [{\"key\": \"user-123\", \"value\": \"{\\\"event\\\":\\\"login\\\"}\"},"
					   "{\"key\": \"user-456\", \"value\": \"plain\"}]}";
	ck_assert(decode(body));
	ck_assert_uint_eq(batch.columns.count, 2);
	ck_assert_view_eq(batch.columns.keys[0], STR("user-123"));
	ck_assert_view_eq(batch.columns.values[0], STR("{\"event\":\"login\"}"));
	ck_assert_view_eq(batch.columns.values[1], STR("plain"));
	ck_assert_ptr_eq(batch.columns.values[1].ptr, strstr(body, "plain"));
	ck_assert_ptr_null(batch.columns.headers);
	ck_assert_ptr_null(batch.columns.timestamps_ms);
	ck_assert_ptr_null(batch.partitions);
}
END_TEST

START_TEST(columns_appear_with_the_first_message_that_has_them)
{
	ck_assert(decode("{\"messages\":[{\"value\":\"a\"},"
					 "{\"value\":\"b\",\"key\":\"k\",\"headers\":[[\"h\",\"1\"]],\"timestamp\":7,\"partition\":3},"
					 "{\"value\":\"c\"}]}"));
	ck_assert_ptr_null(batch.columns.keys[0].ptr);
	ck_assert_view_eq(batch.columns.keys[1], STR("k"));
	ck_assert_ptr_null(batch.columns.keys[2].ptr);
	ck_assert_ptr_null(batch.columns.headers[0].ptr);
	ck_assert_view_eq(batch.columns.headers[1], STR("[[\"h\",\"1\"]]"));
	ck_assert_int_eq(batch.columns.timestamps_ms[0], 0);
	ck_assert_int_eq(batch.columns.timestamps_ms[1], 7);
	ck_assert_int_eq(batch.columns.timestamps_ms[2], 0);
	ck_assert_int_eq(batch.partitions[0], PRODUCE_ANY_PARTITION);
	ck_assert_int_eq(batch.partitions[1], 3);
	ck_assert_int_eq(batch.partitions[2], PRODUCE_ANY_PARTITION);
}
END_TEST

START_TEST(null_members_mean_absent)
{
	ck_assert(decode("{\"messages\":[{\"key\":null,\"value\":\"v\",\"headers\":null,\"partition\":null,"
					 "\"timestamp\":null,\"encoding\":null}]}"));
	ck_assert_ptr_null(batch.columns.keys);
	ck_assert_ptr_null(batch.columns.headers);
	ck_assert_ptr_null(batch.columns.timestamps_ms);
	ck_assert_ptr_null(batch.partitions);
}
END_TEST

START_TEST(other_values_are_their_compact_text)
{
	ck_assert(decode("{\"messages\":[{\"value\": {\"a\": [1, 2.50, \"x y\"]} },{\"value\":null},{\"value\":12e3},"
					 "{\"value\":[]},{\"value\":{\"k\":\"x y\"}}]}"));
	ck_assert_view_eq(batch.columns.values[0], STR("{\"a\":[1,2.50,\"x y\"]}"));
	ck_assert_view_eq(batch.columns.values[1], STR("null"));
	ck_assert_view_eq(batch.columns.values[2], STR("12e3"));
	ck_assert_view_eq(batch.columns.values[3], STR("[]"));
	ck_assert_view_eq(batch.columns.values[4], STR("{\"k\":\"x y\"}"));
}
END_TEST

START_TEST(headers_keep_order_and_duplicates)
{
	ck_assert(decode("{\"messages\":[{\"value\":\"\",\"headers\":[ [\"a\", \"1\"], [\"a\",\"2 3\"] ]},"
					 "{\"value\":\"\",\"headers\":[]}]}"));
	ck_assert_view_eq(batch.columns.headers[0], STR("[[\"a\",\"1\"],[\"a\",\"2 3\"]]"));
	ck_assert_ptr_null(batch.columns.headers[1].ptr);
	ck_assert_ptr_nonnull(batch.columns.values[0].ptr);
	ck_assert_uint_eq(batch.columns.values[0].len, 0);
}
END_TEST

START_TEST(base64_may_be_said_last)
{
	ck_assert(decode("{\"messages\":[{\"value\":\"AP\\u002b/\",\"key\":\"aw==\",\"encoding\":\"base64\"},"
					 "{\"value\":\"\",\"encoding\":\"base64\"}]}"));
	ck_assert_view_eq(batch.columns.values[0], ((str){"\x00\xff\xbf", 3}));
	ck_assert_view_eq(batch.columns.keys[0], STR("k"));
	ck_assert_uint_eq(batch.columns.values[1].len, 0);
	ck_assert_ptr_nonnull(batch.columns.values[1].ptr);
}
END_TEST

START_TEST(the_last_of_repeated_members_counts)
{
	ck_assert(decode("{\"messages\":[{\"value\":\"x\"},{\"value\":\"y\"}],\"other\":{\"z\":[1]},"
					 "\"messages\":[{\"value\":\"a\",\"key\":\"k\",\"key\":null,\"value\":\"b\"}]}"));
	ck_assert_uint_eq(batch.columns.count, 1);
	ck_assert_view_eq(batch.columns.values[0], STR("b"));
	ck_assert(batch.columns.keys == NULL || batch.columns.keys[0].ptr == NULL);
}
END_TEST

START_TEST(wrong_bodies_are_told_what_is_wrong)
{
	static const struct {
		const char *text;
		const char *part;
	} cases[] = {
		{"", "empty"},
		{" ", "JSON:"},
		{"[]", "must be an object"},
		{"7", "must be an object"},
		{"{}", "messages is missing"},
		{"{\"messages\":{}}", "messages must be an array"},
		{"{\"messages\":null}", "messages must be an array"},
		{"{\"messages\":[]}", "at least one"},
		{"{\"messages\":[1]}", "messages[0] must be an object"},
		{"{\"messages\":[{\"value\":\"a\"},{}]}", "messages[1].value must be there"},
		{"{\"messages\":[{\"value\":\"a\",\"key\":1}]}", "messages[0].key must be a string"},
		{"{\"messages\":[{\"value\":\"a\",\"key\":{}}]}", "messages[0].key must be a string"},
		{"{\"messages\":[{\"value\":\"a\",\"partition\":\"0\"}]}", "messages[0].partition must be"},
		{"{\"messages\":[{\"value\":\"a\",\"partition\":-1}]}", "messages[0].partition must be"},
		{"{\"messages\":[{\"value\":\"a\",\"partition\":1.5}]}", "messages[0].partition must be"},
		{"{\"messages\":[{\"value\":\"a\",\"partition\":1024}]}", "messages[0].partition must be"},
		{"{\"messages\":[{\"value\":\"a\",\"timestamp\":0}]}", "messages[0].timestamp must be"},
		{"{\"messages\":[{\"value\":\"a\",\"timestamp\":1e3}]}", "messages[0].timestamp must be"},
		{"{\"messages\":[{\"value\":\"a\",\"timestamp\":99999999999999999999}]}", "messages[0].timestamp must be"},
		{"{\"messages\":[{\"value\":\"a\",\"headers\":{}}]}", "messages[0].headers must be"},
		{"{\"messages\":[{\"value\":\"a\",\"headers\":[\"a\"]}]}", "messages[0].headers must be"},
		{"{\"messages\":[{\"value\":\"a\",\"headers\":[[\"a\"]]}]}", "messages[0].headers must be"},
		{"{\"messages\":[{\"value\":\"a\",\"headers\":[[\"a\",1]]}]}", "messages[0].headers must be"},
		{"{\"messages\":[{\"value\":\"a\",\"headers\":[[\"a\",\"b\",\"c\"]]}]}", "messages[0].headers must be"},
		{"{\"messages\":[{\"value\":\"a\",\"encoding\":\"hex\"}]}", "messages[0].encoding must be"},
		{"{\"messages\":[{\"value\":\"a\",\"encoding\":1}]}", "messages[0].encoding must be"},
		{"{\"messages\":[{\"value\":\"a\",\"encoding\":\"base64\"}]}", "messages[0].value must be base64"},
		{"{\"messages\":[{\"value\":\"YQ==\",\"key\":\"%\",\"encoding\":\"base64\"}]}",
		 "messages[0].key must be base64"},
		{"{\"messages\":[{\"value\":1,\"encoding\":\"base64\"}]}", "messages[0].value must be a string"},
		{"{\"messages\":[{\"value\":\"a\"}", "JSON:"},
		{"{\"messages\":[{\"value\":\"a\"}]", "JSON:"},
		{"{\"messages\":[{\"value\":\"a\"}]}x", "JSON:"},
		{"{\"messages\":[{\"value\":\"a\",}]}", "JSON:"},
		{"{\"messages\":[{\"value\":\"a}]}", "JSON: unfinished string"},
		{"{\"messages\":[{\"value\":tru}]}", "JSON:"},
		{"{\"messages\":[{\"value\":\"\xff\"}]}", "UTF-8"},
		{"{\"messages\":[{\"value\":\"a\",\"headers\":[[\"a\",\"b\"]", "JSON:"},
		{"{\"messages\":[{\"value\":\"a\",\"key\":[}]}", "JSON:"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		expect_refused(cases[i].text, ERR_INVALID_REQUEST, cases[i].part);
	}
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
	buf text;
	buf_init(&text, MEMORY);
	buf_append_str(&text, STR("{\"messages\":[{\"value\":"));
	for (int i = 0; i < 100000; i++) {
		buf_append_byte(&text, '[');
	}
	buf_append_byte(&text, '\0');
	expect_refused(text.ptr, ERR_INVALID_REQUEST, "nested too deep");
	buf_dispose(&text);
}
END_TEST

static void write_messages(buf *out, uint32_t count)
{
	buf_append_str(out, STR("{\"messages\":["));
	for (uint32_t i = 0; i < count; i++) {
		buf_printf(out, "%s{\"value\":%u%s}", i > 0 ? "," : "", i,
				   i % 100 == 99 ? ",\"key\":\"k\",\"partition\":1" : "");
	}
	buf_append(out, "]}", 3);
}

START_TEST(ten_thousand_messages_are_the_most)
{
	buf text;
	buf_init(&text, MEMORY);
	write_messages(&text, LOG_RECORDS_PER_APPEND_MAX);
	ck_assert(decode(text.ptr));
	ck_assert_uint_eq(batch.columns.count, LOG_RECORDS_PER_APPEND_MAX);
	for (uint32_t i = 0; i < batch.columns.count; i++) {
		uint64_t value;
		ck_assert(str_parse_u64(batch.columns.values[i], UINT64_MAX, &value));
		ck_assert_uint_eq(value, i);
		ck_assert_uint_eq(batch.columns.keys[i].len, i % 100 == 99 ? 1 : 0);
		ck_assert_int_eq(batch.partitions[i], i % 100 == 99 ? 1 : PRODUCE_ANY_PARTITION);
	}
	buf_clear(&text);
	write_messages(&text, LOG_RECORDS_PER_APPEND_MAX + 1);
	expect_refused(text.ptr, ERR_BATCH_TOO_LARGE, "10000");
	buf_dispose(&text);
}
END_TEST

START_TEST(a_record_has_a_megabyte_at_most)
{
	static const char head[] = "{\"messages\":[{\"key\":\"1234\",\"value\":\"";
	buf text;
	buf_init(&text, MEMORY);
	for (size_t over = 0; over < 2; over++) {
		buf_clear(&text);
		buf_append(&text, head, sizeof head - 1);
		for (size_t i = 0; i < LOG_RECORD_BYTES_MAX - 4 + over; i++) {
			buf_append_byte(&text, 'v');
		}
		buf_append(&text, "\"}]}", 5);
		if (over == 0) {
			ck_assert(decode(text.ptr));
		} else {
			expect_refused(text.ptr, ERR_RECORD_TOO_LARGE, "1048576");
		}
	}
	buf_dispose(&text);
}
END_TEST

START_TEST(a_full_arena_is_too_large_a_request)
{
	buf text;
	buf_init(&text, MEMORY);
	write_messages(&text, 5000);
	arena *small = arena_new(4096);
	ck_assert(!produce_decode_json((str){text.ptr, text.len - 1}, small, &batch, &problem));
	ck_assert_int_eq(problem.code, ERR_PAYLOAD_TOO_LARGE);
	arena_free(small);
	buf_dispose(&text);
}
END_TEST

START_TEST(lines_are_messages)
{
	ck_assert(decode_lines("{\"value\":\"a\"}\r\n\n  {\"key\":\"k\",\"value\":{\"n\": 1}}  \n"));
	ck_assert_uint_eq(batch.columns.count, 2);
	ck_assert_view_eq(batch.columns.values[0], STR("a"));
	ck_assert_view_eq(batch.columns.values[1], STR("{\"n\":1}"));
	ck_assert_view_eq(batch.columns.keys[1], STR("k"));
}
END_TEST

START_TEST(wrong_lines_are_told_by_number)
{
	static const struct {
		const char *text;
		const char *part;
	} cases[] = {
		{"", "at least one"},
		{"\n\r\n", "at least one"},
		{"{\"value\":1}\n{\"value\":", "line 2: JSON"},
		{"{\"value\":1}\n\n[1]", "line 3: the message must be an object"},
		{"{\"value\":1} {\"value\":2}", "line 1: JSON"},
		{"{\"key\":1,\"value\":1}", "line 1: key must be"},
		{"{\"value\":\"\xc0\x80\"}", "line 1: JSON: the text is not valid UTF-8"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(!decode_lines(cases[i].text), "accepted: %s", cases[i].text);
		ck_assert_int_eq(problem.code, ERR_INVALID_REQUEST);
		ck_assert_msg(strstr(problem.message, cases[i].part) != NULL, "\"%s\" lacks \"%s\"", problem.message,
					  cases[i].part);
	}
}
END_TEST

/* ---- placing ---- */

static const uint32_t *places;
static int32_t one;

static bool place(uint32_t partitions, uint32_t first_keyless)
{
	places = NULL;
	one = -7;
	return produce_place(&batch, partitions, first_keyless, memory, &places, &one, &problem);
}

START_TEST(keys_go_where_every_client_expects_them)
{
	ck_assert(decode("{\"messages\":[{\"key\":\"user-123\",\"value\":1},{\"key\":\"user-456\",\"value\":1},"
					 "{\"key\":\"rafael\",\"value\":1},{\"key\":\"tabitha\",\"value\":1}]}"));
	ck_assert(place(4, 0));
	ck_assert_uint_eq(places[0], 3);
	ck_assert_uint_eq(places[1], 3);
	ck_assert_uint_eq(places[2], 2);
	ck_assert_uint_eq(places[3], 3);
	ck_assert(place(5, 0));
	ck_assert_uint_eq(places[2], 3);
	ck_assert_uint_eq(places[3], 2);
	ck_assert_int_eq(one, -7);
}
END_TEST

START_TEST(keyless_messages_take_turns)
{
	ck_assert(decode("{\"messages\":[{\"value\":1},{\"key\":\"\",\"value\":1},{\"key\":\"rafael\",\"value\":1},"
					 "{\"value\":1,\"partition\":0},{\"value\":1}]}"));
	ck_assert_uint_eq(produce_count_keyless(&batch), 3);
	ck_assert(place(3, 4));
	ck_assert_uint_eq(places[0], 1);
	ck_assert_uint_eq(places[1], 2);
	ck_assert_uint_eq(places[2], 0);
	ck_assert_uint_eq(places[3], 0);
	ck_assert_uint_eq(places[4], 0);
}
END_TEST

START_TEST(one_partition_needs_no_list)
{
	ck_assert(decode("{\"messages\":[{\"value\":1,\"partition\":0},{\"value\":2}]}"));
	ck_assert(place(1, 9));
	ck_assert_ptr_null(places);
	ck_assert_int_eq(one, 0);
	ck_assert(decode("{\"messages\":[{\"value\":1,\"key\":\"rafael\"},{\"value\":2,\"partition\":3}]}"));
	ck_assert(place(5, 9));
	ck_assert_ptr_null(places);
	ck_assert_int_eq(one, 3);
}
END_TEST

START_TEST(a_partition_that_is_not_there_is_refused)
{
	ck_assert(decode("{\"messages\":[{\"value\":1},{\"value\":2,\"partition\":4}]}"));
	ck_assert(!place(4, 0));
	ck_assert_int_eq(problem.code, ERR_INVALID_REQUEST);
	ck_assert_ptr_nonnull(strstr(problem.message, "messages[1].partition is 4"));
	ck_assert(!place(1, 0));
	ck_assert(place(5, 0));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_seeds_messages_are_sliced,
		columns_appear_with_the_first_message_that_has_them,
		null_members_mean_absent,
		other_values_are_their_compact_text,
		headers_keep_order_and_duplicates,
		base64_may_be_said_last,
		the_last_of_repeated_members_counts,
		wrong_bodies_are_told_what_is_wrong,
		deep_nesting_is_refused,
		ten_thousand_messages_are_the_most,
		a_record_has_a_megabyte_at_most,
		a_full_arena_is_too_large_a_request,
		lines_are_messages,
		wrong_lines_are_told_by_number,
		keys_go_where_every_client_expects_them,
		keyless_messages_take_turns,
		one_partition_needs_no_list,
		a_partition_that_is_not_there_is_refused,
	};
	int failed = SUITE_RUN("api/streaming/produce_body", tests);
	arena_free(memory);
	return failed;
}
