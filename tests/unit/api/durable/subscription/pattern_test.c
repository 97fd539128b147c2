#include "api/durable/subscription/pattern.h"

#include "suite.h"

#include <regex.h>

static arena *a;
static err e;

static void open_arena(void)
{
	a = arena_new(1 << 20);
	ck_assert_ptr_nonnull(a);
}

/* By the C library's regular expressions; Postgres's are tried over HTTP. */
static bool matches(const char *pattern, const char *path)
{
	subscription_pattern p;
	regex_t compiled;
	char text[256];
	ck_assert_msg(subscription_pattern_read(str_from_c(pattern), a, &p, &e), "%s", e.message);
	char *regex = arena_copy_c(a, p.regex);
	ck_assert_ptr_nonnull(regex);
	ck_assert_int_eq(regcomp(&compiled, regex, REG_EXTENDED | REG_NOSUB), 0);
	snprintf(text, sizeof text, "/%s", path);
	bool found = regexec(&compiled, text, 0, NULL, 0) == 0;
	regfree(&compiled);
	ck_assert_msg(!found || str_starts_with(str_from_c(path), p.head), "%s matches %s, but its head is %.*s", pattern,
				  path, STR_ARG(p.head));
	return found;
}

START_TEST(a_star_is_one_segment)
{
	open_arena();
	ck_assert(matches("*", "a"));
	ck_assert(!matches("*", "a/b"));
	ck_assert(matches("events/*", "events/x.y"));
	ck_assert(!matches("events/*", "events"));
	ck_assert(!matches("events/*", "eventsx/y"));
	ck_assert(matches("a/*/c", "a/b/c"));
	ck_assert(!matches("a/*/c", "a/c"));
	arena_free(a);
}
END_TEST

START_TEST(two_stars_are_any_number_of_segments)
{
	open_arena();
	ck_assert(matches("**", "a"));
	ck_assert(matches("**", "a/b/c"));
	ck_assert(matches("a/**", "a"));
	ck_assert(matches("a/**", "a/b/c"));
	ck_assert(!matches("a/**", "ab"));
	ck_assert(matches("**/z", "z"));
	ck_assert(matches("**/z", "a/b/z"));
	ck_assert(matches("a/**/z", "a/z"));
	ck_assert(matches("a/**/b/**/z", "a/b/b/z"));
	ck_assert(!matches("a/**/z", "a/b"));
	arena_free(a);
}
END_TEST

START_TEST(everything_else_is_literal)
{
	open_arena();
	ck_assert(matches("a.b", "a.b"));
	ck_assert(!matches("a.b", "axb"));
	ck_assert(matches("x*", "x*"));
	ck_assert(!matches("x*", "xy"));
	ck_assert(matches("a+(b|c)?{1}[d]^$\\", "a+(b|c)?{1}[d]^$\\"));
	ck_assert(matches("ä ö/*", "ä ö/ü"));
	arena_free(a);
}
END_TEST

static void expect_head(const char *pattern, const char *head)
{
	subscription_pattern p;
	ck_assert(subscription_pattern_read(str_from_c(pattern), a, &p, &e));
	ck_assert_view_eq(p.head, str_from_c(head));
}

START_TEST(the_head_is_what_every_path_begins_with)
{
	open_arena();
	expect_head("*", "");
	expect_head("**/a", "");
	expect_head("/a/b/", "a/b");
	expect_head("a/*", "a/");
	expect_head("a/**", "a");
	expect_head("a/**/b", "a/");
	expect_head("a/b/*/c", "a/b/");
	arena_free(a);
}
END_TEST

START_TEST(what_no_path_can_be_is_refused)
{
	static const char *const BAD[] = {"", "/", "a//b", ".", "a/..", "__ds/x", "a\nb", "\xff"};
	subscription_pattern p;
	str path;
	open_arena();
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
		ck_assert_msg(!subscription_pattern_read(str_from_c(BAD[i]), a, &p, &e), "%s", BAD[i]);
		ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
		ck_assert_msg(!subscription_path_read(str_from_c(BAD[i]), &path, &e), "%s", BAD[i]);
	}
	char deep[2 * SUBSCRIPTION_SEGMENTS_MAX + 2];
	for (size_t i = 0; i < sizeof deep; i++) {
		deep[i] = i % 2 == 0 ? 'a' : '/';
	}
	ck_assert(!subscription_pattern_read((str){deep, sizeof deep - 1}, a, &p, &e));
	ck_assert(subscription_pattern_read((str){deep, sizeof deep - 3}, a, &p, &e));
	arena_free(a);
}
END_TEST

START_TEST(slashes_at_the_ends_do_not_count)
{
	str path;
	ck_assert(subscription_path_read(STR("//a/b///"), &path, &e));
	ck_assert_view_eq(path, STR("a/b"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_star_is_one_segment,          two_stars_are_any_number_of_segments,
								  everything_else_is_literal,     the_head_is_what_every_path_begins_with,
								  what_no_path_can_be_is_refused, slashes_at_the_ends_do_not_count};
	return SUITE_RUN("api/durable/subscription/pattern", tests);
}
