#include "api/topics/filter.h"

#include "suite.h"

static arena *memory;
static log_tag_match match;
static err problem;

static bool read_filter(const char *value)
{
	char text[512];
	body b;
	str key;
	arena_free(memory);
	memory = arena_new(1 << 20);
	err_clear(&problem);
	snprintf(text, sizeof text, "{\"match\":%s}", value);
	if (!body_begin_text(&b, str_from_c(text), memory, &problem)) {
		return false;
	}
	while (body_next(&b, &key)) {
		filter_read(&b, "match", &match);
	}
	if (!body_end(&b)) {
		return false;
	}
	return arena_copy_str(memory, match.text, &match.text);
}

START_TEST(every_form_is_read_and_written_in_three_elements)
{
	static const struct {
		const char *form;
		log_tag_match_kind kind;
		const char *text;
		const char *written;
	} cases[] = {
		{"[\"tag\",\"Eq\",\"a\"]", LOG_TAG_EQUAL, "a", "[\"tag\",\"Eq\",\"a\"]"},
		{"[\"tag\",\"Eq\",\"a*\"]", LOG_TAG_EQUAL, "a*", "[\"tag\",\"Eq\",\"a*\"]"},
		{"[\"tag\",\"Eq\",\"\"]", LOG_TAG_EQUAL, "", "[\"tag\",\"Eq\",\"\"]"},
		{"[ \"tag\" , \"Glob\" , \"p*\" ]", LOG_TAG_PREFIX, "p", "[\"tag\",\"Glob\",\"p*\"]"},
		{"[\"tag\",\"Glob\",\"*\"]", LOG_TAG_PREFIX, "", "[\"tag\",\"Glob\",\"*\"]"},
		{"[\"tag\",\"Glob\",\"a**\"]", LOG_TAG_PREFIX, "a*", "[\"tag\",\"Glob\",\"a**\"]"},
		{"\"plain\"", LOG_TAG_EQUAL, "plain", "[\"tag\",\"Eq\",\"plain\"]"},
		{"\"a*b\"", LOG_TAG_EQUAL, "a*b", "[\"tag\",\"Eq\",\"a*b\"]"},
		{"\"pre\\u0066ix*\"", LOG_TAG_PREFIX, "prefix", "[\"tag\",\"Glob\",\"prefix*\"]"},
		{"\"q\\\"*\"", LOG_TAG_PREFIX, "q\"", "[\"tag\",\"Glob\",\"q\\\"*\"]"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		buf out;
		ck_assert_msg(read_filter(cases[i].form), "%s: %s", cases[i].form, problem.message);
		ck_assert_int_eq(match.kind, cases[i].kind);
		ck_assert_view_eq(match.text, str_from_c(cases[i].text));
		buf_init(&out, 1000);
		filter_write(&out, &match);
		ck_assert_view_eq(buf_str(&out), str_from_c(cases[i].written));
		buf_dispose(&out);
	}
}
END_TEST

START_TEST(anything_else_is_refused)
{
	static const char *const cases[] = {"null",
										"1",
										"{}",
										"[]",
										"[\"tag\"]",
										"[\"tag\",\"Eq\"]",
										"[\"tag\",\"Eq\",1]",
										"[\"tag\",\"Eq\",\"a\",\"b\"]",
										"[\"Tag\",\"Eq\",\"a\"]",
										"[\"tag\",\"eq\",\"a\"]",
										"[\"tag\",\"Glob\",\"a\"]",
										"[\"tag\",\"Glob\",\"\"]",
										"[[\"tag\"],\"Eq\",\"a\"]",
										"[\"tag\",\"Eq\",\"a\""};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_msg(!read_filter(cases[i]), "accepted: %s", cases[i]);
		ck_assert_int_eq(problem.code, ERR_INVALID_REQUEST);
	}
}
END_TEST

START_TEST(matching_is_bytewise_and_never_takes_untagged_records)
{
	log_tag_match any = {LOG_TAG_PREFIX, STR("")};
	log_tag_match prefix = {LOG_TAG_PREFIX, STR("chat-42:")};
	log_tag_match equal = {LOG_TAG_EQUAL, STR("")};
	ck_assert(log_tag_matches(&any, STR("")) && log_tag_matches(&any, STR("x")) && !log_tag_matches(&any, STR_NONE));
	ck_assert(log_tag_matches(&prefix, STR("chat-42:")) && log_tag_matches(&prefix, STR("chat-42:a")));
	ck_assert(!log_tag_matches(&prefix, STR("chat-420:x")) && !log_tag_matches(&prefix, STR("chat-42")));
	ck_assert(log_tag_matches(&equal, STR("")) && !log_tag_matches(&equal, STR("a")) &&
			  !log_tag_matches(&equal, STR_NONE));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {every_form_is_read_and_written_in_three_elements, anything_else_is_refused,
								  matching_is_bytewise_and_never_takes_untagged_records};
	int status = SUITE_RUN("api/topics/filter", tests);
	arena_free(memory);
	return status;
}
