#include "db/conn.h"

#include "suite.h"

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/db_fixture.h"
#include "db/relay.h"
#include "postgres_fixture.h"

enum { TIMEOUT_MS = 30000, SHORT_MS = 2500, TRIES = 5, MEBIBYTE = 1 << 20 };

static const char INSERT_SQL[] = "INSERT INTO t VALUES ($1::bigint)";

static db_conn *new_database(char url[POSTGRES_FIXTURE_URL_MAX])
{
	postgres_fixture_create_database(url);
	db_fixture_sql(url, "CREATE TABLE t (id bigint PRIMARY KEY); "
						"CREATE TABLE late (id bigint UNIQUE DEFERRABLE INITIALLY DEFERRED)");
	return db_fixture_conn(url, TIMEOUT_MS);
}

static int64_t rows_of_t(const char *url)
{
	return db_fixture_i64(url, "SELECT count(*) FROM t");
}

static bool send_one(db_conn *c, const db_query *query, int64_t value, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, value);
	return db_pipeline_send(c, query, &p, e);
}

static void expect_next(db_conn *c)
{
	err e;
	db_result *r = NULL;
	db_fixture_must(db_pipeline_next(c, &r, &e), &e, "next");
	db_result_free(r);
}

static void expect_failure(db_conn *c, err_code code)
{
	err e;
	db_result *r = NULL;
	ck_assert(!db_pipeline_next(c, &r, &e));
	ck_assert_msg(e.code == code, "%s instead of %s: %s", err_wire_code(e.code), err_wire_code(code), e.log);
	ck_assert_ptr_null(r);
}

static void expect_still_good(db_conn *c, const char *url)
{
	err e;
	const db_query insert = DB_FIXTURE_QUERY(20, 1, INSERT_SQL);
	int64_t before = rows_of_t(url);
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, 1000000 + before);
	db_fixture_must(db_do(c, &insert, &p, NULL, &e), &e, "a plain statement afterwards");
	ck_assert_int_eq(rows_of_t(url), before + 1);
}

/* ---- what goes well ---- */

START_TEST(many_statements_give_their_results_in_order)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	const db_query echo = DB_FIXTURE_QUERY(1, 1, "SELECT $1::bigint, count(*) FROM t");
	db_fixture_must(db_pipeline_start(c, &e), &e, "start");
	for (int64_t i = 0; i < 1500; i++) {
		db_fixture_must(send_one(c, &insert, i, &e) && send_one(c, &echo, i, &e), &e, "send");
	}
	db_fixture_must(db_pipeline_flush(c, &e), &e, "flush");
	for (int64_t i = 0; i < 1500; i++) {
		db_result *r = NULL;
		db_fixture_must(db_pipeline_next(c, &r, &e), &e, "next");
		ck_assert_int_eq(db_affected(r), 1);
		db_result_free(r);
		db_fixture_must(db_pipeline_next(c, &r, &e), &e, "next");
		ck_assert_int_eq(db_i64(r, 0, 0), i);
		ck_assert_int_eq(db_i64(r, 0, 1), i + 1);
		db_result_free(r);
	}
	expect_failure(c, ERR_INTERNAL); /* no more was sent */
	/* One implicit transaction, which ends with the pipeline. */
	db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
	ck_assert_int_eq(rows_of_t(url), 1500);
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

START_TEST(transaction_spans_two_pipelines)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	for (int64_t round = 0; round < 3; round++) {
		db_fixture_must(db_pipeline_start(c, &e) && db_pipeline_begin(c, &e) && send_one(c, &insert, 10 * round, &e) &&
							db_pipeline_flush(c, &e),
						&e, "first");
		expect_next(c);
		expect_next(c);
		db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
		ck_assert_int_eq(rows_of_t(url), 3 * round);
		db_params p;
		db_params_init(&p);
		db_param_i64(&p, 10 * round + 1);
		db_fixture_must(db_do(c, &insert, &p, NULL, &e), &e, "between the two");
		db_fixture_must(db_pipeline_start(c, &e) && send_one(c, &insert, 10 * round + 2, &e) &&
							db_pipeline_commit(c, &e) && db_pipeline_flush(c, &e),
						&e, "second");
		expect_next(c);
		expect_next(c);
		db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
		ck_assert_int_eq(rows_of_t(url), 3 * round + 3);
	}
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

START_TEST(results_that_nobody_reads_are_read_by_finish)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	db_fixture_must(db_pipeline_start(c, &e) && db_pipeline_begin(c, &e) && send_one(c, &insert, 1, &e) &&
						send_one(c, &insert, 2, &e) && db_pipeline_commit(c, &e) && db_pipeline_flush(c, &e),
					&e, "send");
	expect_next(c);
	db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
	ck_assert_int_eq(rows_of_t(url), 2);
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

START_TEST(pipeline_larger_than_every_buffer_does_not_stand_still)
{
	enum { PIECES = 64 };
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	/* What goes up comes down again: the server stops reading while nobody reads what it writes. */
	const db_query echo = DB_FIXTURE_QUERY(0, 2, "SELECT $1::bytea, $2::bigint");
	const db_query insert = DB_FIXTURE_QUERY(1, 1, INSERT_SQL);
	char *bytes = malloc(MEBIBYTE);
	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < MEBIBYTE; i++) {
		bytes[i] = (char)(i * 2654435761u >> 24);
	}
	db_fixture_must(db_pipeline_start(c, &e), &e, "start");
	for (int64_t i = 0; i < PIECES; i++) {
		db_params p;
		db_params_init(&p);
		db_param_str(&p, (str){bytes, MEBIBYTE});
		db_param_i64(&p, i);
		db_fixture_must(db_pipeline_send(c, &echo, &p, &e), &e, "send");
		db_fixture_must(send_one(c, &insert, i, &e), &e, "send");
	}
	db_fixture_must(db_pipeline_flush(c, &e), &e, "flush");
	for (int64_t i = 0; i < PIECES; i++) {
		db_result *r = NULL;
		db_fixture_must(db_pipeline_next(c, &r, &e), &e, "next");
		ck_assert_int_eq(db_i64(r, 0, 1), i);
		ck_assert_view_eq(db_str(r, 0, 0), ((str){bytes, MEBIBYTE}));
		db_result_free(r);
		expect_next(c);
	}
	db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
	ck_assert_int_eq(rows_of_t(url), PIECES);
	free(bytes);
	db_conn_free(c);
}
END_TEST

/* What was sent is given to the network on the way, and not kept until the end. */
START_TEST(large_pipeline_is_not_kept_in_memory)
{
	enum { PIECES = 64, MOST = 8 * MEBIBYTE };
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query measure = DB_FIXTURE_QUERY(0, 1, "SELECT octet_length($1::bytea)");
	char *bytes = calloc(1, MEBIBYTE);
	ck_assert_ptr_nonnull(bytes);
	struct mallinfo2 before = mallinfo2(); /* zeros where a sanitizer has taken over */
	db_fixture_must(db_pipeline_start(c, &e), &e, "start");
	for (int i = 0; i < PIECES; i++) {
		db_params p;
		db_params_init(&p);
		db_param_str(&p, (str){bytes, MEBIBYTE});
		db_fixture_must(db_pipeline_send(c, &measure, &p, &e), &e, "send");
	}
	struct mallinfo2 after = mallinfo2();
	db_fixture_must(db_pipeline_flush(c, &e), &e, "flush");
	for (int i = 0; i < PIECES; i++) {
		expect_next(c);
	}
	db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
	ck_assert_uint_lt(after.uordblks + after.hblkhd, before.uordblks + before.hblkhd + MOST);
	free(bytes);
	db_conn_free(c);
}
END_TEST

/* ---- statements that fail ---- */

START_TEST(failure_in_the_middle_undoes_the_whole_pipeline)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	int32_t pid = db_fixture_pid(c);
	db_fixture_must(db_pipeline_start(c, &e), &e, "start");
	const int64_t values[] = {1, 2, 1, 3, 4};
	for (size_t i = 0; i < 5; i++) {
		db_fixture_must(send_one(c, &insert, values[i], &e), &e, "send");
	}
	db_fixture_must(db_pipeline_flush(c, &e), &e, "flush");
	expect_next(c);
	expect_next(c);
	db_result *r = NULL;
	ck_assert(!db_pipeline_next(c, &r, &e));
	ck_assert_str_eq(e.sqlstate, "23505");
	expect_failure(c, ERR_INTERNAL);
	expect_failure(c, ERR_INTERNAL);
	db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
	ck_assert_int_eq(rows_of_t(url), 0);
	expect_still_good(c, url);
	ck_assert_int_eq(db_fixture_pid(c), pid);
	db_conn_free(c);
}
END_TEST

START_TEST(failure_inside_a_transaction_commits_nothing)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	for (int round = 0; round < 3; round++) {
		db_fixture_must(db_pipeline_start(c, &e) && db_pipeline_begin(c, &e) && send_one(c, &insert, 1, &e) &&
							send_one(c, &insert, 1, &e) && send_one(c, &insert, 2, &e) && db_pipeline_commit(c, &e) &&
							db_pipeline_flush(c, &e),
						&e, "send");
		expect_next(c);
		expect_next(c);
		db_result *r = NULL;
		ck_assert(!db_pipeline_next(c, &r, &e));
		ck_assert_str_eq(e.sqlstate, "23505");
		if (round == 1) {
			expect_failure(c, ERR_INTERNAL);
			expect_failure(c, ERR_INTERNAL);
		}
		if (round < 2) {
			db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
		}
		db_rollback(c);
		ck_assert_int_eq(rows_of_t(url), 0);
	}
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

START_TEST(commit_of_a_failed_transaction_is_no_commit)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	db_fixture_must(db_pipeline_start(c, &e) && db_pipeline_begin(c, &e) && send_one(c, &insert, 1, &e) &&
						send_one(c, &insert, 1, &e) && db_pipeline_flush(c, &e),
					&e, "send");
	expect_next(c);
	expect_next(c);
	expect_failure(c, ERR_INTERNAL);
	db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
	db_fixture_must(db_pipeline_start(c, &e) && db_pipeline_commit(c, &e) && db_pipeline_flush(c, &e), &e, "commit");
	expect_failure(c, ERR_INTERNAL);
	db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
	db_rollback(c);
	ck_assert_int_eq(rows_of_t(url), 0);
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

START_TEST(failure_that_nobody_read_is_told_by_finish)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	db_fixture_must(db_pipeline_start(c, &e) && send_one(c, &insert, 1, &e) && send_one(c, &insert, 1, &e) &&
						send_one(c, &insert, 2, &e) && db_pipeline_flush(c, &e),
					&e, "send");
	expect_next(c);
	ck_assert(!db_pipeline_finish(c, &e));
	ck_assert_str_eq(e.sqlstate, "23505");
	ck_assert_int_eq(rows_of_t(url), 0);
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

START_TEST(statement_first_prepared_behind_a_failure_works_later)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	const db_query other = DB_FIXTURE_QUERY(1, 0, "SELECT 5::bigint");
	db_fixture_must(db_pipeline_start(c, &e) && send_one(c, &insert, 1, &e) && send_one(c, &insert, 1, &e) &&
						db_pipeline_send(c, &other, NULL, &e) && db_pipeline_flush(c, &e),
					&e, "send");
	expect_next(c);
	expect_failure(c, ERR_INTERNAL);
	(void)(db_pipeline_finish(c, &e) || (db_rollback(c), true));
	db_fixture_must(db_run(c, &other, NULL, &r, &e), &e, "the same statement later");
	ck_assert_int_eq(db_i64(r, 0, 0), 5);
	db_result_free(r);
	db_conn_free(c);
}
END_TEST

START_TEST(statement_that_cannot_be_prepared_fails_the_group_only)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	const db_query wrong = DB_FIXTURE_QUERY(1, 0, "SELECT nothing FROM nowhere");
	db_fixture_must(db_pipeline_start(c, &e) && send_one(c, &insert, 1, &e) && db_pipeline_send(c, &wrong, NULL, &e) &&
						send_one(c, &insert, 2, &e) && db_pipeline_flush(c, &e),
					&e, "send");
	expect_next(c);
	ck_assert(!db_pipeline_next(c, &r, &e));
	ck_assert_str_eq(e.sqlstate, "42P01");
	db_rollback(c);
	ck_assert_int_eq(rows_of_t(url), 0);
	expect_still_good(c, url);
	ck_assert(!db_run(c, &wrong, NULL, &r, &e));
	ck_assert_str_eq(e.sqlstate, "42P01");
	db_conn_free(c);
}
END_TEST

START_TEST(failure_at_the_commit_itself_is_told)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, "INSERT INTO late VALUES ($1::bigint)");
	/* Implicit: with the end of the pipeline. */
	db_fixture_must(db_pipeline_start(c, &e) && send_one(c, &insert, 1, &e) && send_one(c, &insert, 1, &e) &&
						db_pipeline_flush(c, &e),
					&e, "send");
	expect_next(c);
	expect_next(c);
	ck_assert(!db_pipeline_finish(c, &e));
	ck_assert_str_eq(e.sqlstate, "23505");
	db_rollback(c);
	/* Explicit: as the result of COMMIT. */
	db_fixture_must(db_pipeline_start(c, &e) && db_pipeline_begin(c, &e) && send_one(c, &insert, 1, &e) &&
						send_one(c, &insert, 1, &e) && db_pipeline_commit(c, &e) && db_pipeline_flush(c, &e),
					&e, "send");
	expect_next(c);
	expect_next(c);
	expect_next(c);
	ck_assert(!db_pipeline_next(c, &r, &e));
	ck_assert_str_eq(e.sqlstate, "23505");
	db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
	db_rollback(c);
	ck_assert_int_eq(db_fixture_i64(url, "SELECT count(*) FROM late"), 0);
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

START_TEST(slow_statement_of_a_pipeline_is_a_timeout)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *admin = new_database(url);
	db_conn *c = db_fixture_conn(url, SHORT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	const db_query slow = DB_FIXTURE_QUERY(1, 0, "SELECT pg_sleep(20)");
	e.code = ERR_NONE;
	/* Once more where the server stood still for longer than its word is waited for. */
	for (int i = 0; i < TRIES && e.code != ERR_TIMEOUT; i++) {
		db_result *r = NULL;
		db_rollback(c);
		db_fixture_must(db_conn_ensure(c, &e) && db_pipeline_start(c, &e) && send_one(c, &insert, 1, &e) &&
							db_pipeline_send(c, &slow, NULL, &e) && send_one(c, &insert, 2, &e) &&
							db_pipeline_flush(c, &e),
						&e, "send");
		if (db_pipeline_next(c, &r, &e)) {
			db_result_free(r);
			ck_assert(!db_pipeline_next(c, &r, &e));
		}
	}
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	db_fixture_must(db_pipeline_finish(c, &e), &e, "finish");
	ck_assert_int_eq(rows_of_t(url), 0);
	expect_still_good(c, url);
	db_conn_free(c);
	db_conn_free(admin);
}
END_TEST

START_TEST(pipeline_without_end_is_refused)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	int64_t sent = 0;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	const db_query two = DB_FIXTURE_QUERY(1, 2, "SELECT $1::bigint, $2::bigint");
	db_fixture_must(db_pipeline_start(c, &e), &e, "start");
	ck_assert(!send_one(c, &two, 1, &e)); /* one parameter too few */
	ck_assert_int_eq(e.code, ERR_INTERNAL);
	while (sent < 100000 && send_one(c, &insert, sent, &e)) {
		sent++;
	}
	ck_assert_int_eq(e.code, ERR_INTERNAL);
	ck_assert_int_ge(sent, 4096);
	ck_assert_int_lt(sent, 100000);
	db_rollback(c);
	ck_assert_int_eq(rows_of_t(url), 0);
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

/* ---- connections that end ---- */

START_TEST(connection_that_ended_between_start_and_flush_is_told)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	int32_t pid = db_fixture_pid(c);
	db_fixture_must(db_pipeline_start(c, &e), &e, "start");
	db_fixture_kill(url, pid);
	bool ok = send_one(c, &insert, 1, &e) && db_pipeline_flush(c, &e) && db_pipeline_next(c, &r, &e);
	ck_assert(!ok);
	ck_assert(e.code == ERR_UNAVAILABLE || e.code == ERR_OUTCOME_UNKNOWN);
	ck_assert(!db_conn_is_open(c));
	/* Whatever is called now says that there is no connection. */
	ck_assert(!send_one(c, &insert, 1, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert(!db_pipeline_flush(c, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert(!db_pipeline_next(c, &r, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert(!db_pipeline_finish(c, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	db_rollback(c);
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

typedef struct killer {
	char url[POSTGRES_FIXTURE_URL_MAX];
	int32_t pid;
	pthread_t thread;
} killer;

static void *kill_when_asleep(void *context)
{
	const killer *k = context;
	while (db_fixture_i64(k->url, "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event = 'PgSleep'",
						  k->pid) == 0) {
		usleep(2000);
	}
	db_fixture_kill(k->url, k->pid);
	return NULL;
}

START_TEST(backend_killed_in_the_middle_is_unknown_once_a_commit_was_sent)
{
	const struct {
		bool begins;
		bool writes;
		bool commits;
		err_code code;
	} table[] = {
		{false, false, false, ERR_UNAVAILABLE}, /* reads only */
		{false, true, false, ERR_OUTCOME_UNKNOWN},
		{true, true, false, ERR_UNAVAILABLE}, /* the commit would have come later */
		{true, true, true, ERR_OUTCOME_UNKNOWN},
	};
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	const db_query slow = DB_FIXTURE_QUERY(1, 0, "SELECT pg_sleep(25)");
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		killer k = {.pid = db_fixture_pid(c)};
		snprintf(k.url, sizeof k.url, "%s", url);
		db_fixture_must(db_pipeline_start(c, &e) && (!table[i].begins || db_pipeline_begin(c, &e)) &&
							(!table[i].writes || send_one(c, &insert, 1, &e)) && db_pipeline_send(c, &slow, NULL, &e) &&
							(!table[i].commits || db_pipeline_commit(c, &e)) && db_pipeline_flush(c, &e),
						&e, "send");
		ck_assert_int_eq(pthread_create(&k.thread, NULL, kill_when_asleep, &k), 0);
		for (int before = table[i].begins + table[i].writes; before > 0; before--) {
			expect_next(c);
		}
		expect_failure(c, table[i].code);
		pthread_join(k.thread, NULL);
		ck_assert(!db_conn_is_open(c));
		db_rollback(c);
		ck_assert_int_eq(rows_of_t(url), 0);
	}
	expect_still_good(c, url);
	db_conn_free(c);
}
END_TEST

/* As when a shutdown strikes between the COMMIT and the end of the pipeline. */
START_TEST(backend_that_ends_behind_its_commit_never_says_that_nothing_changed)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_conn *c = new_database(url);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	const db_query die = DB_FIXTURE_QUERY(1, 0, "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(25)");
	for (int reads = 0; reads < 2; reads++) {
		db_fixture_must(db_pipeline_start(c, &e) && db_pipeline_begin(c, &e) && send_one(c, &insert, reads, &e) &&
							db_pipeline_commit(c, &e) && db_pipeline_send(c, &die, NULL, &e) &&
							db_pipeline_flush(c, &e),
						&e, "send");
		expect_next(c);
		expect_next(c);
		expect_next(c);
		if (reads == 1) {
			expect_failure(c, ERR_OUTCOME_UNKNOWN);
		} else {
			ck_assert(!db_pipeline_finish(c, &e));
			ck_assert_int_eq(e.code, ERR_OUTCOME_UNKNOWN);
		}
		db_rollback(c);
		ck_assert_int_eq(rows_of_t(url), reads + 1);
	}
	db_conn_free(c);
}
END_TEST

START_TEST(lost_answer_of_a_pipeline_is_an_unknown_outcome)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	db_conn *admin = new_database(url);
	relay *net = relay_new(url);
	db_conn *c = db_fixture_conn(relay_url(net), SHORT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, INSERT_SQL);
	for (int64_t i = 0; i < 3; i++) {
		relay_set_mode(net, RELAY_PASS);
		db_fixture_must(db_conn_ensure(c, &e) && db_pipeline_start(c, &e) && send_one(c, &insert, i, &e), &e, "send");
		relay_set_mode(net, i < 2 ? RELAY_CUT_AT_ANSWER : RELAY_HOLD);
		ck_assert(!(db_pipeline_flush(c, &e) && db_pipeline_next(c, &r, &e)));
		ck_assert_int_eq(e.code, ERR_OUTCOME_UNKNOWN);
		db_rollback(c);
		/* It did take effect, except where nothing came through. */
		ck_assert_int_eq(rows_of_t(url), i < 2 ? i + 1 : 2);
	}
	db_conn_free(c);
	relay_free(net);
	db_conn_free(admin);
}
END_TEST

START_TEST(network_cut_under_a_large_pipeline_is_told)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	db_conn *admin = new_database(url);
	relay *net = relay_new(url);
	db_conn *c = db_fixture_conn(relay_url(net), SHORT_MS);
	const db_query measure = DB_FIXTURE_QUERY(0, 1, "SELECT octet_length($1::bytea)");
	char *bytes = calloc(1, MEBIBYTE);
	ck_assert_ptr_nonnull(bytes);
	for (int hold = 0; hold < 2; hold++) {
		db_params p;
		db_params_init(&p);
		db_param_str(&p, (str){bytes, MEBIBYTE});
		relay_set_mode(net, RELAY_PASS);
		db_fixture_must(db_pipeline_start(c, &e), &e, "start");
		relay_set_mode(net, hold == 1 ? RELAY_HOLD : RELAY_CUT_AT_ANSWER);
		bool ok = true;
		for (int i = 0; i < 16 && ok; i++) {
			ok = db_pipeline_send(c, &measure, &p, &e);
		}
		ok = ok && db_pipeline_flush(c, &e) && db_pipeline_next(c, &r, &e);
		ck_assert(!ok);
		ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
		db_rollback(c);
	}
	relay_set_mode(net, RELAY_PASS);
	expect_still_good(c, url);
	free(bytes);
	db_conn_free(c);
	relay_free(net);
	db_conn_free(admin);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		many_statements_give_their_results_in_order,
		transaction_spans_two_pipelines,
		results_that_nobody_reads_are_read_by_finish,
		pipeline_larger_than_every_buffer_does_not_stand_still,
		large_pipeline_is_not_kept_in_memory,
		failure_in_the_middle_undoes_the_whole_pipeline,
		failure_inside_a_transaction_commits_nothing,
		commit_of_a_failed_transaction_is_no_commit,
		failure_that_nobody_read_is_told_by_finish,
		statement_first_prepared_behind_a_failure_works_later,
		statement_that_cannot_be_prepared_fails_the_group_only,
		failure_at_the_commit_itself_is_told,
		slow_statement_of_a_pipeline_is_a_timeout,
		pipeline_without_end_is_refused,
		connection_that_ended_between_start_and_flush_is_told,
		backend_killed_in_the_middle_is_unknown_once_a_commit_was_sent,
		backend_that_ends_behind_its_commit_never_says_that_nothing_changed,
		lost_answer_of_a_pipeline_is_an_unknown_outcome,
		network_cut_under_a_large_pipeline_is_told,
	};
	postgres_fixture_url();
	return SUITE_RUN("db/pipeline", tests);
}
