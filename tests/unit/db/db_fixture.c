#include "db/db_fixture.h"

#include "db/migrate.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>

enum { SQL_MAX = 4096, TIMEOUT_MS = 30000 };

void db_fixture_must(bool ok, const err *e, const char *what)
{
	if (!ok) {
		ck_abort_msg("%s: %s: %s (%s %s)", what, err_wire_code(e->code), e->message, e->sqlstate, e->log);
	}
}

db_conn *db_fixture_conn(const char *url, uint32_t timeout_ms)
{
	err e;
	db_conn_options options = {.url = str_from_c(url), .role = "test", .timeout_ms = timeout_ms};
	db_conn *c = db_conn_new(&options);
	ck_assert_ptr_nonnull(c);
	db_fixture_must(db_conn_ensure(c, &e), &e, "connect");
	return c;
}

void db_fixture_create_migrated(char url[POSTGRES_FIXTURE_URL_MAX])
{
	err e;
	int applied = 0;
	db_conn *c = db_fixture_conn(postgres_fixture_url(), TIMEOUT_MS);
	db_fixture_must(db_migrate(c, NULL, &applied, &e), &e, "migrate");
	db_conn_free(c);
	postgres_fixture_copy_database(url);
}

__attribute__((format(printf, 2, 0))) static void print_sql(char out[SQL_MAX], const char *format, va_list arguments)
{
	int n = vsnprintf(out, SQL_MAX, format, arguments);
	ck_assert(n > 0 && n < SQL_MAX);
}

int64_t db_fixture_i64(const char *url, const char *format, ...)
{
	char sql[SQL_MAX];
	err e;
	db_result *r = NULL;
	va_list arguments;
	va_start(arguments, format);
	print_sql(sql, format, arguments);
	va_end(arguments);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	db_query question = DB_FIXTURE_QUERY(63, 0, sql);
	db_fixture_must(db_run(c, &question, NULL, &r, &e), &e, sql);
	ck_assert_int_eq(db_rows(r), 1);
	ck_assert_uint_eq(db_str(r, 0, 0).len, sizeof(int64_t));
	int64_t answer = db_i64(r, 0, 0);
	db_result_free(r);
	db_conn_free(c);
	return answer;
}

void db_fixture_sql(const char *url, const char *format, ...)
{
	char sql[SQL_MAX];
	err e;
	va_list arguments;
	va_start(arguments, format);
	print_sql(sql, format, arguments);
	va_end(arguments);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	db_fixture_must(db_run_script(c, sql, &e), &e, sql);
	db_conn_free(c);
}

int32_t db_fixture_pid(db_conn *c)
{
	err e;
	db_result *r = NULL;
	const db_query question = DB_FIXTURE_QUERY(62, 0, "SELECT pg_backend_pid()");
	db_fixture_must(db_run(c, &question, NULL, &r, &e), &e, "pg_backend_pid");
	int32_t pid = db_i32(r, 0, 0);
	db_result_free(r);
	return pid;
}

void db_fixture_kill(const char *url, int32_t pid)
{
	/* The second argument waits for its end. */
	ck_assert_int_eq(db_fixture_i64(url, "SELECT pg_terminate_backend(%d, 10000)::int::bigint", pid), 1);
}
