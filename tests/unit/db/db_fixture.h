/*
 * tests/unit/db/db_fixture: connections and small questions in SQL, for the tests of db and log.
 *
 * Errors   whatever fails unexpectedly ends the test with a message.
 */
#ifndef TIDEGATE_TESTS_DB_FIXTURE_H
#define TIDEGATE_TESTS_DB_FIXTURE_H

#include "db/conn.h"
#include "postgres_fixture.h"
#include "sql/all.h"

/* Statements of the tests have places behind those of sql/; a connection has room for this many. */
enum { DB_FIXTURE_QUERIES = 64 };
#define DB_FIXTURE_QUERY(number, parameters, sql)                                                                      \
	((db_query){"test_" #number, SQL_QUERY_COUNT + (number), (parameters), (sql)})

void db_fixture_must(bool ok, const err *e, const char *what);
/* A database of the test's own with today's schema. The program's first one has it from the first call on: the others are
 * copies of it, which takes a fraction of the time that migrations do. */
void db_fixture_create_migrated(char url[POSTGRES_FIXTURE_URL_MAX]);
db_conn *db_fixture_conn(const char *url, uint32_t timeout_ms); /* connected */
/* A connection of its own for each call. The question has one row with one bigint. */
int64_t db_fixture_i64(const char *url, const char *format, ...) __attribute__((format(printf, 2, 3)));
void db_fixture_sql(const char *url, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The backend that serves the connection. */
int32_t db_fixture_pid(db_conn *c);
/* Ends that backend and waits until it is gone. */
void db_fixture_kill(const char *url, int32_t pid);

#endif
