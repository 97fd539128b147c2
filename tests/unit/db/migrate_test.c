#include "db/migrate.h"

#include "suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "db/db_fixture.h"
#include "postgres_fixture.h"

/* The short one is longer than a machine stands still: a few statements have to keep it. */
enum { TIMEOUT_MS = 30000, SHORT_MS = 2500, TRIES = 5, RACERS = 8 };

static int64_t applied_in(const char *url)
{
	return db_fixture_i64(url, "SELECT count(*) FROM tidegate.migration");
}

START_TEST(empty_database_gets_every_migration_once)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	int applied = -1;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	ck_assert(!db_schema_is_current(c, &e));
	ck_assert_int_eq(e.code, ERR_NOT_READY);
	ck_assert_ptr_nonnull(strstr(e.message, "tidegate migrate"));
	db_fixture_must(db_migrate(c, NULL, &applied, &e), &e, "migrate");
	ck_assert_int_eq(applied, (int)DB_MIGRATION_COUNT);
	ck_assert_int_eq(applied_in(url), (int)DB_MIGRATION_COUNT);
	ck_assert_int_eq(db_fixture_i64(url, "SELECT max(number)::bigint FROM tidegate.migration"),
					 (int)DB_MIGRATION_COUNT);
	db_fixture_must(db_schema_is_current(c, &e), &e, "is current");
	/* And nothing more the second time. */
	db_fixture_must(db_migrate(c, NULL, &applied, &e), &e, "migrate again");
	ck_assert_int_eq(applied, 0);
	ck_assert_int_eq(applied_in(url), (int)DB_MIGRATION_COUNT);
	/* No transaction, and no lock, is left. */
	db_fixture_must(db_begin(c, &e) && db_commit(c, &e), &e, "a transaction afterwards");
	ck_assert_int_eq(db_fixture_i64(url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0);
	db_conn_free(c);
}
END_TEST

typedef struct racer {
	const char *url;
	pthread_t thread;
	int applied;
	bool ok;
	err e;
} racer;

static void *race(void *context)
{
	racer *r = context;
	db_conn_options options = {.url = str_from_c(r->url), .role = "migrate", .timeout_ms = TIMEOUT_MS};
	db_conn *c = db_conn_new(&options);
	r->ok = db_migrate(c, NULL, &r->applied, &r->e);
	db_conn_free(c);
	return NULL;
}

START_TEST(eight_at_once_apply_each_migration_exactly_once)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	racer racers[RACERS];
	int applied = 0;
	postgres_fixture_create_database(url);
	for (int i = 0; i < RACERS; i++) {
		racers[i] = (racer){.url = url};
		ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(racers[i].thread, NULL);
		db_fixture_must(racers[i].ok, &racers[i].e, "migrate");
		applied += racers[i].applied;
	}
	ck_assert_int_eq(applied, (int)DB_MIGRATION_COUNT);
	ck_assert_int_eq(applied_in(url), (int)DB_MIGRATION_COUNT);
}
END_TEST

START_TEST(schema_of_a_newer_version_is_left_alone)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	int applied = -1;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	db_fixture_must(db_migrate(c, NULL, &applied, &e), &e, "migrate");
	db_fixture_sql(url, "INSERT INTO tidegate.migration (number, name) VALUES (9999, 'of_the_future')");
	applied = -1;
	ck_assert(!db_migrate(c, NULL, &applied, &e));
	ck_assert_int_eq(e.code, ERR_NOT_READY);
	ck_assert_ptr_nonnull(strstr(e.message, "9999"));
	ck_assert_int_eq(applied, -1);
	ck_assert(!db_schema_is_current(c, &e));
	ck_assert_int_eq(e.code, ERR_NOT_READY);
	ck_assert_int_eq(applied_in(url), (int)DB_MIGRATION_COUNT + 1);
	db_conn_free(c);
}
END_TEST

START_TEST(missing_migrations_are_added_to_those_that_are_there)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	int applied = -1;
	postgres_fixture_create_database(url);
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	db_fixture_must(db_begin(c, &e) && db_run_script(c, DB_MIGRATIONS[0].sql, &e) &&
						db_run_script(c, "INSERT INTO tidegate.migration (number, name) VALUES (1, 'by_hand')", &e) &&
						db_commit(c, &e),
					&e, "the first by hand");
	ck_assert(!db_schema_is_current(c, &e));
	db_fixture_must(db_migrate(c, NULL, &applied, &e), &e, "migrate");
	ck_assert_int_eq(applied, (int)DB_MIGRATION_COUNT - 1);
	db_fixture_must(db_schema_is_current(c, &e), &e, "is current");
	db_conn_free(c);
}
END_TEST

START_TEST(migration_may_take_longer_than_a_request)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	int applied = 0;
	postgres_fixture_create_database(url);
	db_fixture_sql(
		url, "CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(4); END';"
			 "CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE SCHEMA') EXECUTE FUNCTION slow()");
	db_conn *c = db_fixture_conn(url, SHORT_MS);
	db_fixture_must(db_migrate(c, NULL, &applied, &e), &e, "migrate");
	ck_assert_int_eq(applied, (int)DB_MIGRATION_COUNT);
	/* And a request afterwards may not. */
	e.code = ERR_NONE;
	/* Once more where the server stood still for longer than its word is waited for. */
	for (int i = 0; i < TRIES && e.code != ERR_TIMEOUT; i++) {
		ck_assert(!db_run_script(c, "SELECT pg_sleep(20)", &e));
	}
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	db_conn_free(c);
}
END_TEST

START_TEST(failed_migration_is_named_and_leaves_nothing_behind)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	char name[64];
	err e;
	int applied = -1;
	postgres_fixture_create_database(url);
	db_fixture_sql(url, "CREATE SCHEMA tidegate; CREATE TABLE tidegate.api_key (mine int)");
	db_conn *c = db_fixture_conn(url, TIMEOUT_MS);
	ck_assert(!db_migrate(c, NULL, &applied, &e));
	ck_assert_int_eq(e.code, ERR_INTERNAL);
	snprintf(name, sizeof name, "0001_%s", DB_MIGRATIONS[0].name);
	ck_assert_ptr_nonnull(strstr(e.message, name));
	ck_assert_ptr_nonnull(strstr(e.message, "already exists"));
	ck_assert_int_eq(
		db_fixture_i64(url, "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname "
							"= 'tidegate'"),
		1);
	/* Once the obstacle is gone, the same connection goes on. */
	db_fixture_sql(url, "DROP SCHEMA tidegate CASCADE");
	db_fixture_must(db_migrate(c, NULL, &applied, &e), &e, "migrate");
	ck_assert_int_eq(applied, (int)DB_MIGRATION_COUNT);
	db_conn_free(c);
}
END_TEST

START_TEST(migrator_that_waits_too_long_for_another_gives_up)
{
	char url[POSTGRES_FIXTURE_URL_MAX];
	err e;
	int applied = -1;
	postgres_fixture_create_database(url);
	db_conn *holder = db_fixture_conn(url, TIMEOUT_MS);
	db_conn *c = db_fixture_conn(url, SHORT_MS);
	db_fixture_must(db_begin(holder, &e) && db_run_script(holder, "SELECT pg_advisory_xact_lock(7233154, 1)", &e), &e,
					"lock");
	e.code = ERR_NONE;
	for (int i = 0; i < TRIES && e.code != ERR_TIMEOUT; i++) { /* as above */
		ck_assert(!db_migrate(c, NULL, &applied, &e));
	}
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	db_rollback(holder);
	db_conn_free(c);
	c = db_fixture_conn(url, TIMEOUT_MS);
	db_fixture_must(db_migrate(c, NULL, &applied, &e), &e, "migrate");
	ck_assert_int_eq(applied, (int)DB_MIGRATION_COUNT);
	db_conn_free(c);
	db_conn_free(holder);
}
END_TEST

START_TEST(database_that_is_away_is_unavailable)
{
	err e;
	int applied = -1;
	db_conn_options options = {.url = STR("host=/nowhere/at/all"), .role = "migrate", .timeout_ms = TIMEOUT_MS};
	db_conn *c = db_conn_new(&options);
	ck_assert(!db_migrate(c, NULL, &applied, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert(!db_schema_is_current(c, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert_int_eq(applied, -1);
	db_conn_free(c);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		empty_database_gets_every_migration_once,          eight_at_once_apply_each_migration_exactly_once,
		schema_of_a_newer_version_is_left_alone,           missing_migrations_are_added_to_those_that_are_there,
		migration_may_take_longer_than_a_request,          failed_migration_is_named_and_leaves_nothing_behind,
		migrator_that_waits_too_long_for_another_gives_up, database_that_is_away_is_unavailable,
	};
	postgres_fixture_url();
	return SUITE_RUN("db/migrate", tests);
}
