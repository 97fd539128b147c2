#include "api/durable/subscription/config.h"

#include "api/durable/subscription/telling.h"
#include "suite.h"

static arena *a;
static err e;

static subscription_config read_config(const char *text)
{
	subscription_config c;
	ck_assert_msg(subscription_config_read(str_from_c(text), a, false, &c, &e), "%s: %s", text, e.message);
	return c;
}

static bool is_same(const char *left, const char *right)
{
	subscription_config l = read_config(left);
	subscription_config r = read_config(right);
	return memcmp(l.hash, r.hash, sizeof l.hash) == 0;
}

START_TEST(defaults_are_filled_in)
{
	a = arena_new(1 << 20);
	subscription_config c = read_config("{\"type\":\"pull-wake\",\"pattern\":\"/a/*/\",\"wake_stream\":\"/w/\"}");
	ck_assert(!c.is_webhook);
	ck_assert_view_eq(c.pattern.text, STR("a/*"));
	ck_assert_view_eq(c.wake_stream, STR("w"));
	ck_assert_int_eq(c.lease_ttl_ms, 30000);
	ck_assert_ptr_null(c.description.ptr);
	ck_assert_ptr_null(c.webhook_url.ptr);
	arena_free(a);
}
END_TEST

#define PULL "{\"type\":\"pull-wake\",\"wake_stream\":\"w\","

START_TEST(configurations_that_mean_the_same_are_the_same)
{
	a = arena_new(1 << 20);
	ck_assert(is_same(PULL "\"streams\":[\"b\",\"a\",\"/b/\"]}", "{\"lease_ttl_ms\":30000,\"streams\":[\"a\",\"b\"],"
																 "\"wake_stream\":\"w/\",\"pattern\":null,"
																 "\"type\":\"pull-wake\",\"unknown\":[1]}"));
	ck_assert(!is_same(PULL "\"streams\":[\"a\",\"b\"]}", PULL "\"streams\":[\"a\"]}"));
	ck_assert(!is_same(PULL "\"streams\":[\"ab\"]}", PULL "\"streams\":[\"a\",\"b\"]}"));
	ck_assert(!is_same(PULL "\"streams\":[\"a\"]}", PULL "\"pattern\":\"a\"}"));
	ck_assert(!is_same(PULL "\"streams\":[\"a\"]}", PULL "\"streams\":[\"a\"],\"description\":\"\"}"));
	ck_assert(!is_same(PULL "\"streams\":[\"a\"]}", PULL "\"streams\":[\"a\"],\"lease_ttl_ms\":1000}"));
	ck_assert(!is_same("{\"type\":\"webhook\",\"streams\":[\"a\"],\"webhook\":{\"url\":\"https://a.com/\"}}",
					   "{\"type\":\"webhook\",\"streams\":[\"a\"],\"webhook\":{\"url\":\"https://a.com/b\"}}"));
	arena_free(a);
}
END_TEST

START_TEST(retries_double_up_to_a_minute_give_or_take_a_fifth)
{
	static const int64_t CENTRE_MS[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	for (int32_t failures = 1; failures <= 8; failures++) {
		int64_t least = CENTRE_MS[failures - 1] * 8 / 10;
		int64_t most = CENTRE_MS[failures - 1] * 12 / 10;
		ck_assert_int_eq(telling_retry_ms(failures, 0), least);
		ck_assert_int_eq(telling_retry_ms(failures, 400), most);
		ck_assert_int_le(telling_retry_ms(failures, UINT64_MAX), most);
		ck_assert_int_ge(telling_retry_ms(failures, UINT64_MAX), least);
	}
	ck_assert_int_eq(telling_retry_ms(INT32_MAX, 200), 60000);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {defaults_are_filled_in, configurations_that_mean_the_same_are_the_same,
								  retries_double_up_to_a_minute_give_or_take_a_fifth};
	return SUITE_RUN("api/durable/subscription/config", tests);
}
