/*
 * Request target → path and query → route and parameters. Input: the target, a NUL, the name of a query parameter.
 *
 * Checked besides memory errors: what comes out is never longer than what went in, a match is repeatable, and a name
 * that is found is found again with the same value.
 */
#include "fuzz.h"

#include "http/table.h"
#include "http/target.h"

static void handle(http_exchange *x)
{
	(void)x;
}

static const http_route ROUTES[] = {
	{.method = HTTP_GET, .pattern = "/", .name = "root", .handler = handle},
	{.method = HTTP_GET, .pattern = "/topics", .name = "topics", .handler = handle},
	{.method = HTTP_GET, .pattern = "/topics/{name}", .name = "topic", .handler = handle},
	{.method = HTTP_POST, .pattern = "/topics/{name}/produce", .name = "produce", .handler = handle},
	{.method = HTTP_GET, .pattern = "/topics/{name}/groups/{group}", .name = "group", .handler = handle},
	{.method = HTTP_GET, .pattern = "/topics/all/groups", .name = "groups", .handler = handle},
	{.method = HTTP_GET, .pattern = "/v1/stream/{path...}", .name = "stream", .handler = handle},
	{.method = HTTP_GET, .pattern = "/v1/stream/__ds/{a}/{b}/{c}/{rest...}", .name = "control", .handler = handle},
};
static const http_dialect DIALECT = {
	.name = "fuzz", .prefix = "/", .routes = ROUTES, .route_count = sizeof ROUTES / sizeof ROUTES[0]};
static const http_dialect *const DIALECTS[] = {&DIALECT};

static void match(const table *t, arena *memory, str path, http_method method)
{
	table_match first;
	table_match second;
	FUZZ_CHECK(table_find(t, method, path, memory, &first));
	FUZZ_CHECK(table_find(t, method, path, memory, &second));
	FUZZ_CHECK(first.entry == second.entry && first.allowed == second.allowed &&
			   first.param_count == second.param_count);
	FUZZ_CHECK(first.entry == NULL || first.allowed != 0);
	FUZZ_CHECK(first.param_count <= TABLE_PARAMS_MAX);
	size_t total = 0;
	for (size_t i = 0; i < first.param_count; i++) {
		FUZZ_CHECK(str_equal(first.params[i], second.params[i]));
		total += first.params[i].len;
	}
	FUZZ_CHECK(total <= path.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static table *t;
	err e;
	str target;
	str name;
	str path;
	str query;
	if (t == NULL) {
		FUZZ_CHECK(table_new(DIALECTS, 1, &t, &e));
	}
	str_split((str){(const char *)data, size}, '\0', &target, &name);
	if (!target_split(target, &path, &query)) {
		return 0;
	}
	arena *memory = arena_new(64 * size + (1 << 20));
	FUZZ_CHECK(memory != NULL);
	FUZZ_CHECK(path.len > 0 && query.len < target.len);
	match(t, memory, path, HTTP_GET);
	match(t, memory, path, HTTP_HEAD);
	match(t, memory, path, HTTP_POST);
	str value = STR_NONE;
	str again = STR_NONE;
	size_t count = target_query_find(memory, query, name, &value);
	FUZZ_CHECK(count == target_query_find(memory, query, name, &again) && str_equal(value, again));
	FUZZ_CHECK(value.len <= query.len && (count > 0) == (value.ptr != NULL));
	arena_free(memory);
	return 0;
}
