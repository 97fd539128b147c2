#include "api/gate.h"

#include "api/api.h"
#include "auth/auth.h"
#include "auth/limit_book.h"
#include "http/route.h"
#include "suite.h"

/*
 * The gate between a fake exchange and a fake auth. The auth knows three credentials: "good" at once, "slow" after
 * auth_resolve(), "late-bad" as refused after it; everything else is refused at once.
 */
struct http_exchange {
	const http_route *route;
	const http_dialect *dialect;
	str path;
	bool has_other_method;
	str api_key;
	str authorization;
	str token;
	str param[2];
	arena *arena;
	const auth_principal *principal;
	bool is_admitted;
	err_code refused; /* ERR_NONE: not answered */
	err error;
	str challenge;
	void (*on_end)(void *context, uint64_t bytes);
	void *on_end_context;
	str content_length;
	uint64_t max_body_bytes;
};

struct auth {
	const auth_principal *principal;
	auth_resolved *done; /* of a lookup under way */
	void *context;
	int checks;
};

static http_exchange x;
static auth the_auth;
static api the_api;
static config the_config;
static limit_account *the_account; /* of the next principal */

/* ---- http ---- */

api *api_of(const http_exchange *exchange)
{
	(void)exchange;
	return &the_api;
}

const http_route *http_request_route(const http_exchange *exchange)
{
	return exchange->route;
}

const http_dialect *http_request_dialect(const http_exchange *exchange)
{
	return exchange->dialect;
}

str http_request_raw_path(const http_exchange *exchange)
{
	return exchange->path;
}

bool http_request_path_exists(const http_exchange *exchange)
{
	return exchange->has_other_method;
}

str http_request_header(const http_exchange *exchange, str name)
{
	if (str_equal_ignore_case(name, STR("x-api-key"))) {
		return exchange->api_key;
	}
	if (str_equal_ignore_case(name, STR("content-length"))) {
		return exchange->content_length;
	}
	return str_equal_ignore_case(name, STR("authorization")) ? exchange->authorization : STR_NONE;
}

bool http_request_query(const http_exchange *exchange, str name, str *value)
{
	if (exchange->token.ptr == NULL || !str_equal(name, STR("token"))) {
		return false;
	}
	*value = exchange->token;
	return true;
}

str http_request_param(const http_exchange *exchange, size_t index)
{
	ck_assert_uint_lt(index, 2);
	return exchange->param[index];
}

str http_request_id(const http_exchange *exchange)
{
	(void)exchange;
	return STR("id");
}

arena *http_arena(http_exchange *exchange)
{
	return exchange->arena;
}

void http_set_principal(http_exchange *exchange, const void *principal)
{
	exchange->principal = principal;
}

const void *http_principal(const http_exchange *exchange)
{
	return exchange->principal;
}

void http_on_end(http_exchange *exchange, void (*on_end)(void *context, uint64_t bytes), void *context)
{
	exchange->on_end = on_end;
	exchange->on_end_context = context;
}

void http_limit_body(http_exchange *exchange, uint64_t max_bytes, const char *limit)
{
	ck_assert_str_eq(limit, "body_bytes");
	exchange->max_body_bytes = max_bytes;
}

void http_admit(http_exchange *exchange)
{
	ck_assert(!exchange->is_admitted && exchange->refused == ERR_NONE);
	exchange->is_admitted = true;
}

bool http_reply_header(http_exchange *exchange, str name, str value)
{
	ck_assert_view_eq(name, STR("WWW-Authenticate"));
	exchange->challenge = value;
	return true;
}

void http_send_error(http_exchange *exchange, const err *e)
{
	ck_assert(!exchange->is_admitted && exchange->refused == ERR_NONE);
	exchange->refused = e->code;
	exchange->error = *e;
}

/* ---- auth ---- */

auth_verdict auth_check(auth *a, str credential, err *e, const auth_principal **out)
{
	a->checks++;
	if (str_equal(credential, STR("good"))) {
		*out = auth_principal_ref(a->principal);
		return AUTH_OK;
	}
	if (str_equal(credential, STR("slow")) || str_equal(credential, STR("late-bad"))) {
		return AUTH_PENDING;
	}
	err_set(e, ERR_UNAUTHORIZED, "sent: %.*s", STR_ARG(credential));
	return AUTH_REFUSED;
}

void auth_resolve(auth *a, str credential, auth_resolved *done, void *context)
{
	(void)credential;
	a->done = done;
	a->context = context;
}

/* ---- the tests ---- */

static const str PREFIXES[] = {{"orders.", 7}};

static void open_gate(const http_route *route, uint32_t scopes, bool is_restricted)
{
	const auth_principal p = {.tenant_id = 3,
							  .tenant = STR("acme"),
							  .key_id = STR("0123456789ab"),
							  .scopes = scopes,
							  .prefixes = PREFIXES,
							  .prefix_count = is_restricted ? 1 : 0,
							  .account = the_account};
	x = (http_exchange){.route = route, .arena = arena_new(1 << 20)};
	the_auth = (auth){.principal = auth_principal_new(&p)};
	the_api.auth = &the_auth;
	the_api.config = &the_config;
}

static void close_gate(void)
{
	arena_free(x.arena);
	auth_principal_unref(the_auth.principal);
}

static const http_route PRODUCE = {.pattern = "/topics/{topic}/produce", .scopes = AUTH_SCOPE_WRITE};
static const http_route STREAM = {
	.pattern = "/topics/{topic}/stream", .scopes = AUTH_SCOPE_READ, .token_in_query = true};
static const http_route COUNTED = {.pattern = "/v0/topics", .is_counted = true};
static const http_route OPEN = {.pattern = "/healthz", .is_open = true};
static const http_route PROBE = {.pattern = "/readyz", .is_probe = true};
static const http_route ANY = {.pattern = "/whoami"};

START_TEST(an_open_route_needs_nothing_and_asks_nobody)
{
	open_gate(&OPEN, 0, false);
	gate_request(&x);
	ck_assert(x.is_admitted);
	ck_assert_int_eq(the_auth.checks, 0);
	ck_assert_ptr_null(gate_principal(&x));
	close_gate();
}
END_TEST

START_TEST(a_probe_is_open_unless_the_configuration_says_otherwise)
{
	open_gate(&PROBE, 0, false);
	gate_request(&x);
	ck_assert(x.is_admitted);
	close_gate();
	the_config.probe_auth = true;
	open_gate(&PROBE, 0, false);
	gate_request(&x);
	ck_assert_int_eq(x.refused, ERR_UNAUTHORIZED);
	close_gate();
	open_gate(&PROBE, 0, false);
	x.api_key = STR("good");
	gate_request(&x);
	ck_assert(x.is_admitted);
	close_gate();
	the_config.probe_auth = false;
}
END_TEST

static void assert_credential(const http_route *route, const char *api_key, const char *authorization,
							  const char *token, bool is_admitted)
{
	open_gate(route, AUTH_SCOPE_ALL, false);
	x.api_key = str_from_c(api_key);
	x.authorization = str_from_c(authorization);
	x.token = str_from_c(token);
	gate_request(&x);
	ck_assert_msg(x.is_admitted == is_admitted, "X-API-Key: %s, Authorization: %s, token: %s", api_key, authorization,
				  token);
	if (!is_admitted) {
		ck_assert_int_eq(x.refused, ERR_UNAUTHORIZED);
		ck_assert_view_eq(x.challenge, STR("Bearer"));
	}
	close_gate();
}

START_TEST(the_credential_is_found_in_its_places_in_order)
{
	assert_credential(&PRODUCE, NULL, NULL, NULL, false);
	assert_credential(&PRODUCE, "good", NULL, NULL, true);
	assert_credential(&PRODUCE, NULL, "Bearer good", NULL, true);
	assert_credential(&PRODUCE, NULL, "bearer   good", NULL, true);
	assert_credential(&PRODUCE, NULL, "Basic good", NULL, false);
	assert_credential(&PRODUCE, NULL, "good", NULL, false);
	assert_credential(&PRODUCE, NULL, "Bearergood", NULL, false);
	assert_credential(&PRODUCE, "good", "Bearer bad", NULL, true);
	assert_credential(&PRODUCE, "bad", "Bearer good", NULL, false);
	assert_credential(&PRODUCE, "", "Bearer good", NULL, true);
	assert_credential(&PRODUCE, NULL, NULL, "good", false);
	assert_credential(&STREAM, NULL, NULL, "good", true);
	assert_credential(&STREAM, NULL, "Bearer bad", "good", false);
	assert_credential(&STREAM, NULL, NULL, "bad", false);
}
END_TEST

START_TEST(the_handler_finds_a_principal_that_lives_as_long_as_its_exchange)
{
	open_gate(&PRODUCE, AUTH_SCOPE_ALL, true);
	x.api_key = STR("good");
	x.param[0] = STR("orders.eu");
	gate_request(&x);
	ck_assert_ptr_null(gate_principal(&x)->block);
	auth_principal_unref(the_auth.principal);
	the_auth.principal = NULL;
	ck_assert_view_eq(gate_principal(&x)->tenant, STR("acme"));
	ck_assert_view_eq(gate_principal(&x)->prefixes[0], STR("orders."));
	close_gate();
}
END_TEST

/* Limits of the tenant and the key that come next, as `tidegate tenant set --limits` takes them. */
static limit_book *open_limits(metric_registry *metrics, const char *text)
{
	err e;
	limit_set own;
	const limit_set none = limit_set_none();
	limit_book *book = limit_book_new(&none, metrics);
	ck_assert(limit_set_parse(str_from_c(text), &own, &e));
	the_account = limit_book_find(book, 3, STR("0123456789ab"), &own, 0);
	return book;
}

static void close_limits(limit_book *book)
{
	limit_account_unref(the_account);
	the_account = NULL;
	limit_book_free(book);
}

static bool pass_counted(const http_route *route, http_exchange *kept)
{
	open_gate(route, AUTH_SCOPE_ALL, false);
	x.api_key = STR("good");
	gate_request(&x);
	bool is_admitted = x.is_admitted;
	ck_assert(is_admitted || (x.refused == ERR_THROTTLED && x.on_end == NULL));
	*kept = x;
	auth_principal_unref(the_auth.principal);
	return is_admitted;
}

static void end_request(http_exchange *kept, uint64_t bytes)
{
	if (kept->on_end != NULL) {
		kept->on_end(kept->on_end_context, bytes);
	}
	arena_free(kept->arena);
}

START_TEST(requests_of_one_key_are_counted_until_they_end)
{
	http_exchange first;
	http_exchange second;
	http_exchange third;
	http_exchange other;
	metric_registry *metrics = metric_registry_new();
	limit_book *book = open_limits(metrics, "");
	the_config.topics_max_inflight_per_key = 2;
	ck_assert(pass_counted(&COUNTED, &first) && pass_counted(&COUNTED, &second));
	ck_assert(!pass_counted(&COUNTED, &third));
	ck_assert_str_eq(third.error.detail, "{\"limit\":\"max_inflight_per_key\",\"max\":2}");
	ck_assert(pass_counted(&ANY, &other));
	end_request(&third, 0);
	end_request(&other, 0);
	end_request(&first, 0);
	ck_assert(pass_counted(&COUNTED, &third));
	end_request(&second, 0);
	end_request(&third, 0);
	ck_assert_int_eq(limit_in_use(the_account, LIMIT_REQUESTS_IN_FLIGHT), 0);
	the_config.topics_max_inflight_per_key = 0;
	close_limits(book);
	metric_registry_free(metrics);
}
END_TEST

START_TEST(a_request_is_taken_from_what_its_key_and_tenant_may_use)
{
	http_exchange first;
	http_exchange second;
	metric_registry *metrics = metric_registry_new();
	limit_book *book = open_limits(metrics, "requests_per_second_per_key=1,body_bytes=700");
	ck_assert(pass_counted(&PRODUCE, &first));
	ck_assert_uint_eq(first.max_body_bytes, 700);
	/* Whoever stood still for a second has one more to give. */
	for (int i = 0; i < 100 && pass_counted(&PRODUCE, &second); i++) {
		end_request(&second, 0);
	}
	ck_assert(!second.is_admitted);
	ck_assert_ptr_nonnull(strstr(second.error.detail, "requests_per_second_per_key"));
	ck_assert_int_eq(limit_in_use(the_account, LIMIT_REQUESTS_IN_FLIGHT), 1);
	end_request(&first, 0);
	end_request(&second, 0);
	close_limits(book);
	metric_registry_free(metrics);
}
END_TEST

START_TEST(bytes_are_paid_for_when_they_are_known)
{
	http_exchange first;
	http_exchange second;
	metric_registry *metrics = metric_registry_new();
	limit_book *book = open_limits(metrics, "bytes_per_second=1000");
	ck_assert(pass_counted(&PRODUCE, &first));
	end_request(&first, 1000000);
	ck_assert(!pass_counted(&PRODUCE, &second));
	ck_assert_ptr_nonnull(strstr(second.error.detail, "\"bytes_per_second\""));
	end_request(&second, 0);
	close_limits(book);
	metric_registry_free(metrics);
}
END_TEST

START_TEST(open_streams_count_for_whoever_opened_them)
{
	err e;
	void *first = NULL;
	void *second = NULL;
	metric_registry *metrics = metric_registry_new();
	limit_book *book = open_limits(metrics, "streams=1");
	open_gate(&STREAM, AUTH_SCOPE_ALL, false);
	x.api_key = STR("good");
	gate_request(&x);
	ck_assert(gate_hold_stream(&x, &first, &e));
	ck_assert(!gate_hold_stream(&x, &second, &e));
	ck_assert_int_eq(e.code, ERR_THROTTLED);
	gate_release_stream(first);
	ck_assert(gate_hold_stream(&x, &second, &e));
	gate_release_stream(second);
	x.on_end(x.on_end_context, 0);
	close_gate();
	close_limits(book);
	metric_registry_free(metrics);
}
END_TEST

START_TEST(scopes_come_before_the_name)
{
	err e;
	open_gate(&PRODUCE, AUTH_SCOPE_READ | AUTH_SCOPE_DELETE, true);
	x.api_key = STR("good");
	x.param[0] = STR("audit");
	gate_request(&x);
	ck_assert_int_eq(x.refused, ERR_FORBIDDEN);
	ck_assert_uint_eq(x.challenge.len, 0);
	ck_assert_ptr_nonnull(strstr(x.error.message, "write"));
	ck_assert_ptr_nonnull(strstr(x.error.message, "read,delete"));
	ck_assert(gate_check_scopes(&x, AUTH_SCOPE_READ, &e));
	ck_assert(!gate_check_scopes(&x, AUTH_SCOPE_READ | AUTH_SCOPE_ADMIN, &e));
	ck_assert_int_eq(e.code, ERR_FORBIDDEN);
	close_gate();
}
END_TEST

static const struct {
	const char *pattern;
	const char *first;
	const char *second;
	bool is_admitted;
} NAMES[] = {
	{"/topics/{topic}", "orders.eu", NULL, true},
	{"/topics/{topic}", "audit", NULL, false},
	{"/topics/{topic}", "", NULL, false},
	{"/v1/stream/{topic...}", "orders.a/b", NULL, true},
	{"/v1/stream/{topic...}", "a/orders.", NULL, false},
	{"/groups/{group}/{topic}", "orders.", "audit", false},
	{"/groups/{group}/{topic}", "audit", "orders.", true},
	{"/groups/{group}", "audit", NULL, true},
	{"/groups/{topics}", "audit", NULL, true},
	{"/topics", NULL, NULL, true},
};

START_TEST(the_name_in_the_path_must_have_a_prefix)
{
	for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
		const http_route route = {.pattern = NAMES[i].pattern};
		open_gate(&route, AUTH_SCOPE_ALL, true);
		x.api_key = STR("good");
		x.param[0] = str_from_c(NAMES[i].first);
		x.param[1] = str_from_c(NAMES[i].second);
		gate_request(&x);
		ck_assert_msg(x.is_admitted == NAMES[i].is_admitted, "%zu", i);
		ck_assert(x.is_admitted || x.refused == ERR_FORBIDDEN);
		ck_assert_str_eq(x.error.detail, "");
		close_gate();
	}
}
END_TEST

START_TEST(a_name_from_a_body_is_named_when_it_is_refused)
{
	err e;
	open_gate(&ANY, AUTH_SCOPE_ALL, true);
	x.api_key = STR("good");
	gate_request(&x);
	ck_assert(x.is_admitted);
	ck_assert(gate_check_name(&x, STR("orders.eu"), &e));
	ck_assert(!gate_check_name(&x, STR("a\"b"), &e));
	ck_assert_int_eq(e.code, ERR_FORBIDDEN);
	ck_assert_str_eq(e.detail, "{\"topic\":\"a\\\"b\"}");
	close_gate();
}
END_TEST

START_TEST(an_unknown_path_needs_a_credential_and_nothing_else)
{
	open_gate(NULL, 0, true);
	gate_request(&x);
	ck_assert_int_eq(x.refused, ERR_UNAUTHORIZED);
	close_gate();
	open_gate(NULL, 0, true);
	x.token = STR("good");
	gate_request(&x);
	ck_assert_int_eq(x.refused, ERR_UNAUTHORIZED);
	close_gate();
	open_gate(NULL, 0, true);
	x.api_key = STR("good");
	gate_request(&x);
	ck_assert(x.is_admitted);
	close_gate();
}
END_TEST

static uint32_t scopes_below(str path)
{
	return str_starts_with(path, STR("/below/")) ? AUTH_SCOPE_WRITE : 0;
}

START_TEST(an_unknown_path_needs_what_its_dialect_says)
{
	static const http_dialect dialect = {.name = "test", .gate_unknown = true, .unknown_scopes = scopes_below};
	static const struct {
		str path;
		uint32_t scopes;
		bool has_other_method;
		bool is_admitted;
	} cases[] = {
		{{"/below/x", 8}, AUTH_SCOPE_READ, false, false},
		{{"/below/x", 8}, AUTH_SCOPE_WRITE, false, true},
		{{"/below/x", 8}, AUTH_SCOPE_READ, true, true},
		{{"/beside", 7}, AUTH_SCOPE_READ, false, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		open_gate(NULL, cases[i].scopes, false);
		x.dialect = &dialect;
		x.path = cases[i].path;
		x.has_other_method = cases[i].has_other_method;
		x.api_key = STR("good");
		gate_request(&x);
		ck_assert_int_eq(x.is_admitted, cases[i].is_admitted);
		ck_assert_int_eq(x.refused, cases[i].is_admitted ? ERR_NONE : ERR_FORBIDDEN);
		close_gate();
	}
}
END_TEST

START_TEST(an_unknown_credential_is_judged_when_it_is_known)
{
	err away;
	err_set(&away, ERR_UNAVAILABLE, "away");
	open_gate(&PRODUCE, AUTH_SCOPE_READ, false);
	x.api_key = STR("slow");
	gate_request(&x);
	ck_assert(!x.is_admitted && x.refused == ERR_NONE);
	the_auth.done(the_auth.context, the_auth.principal, NULL);
	ck_assert_int_eq(x.refused, ERR_FORBIDDEN);
	close_gate();
	open_gate(&PRODUCE, AUTH_SCOPE_WRITE, false);
	x.api_key = STR("slow");
	gate_request(&x);
	the_auth.done(the_auth.context, the_auth.principal, NULL);
	ck_assert(x.is_admitted);
	ck_assert_int_eq(gate_principal(&x)->tenant_id, 3);
	close_gate();
	open_gate(&PRODUCE, AUTH_SCOPE_WRITE, false);
	x.api_key = STR("late-bad");
	gate_request(&x);
	the_auth.done(the_auth.context, NULL, &away);
	ck_assert_int_eq(x.refused, ERR_UNAVAILABLE);
	ck_assert_uint_eq(x.challenge.len, 0);
	close_gate();
}
END_TEST

START_TEST(a_full_arena_is_no_way_in)
{
	open_gate(&ANY, AUTH_SCOPE_ALL, true);
	arena_free(x.arena);
	x.arena = arena_new(8);
	x.api_key = STR("good");
	gate_request(&x);
	ck_assert_int_eq(x.refused, ERR_NO_MEMORY);
	close_gate();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_open_route_needs_nothing_and_asks_nobody,
		a_probe_is_open_unless_the_configuration_says_otherwise,
		the_credential_is_found_in_its_places_in_order,
		the_handler_finds_a_principal_that_lives_as_long_as_its_exchange,
		requests_of_one_key_are_counted_until_they_end,
		a_request_is_taken_from_what_its_key_and_tenant_may_use,
		bytes_are_paid_for_when_they_are_known,
		open_streams_count_for_whoever_opened_them,
		scopes_come_before_the_name,
		the_name_in_the_path_must_have_a_prefix,
		a_name_from_a_body_is_named_when_it_is_refused,
		an_unknown_path_needs_a_credential_and_nothing_else,
		an_unknown_path_needs_what_its_dialect_says,
		an_unknown_credential_is_judged_when_it_is_known,
		a_full_arena_is_no_way_in,
	};
	return SUITE_RUN("api/gate", tests);
}
