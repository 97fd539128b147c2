/*
 * tests/unit/auth/auth_fixture: a migrated database of its own, a pool on it, and an auth, for one test.
 *
 * Errors   whatever goes wrong fails the test.
 */
#ifndef TIDEGATE_TESTS_AUTH_FIXTURE_H
#define TIDEGATE_TESTS_AUTH_FIXTURE_H

#include "auth/auth.h"
#include "auth/keyring.h"
#include "auth/tenant.h"
#include "base/metric.h"
#include "db/pool.h"
#include "postgres_fixture.h"

#include <check.h>
#include <semaphore.h>

#define must(call) ck_assert_msg((call), "%s: %s (%s)", #call, e.message, e.log)

typedef struct auth_fixture {
	char url[POSTGRES_FIXTURE_URL_MAX];
	metric_registry *metrics;
	slog *log;
	db_conn *conn;     /* of the test's own */
	db_conn *listener; /* listens on AUTH_CHANNEL */
	db_pool *pool;
	arena *arena;
	auth *auth;
	sem_t taken; /* by a thread of the pool: one of the jobs that stop it */
	sem_t go;
	int stops; /* such jobs so far */
} auth_fixture;

/* Somebody at the database itself. */
extern const auth_actor AUTH_FIXTURE_ACTOR;

/* Everything but the auth. */
void auth_fixture_open(auth_fixture *f);
void auth_fixture_close(auth_fixture *f);
/* Makes and starts the auth. */
void auth_fixture_start(auth_fixture *f, auth_mode mode, uint32_t cache_ms);

/* A key of the default tenant; announced, but not heard yet. */
auth_key auth_fixture_key(auth_fixture *f, uint32_t scopes);
str auth_fixture_text(const auth_key *key);
/* Waits for the next notification and hands it to the auth. */
void auth_fixture_hear(auth_fixture *f);

/* auth_check(): the reference is taken into *out, or given back when out is NULL. */
auth_verdict auth_fixture_check(auth_fixture *f, str credential, err *e, const auth_principal **out);
/* auth_resolve(), waited for: a reference for the caller, or NULL and *e. */
const auth_principal *auth_fixture_resolve(auth_fixture *f, str credential, err *e);
/* By check, then by resolve if that is not enough: the code, ERR_NONE when it gets in. */
err_code auth_fixture_try(auth_fixture *f, str credential, err *e);

bool auth_fixture_set_auto_create(auth_fixture *f, str tenant, auth_choice choice, err *e);
/* One value of one row, as text. */
void auth_fixture_sql(auth_fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void auth_fixture_sleep_ms(int64_t ms);
/* How many jobs the pool has done, when there is nothing left to be done. */
int64_t auth_fixture_jobs(auth_fixture *f);

#endif
