#include "log/route_cycle.h"

#include "suite.h"

#include "base/buf.h"

/* "a>b b>c" as edges; the answer as "a b c a", or "" for no cycle. */
static void expect_cycle(const char *edges_text, const char *source, const char *dest, const char *expected)
{
	route_edge edges[16];
	size_t count = 0;
	const str *path = NULL;
	size_t length = 0;
	str rest = str_from_c(edges_text);
	arena *a = arena_new(65536);
	buf text;
	buf_init(&text, 256);
	while (rest.len > 0) {
		str word;
		str_split(rest, ' ', &word, &rest);
		str_split(word, '>', &edges[count].source, &edges[count].dest);
		count++;
	}
	bool closes = route_closes_cycle(edges, count, str_from_c(source), str_from_c(dest), a, &path, &length);
	ck_assert_int_eq(closes, length > 0);
	for (size_t i = 0; i < length; i++) {
		buf_printf(&text, "%s%.*s", i > 0 ? " " : "", STR_ARG(path[i]));
	}
	ck_assert_view_eq(buf_str(&text), str_from_c(expected));
	buf_dispose(&text);
	arena_free(a);
}

START_TEST(nothing_there_is_no_cycle)
{
	expect_cycle("", "a", "b", "");
}
END_TEST

START_TEST(the_way_back_is_a_cycle)
{
	expect_cycle("b>a", "a", "b", "a b a");
}
END_TEST

START_TEST(a_long_way_back_is_told_in_order)
{
	expect_cycle("b>c c>d x>y d>a", "a", "b", "a b c d a");
}
END_TEST

START_TEST(the_shortest_way_is_told)
{
	expect_cycle("b>c c>d d>a b>d", "a", "b", "a b d a");
}
END_TEST

START_TEST(a_way_in_is_no_way_back)
{
	expect_cycle("c>b b>d a>d e>a", "a", "b", "");
}
END_TEST

START_TEST(a_loop_elsewhere_ends_the_search)
{
	expect_cycle("b>c c>b", "a", "b", "");
}
END_TEST

START_TEST(parallel_edges_are_one)
{
	expect_cycle("b>a b>a", "a", "b", "a b a");
}
END_TEST

START_TEST(a_full_arena_refuses)
{
	const str *path = NULL;
	size_t length = 0;
	route_edge edges[] = {{STR("c"), STR("d")}};
	arena *a = arena_new(1);
	ck_assert(route_closes_cycle(edges, 1, STR("a"), STR("b"), a, &path, &length));
	ck_assert_uint_eq(length, 0);
	arena_free(a);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		nothing_there_is_no_cycle, the_way_back_is_a_cycle, a_long_way_back_is_told_in_order,
		the_shortest_way_is_told,  a_way_in_is_no_way_back, a_loop_elsewhere_ends_the_search,
		parallel_edges_are_one,    a_full_arena_refuses,
	};
	return SUITE_RUN("log/route_cycle", tests);
}
