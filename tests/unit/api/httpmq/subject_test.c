#include "suite.h"

#include "api/httpmq/subject.h"

typedef struct pair {
	const char *left;
	const char *right;
	bool answer;
} pair;

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static str view(const char *text)
{
	return str_from_c(text);
}

START_TEST(names_are_alphanumeric_or_uuids)
{
	static const char *const good[] = {"a", "Z9", "abc123", "123e4567-e89b-12d3-a456-426614174000"};
	static const char *const bad[] = {"",
									  "a-b",
									  "a_b",
									  "a.b",
									  "123E4567-E89B-12D3-A456-426614174000",
									  "é",
									  "a ",
									  "123e4567-e89b-12d3-a456-42661417400"};
	for (size_t i = 0; i < COUNT(good); i++) {
		ck_assert_msg(httpmq_name_is_valid(view(good[i])), "%s", good[i]);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		ck_assert_msg(!httpmq_name_is_valid(view(bad[i])), "%s", bad[i]);
	}
}
END_TEST

START_TEST(subjects_have_words_and_no_special_characters)
{
	static const char *const good[] = {"a", "a.b", "a-b.*", "*", "foo*bar", "gr\xc3\xb6\xc3\x9f.e"};
	static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a b", "a>b", ">", "a_b", "a/b", "a\tb", "\xff"};
	for (size_t i = 0; i < COUNT(good); i++) {
		ck_assert_msg(httpmq_subject_is_valid(view(good[i])), "%s", good[i]);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		ck_assert_msg(!httpmq_subject_is_valid(view(bad[i])), "%s", bad[i]);
	}
	ck_assert(!httpmq_subject_is_valid((str){"a\0b", 3}));
	ck_assert(httpmq_subject_has_wildcard(STR("a.*.b")));
	ck_assert(!httpmq_subject_has_wildcard(STR("a.b*")));
}
END_TEST

START_TEST(patterns_match_token_by_token)
{
	static const pair pairs[] = {
		{"a.b", "a.b", true},    {"a.b", "a.c", false}, {"a.*", "a.b", true},  {"a.*", "a", false},
		{"a.*", "a.b.c", false}, {"*", "a", true},      {"*.b", "a.b", true},  {"a.>", "a.b.c", true},
		{"a.>", "a", false},     {">", "a.b", true},    {"a*b", "axb", false}, {"a*b", "a*b", true},
		{"", "a", false},        {"A", "a", false},     {">.a", "b.a", false},
	};
	for (size_t i = 0; i < COUNT(pairs); i++) {
		ck_assert_msg(httpmq_subject_matches(view(pairs[i].left), view(pairs[i].right)) == pairs[i].answer, "%s %s",
					  pairs[i].left, pairs[i].right);
	}
}
END_TEST

START_TEST(patterns_overlap_when_a_subject_fits_both)
{
	static const pair pairs[] = {
		{"a.b", "a.b", true},    {"a.*", "*.b", true}, {"a.*", "b.*", false},
		{"a.*", "a.b.c", false}, {"*", "a.b", false},  {"a.*.c", "a.b.*", true},
	};
	for (size_t i = 0; i < COUNT(pairs); i++) {
		ck_assert(httpmq_subject_overlaps(view(pairs[i].left), view(pairs[i].right)) == pairs[i].answer);
		ck_assert(httpmq_subject_overlaps(view(pairs[i].right), view(pairs[i].left)) == pairs[i].answer);
	}
}
END_TEST

START_TEST(filters_fit_when_one_covers_the_other)
{
	static const pair pairs[] = {
		{"x.a", "x.a", true}, {"x.*", "x.a", true},      {"*.a", "x.a", true},    {"x.>", "x.a", true},
		{">", "x.a", true},   {"x", "x.a", false},       {"x.a.b", "x.a", false}, {"y", "x.a", false},
		{"x.q", "x.*", true}, {"x.*.c", "x.b.*", false}, {"x.>", "x.*", true},    {"x.*", "x.>", true},
	};
	for (size_t i = 0; i < COUNT(pairs); i++) {
		ck_assert_msg(httpmq_filter_fits(view(pairs[i].left), view(pairs[i].right)) == pairs[i].answer, "%s %s",
					  pairs[i].left, pairs[i].right);
	}
}
END_TEST

START_TEST(a_filter_becomes_a_regular_expression)
{
	static const pair pairs[] = {
		{"a.b", "^a\\.b$", true}, {"a.*", "^a\\.[^.]+$", true},           {"a.>", "^a\\..+$", true},
		{"a(b", "^a\\(b$", true}, {"\xC3\xA4", "^\\\\303\\\\244$", true}, {"a\\", "^a\\\\\\\\$", true},
	};
	for (size_t i = 0; i < COUNT(pairs); i++) {
		buf out;
		buf_init(&out, 256);
		httpmq_filter_regex(&out, view(pairs[i].left));
		ck_assert_view_eq(buf_str(&out), view(pairs[i].right));
		buf_dispose(&out);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		names_are_alphanumeric_or_uuids,       subjects_have_words_and_no_special_characters,
		patterns_match_token_by_token,         patterns_overlap_when_a_subject_fits_both,
		filters_fit_when_one_covers_the_other, a_filter_becomes_a_regular_expression,
	};
	return SUITE_RUN("api/httpmq/subject", tests);
}
