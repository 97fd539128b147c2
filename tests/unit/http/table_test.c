#include "failing_memory.h"
#include "suite.h"

#include "http/table.h"

static void handle(http_exchange *x)
{
	(void)x;
}

#define ROUTE(m, p)                                                                                                    \
	{                                                                                                                  \
		.method = HTTP_##m, .pattern = (p), .name = #m " " p, .handler = handle                                        \
	}

static const http_route topics[] = {
	ROUTE(GET, "/topics"),
	ROUTE(POST, "/topics"),
	ROUTE(GET, "/topics/{name}"),
	ROUTE(DELETE, "/topics/{name}"),
	ROUTE(POST, "/topics/{name}/produce"),
	ROUTE(GET, "/topics/{name}/groups/{group}"),
	ROUTE(GET, "/topics/special/groups"),
	ROUTE(HEAD, "/topics/{name}/groups"),
};
static const http_route streams[] = {
	ROUTE(GET, "/v1/stream/{path...}"),  ROUTE(PUT, "/v1/stream/{path...}"),
	ROUTE(GET, "/v1/stream/__ds/info"),  ROUTE(GET, "/"),
	ROUTE(GET, "/a/{b}/{c}/{d}/{e...}"),
};
static const http_dialect topics_dialect = {.name = "topics", .prefix = "/topics", .routes = topics, .route_count = 8};
static const http_dialect streams_dialect = {
	.name = "streams", .prefix = "/v1/stream", .routes = streams, .route_count = 5};
static const http_dialect v1_dialect = {.name = "v1", .prefix = "/v1"};
static const http_dialect *const dialects[] = {&topics_dialect, &streams_dialect, &v1_dialect};

static table *routes;
static arena *memory;
static table_match match;

static const char *find(http_method method, str path)
{
	ck_assert(table_find(routes, method, path, memory, &match));
	return match.entry != NULL ? match.entry->route->pattern : "";
}

START_TEST(literals_and_parameters_are_told_apart)
{
	ck_assert_str_eq(find(HTTP_GET, STR("/topics")), "/topics");
	ck_assert_uint_eq(match.param_count, 0);
	ck_assert_str_eq(find(HTTP_GET, STR("/topics/orders")), "/topics/{name}");
	ck_assert_view_eq(match.params[0], STR("orders"));
	ck_assert_str_eq(find(HTTP_GET, STR("/topics/a/groups/b")), "/topics/{name}/groups/{group}");
	ck_assert_uint_eq(match.param_count, 2);
	ck_assert_view_eq(match.params[0], STR("a"));
	ck_assert_view_eq(match.params[1], STR("b"));
	ck_assert_str_eq(find(HTTP_GET, STR("/")), "/");
}
END_TEST

START_TEST(a_literal_that_leads_nowhere_does_not_hide_a_parameter)
{
	ck_assert_str_eq(find(HTTP_GET, STR("/topics/special/groups")), "/topics/special/groups");
	ck_assert_str_eq(find(HTTP_GET, STR("/topics/special/groups/x")), "/topics/{name}/groups/{group}");
	ck_assert_str_eq(find(HTTP_GET, STR("/topics/special")), "/topics/{name}");
	/* Another method of the same path, found behind the literal. */
	ck_assert_str_eq(find(HTTP_HEAD, STR("/topics/other/groups")), "/topics/{name}/groups");
	ck_assert_str_eq(find(HTTP_GET, STR("/v1/stream/__ds/info")), "/v1/stream/__ds/info");
	ck_assert_str_eq(find(HTTP_GET, STR("/v1/stream/__ds/other")), "/v1/stream/{path...}");
}
END_TEST

START_TEST(segments_are_decoded_after_splitting)
{
	find(HTTP_GET, STR("/topics/a%2Fb"));
	ck_assert_view_eq(match.params[0], STR("a/b"));
	find(HTTP_GET, STR("/topics/%00x%00"));
	ck_assert_view_eq(match.params[0], STR("\0x\0"));
	find(HTTP_GET, STR("/topics/50%"));
	ck_assert_view_eq(match.params[0], STR("50%"));
	find(HTTP_GET, STR("/topics/a+b"));
	ck_assert_view_eq(match.params[0], STR("a+b"));
	/* An escaped literal is still that literal. */
	ck_assert_str_eq(find(HTTP_GET, STR("/%74opics")), "/topics");
	/* Case counts, in literals and elsewhere. */
	ck_assert_str_eq(find(HTTP_GET, STR("/Topics")), "");
}
END_TEST

START_TEST(the_rest_keeps_its_slashes_and_may_be_empty)
{
	find(HTTP_GET, STR("/v1/stream/a/b%2Fc/%20"));
	ck_assert_view_eq(match.params[0], STR("a/b/c/ "));
	ck_assert_str_eq(find(HTTP_GET, STR("/v1/stream/")), "/v1/stream/{path...}");
	ck_assert_view_eq(match.params[0], STR(""));
	ck_assert_str_eq(find(HTTP_GET, STR("/v1/stream")), "");
	ck_assert_str_eq(find(HTTP_GET, STR("/v1/stream//x/")), "/v1/stream/{path...}");
	ck_assert_view_eq(match.params[0], STR("/x/"));
	find(HTTP_GET, STR("/v1/stream/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20"));
	ck_assert_view_eq(match.params[0], STR("1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20"));
	ck_assert_str_eq(find(HTTP_GET, STR("/a/1/2/3/4/5")), "/a/{b}/{c}/{d}/{e...}");
	ck_assert_uint_eq(match.param_count, 4);
	ck_assert_view_eq(match.params[3], STR("4/5"));
}
END_TEST

START_TEST(empty_segments_match_nothing_but_a_rest)
{
	ck_assert_str_eq(find(HTTP_GET, STR("/topics/")), "");
	ck_assert_str_eq(find(HTTP_GET, STR("//topics")), "");
	ck_assert_str_eq(find(HTTP_GET, STR("/topics//groups/b")), "");
	ck_assert_str_eq(find(HTTP_GET, STR("")), "");
	ck_assert_str_eq(find(HTTP_GET, STR("*")), "");
	ck_assert_str_eq(find(HTTP_GET, STR_NONE), "");
	ck_assert_uint_eq(match.allowed, 0);
}
END_TEST

START_TEST(methods_of_the_path_are_collected_when_none_fits)
{
	ck_assert_str_eq(find(HTTP_PUT, STR("/topics/x")), "");
	ck_assert_uint_eq(match.allowed, 1U << HTTP_GET | 1U << HTTP_DELETE);
	ck_assert_str_eq(find(HTTP_OTHER, STR("/v1/stream/x")), "");
	ck_assert_uint_eq(match.allowed, 1U << HTTP_GET | 1U << HTTP_PUT);
	/* Both nodes that take the path count. */
	ck_assert_str_eq(find(HTTP_POST, STR("/topics/special/groups")), "");
	ck_assert_uint_eq(match.allowed, 1U << HTTP_GET | 1U << HTTP_HEAD);
	ck_assert_str_eq(find(HTTP_GET, STR("/nowhere")), "");
	ck_assert_uint_eq(match.allowed, 0);
}
END_TEST

START_TEST(head_takes_gets_route_unless_it_has_its_own)
{
	ck_assert_str_eq(find(HTTP_HEAD, STR("/topics/x")), "/topics/{name}");
	ck_assert_int_eq(match.entry->route->method, HTTP_GET);
	ck_assert_str_eq(find(HTTP_HEAD, STR("/topics/x/groups")), "/topics/{name}/groups");
	ck_assert_int_eq(match.entry->route->method, HTTP_HEAD);
}
END_TEST

START_TEST(an_unknown_path_belongs_to_the_longest_prefix_or_the_first_dialect)
{
	find(HTTP_GET, STR("/v1/stream"));
	ck_assert_ptr_eq(match.dialect, &streams_dialect);
	find(HTTP_GET, STR("/v1/other"));
	ck_assert_ptr_eq(match.dialect, &v1_dialect);
	find(HTTP_GET, STR("/topicsandmore"));
	ck_assert_ptr_eq(match.dialect, &topics_dialect);
	find(HTTP_GET, STR("/elsewhere"));
	ck_assert_ptr_eq(match.dialect, &topics_dialect);
	find(HTTP_GET, STR("/"));
	ck_assert_ptr_eq(match.dialect, &streams_dialect);
}
END_TEST

START_TEST(a_full_arena_is_reported)
{
	arena *tiny = arena_new(4);
	ck_assert(!table_find(routes, HTTP_GET, STR("/topics/%41%41%41%41"), tiny, &match));
	arena_free(tiny);
}
END_TEST

START_TEST(bad_and_repeated_patterns_are_refused)
{
	static const char *const bad[] = {
		"topics", "", "/a//b", "/a/", "/{x...}/b", "/{a}/{b}/{c}/{d}/{e}", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
		"/twice",
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		const http_route list[] = {
			{.method = HTTP_GET, .pattern = "/twice", .name = "a", .handler = handle},
			{.method = HTTP_GET, .pattern = bad[i], .name = "b", .handler = handle},
		};
		const http_dialect d = {.name = "d", .prefix = "/", .routes = list, .route_count = 2};
		const http_dialect *const all[] = {&d};
		table *t = NULL;
		err e;
		ck_assert_msg(!table_new(all, 1, &t, &e), "%s", bad[i]);
		ck_assert_int_eq(e.code, ERR_INTERNAL);
	}
}
END_TEST

static bool build_once(void)
{
	table *t = NULL;
	err e;
	bool is_built = table_new(dialects, 3, &t, &e);
	table_free(t);
	return is_built;
}

START_TEST(every_failing_allocation_is_reported)
{
	FAIL_EVERY_ALLOCATION(build_once(), 15);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		literals_and_parameters_are_told_apart,
		a_literal_that_leads_nowhere_does_not_hide_a_parameter,
		segments_are_decoded_after_splitting,
		the_rest_keeps_its_slashes_and_may_be_empty,
		empty_segments_match_nothing_but_a_rest,
		methods_of_the_path_are_collected_when_none_fits,
		head_takes_gets_route_unless_it_has_its_own,
		an_unknown_path_belongs_to_the_longest_prefix_or_the_first_dialect,
		a_full_arena_is_reported,
		bad_and_repeated_patterns_are_refused,
		every_failing_allocation_is_reported,
	};
	err e;
	memory = arena_new(1 << 20);
	if (!table_new(dialects, 3, &routes, &e)) {
		return EXIT_FAILURE;
	}
	int failed = SUITE_RUN("http/table", tests);
	table_free(routes);
	arena_free(memory);
	return failed;
}
