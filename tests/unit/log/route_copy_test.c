#include "log/route_copy.h"

#include "suite.h"

#include "base/buf.h"

#define MARK                                                                                                           \
	"\"_topics_router\":{\"idempotency_key\":\"router:a->b:7:5:3\",\"router\":\"a->b\",\"source_topic\":\"a\","        \
	"\"source_topic_id\":7,\"source_epoch\":5,\"source_seq\":3}"

static const route_origin ORIGIN = {
	.router = {"a->b", 4}, .source = {"a", 1}, .source_id = 7, .source_epoch = 5, .source_seq = 3};

static void expect_meta(const char *meta, const char *expected)
{
	str key;
	str out;
	arena *a = arena_new(1 << 20);
	ck_assert(route_key(a, &ORIGIN, &key));
	ck_assert(route_mark_meta(a, str_from_c(meta), &ORIGIN, key, &out));
	ck_assert_view_eq(out, str_from_c(expected));
	arena_free(a);
}

START_TEST(a_record_without_meta_gets_one)
{
	expect_meta(NULL, "{" MARK "}");
	expect_meta("{}", "{" MARK "}");
}
END_TEST

START_TEST(members_stay_as_they_were_sent)
{
	expect_meta("{\"n\":1.50,\"\\u0061\":{\"_topics_router\":[]}}",
				"{\"n\":1.50,\"\\u0061\":{\"_topics_router\":[]}," MARK "}");
}
END_TEST

START_TEST(the_mark_of_an_earlier_router_is_replaced)
{
	expect_meta("{\"_topics_router\":{\"router\":\"x\"},\"n\":1}", "{\"n\":1," MARK "}");
	expect_meta("{\"n\":1,\"_topics_\\u0072outer\":2}", "{\"n\":1," MARK "}");
}
END_TEST

START_TEST(what_is_no_object_goes_beside)
{
	expect_meta("[1]", "{" MARK ",\"_topics_original_meta\":[1]}");
}
END_TEST

static void expect_members(int count, bool fits)
{
	buf meta;
	buf expected;
	buf_init(&meta, 65536);
	buf_init(&expected, 65536);
	buf_append_byte(&meta, '{');
	for (int i = 0; i < count; i++) {
		buf_printf(&meta, "%s\"k%d\":%d", i > 0 ? "," : "", i, i);
	}
	if (fits) {
		buf_printf(&expected, "%.*s,%s}", STR_ARG(buf_str(&meta)), MARK);
		buf_append_byte(&meta, '}');
	} else {
		buf_append_byte(&meta, '}');
		buf_printf(&expected, "{%s,\"_topics_original_meta\":%.*s}", MARK, STR_ARG(buf_str(&meta)));
	}
	buf_append_byte(&meta, '\0');
	buf_append_byte(&expected, '\0');
	expect_meta(meta.ptr, expected.ptr);
	buf_dispose(&meta);
	buf_dispose(&expected);
}

START_TEST(there_is_room_for_64_members)
{
	expect_members(63, true);
	expect_members(64, false);
}
END_TEST

START_TEST(a_full_arena_fails)
{
	str out;
	arena *a = arena_new(1);
	ck_assert(!route_key(a, &ORIGIN, &out));
	ck_assert(!route_mark_meta(a, STR_NONE, &ORIGIN, STR("key"), &out));
	arena_free(a);
}
END_TEST

START_TEST(a_filter_takes_tags_that_match)
{
	log_router equal = {.has_filter = true, .filter = {LOG_TAG_EQUAL, STR("a:1")}};
	log_router prefix = {.has_filter = true, .filter = {LOG_TAG_PREFIX, STR("a:")}};
	log_router none = {0};
	log_record record = {.tag = STR("a:1")};
	ck_assert(route_takes(&equal, &record) && route_takes(&prefix, &record) && route_takes(&none, &record));
	record.tag = STR("a:10");
	ck_assert(!route_takes(&equal, &record) && route_takes(&prefix, &record));
	record.tag = STR_NONE;
	ck_assert(!route_takes(&equal, &record) && !route_takes(&prefix, &record) && route_takes(&none, &record));
}
END_TEST

START_TEST(eight_hops_are_the_end)
{
	log_router none = {0};
	log_record record = {.hops = LOG_ROUTE_HOPS_MAX - 1};
	ck_assert(route_takes(&none, &record));
	record.hops++;
	ck_assert(!route_takes(&none, &record));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_record_without_meta_gets_one, members_stay_as_they_were_sent, the_mark_of_an_earlier_router_is_replaced,
		what_is_no_object_goes_beside,  there_is_room_for_64_members,   a_full_arena_fails,
		a_filter_takes_tags_that_match, eight_hops_are_the_end,
	};
	return SUITE_RUN("log/route_copy", tests);
}
