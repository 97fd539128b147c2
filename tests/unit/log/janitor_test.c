/*
 * Background work: what readers and writers only mark, the one elected worker carries out.
 */
#include "suite.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/db_fixture.h"
#include "log/log_fixture.h"
#include "postgres_fixture.h"

enum { SOON_MS = 60000 };

static const fixture_options WITH_JANITOR = {.janitor = true};

/* Until the question gives the number. */
static void expect_soon(const log_fixture *f, int64_t expected, const char *sql)
{
	int64_t seen = expected - 1;
	for (int64_t until_ms = clock_now_ms() + SOON_MS; seen != expected && clock_now_ms() < until_ms;) {
		seen = db_fixture_i64(f->url, "%s", sql);
		usleep(5000);
	}
	ck_assert_msg(seen == expected, "%s: %lld instead of %lld", sql, (long long)seen, (long long)expected);
}

/* `rows` rows of one record at the start of partition 0 of an empty topic. */
static void put_rows(const log_fixture *f, const log_topic *t, const char *table, int rows)
{
	db_fixture_sql(
		f->url,
		"INSERT INTO %s (topic_id, partition, last_offset, base_offset, base_byte, committed_ms, records, bytes, vals) "
		"SELECT %lld, 0, i, i, i, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, 1, 1, ARRAY['x'::bytea] "
		"FROM generate_series(0, %d - 1) i; "
		"UPDATE tidegate.head SET next_offset = %d, next_byte = %d, live_records = %d, live_bytes = %d "
		"WHERE topic_id = %lld AND partition = 0",
		table, (long long)t->topic_id, rows, rows, rows, rows, rows, (long long)t->topic_id);
}

START_TEST(rows_below_the_floor_of_a_cap_are_removed)
{
	log_fixture f;
	err e;
	fixture_open_as(&f, NULL, &WITH_JANITOR);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_records = 5;
	const log_topic *t = fixture_topic_with(&f, "orders", 2, c);
	const log_topic *other = fixture_topic(&f, "other", 1);
	for (int i = 0; i < 30; i++) {
		fixture_append_texts(&f, t, 1, "a", 2, &e);
	}
	fixture_append_texts(&f, other, 0, "b", 1, NULL);
	/* 55 to 59 are kept; the row 54-55 holds one of them. */
	expect_soon(&f, 3, "SELECT count(*) FROM tidegate.batch WHERE partition = 1");
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT min(base_offset) FROM tidegate.batch WHERE partition = 1"), 54);
	expect_soon(&f, 1, "SELECT count(*) FROM tidegate.head WHERE reclaimed = 55");
	ck_assert_str_eq(
		fixture_page(&f, &(log_read_request){.topic = t, .partition = 1, .max_records = 9, .max_bytes = 100}),
		"[0-55c)55:a1,56:a0,57:a1,58:a0,59:a1|60");
	ck_assert_int_eq(
		db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.batch WHERE topic_id = %lld", (long long)other->topic_id),
		1);
	log_topic_unref(other);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(more_rows_than_one_step_are_removed_step_by_step)
{
	const char *const tables[] = {"tidegate.batch", "tidegate.batch_ephemeral"};
	for (size_t i = 0; i < 2; i++) {
		log_fixture f;
		err e;
		const log_topic *altered = NULL;
		char sql[128];
		fixture_open_as(&f, NULL, &WITH_JANITOR);
		log_topic_config c = log_topic_config_default(i == 0 ? LOG_FSYNC : LOG_EPHEMERAL);
		const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
		put_rows(&f, t, tables[i], 3500);
		c.cap_records = 10;
		db_fixture_must(log_topic_alter(f.engine, f.conn, t, &c, 0, &altered, &e), &e, "alter");
		snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
		expect_soon(&f, 10, sql);
		expect_soon(&f, 3490, "SELECT reclaimed FROM tidegate.head");
		log_topic_unref(altered);
		log_topic_unref(t);
		fixture_close(&f);
	}
}
END_TEST

START_TEST(expired_rows_are_removed_though_nobody_reads)
{
	log_fixture f;
	fixture_open_as(&f, NULL, &WITH_JANITOR);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.ttl_ms = 60000;
	const log_topic *t = fixture_topic_with(&f, "orders", 3, c);
	c.durability = LOG_EPHEMERAL;
	const log_topic *loose = fixture_topic_with(&f, "loose", 1, c);
	for (int32_t i = 0; i < 3; i++) {
		fixture_append_texts(&f, t, i, "a", 4, NULL);
	}
	fixture_append_texts(&f, loose, 0, "a", 4, NULL);
	usleep(300000);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT sum(live_records)::bigint FROM tidegate.head"), 16);
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET committed_ms = committed_ms - 100000 WHERE partition < 2; "
						  "UPDATE tidegate.batch_ephemeral SET committed_ms = committed_ms - 100000");
	expect_soon(&f, 1,
				"SELECT (SELECT count(*) FROM tidegate.batch) + (SELECT count(*) FROM tidegate.batch_ephemeral)");
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT sum(live_records)::bigint FROM tidegate.head"), 4);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT sum(ttl_floor)::bigint FROM tidegate.head"), 12);
	log_topic_unref(loose);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(rows_of_deleted_topics_are_removed)
{
	log_fixture f;
	err e;
	bool deleted = false;
	fixture_open_as(&f, NULL, &WITH_JANITOR);
	const log_topic *other = fixture_topic(&f, "other", 1);
	fixture_append_texts(&f, other, 0, "o", 3, NULL);
	for (int i = 0; i < 15; i++) {
		char name[32];
		snprintf(name, sizeof name, "topic-%d", i);
		const log_topic *t =
			fixture_topic_with(&f, name, 1, log_topic_config_default(i % 2 == 0 ? LOG_FSYNC : LOG_EPHEMERAL));
		put_rows(&f, t, i % 2 == 0 ? "tidegate.batch" : "tidegate.batch_ephemeral", i < 2 ? 2500 : 3);
		db_fixture_must(log_topic_delete(f.engine, f.conn, 1, str_from_c(name), &deleted, &e), &e, "delete");
		ck_assert(deleted);
		log_topic_unref(t);
	}
	expect_soon(&f, 0, "SELECT count(*) FROM tidegate.discarded");
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.batch"), 1);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.batch_ephemeral"), 0);
	log_topic_unref(other);
	fixture_close(&f);
}
END_TEST

START_TEST(expired_idempotency_keys_are_removed_and_others_kept)
{
	log_fixture f;
	fixture_open_as(&f, NULL, &WITH_JANITOR);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const str v = STR("v");
	log_append op = {
		.topic = t, .columns = {.count = 1, .values = &v}, .idempotency_key = STR("kept"), .arena = f.arena};
	fixture_append(&f, &op);
	db_fixture_sql(f.url,
				   "INSERT INTO tidegate.idempotency SELECT %lld, i::text::bytea, 0, 1000 + i, '\\x00' "
				   "FROM generate_series(1, 12000) i",
				   (long long)t->topic_id);
	expect_soon(&f, 1, "SELECT count(*) FROM tidegate.idempotency");
	fixture_append(&f, &op);
	ck_assert(op.is_duplicate);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

static int64_t is_elected(log_fixture *f)
{
	return metric_value(metric_gauge(f->metrics, "tidegate_janitor_elected", "", NULL));
}

static void wait_office(log_fixture *f)
{
	for (int64_t until_ms = clock_now_ms() + SOON_MS; is_elected(f) == 0 && clock_now_ms() < until_ms;) {
		usleep(5000);
	}
	ck_assert_int_eq(is_elected(f), 1);
}

/* One of the two, and for long enough that it is no chance. */
static int wait_elected(log_fixture f[2])
{
	int stable = 0;
	for (int64_t until_ms = clock_now_ms() + SOON_MS; stable < 20 && clock_now_ms() < until_ms; usleep(10000)) {
		stable = is_elected(&f[0]) + is_elected(&f[1]) == 1 ? stable + 1 : 0;
	}
	ck_assert_int_eq(stable, 20);
	return is_elected(&f[0]) == 1 ? 0 : 1;
}

START_TEST(one_of_two_is_elected_and_the_other_takes_over)
{
	log_fixture f[2];
	fixture_open_as(&f[0], NULL, &WITH_JANITOR);
	fixture_open_as(&f[1], f[0].url, &WITH_JANITOR);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_records = 1;
	const log_topic *t = fixture_topic_with(&f[0], "orders", 1, c);
	int first = wait_elected(f);
	ck_assert_int_eq(
		db_fixture_i64(f[0].url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = "
								 "7233156"),
		1);
	/* Its session dies: one of them has the office soon again. */
	db_fixture_sql(f[0].url,
				   "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND classid = "
				   "7233156");
	first = wait_elected(f);
	for (int i = 0; i < 5; i++) {
		fixture_append_texts(&f[0], t, 0, "a", 1, NULL);
	}
	expect_soon(&f[0], 1, "SELECT count(*) FROM tidegate.batch");
	/* It stops: the other has it. */
	log_fixture *other = &f[1 - first];
	if (first == 0) {
		log_topic_unref(t);
		t = fixture_topic_with(other, "orders", 1, c);
	}
	fixture_close(&f[first]);
	wait_office(other);
	for (int i = 0; i < 5; i++) {
		fixture_append_texts(other, t, 0, "b", 1, NULL);
	}
	expect_soon(other, 1, "SELECT count(*) FROM tidegate.batch");
	log_topic_unref(t);
	fixture_close(other);
}
END_TEST

START_TEST(janitor_that_is_cut_short_again_and_again_still_finishes)
{
	log_fixture f;
	err e;
	const log_topic *altered = NULL;
	fixture_open_as(&f, NULL, &WITH_JANITOR);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	put_rows(&f, t, "tidegate.batch", 8000);
	log_topic_config c = t->config;
	c.cap_records = 10;
	db_fixture_must(log_topic_alter(f.engine, f.conn, t, &c, 0, &altered, &e), &e, "alter");
	for (int i = 0; i < 20; i++) {
		db_fixture_sql(f.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
							  "'tidegate janitor' AND datname = current_database()");
		usleep(10000);
	}
	expect_soon(&f, 10, "SELECT count(*) FROM tidegate.batch");
	expect_soon(&f, 7990, "SELECT reclaimed FROM tidegate.head");
	wait_office(&f); /* the last cut may have come behind its work */
	log_topic_unref(altered);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* Rows that moved to the other table while the janitor looked must not count as removed. */
START_TEST(rows_moved_between_the_tables_are_removed_as_well)
{
	log_fixture f;
	err e;
	fixture_open_as(&f, NULL, &WITH_JANITOR);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_records = 2;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	for (int i = 0; i < 60; i++) {
		const log_topic *altered = NULL;
		fixture_append_texts(&f, t, 0, "a", 1, NULL);
		fixture_append_texts(&f, t, 0, "a", 1, NULL);
		c.durability = c.durability == LOG_FSYNC ? LOG_EPHEMERAL : LOG_FSYNC;
		if (!log_topic_alter(f.engine, f.conn, t, &c, 0, &altered, &e)) {
			/* Two that delete the same rows may collide; the loser repeats. */
			ck_assert_int_eq(e.code, ERR_TIMEOUT);
			c.durability = t->config.durability;
		} else {
			log_topic_unref(t);
			t = altered;
		}
	}
	expect_soon(&f, 2,
				"SELECT (SELECT count(*) FROM tidegate.batch) + (SELECT count(*) FROM tidegate.batch_ephemeral)");
	ck_assert_str_eq(fixture_page(&f, &(log_read_request){.topic = t, .max_records = 9, .max_bytes = 100}),
					 "[0-118c)118:a0,119:a0|120");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		rows_below_the_floor_of_a_cap_are_removed,
		more_rows_than_one_step_are_removed_step_by_step,
		expired_rows_are_removed_though_nobody_reads,
		rows_of_deleted_topics_are_removed,
		expired_idempotency_keys_are_removed_and_others_kept,
		one_of_two_is_elected_and_the_other_takes_over,
		janitor_that_is_cut_short_again_and_again_still_finishes,
		rows_moved_between_the_tables_are_removed_as_well,
	};
	postgres_fixture_url();
	return SUITE_RUN("log/janitor", tests);
}
