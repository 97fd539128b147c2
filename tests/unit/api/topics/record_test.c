#include "api/topics/record.h"

#include "suite.h"

static const record_view everything = {true, true, true, true};

static void expect(const log_record *r, record_view view, const char *wanted)
{
	buf out;
	buf_init(&out, 10000);
	record_write(&out, r, view);
	ck_assert(!out.failed);
	ck_assert_view_eq(buf_str(&out), str_from_c(wanted));
	buf_dispose(&out);
}

START_TEST(members_stand_only_when_they_are_there_and_wanted)
{
	log_record r = {.offset = 4, .committed_ms = 7, .timestamp_ms = 99, .value = STR("{\"a\":1}")};
	expect(&r, everything, "{\"$seq\":5,\"$ts\":7,\"data\":{\"a\":1}}");
	r.tag = STR("t\"1");
	r.node = STR("");
	r.meta = STR("{\"m\":2}");
	expect(&r, everything,
		   "{\"$seq\":5,\"$ts\":7,\"$node\":\"\",\"$tag\":\"t\\\"1\",\"data\":{\"a\":1},\"meta\":{\"m\":2}}");
	expect(&r, (record_view){.has_data = true}, "{\"$seq\":5,\"$ts\":7,\"data\":{\"a\":1}}");
	expect(&r, (record_view){.has_meta = true}, "{\"$seq\":5,\"$ts\":7,\"meta\":{\"m\":2}}");
}
END_TEST

START_TEST(values_of_other_dialects_are_json_where_they_can_be)
{
	const struct {
		str value;
		const char *data;
	} cases[] = {
		{STR("null"), "null"},
		{STR(" [ 1 , \"a b\" ]\n"), "[1,\"a b\"]"},
		{STR("-1.50e3"), "-1.50e3"},
		{STR("\"\\u0000\""), "\"\\u0000\""},
		{STR("plain"), "{\"$base64\":\"cGxhaW4=\"}"},
		{STR(""), "{\"$base64\":\"\"}"},
		{STR("{} {}"), "{\"$base64\":\"e30ge30=\"}"},
		{STR("\"a\nb\""), "{\"$base64\":\"ImEKYiI=\"}"},
		{STR("\"\xff\""), "{\"$base64\":\"Iv8i\"}"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char wanted[200];
		log_record r = {.value = cases[i].value};
		snprintf(wanted, sizeof wanted, "{\"$seq\":1,\"$ts\":0,\"data\":%s}", cases[i].data);
		expect(&r, everything, wanted);
	}
}
END_TEST

START_TEST(tags_that_are_no_text_are_left_out)
{
	log_record r = {.value = STR("1"), .tag = STR("\xff"), .node = STR("\xc3")};
	expect(&r, everything, "{\"$seq\":1,\"$ts\":0,\"data\":1}");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {members_stand_only_when_they_are_there_and_wanted,
								  values_of_other_dialects_are_json_where_they_can_be,
								  tags_that_are_no_text_are_left_out};
	return SUITE_RUN("api/topics/record", tests);
}
