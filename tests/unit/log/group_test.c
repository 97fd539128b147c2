#include "log/group.h"

#include <check.h>
#include <unistd.h>

#include "log/log_fixture.h"
#include "postgres_fixture.h"

/* "p:first-last …" of what a consumer was handed, gaps as [from-to). */
static const char *take(log_fixture *f, const log_topic *t, const char *consumer, uint32_t max_records,
						int64_t lease_ms)
{
	err e;
	log_group_take got;
	log_group_take_request q = {.topic = t,
								.group = STR("g"),
								.consumer_id = str_from_c(consumer),
								.partition = LOG_ALL_PARTITIONS,
								.max_records = max_records,
								.max_bytes = 1 << 20,
								.lease_ms = lease_ms};
	buf out;
	buf_init(&out, 4096);
	if (!log_group_take_records(f->engine, f->conn, &q, f->arena, &got, &e)) {
		ck_abort_msg("take: %s (%s)", e.message, e.log);
	}
	for (size_t i = 0; i < got.count; i++) {
		log_record r;
		log_gap gap;
		buf_printf(&out, "%s%d:", i > 0 ? " " : "", got.partitions[i]);
		if (log_page_gap(got.pages[i], &gap)) {
			buf_printf(&out, "[%lld-%lld)", (long long)gap.from, (long long)gap.to);
		}
		while (log_page_next(got.pages[i], &r)) {
			buf_printf(&out, "%lld,", (long long)r.offset);
		}
	}
	log_group_take_free(&got);
	char *text = arena_copy_c(f->arena, buf_str(&out));
	buf_dispose(&out);
	return text;
}

static err_code commit(log_fixture *f, const log_topic *t, const char *consumer, int32_t partition, int64_t offset,
					   bool force, int64_t *stands)
{
	err e;
	const log_group_offset wanted = {partition, offset};
	const log_group_commit_request request = {.topic = t,
											  .group = STR("g"),
											  .consumer_id = str_from_c(consumer),
											  .offsets = &wanted,
											  .count = 1,
											  .force = force};
	log_group_offset *out = NULL;
	size_t count = 0;
	err_clear(&e);
	if (!log_group_commit(f->engine, f->conn, &request, f->arena, &out, &count, &e)) {
		return e.code;
	}
	*stands = out[0].offset;
	return ERR_NONE;
}

START_TEST(leased_partition_goes_to_nobody_else_until_it_is_committed)
{
	log_fixture f;
	int64_t stands = 0;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 4, NULL);
	ck_assert_str_eq(take(&f, t, NULL, 2, 60000), "0:0,1,");
	ck_assert_str_eq(take(&f, t, NULL, 2, 60000), "");
	ck_assert_int_eq(commit(&f, t, NULL, 0, 1, false, &stands), ERR_NONE);
	ck_assert_int_eq(stands, 1);
	ck_assert_str_eq(take(&f, t, NULL, 2, 60000), "");
	ck_assert_int_eq(commit(&f, t, NULL, 0, 2, false, &stands), ERR_NONE);
	ck_assert_str_eq(take(&f, t, NULL, 9, 60000), "0:2,3,");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(expired_lease_delivers_again_from_the_committed_offset)
{
	enum { LEASE_MS = 4000 }; /* a few statements come before its end, on any machine */
	log_fixture f;
	int64_t stands = 0;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 3, NULL);
	ck_assert_str_eq(take(&f, t, "one", 9, LEASE_MS), "0:0,1,2,");
	ck_assert_int_eq(commit(&f, t, "one", 0, 1, false, &stands), ERR_NONE);
	ck_assert_str_eq(take(&f, t, "two", 9, LEASE_MS), "");
	usleep((LEASE_MS + 50) * 1000);
	ck_assert_str_eq(take(&f, t, "two", 9, 60000), "0:1,2,");
	ck_assert_int_eq(commit(&f, t, "one", 0, 3, false, &stands), ERR_NOT_OWNER);
	ck_assert_int_eq(commit(&f, t, "two", 0, 3, false, &stands), ERR_NONE);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(same_consumer_reads_on_without_committing)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 2);
	fixture_append_texts(&f, t, 0, "a", 3, NULL);
	fixture_append_texts(&f, t, 1, "b", 3, NULL);
	ck_assert_str_eq(take(&f, t, "one", 2, 60000), "0:0,1,");
	ck_assert_str_eq(take(&f, t, "two", 2, 60000), "1:0,1,");
	ck_assert_str_eq(take(&f, t, "one", 2, 60000), "0:2,");
	ck_assert_str_eq(take(&f, t, "one", 2, 60000), "");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(commit_never_moves_back_without_force_nor_beyond_the_end)
{
	log_fixture f;
	int64_t stands = 0;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 3, NULL);
	ck_assert_int_eq(commit(&f, t, NULL, 0, 4, false, &stands), ERR_INVALID_REQUEST);
	ck_assert_int_eq(commit(&f, t, NULL, 1, 0, false, &stands), ERR_INVALID_REQUEST);
	ck_assert_int_eq(commit(&f, t, NULL, 0, 3, false, &stands), ERR_NONE);
	ck_assert_int_eq(commit(&f, t, NULL, 0, 1, false, &stands), ERR_NONE);
	ck_assert_int_eq(stands, 3);
	ck_assert_str_eq(take(&f, t, NULL, 9, 60000), "");
	ck_assert_int_eq(commit(&f, t, NULL, 0, 1, true, &stands), ERR_NONE);
	ck_assert_int_eq(stands, 1);
	ck_assert_str_eq(take(&f, t, NULL, 9, 60000), "0:1,2,");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(loss_before_the_position_is_announced)
{
	log_fixture f;
	int64_t stands = 0;
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_records = 2;
	fixture_open(&f);
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	ck_assert_int_eq(commit(&f, t, NULL, 0, 0, false, &stands), ERR_NONE);
	fixture_append_texts(&f, t, 0, "a", 5, NULL);
	ck_assert_str_eq(take(&f, t, NULL, 9, 60000), "0:[0-3)3,4,");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(reset_and_describe_agree)
{
	log_fixture f;
	err e;
	log_group_info *infos = NULL;
	size_t count = 0;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 2);
	fixture_append_texts(&f, t, 1, "a", 5, NULL);
	ck_assert(!log_group_describe(f.engine, f.conn, t, STR("g"), f.arena, &infos, &count, &e));
	ck_assert_int_eq(e.code, ERR_GROUP_NOT_FOUND);
	ck_assert_str_eq(take(&f, t, "one", 2, 60000), "1:0,1,");
	ck_assert(log_group_describe(f.engine, f.conn, t, STR("g"), f.arena, &infos, &count, &e));
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(infos[0].partition_count, 2);
	ck_assert(str_equal(infos[0].partitions[1].holder, STR("one")));
	ck_assert_int_eq(infos[0].partitions[1].handed_offset, 2);
	ck_assert(!infos[0].partitions[0].has_position);
	const log_group_offset to[] = {{1, 99}, {0, 3}};
	ck_assert(log_group_reset(f.engine, f.conn, t, STR("g"), to, 2, &e));
	ck_assert(log_group_describe(f.engine, f.conn, t, STR_NONE, f.arena, &infos, &count, &e));
	ck_assert_int_eq(infos[0].partitions[1].committed_offset, 5);
	ck_assert_int_eq(infos[0].partitions[0].committed_offset, 0);
	ck_assert_ptr_null(infos[0].partitions[1].holder.ptr);
	ck_assert(log_group_delete(f.engine, f.conn, t, STR("g"), &e));
	ck_assert(!log_group_delete(f.engine, f.conn, t, STR("g"), &e));
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(expired_records_are_announced_and_the_rest_is_leased)
{
	log_fixture f;
	int64_t stands = 0;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.ttl_ms = 60000;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	fixture_append_texts(&f, t, 0, "a", 3, NULL);
	ck_assert_str_eq(take(&f, t, "one", 1, 60000), "0:0,");
	ck_assert_int_eq(commit(&f, t, "one", 0, 1, false, &stands), ERR_NONE);
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET committed_ms = committed_ms - 100000");
	fixture_append_texts(&f, t, 0, "b", 2, NULL);
	ck_assert_str_eq(take(&f, t, "one", 10, 60000), "0:[1-3)3,4,");
	ck_assert_str_eq(take(&f, t, "two", 10, 60000), "");
	ck_assert_int_eq(commit(&f, t, "one", 0, 5, false, &stands), ERR_NONE);
	ck_assert_int_eq(stands, 5);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	postgres_fixture_url();
	Suite *s = suite_create("log/group");
	TCase *c = tcase_create("group");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, leased_partition_goes_to_nobody_else_until_it_is_committed);
	tcase_add_test(c, expired_lease_delivers_again_from_the_committed_offset);
	tcase_add_test(c, same_consumer_reads_on_without_committing);
	tcase_add_test(c, commit_never_moves_back_without_force_nor_beyond_the_end);
	tcase_add_test(c, loss_before_the_position_is_announced);
	tcase_add_test(c, reset_and_describe_agree);
	tcase_add_test(c, expired_records_are_announced_and_the_rest_is_leased);
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
