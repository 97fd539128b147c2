#include "log/lease_meta.h"

#include "suite.h"

static buf out;

/* Of the third job of the queue "q", delivered twice. meta NULL = it has none. */
static str meta_of(const char *meta)
{
	log_record job = {.offset = 2, .meta = str_from_c(meta)};
	buf_dispose(&out);
	buf_init(&out, 1 << 20);
	lease_meta_write(&out, &job, STR("q"), 2);
	ck_assert(!out.failed);
	return buf_str(&out);
}

#define OURS "\"$dead_letter_from\":\"q\",\"$dead_letter_deliveries\":\"2\",\"$dead_letter_src_seq\":\"3\""

START_TEST(a_job_without_meta_gets_one)
{
	ck_assert_view_eq(meta_of(NULL), STR("{" OURS "}"));
	ck_assert_view_eq(meta_of("{}"), STR("{" OURS "}"));
}
END_TEST

START_TEST(its_own_members_stay_as_they_are)
{
	ck_assert_view_eq(meta_of("{\"a\":1.50,\"b\":[{\"c\":null}],\"\\u00e9\\\"\":\"x\\ny\"}"),
					  STR("{\"a\":1.50,\"b\":[{\"c\":null}],\"\u00e9\\\"\":\"x\\ny\"," OURS "}"));
}
END_TEST

START_TEST(an_earlier_death_is_forgotten)
{
	ck_assert_view_eq(meta_of("{\"$dead_letter_from\":\"old\",\"a\":1,\"$dead_letter_deliveries\":\"9\","
							  "\"$dead_letter_src_seq\":\"7\"}"),
					  STR("{\"a\":1," OURS "}"));
}
END_TEST

START_TEST(what_is_no_object_has_no_members)
{
	ck_assert_view_eq(meta_of("[1,2]"), STR("{" OURS "}"));
	ck_assert_view_eq(meta_of("{\"a\":1"), STR("{" OURS "}"));
	ck_assert_view_eq(meta_of("nonsense"), STR("{" OURS "}"));
}
END_TEST

START_TEST(a_queue_s_name_is_quoted)
{
	log_record job = {.offset = 0};
	buf_dispose(&out);
	buf_init(&out, 1 << 10);
	lease_meta_write(&out, &job, STR("a\"b"), 1);
	ck_assert_view_eq(buf_str(&out), STR("{\"$dead_letter_from\":\"a\\\"b\",\"$dead_letter_deliveries\":\"1\","
										 "\"$dead_letter_src_seq\":\"1\"}"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_job_without_meta_gets_one,      its_own_members_stay_as_they_are, an_earlier_death_is_forgotten,
		what_is_no_object_has_no_members, a_queue_s_name_is_quoted,
	};
	int failed = SUITE_RUN("log/lease_meta", tests);
	buf_dispose(&out);
	return failed;
}
