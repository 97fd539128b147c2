/*
 * tests/unit/postgres_fixture: a scratch Postgres for the tests of one program.
 *
 *   tidegate_unit_test(db/conn USES tidegate_db SOURCES ${CMAKE_SOURCE_DIR}/tests/unit/postgres_fixture.c)
 *
 *   int main(void)
 *   {
 *       postgres_fixture_url();      start it here, before Check forks; the tests then share the server
 *       … srunner_run_all() …
 *   }
 *   START_TEST(…)
 *       char url[POSTGRES_FIXTURE_URL_MAX];
 *       postgres_fixture_create_database(url);      a database of its own for this test
 *
 * The server is a fresh copy of a data directory that is made once and kept in the build directory
 * (postgres-template-*); it listens on a unix socket in a private directory and does not wait for the disk. As root it
 * runs as the user postgres. A keeper process owns it: when the test program ends, however it ends, the keeper stops
 * the server and removes the directory.
 *
 * With TIDEGATE_TEST_DATABASE_URL set no server is started: databases are created on that one and are left there. It
 * needs the right to create databases; tests that stop the server have to skip then (postgres_fixture_can_stop).
 * TIDEGATE_POSTGRES_BIN names the directory of initdb, postgres and psql, if not the newest of /usr/lib/postgresql.
 *
 * Owns     the server, its directory and the texts returned.
 * Threads  one at a time. A server that is first asked for inside a forked test lives as long as that test.
 * Errors   whatever fails ends the program with status 2 and a message on stderr.
 */
#ifndef TIDEGATE_TESTS_POSTGRES_FIXTURE_H
#define TIDEGATE_TESTS_POSTGRES_FIXTURE_H

#include <stdbool.h>

enum { POSTGRES_FIXTURE_URL_MAX = 1024 };

/* Starts the server if need be. A database that was empty at first, the same for every call. */
const char *postgres_fixture_url(void);
/* Another empty database, for the caller alone. */
void postgres_fixture_create_database(char url[POSTGRES_FIXTURE_URL_MAX]);
/* Another one that is a copy of the first, to which nobody may be connected. */
void postgres_fixture_copy_database(char url[POSTGRES_FIXTURE_URL_MAX]);

/* An outage. stop is a crash: the server is killed, its clients are cut off. start returns when it answers again. */
bool postgres_fixture_can_stop(void);
void postgres_fixture_stop(void);
void postgres_fixture_start(void);

/* One SQL text by psql; a failing one ends the program. */
void postgres_fixture_sql(const char *url, const char *sql);

#endif
