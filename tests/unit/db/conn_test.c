#include "db/conn.h"

#include "suite.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/array.h"
#include "db/db_fixture.h"
#include "db/relay.h"
#include "postgres_fixture.h"

/* The short one is waited for, and yet longer than a machine stands still: a few statements have to keep it. */
enum { TIMEOUT_MS = 30000, SHORT_MS = 2500, TRIES = 5 };

static void new_database(char url[POSTGRES_FIXTURE_URL_MAX])
{
	postgres_fixture_create_database(url);
	db_fixture_sql(url, "CREATE TABLE t (id bigint PRIMARY KEY, note text)");
}

static int64_t rows_of_t(const char *url)
{
	return db_fixture_i64(url, "SELECT count(*) FROM t");
}

/* ---- parameters and results ---- */

START_TEST(parameters_and_results_of_every_type_come_back)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_params p;
	db_result *r = NULL;
	buf array;
	db_array_builder a;
	db_array_reader reader;
	str element;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query echo = DB_FIXTURE_QUERY(0, 8,
										   "SELECT $1::bigint, $2::bigint, $3::int, $4::bool, $5::bool, $6::text, "
										   "$7::bytea, $8::bytea[], NULL::bytea[], NULL::bigint");
	buf_init(&array, 4096);
	db_array_begin(&a, &array, DB_BYTEA);
	db_array_add_str(&a, STR("\0x"));
	db_array_add_str(&a, STR_NONE);
	db_array_add_str(&a, STR(""));
	db_array_end(&a);
	db_params_init(&p);
	db_param_i64(&p, INT64_MIN);
	db_param_i64(&p, INT64_MAX);
	db_param_i32(&p, INT32_MIN);
	db_param_bool(&p, true);
	db_param_bool(&p, false);
	db_param_str(&p, STR("caf\xc3\xa9"));
	db_param_str(&p, STR("\0\xff"));
	db_param_str(&p, buf_str(&array));
	db_fixture_must(db_run(c, &echo, &p, &r, &e), &e, "echo");
	ck_assert_int_eq(db_rows(r), 1);
	ck_assert_int_eq(db_i64(r, 0, 0), INT64_MIN);
	ck_assert_int_eq(db_i64(r, 0, 1), INT64_MAX);
	ck_assert_int_eq(db_i32(r, 0, 2), INT32_MIN);
	ck_assert(db_bool(r, 0, 3));
	ck_assert(!db_bool(r, 0, 4));
	ck_assert_view_eq(db_str(r, 0, 5), STR("caf\xc3\xa9"));
	ck_assert_view_eq(db_str(r, 0, 6), STR("\0\xff"));
	ck_assert_view_eq(db_str(r, 0, 7), buf_str(&array));
	db_array_open(&reader, db_str(r, 0, 7));
	ck_assert_uint_eq(reader.count, 3);
	ck_assert(db_array_next_str(&reader, &element));
	ck_assert_view_eq(element, STR("\0x"));
	ck_assert(db_is_null(r, 0, 8));
	ck_assert_ptr_null(db_str(r, 0, 8).ptr);
	ck_assert(db_is_null(r, 0, 9));
	ck_assert_int_eq(db_i64(r, 0, 9), 0);
	ck_assert_uint_gt(db_result_bytes(r), 0);
	db_result_free(r);
	buf_dispose(&array);
	db_conn_free(c);
}
END_TEST

START_TEST(null_and_empty_parameters_are_told_apart)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_params p;
	db_result *r = NULL;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query echo = DB_FIXTURE_QUERY(0, 3, "SELECT $1::bytea, $2::text, $3::bigint");
	db_params_init(&p);
	db_param_str(&p, STR_NONE);
	db_param_str(&p, STR(""));
	db_param_null(&p);
	db_fixture_must(db_run(c, &echo, &p, &r, &e), &e, "echo");
	ck_assert(db_is_null(r, 0, 0));
	ck_assert(!db_is_null(r, 0, 1));
	ck_assert_ptr_nonnull(db_str(r, 0, 1).ptr);
	ck_assert_uint_eq(db_str(r, 0, 1).len, 0);
	ck_assert(db_is_null(r, 0, 2));
	db_result_free(r);
	db_conn_free(c);
}
END_TEST

START_TEST(accessor_of_another_width_gives_zero)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query numbers = DB_FIXTURE_QUERY(0, 0, "SELECT 5::int, 6::bigint");
	db_fixture_must(db_run(c, &numbers, NULL, &r, &e), &e, "numbers");
	ck_assert_int_eq(db_i64(r, 0, 0), 0);
	ck_assert_int_eq(db_i32(r, 0, 1), 0);
	ck_assert(!db_bool(r, 0, 1));
	db_result_free(r);
	db_conn_free(c);
}
END_TEST

START_TEST(affected_rows_are_counted)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	int64_t affected = -1;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t SELECT generate_series(1, 70000)");
	const db_query delete = DB_FIXTURE_QUERY(1, 0, "DELETE FROM t WHERE id < 0");
	db_fixture_must(db_do(c, &insert, NULL, &affected, &e), &e, "insert");
	ck_assert_int_eq(affected, 70000);
	db_fixture_must(db_do(c, &delete, NULL, &affected, &e), &e, "delete");
	ck_assert_int_eq(affected, 0);
	db_conn_free(c);
}
END_TEST

START_TEST(wrong_number_of_parameters_is_refused_before_it_is_sent)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_params p;
	db_result *r = NULL;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query two = DB_FIXTURE_QUERY(0, 2, "SELECT $1::bigint, $2::bigint");
	const db_query many = DB_FIXTURE_QUERY(1, DB_PARAMS_MAX + 1, "SELECT 1");
	db_params_init(&p);
	db_param_i64(&p, 1);
	ck_assert(!db_run(c, &two, &p, &r, &e));
	ck_assert_int_eq(e.code, ERR_INTERNAL);
	ck_assert_ptr_nonnull(strstr(e.message, "test_0"));
	ck_assert(!db_run(c, &two, NULL, &r, &e));
	db_params_init(&p);
	for (int i = 0; i <= DB_PARAMS_MAX; i++) {
		db_param_i64(&p, i);
		db_param_bool(&p, true);
		db_param_i32(&p, i);
		db_param_null(&p);
	}
	ck_assert_int_eq(p.count, DB_PARAMS_MAX);
	ck_assert(!db_run(c, &many, &p, &r, &e));
	ck_assert(db_conn_is_open(c));
	ck_assert_ptr_null(r);
	db_conn_free(c);
}
END_TEST

/* ---- opening ---- */

static void expect_setting(db_conn *c, const char *name, const char *expected)
{
	char sql[128];
	err e;
	db_result *r = NULL;
	snprintf(sql, sizeof sql, "SELECT current_setting('%s')", name);
	db_query show = {name, SQL_QUERY_COUNT + 5, 0, sql};
	db_conn_close(c); /* the place of the statement is used again */
	db_fixture_must(db_run(c, &show, NULL, &r, &e), &e, sql);
	ck_assert_view_eq(db_str(r, 0, 0), str_from_c(expected));
	db_result_free(r);
}

START_TEST(connection_has_its_settings_and_keeps_those_of_the_url)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	char with_options[POSTGRES_FIXTURE_URL_MAX + 64];
	postgres_fixture_create_database(url);
	db_fixture_sql(url,
				   "DO $$BEGIN EXECUTE format('ALTER DATABASE %%I SET default_transaction_isolation = ''repeatable "
				   "read''', current_database()); END$$");
	snprintf(with_options, sizeof with_options, "%s%coptions=-c%%20work_mem%%3D1234kB", url,
			 strchr(url, '?') ? '&' : '?');
	db_conn_options options = {
		.url = str_from_c(with_options), .role = "role", .relaxed_commit = true, .timeout_ms = 43210};
	db_conn *c = db_conn_new(&options);
	expect_setting(c, "application_name", "tidegate role");
	expect_setting(c, "work_mem", "1234kB");
	expect_setting(c, "synchronous_commit", "off");
	expect_setting(c, "statement_timeout", "43210ms");
	expect_setting(c, "lock_timeout", "43210ms");
	expect_setting(c, "client_encoding", "UTF8");
	/* What the log relies on, whatever the database's default is. */
	expect_setting(c, "transaction_isolation", "read committed");
	db_conn_free(c);
	options.relaxed_commit = false;
	c = db_conn_new(&options);
	expect_setting(c, "synchronous_commit", "on");
	db_conn_free(c);
}
END_TEST

START_TEST(unreachable_server_is_unavailable)
{
	/* What libpq says of an unreadable one could quote a password. */
	const struct {
		const char *url;
		bool is_readable;
	} cases[] = {{"postgresql://127.0.0.1:1/nobody", true},
				 {"host=/nowhere/at/all", true},
				 {"postgresql://[", false},
				 {"what is this", false}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		err e;
		db_conn_options options = {.url = str_from_c(cases[i].url), .role = "test", .timeout_ms = TIMEOUT_MS};
		db_conn *c = db_conn_new(&options);
		int64_t start_ms = clock_now_ms();
		ck_assert(!db_conn_ensure(c, &e));
		ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
		ck_assert_int_eq(strlen(e.log) > 0, cases[i].is_readable);
		ck_assert_int_lt(clock_now_ms() - start_ms, TIMEOUT_MS);
		ck_assert(!db_conn_is_open(c));
		ck_assert_int_eq(db_conn_socket(c), -1);
		db_conn_free(c);
	}
	db_conn_free(NULL);
}
END_TEST

START_TEST(statements_are_prepared_again_after_a_reconnect)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 1, "INSERT INTO t VALUES ($1::bigint)");
	for (int64_t i = 0; i < 6; i++) {
		db_params p;
		db_params_init(&p);
		db_param_i64(&p, i);
		db_fixture_must(db_do(c, &insert, &p, NULL, &e), &e, "insert");
		if (i % 2 == 1) {
			db_conn_close(c);
		}
	}
	ck_assert_int_eq(rows_of_t(url), 6);
	db_conn_free(c);
}
END_TEST

START_TEST(connection_that_lost_its_prepared_statements_heals)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t SELECT count(*) FROM t");
	db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	db_fixture_must(db_run_script(c, "DEALLOCATE ALL", &e), &e, "deallocate");
	ck_assert(!db_do(c, &insert, NULL, NULL, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert again");
	/* A stray statement of the same name. */
	db_fixture_must(db_run_script(c, "PREPARE test_1 AS SELECT 1", &e), &e, "prepare");
	const db_query stray = DB_FIXTURE_QUERY(1, 0, "INSERT INTO t SELECT count(*) FROM t");
	ck_assert(!db_do(c, &stray, NULL, NULL, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	db_fixture_must(db_do(c, &stray, NULL, NULL, &e), &e, "insert again");
	ck_assert_int_eq(rows_of_t(url), 3);
	db_conn_free(c);
}
END_TEST

/* ---- errors of the server ---- */

START_TEST(failed_statement_is_mapped_by_its_sqlstate)
{
	const struct {
		const char *state;
		err_code code;
		bool stays_open;
	} table[] = {
		{"23505", ERR_INTERNAL, true},     {"XX000", ERR_INTERNAL, true},    {"25006", ERR_UNAVAILABLE, false},
		{"53100", ERR_UNAVAILABLE, true},  {"53200", ERR_UNAVAILABLE, true}, {"57P03", ERR_UNAVAILABLE, false},
		{"58030", ERR_UNAVAILABLE, true},  {"40001", ERR_TIMEOUT, true},     {"40P01", ERR_TIMEOUT, true},
		{"55P03", ERR_TIMEOUT, true},      {"57014", ERR_TIMEOUT, true},     {"22021", ERR_INVALID_REQUEST, true},
		{"42P01", ERR_NOT_READY, true},    {"3F000", ERR_NOT_READY, true},   {"08006", ERR_UNAVAILABLE, false},
		{"26000", ERR_UNAVAILABLE, false},
	};
	char url[POSTGRES_FIXTURE_URL_MAX];
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		char sql[128];
		err e;
		snprintf(sql, sizeof sql, "DO $$BEGIN RAISE 'the reason' USING ERRCODE = '%s'; END$$", table[i].state);
		ck_assert(!db_run_script(c, sql, &e));
		ck_assert_msg(e.code == table[i].code, "%s: %s", table[i].state, err_wire_code(e.code));
		ck_assert_str_eq(e.sqlstate, table[i].state);
		ck_assert_str_eq(e.log, "the reason");
		ck_assert_ptr_null(strstr(e.message, "the reason"));
		ck_assert_msg(db_conn_is_open(c) == table[i].stays_open, "%s", table[i].state);
	}
	db_conn_free(c);
}
END_TEST

START_TEST(slow_statement_is_ended_by_the_server_and_the_connection_stays)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	postgres_fixture_create_database(url);
	db_conn *c = NULL;
	int32_t pid = 0;
	const db_query slow = DB_FIXTURE_QUERY(0, 0, "SELECT pg_sleep(20)");
	e.code = ERR_NONE;
	/* Once more where the server stood still for longer than its word is waited for. */
	for (int i = 0; i < TRIES && e.code != ERR_TIMEOUT; i++) {
		db_conn_free(c);
		c = db_fixture_conn(url, SHORT_MS);
		pid = db_fixture_pid(c);
		ck_assert(!db_run(c, &slow, NULL, &r, &e));
	}
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	ck_assert_str_eq(e.sqlstate, "57014");
	ck_assert_int_eq(db_fixture_pid(c), pid);
	db_conn_free(c);
}
END_TEST

START_TEST(lock_that_does_not_come_free_is_a_timeout)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	new_database(url);
	db_conn *holder = db_fixture_conn(url, TIMEOUT_MS);
	db_conn *c = db_fixture_conn(url, SHORT_MS);
	db_fixture_must(db_begin(holder, &e) && db_run_script(holder, "LOCK TABLE t", &e), &e, "lock");
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t VALUES (1)");
	e.code = ERR_NONE;
	for (int i = 0; i < TRIES && e.code != ERR_TIMEOUT; i++) { /* as above */
		ck_assert(!db_do(c, &insert, NULL, NULL, &e));
	}
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	db_rollback(holder);
	db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	db_conn_free(holder);
	db_conn_free(c);
}
END_TEST

START_TEST(text_with_a_zero_byte_is_the_callers_fault)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_params p;
	db_result *r = NULL;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query echo = DB_FIXTURE_QUERY(0, 1, "SELECT $1::text");
	const str texts[] = {STR("a\0b"), STR("\xff")};
	for (size_t i = 0; i < 2; i++) {
		db_params_init(&p);
		db_param_str(&p, texts[i]);
		ck_assert(!db_run(c, &echo, &p, &r, &e));
		ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	}
	ck_assert(db_conn_is_open(c));
	db_conn_free(c);
}
END_TEST

/* ---- connections that end ---- */

/* Kills the backend once it is busy. */
typedef struct killer {
	char url[POSTGRES_FIXTURE_URL_MAX];
	int32_t pid;
	pthread_t thread;
} killer;

static void *kill_when_busy(void *context)
{
	const killer *k = context;
	while (db_fixture_i64(k->url,
						  "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = 'active' AND wait_event IN "
						  "('PgSleep', 'relation')",
						  k->pid) == 0) {
		usleep(2000);
	}
	db_fixture_kill(k->url, k->pid);
	return NULL;
}

static void killer_start(killer *k, const char *url, db_conn *victim)
{
	snprintf(k->url, sizeof k->url, "%s", url);
	k->pid = db_fixture_pid(victim);
	ck_assert_int_eq(pthread_create(&k->thread, NULL, kill_when_busy, k), 0);
}

START_TEST(killed_backend_is_unavailable_for_a_read_and_unknown_for_a_write)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	killer k;
	db_result *r = NULL;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query read = DB_FIXTURE_QUERY(0, 0, "SELECT pg_sleep(25)");
	const db_query write = DB_FIXTURE_QUERY(1, 0, "INSERT INTO t SELECT 1 FROM pg_sleep(25)");
	killer_start(&k, url, c);
	ck_assert(!db_run(c, &read, NULL, &r, &e));
	pthread_join(k.thread, NULL);
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert(!db_conn_is_open(c));
	killer_start(&k, url, c);
	ck_assert(!db_do(c, &write, NULL, NULL, &e));
	pthread_join(k.thread, NULL);
	ck_assert_int_eq(e.code, ERR_OUTCOME_UNKNOWN);
	ck_assert(!db_conn_is_open(c));
	/* Inside a transaction nothing can have happened. */
	killer_start(&k, url, c);
	db_fixture_must(db_begin(c, &e), &e, "begin");
	ck_assert(!db_do(c, &write, NULL, NULL, &e));
	pthread_join(k.thread, NULL);
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	db_rollback(c);
	ck_assert_int_eq(rows_of_t(url), 0);
	db_conn_free(c);
}
END_TEST

START_TEST(idle_connection_that_died_is_replaced_without_a_word)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t SELECT count(*) FROM t");
	db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	db_fixture_kill(url, db_fixture_pid(c));
	db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert after the backend's end");
	if (postgres_fixture_can_stop()) {
		postgres_fixture_stop();
		postgres_fixture_start();
		db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert after the server's end");
		ck_assert_int_eq(rows_of_t(url), 3);
	}
	db_conn_free(c);
}
END_TEST

static void wait_for_end(const db_conn *c)
{
	struct pollfd p = {.fd = db_conn_socket(c), .events = POLLRDHUP};
	ck_assert_int_eq(poll(&p, 1, TIMEOUT_MS), 1);
}

/* The end of a TCP connection looks different from that of a unix socket. */
START_TEST(idle_connection_that_died_over_tcp_is_replaced_without_a_word)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	new_database(url);
	relay *net = relay_new(url);
	db_conn *c = db_fixture_conn(relay_url(net), TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t SELECT count(*) FROM t");
	for (int i = 0; i < 5; i++) {
		db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert");
		if (i % 2 == 0) {
			db_fixture_kill(url, db_fixture_pid(c));
		} else {
			relay_cut(net);
		}
		wait_for_end(c);
	}
	ck_assert_int_eq(rows_of_t(url), 5);
	db_conn_free(c);
	relay_free(net);
}
END_TEST

START_TEST(lost_answer_of_a_write_is_an_unknown_outcome)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	new_database(url);
	relay *net = relay_new(url);
	db_conn *c = db_fixture_conn(relay_url(net), TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t SELECT count(*) FROM t");
	const db_query read = DB_FIXTURE_QUERY(1, 0, "SELECT count(*) FROM t");
	db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	relay_set_mode(net, RELAY_CUT_AT_ANSWER);
	ck_assert(!db_do(c, &insert, NULL, NULL, &e));
	ck_assert_int_eq(e.code, ERR_OUTCOME_UNKNOWN);
	ck_assert(!db_conn_is_open(c));
	ck_assert_int_eq(rows_of_t(url), 2);
	relay_set_mode(net, RELAY_PASS);
	db_fixture_must(db_run(c, &read, NULL, &r, &e), &e, "read");
	db_result_free(r);
	relay_set_mode(net, RELAY_CUT_AT_ANSWER);
	ck_assert(!db_run(c, &read, NULL, &r, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	/* A commit. */
	relay_set_mode(net, RELAY_PASS);
	db_fixture_must(db_begin(c, &e) && db_do(c, &insert, NULL, NULL, &e), &e, "begin");
	relay_set_mode(net, RELAY_CUT_AT_ANSWER);
	ck_assert(!db_commit(c, &e));
	ck_assert_int_eq(e.code, ERR_OUTCOME_UNKNOWN);
	ck_assert_int_eq(rows_of_t(url), 3);
	db_conn_free(c);
	relay_free(net);
}
END_TEST

START_TEST(server_that_says_nothing_is_given_up_in_time)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_result *r = NULL;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	new_database(url);
	relay *net = relay_new(url);
	db_conn *c = db_fixture_conn(relay_url(net), SHORT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t SELECT count(*) FROM t");
	const db_query read = DB_FIXTURE_QUERY(1, 0, "SELECT count(*) FROM t");
	for (int i = 0; i < 2; i++) {
		db_fixture_must(db_do(c, &insert, NULL, NULL, &e) && db_run(c, &read, NULL, &r, &e), &e, "before");
		db_result_free(r);
		relay_set_mode(net, RELAY_HOLD);
		int64_t start_ms = clock_now_ms();
		ck_assert(i == 0 ? !db_do(c, &insert, NULL, NULL, &e) : !db_run(c, &read, NULL, &r, &e));
		ck_assert_int_eq(e.code, i == 0 ? ERR_OUTCOME_UNKNOWN : ERR_UNAVAILABLE);
		ck_assert_int_ge(clock_now_ms() - start_ms, SHORT_MS);
		ck_assert_int_lt(clock_now_ms() - start_ms, TIMEOUT_MS);
		ck_assert(!db_conn_is_open(c));
		relay_set_mode(net, RELAY_PASS);
	}
	db_conn_free(c);
	relay_free(net);
}
END_TEST

/* As long as its URL says, which is longer than without a word about it. */
START_TEST(connection_waits_for_a_server_that_is_slow_to_answer)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	char patient[POSTGRES_FIXTURE_URL_MAX + 256];
	err e;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	postgres_fixture_create_database(url);
	relay *net = relay_new(url);
	snprintf(patient, sizeof patient, "%s&connect_timeout=5", relay_url(net));
	const db_conn_options options = {.url = str_from_c(patient), .role = "test", .timeout_ms = TIMEOUT_MS};
	db_conn *c = db_conn_new(&options);
	relay_set_mode(net, RELAY_HOLD);
	int64_t start_ms = clock_now_ms();
	ck_assert(!db_conn_ensure(c, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert_int_gt(clock_now_ms() - start_ms, 3500); /* libpq counts whole seconds */
	relay_set_mode(net, RELAY_PASS);
	db_fixture_must(db_conn_ensure(c, &e), &e, "connect");
	db_conn_free(c);
	relay_free(net);
}
END_TEST

START_TEST(slow_network_is_no_reason_to_give_up)
{
	enum { PATIENCE_MS = SHORT_MS, RATE = 4 << 20, BYTES = 4 * RATE };
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	db_params p;
	db_result *r = NULL;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	postgres_fixture_create_database(url);
	relay *net = relay_new(url);
	db_conn *c = db_fixture_conn(relay_url(net), PATIENCE_MS);
	char *bytes = calloc(1, BYTES);
	ck_assert_ptr_nonnull(bytes);
	const db_query measure = DB_FIXTURE_QUERY(0, 1, "SELECT octet_length($1::bytea)");
	db_fixture_must(db_run_script(c, "SET statement_timeout = 0", &e), &e, "set");
	/* What the kernel has taken counts as sent, so it may take little. */
	ck_assert_int_eq(setsockopt(db_conn_socket(c), SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int)), 0);
	relay_set_rate(net, RATE);
	db_params_init(&p);
	db_param_str(&p, (str){bytes, BYTES});
	int64_t start_ms = clock_now_ms();
	db_fixture_must(db_run(c, &measure, &p, &r, &e), &e, "a slow network");
	ck_assert_int_gt(clock_now_ms() - start_ms, PATIENCE_MS);
	ck_assert_int_eq(db_i32(r, 0, 0), BYTES);
	db_result_free(r);
	free(bytes);
	db_conn_free(c);
	relay_free(net);
}
END_TEST

/* ---- transactions ---- */

START_TEST(transaction_is_committed_or_rolled_back_as_a_whole)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t SELECT count(*) FROM t");
	db_fixture_must(db_begin(c, &e) && db_do(c, &insert, NULL, NULL, &e) && db_do(c, &insert, NULL, NULL, &e), &e,
					"two");
	ck_assert_int_eq(rows_of_t(url), 0);
	db_rollback(c);
	ck_assert_int_eq(rows_of_t(url), 0);
	db_fixture_must(db_begin(c, &e) && db_do(c, &insert, NULL, NULL, &e) && db_do(c, &insert, NULL, NULL, &e), &e,
					"two");
	db_fixture_must(db_commit(c, &e), &e, "commit");
	ck_assert_int_eq(rows_of_t(url), 2);
	db_rollback(c); /* nothing is open: nothing happens */
	db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	ck_assert_int_eq(rows_of_t(url), 3);
	db_conn_free(c);
}
END_TEST

START_TEST(failed_transaction_keeps_its_error_and_the_connection_goes_on)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	err commit_error;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t VALUES (1)");
	int32_t pid = db_fixture_pid(c);
	db_fixture_must(db_begin(c, &e) && db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	ck_assert(!db_do(c, &insert, NULL, NULL, &e));
	ck_assert_str_eq(e.sqlstate, "23505");
	ck_assert(!db_commit(c, &commit_error)); /* it became a rollback */
	db_rollback(c);
	ck_assert_str_eq(e.sqlstate, "23505");
	ck_assert_int_eq(rows_of_t(url), 0);
	db_fixture_must(db_begin(c, &e) && db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	ck_assert(!db_do(c, &insert, NULL, NULL, &e));
	db_rollback(c);
	db_fixture_must(db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	ck_assert_int_eq(rows_of_t(url), 1);
	ck_assert_int_eq(db_fixture_pid(c), pid);
	db_conn_free(c);
}
END_TEST

START_TEST(transaction_inside_a_transaction_is_refused)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t VALUES (1)");
	db_fixture_must(db_begin(c, &e) && db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	ck_assert(!db_begin(c, &e));
	ck_assert_int_eq(e.code, ERR_INTERNAL);
	db_rollback(c);
	ck_assert_int_eq(rows_of_t(url), 0);
	db_conn_free(c);
}
END_TEST

START_TEST(transaction_whose_connection_is_lost_changes_nothing)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	const db_query insert = DB_FIXTURE_QUERY(0, 0, "INSERT INTO t SELECT count(*) FROM t");
	db_fixture_must(db_begin(c, &e) && db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	db_fixture_kill(url, db_fixture_pid(c));
	ck_assert(!db_do(c, &insert, NULL, NULL, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert(!db_commit(c, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert_int_eq(rows_of_t(url), 0);
	/* Lost between the last statement and the commit: libpq cannot tell it from a lost answer. */
	db_fixture_must(db_begin(c, &e) && db_do(c, &insert, NULL, NULL, &e), &e, "insert");
	db_fixture_kill(url, db_fixture_pid(c));
	ck_assert(!db_commit(c, &e));
	ck_assert(e.code == ERR_OUTCOME_UNKNOWN || e.code == ERR_UNAVAILABLE);
	ck_assert_int_eq(rows_of_t(url), 0);
	db_conn_free(c);
}
END_TEST

START_TEST(script_runs_all_its_statements_or_none)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	new_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	db_fixture_must(db_run_script(c, "INSERT INTO t VALUES (1); SELECT 1; INSERT INTO t VALUES (2)", &e), &e, "script");
	ck_assert_int_eq(rows_of_t(url), 2);
	ck_assert(!db_run_script(c, "INSERT INTO t VALUES (3); INSERT INTO t VALUES (1); INSERT INTO t VALUES (4)", &e));
	ck_assert_str_eq(e.sqlstate, "23505");
	ck_assert_int_eq(rows_of_t(url), 2);
	db_conn_free(c);
}
END_TEST

/* ---- notifications ---- */

START_TEST(notifications_come_in_order_and_waiting_ends_in_time)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	str channel;
	str payload;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	db_fixture_must(db_listen(c, "one", &e) && db_listen(c, "two", &e), &e, "listen");
	db_fixture_sql(url, "NOTIFY one, 'a'; NOTIFY two; NOTIFY other, 'x'; NOTIFY one, 'b'");
	const str expected[][2] = {{STR("one"), STR("a")}, {STR("two"), STR("")}, {STR("one"), STR("b")}};
	for (size_t i = 0; i < 3; i++) {
		db_fixture_must(db_wait_notification(c, clock_now_ms() + TIMEOUT_MS, -1, &channel, &payload, &e), &e, "wait");
		ck_assert_view_eq(channel, expected[i][0]);
		ck_assert_view_eq(payload, expected[i][1]);
	}
	int64_t start_ms = clock_now_ms();
	ck_assert(!db_wait_notification(c, start_ms + 100, -1, &channel, &payload, &e));
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	ck_assert_int_ge(clock_now_ms() - start_ms, 100);
	ck_assert(!db_wait_notification(c, start_ms - 100, -1, &channel, &payload, &e));
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	int wake_fd = eventfd(1, EFD_CLOEXEC);
	start_ms = clock_now_ms();
	ck_assert(!db_wait_notification(c, start_ms + TIMEOUT_MS, wake_fd, &channel, &payload, &e));
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	ck_assert_int_lt(clock_now_ms() - start_ms, TIMEOUT_MS);
	close(wake_fd);
	db_conn_free(c);
}
END_TEST

START_TEST(listener_whose_backend_died_is_told)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	str channel;
	str payload;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	db_fixture_must(db_listen(c, "one", &e), &e, "listen");
	db_fixture_sql(url, "NOTIFY one, 'last words'");
	db_fixture_kill(url, db_fixture_pid(c));
	while (db_wait_notification(c, clock_now_ms() + TIMEOUT_MS, -1, &channel, &payload, &e)) {
		ck_assert_view_eq(payload, STR("last words"));
	}
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert(!db_conn_is_open(c));
	ck_assert(!db_wait_notification(c, clock_now_ms() + TIMEOUT_MS, -1, &channel, &payload, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	db_conn_free(c);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		parameters_and_results_of_every_type_come_back,
		null_and_empty_parameters_are_told_apart,
		accessor_of_another_width_gives_zero,
		affected_rows_are_counted,
		wrong_number_of_parameters_is_refused_before_it_is_sent,
		connection_has_its_settings_and_keeps_those_of_the_url,
		unreachable_server_is_unavailable,
		statements_are_prepared_again_after_a_reconnect,
		connection_that_lost_its_prepared_statements_heals,
		failed_statement_is_mapped_by_its_sqlstate,
		slow_statement_is_ended_by_the_server_and_the_connection_stays,
		lock_that_does_not_come_free_is_a_timeout,
		text_with_a_zero_byte_is_the_callers_fault,
		killed_backend_is_unavailable_for_a_read_and_unknown_for_a_write,
		idle_connection_that_died_is_replaced_without_a_word,
		idle_connection_that_died_over_tcp_is_replaced_without_a_word,
		lost_answer_of_a_write_is_an_unknown_outcome,
		server_that_says_nothing_is_given_up_in_time,
		connection_waits_for_a_server_that_is_slow_to_answer,
		slow_network_is_no_reason_to_give_up,
		transaction_is_committed_or_rolled_back_as_a_whole,
		failed_transaction_keeps_its_error_and_the_connection_goes_on,
		transaction_inside_a_transaction_is_refused,
		transaction_whose_connection_is_lost_changes_nothing,
		script_runs_all_its_statements_or_none,
		notifications_come_in_order_and_waiting_ends_in_time,
		listener_whose_backend_died_is_told,
	};
	postgres_fixture_url();
	return SUITE_RUN("db/conn", tests);
}
