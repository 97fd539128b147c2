#include "suite.h"

#include "api/durable/messages.h"

static arena *memory;
static err e;

static bool split(str body, durable_media media, log_columns *out)
{
	arena_free(memory);
	memory = arena_new(128 << 20);
	return durable_messages_split(body, media, memory, out, &e);
}

START_TEST(bytes_are_one_message)
{
	log_columns c;
	ck_assert(split(STR("[1,\0\xff"), DURABLE_MEDIA_BYTES, &c));
	ck_assert_uint_eq(c.count, 1);
	ck_assert_view_eq(c.values[0], STR("[1,\0\xff"));
	ck_assert(split(STR(""), DURABLE_MEDIA_BYTES, &c));
	ck_assert_uint_eq(c.count, 0);
}
END_TEST

START_TEST(one_level_of_an_array_is_flattened)
{
	log_columns c;
	ck_assert(split(STR(" [ [1, 2] , {\"a\" : 1.0} ,\"x\"] "), DURABLE_MEDIA_JSON, &c));
	ck_assert_uint_eq(c.count, 3);
	ck_assert_view_eq(c.values[0], STR("[1, 2]"));
	ck_assert_view_eq(c.values[1], STR("{\"a\" : 1.0}"));
	ck_assert_view_eq(c.values[2], STR("\"x\""));
	ck_assert(split(STR("[[[1,2,3]]]"), DURABLE_MEDIA_JSON, &c));
	ck_assert_uint_eq(c.count, 1);
	ck_assert_view_eq(c.values[0], STR("[[1,2,3]]"));
	ck_assert(split(STR("[]"), DURABLE_MEDIA_JSON, &c));
	ck_assert_uint_eq(c.count, 0);
}
END_TEST

START_TEST(any_other_value_is_one_message)
{
	const str values[] = {STR("null"), STR("\"a\""), STR("1e2"), STR("{\"a\":[1,2]}"), STR("true")};
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		log_columns c;
		ck_assert(split(values[i], DURABLE_MEDIA_JSON, &c));
		ck_assert_uint_eq(c.count, 1);
		ck_assert_view_eq(c.values[0], values[i]);
	}
}
END_TEST

START_TEST(what_is_no_json_is_refused)
{
	const str bad[] = {STR(" "),   STR("{"),    STR("[1,2"),     STR("[1,]"),
					   STR("1 2"), STR("[1]x"), STR("\"\xff\""), STR("[1,2]]")};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		log_columns c;
		ck_assert_msg(!split(bad[i], DURABLE_MEDIA_JSON, &c), "%.*s", STR_ARG(bad[i]));
		ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	}
}
END_TEST

START_TEST(more_messages_than_an_append_takes_are_too_many)
{
	size_t count = LOG_ENGINE_RECORDS_MAX;
	char *text = malloc(2 * count + 4);
	text[0] = '[';
	for (size_t i = 0; i <= count; i++) {
		text[1 + 2 * i] = '1';
		text[2 + 2 * i] = ',';
	}
	log_columns c;
	text[2 * count] = ']';
	ck_assert(split((str){text, 2 * count + 1}, DURABLE_MEDIA_JSON, &c));
	ck_assert_uint_eq(c.count, count);
	text[2 * count] = ',';
	text[2 * count + 2] = ']';
	ck_assert(!split((str){text, 2 * count + 3}, DURABLE_MEDIA_JSON, &c));
	ck_assert_int_eq(e.code, ERR_PAYLOAD_TOO_LARGE);
	free(text);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {bytes_are_one_message, one_level_of_an_array_is_flattened,
								  any_other_value_is_one_message, what_is_no_json_is_refused,
								  more_messages_than_an_append_takes_are_too_many};
	int result = SUITE_RUN("api/durable/messages", tests);
	arena_free(memory);
	return result;
}
