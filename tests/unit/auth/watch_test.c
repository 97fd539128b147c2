#include "auth/watch.h"

#include <pthread.h>
#include <stdatomic.h>

#include "auth/auth_fixture.h"
#include "base/clock.h"
#include "suite.h"

enum { LONG_MS = 60000, QUIET_MS = 150, SOON_MS = 30000 };

static auth_fixture f;
static err e;

typedef struct ended {
	atomic_int calls;
	err e;
} ended;

static void on_end(void *context, const err *reason)
{
	ended *seen = context;
	seen->e = *reason;
	atomic_fetch_add(&seen->calls, 1);
}

static auth_watch *watch(str credential, ended *seen)
{
	const auth_principal *p = NULL;
	if (auth_fixture_check(&f, credential, &e, &p) == AUTH_PENDING) {
		p = auth_fixture_resolve(&f, credential, &e);
	}
	ck_assert_msg(p != NULL, "%s", e.message);
	atomic_store(&seen->calls, 0);
	auth_watch *w = auth_watch_start(f.auth, p, on_end, seen);
	ck_assert_ptr_nonnull(w);
	auth_principal_unref(p);
	return w;
}

static void wait_ends(const ended *seen, size_t count)
{
	int64_t deadline_ms = clock_now_ms() + SOON_MS;
	for (size_t i = 0; i < count; i++) {
		while (atomic_load(&seen[i].calls) == 0 && clock_now_ms() < deadline_ms) {
			auth_fixture_sleep_ms(2);
		}
	}
}

static void assert_ends(const ended *seen, const char *message)
{
	wait_ends(seen, 1);
	auth_fixture_sleep_ms(20);
	ck_assert_int_eq(atomic_load(&seen->calls), 1);
	ck_assert_int_eq(seen->e.code, ERR_UNAUTHORIZED);
	ck_assert_msg(strstr(seen->e.message, message) != NULL, "%s", seen->e.message);
}

static void assert_goes_on(const ended *seen)
{
	auth_fixture_sleep_ms(QUIET_MS);
	ck_assert_int_eq(atomic_load(&seen->calls), 0);
}

static void revoke(const auth_key *key)
{
	auth_key_info info;
	must(auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key->id), f.arena, &info, &e));
}

/* What was announced so far, the keys made by the test. */
static void hear(int count)
{
	for (int i = 0; i < count; i++) {
		auth_fixture_hear(&f);
	}
}

START_TEST(a_revoked_key_ends_its_watches_and_no_others)
{
	enum { COUNT = 600 }; /* more than one query's worth */
	static ended seen[COUNT];
	static auth_watch *watches[COUNT];
	ended other_seen;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_key other = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	hear(2);
	for (int i = 0; i < COUNT; i++) {
		watches[i] = watch(auth_fixture_text(&key), &seen[i]);
	}
	auth_watch *other_watch = watch(auth_fixture_text(&other), &other_seen);
	assert_goes_on(&seen[0]);
	revoke(&key);
	assert_goes_on(&seen[0]);
	hear(1);
	wait_ends(seen, COUNT);
	assert_ends(&seen[0], "revoked");
	for (int i = 0; i < COUNT; i++) {
		ck_assert_int_eq(atomic_load(&seen[i].calls), 1);
		auth_watch_stop(watches[i]);
	}
	assert_goes_on(&other_seen);
	auth_on_notify(f.auth, STR_NONE);
	assert_goes_on(&other_seen);
	auth_watch_stop(other_watch);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_key_that_ended_before_the_watch_began_is_noticed)
{
	ended seen;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	auth_fixture_sql(&f, "UPDATE tidegate.api_key SET revoked_ms = 1");
	auth_watch *w = watch(auth_fixture_text(&key), &seen); /* by the cache */
	assert_ends(&seen, "revoked");
	auth_watch_stop(w);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_rotated_key_has_to_come_again_to_learn_its_end)
{
	ended seen;
	auth_key rotated;
	auth_key_info info;
	auth_key_info old;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	hear(1);
	auth_watch *w = watch(auth_fixture_text(&key), &seen);
	assert_goes_on(&seen);
	must(auth_key_rotate(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), 3600000, f.arena, &rotated, &info, &old, &e));
	hear(2);
	assert_ends(&seen, "connect again");
	auth_watch_stop(w);
	w = watch(auth_fixture_text(&key), &seen); /* with the new end: nothing to be told */
	auth_on_notify(f.auth, str_from_c(key.id));
	assert_goes_on(&seen);
	auth_watch_stop(w);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_deleted_tenant_ends_its_watches)
{
	ended seen;
	auth_key key;
	auth_key_info info;
	auth_key_spec spec = {.scopes = AUTH_SCOPE_READ};
	auth_fixture_open(&f);
	must(auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, STR("acme"), AUTH_CHOICE_SERVER, &e));
	must(auth_tenant_find(f.conn, STR("acme"), &spec.tenant_id, &e));
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &spec, f.arena, &key, &info, &e));
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	hear(1);
	auth_watch *w = watch(auth_fixture_text(&key), &seen);
	assert_goes_on(&seen);
	must(auth_tenant_delete(f.conn, &AUTH_FIXTURE_ACTOR, STR("acme"), &e));
	hear(1);
	assert_ends(&seen, "unknown");
	auth_watch_stop(w);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(the_first_key_ends_callers_without_one)
{
	ended seen;
	auth_fixture_open(&f);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	auth_watch *w = watch(STR_NONE, &seen);
	auth_on_notify(f.auth, STR_NONE);
	assert_goes_on(&seen);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	hear(1);
	assert_ends(&seen, "X-API-Key");
	auth_watch_stop(w);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(callers_without_a_key_go_on_when_the_server_has_to_look_again)
{
	ended seen = {.calls = 0};
	const auth_principal *p = NULL;
	auth_fixture_open(&f);
	auth_fixture_start(&f, AUTH_AUTO, 100);
	if (auth_fixture_check(&f, STR_NONE, &e, &p) == AUTH_PENDING) { /* the machine stood still */
		p = auth_fixture_resolve(&f, STR_NONE, &e);
	}
	ck_assert_ptr_nonnull(p);
	auth_fixture_sleep_ms(2100); /* too long ago to be sure that there is no key */
	auth_watch *w = auth_watch_start(f.auth, p, on_end, &seen);
	auth_principal_unref(p);
	assert_goes_on(&seen);
	auth_watch_stop(w);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(no_key_ends_anybody_where_none_is_asked_for)
{
	ended seen;
	auth_fixture_open(&f);
	auth_fixture_start(&f, AUTH_OFF, LONG_MS);
	auth_watch *w = watch(STR_NONE, &seen);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	hear(1);
	auth_on_notify(f.auth, STR_NONE);
	assert_goes_on(&seen);
	auth_watch_stop(w);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_database_that_is_away_ends_nobody_and_is_asked_again)
{
	ended seen;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	hear(1);
	auth_watch *w = watch(auth_fixture_text(&key), &seen);
	assert_goes_on(&seen);
	postgres_fixture_stop();
	auth_on_notify(f.auth, str_from_c(key.id));
	assert_goes_on(&seen);
	postgres_fixture_start();
	for (int64_t deadline_ms = clock_now_ms() + SOON_MS; !db_conn_ensure(f.conn, &e) && clock_now_ms() < deadline_ms;) {
		auth_fixture_sleep_ms(20);
	}
	revoke(&key);
	/* The listener is back: whatever it missed. */
	for (int64_t deadline_ms = clock_now_ms() + SOON_MS;
		 atomic_load(&seen.calls) == 0 && clock_now_ms() < deadline_ms;) {
		auth_on_notify(f.auth, STR_NONE);
		auth_fixture_sleep_ms(20);
	}
	assert_ends(&seen, "revoked");
	auth_watch_stop(w);
	auth_fixture_close(&f);
}
END_TEST

/* A statement that fails without the connection being lost leaves the watch due: any later work asks again. */
START_TEST(a_failed_look_is_repeated)
{
	ended seen;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_key other = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	hear(2);
	auth_watch *w = watch(auth_fixture_text(&key), &seen);
	assert_goes_on(&seen);
	revoke(&key);
	auth_fixture_sql(&f, "ALTER TABLE tidegate.tenant RENAME COLUMN auto_create TO gone");
	hear(1);
	assert_goes_on(&seen);
	auth_fixture_sql(&f, "ALTER TABLE tidegate.tenant RENAME COLUMN gone TO auto_create");
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&other), &e), ERR_NONE);
	assert_ends(&seen, "revoked");
	auth_watch_stop(w);
	auth_fixture_close(&f);
}
END_TEST

/* ---- never after stop ---- */

enum { THREADS = 4, ROUNDS = 400 };

typedef struct visitor {
	const auth_principal *principal;
	atomic_int calls;
	atomic_int late_calls;
} visitor;

typedef struct visit {
	visitor *visitor;
	atomic_bool is_over;
} visit;

static void on_visit_end(void *context, const err *reason)
{
	visit *v = context;
	(void)reason;
	atomic_fetch_add(&v->visitor->calls, 1);
	auth_fixture_sleep_ms(1);
	if (atomic_load(&v->is_over)) {
		atomic_fetch_add(&v->visitor->late_calls, 1);
	}
}

static void *visitor_main(void *context)
{
	visitor *all = context;
	/* Until somebody was told at all: a database that stands still answers nobody meanwhile. */
	int64_t deadline_ms = clock_now_ms() + SOON_MS;
	for (int i = 0; i < ROUNDS || (atomic_load(&all->calls) == 0 && clock_now_ms() < deadline_ms); i++) {
		visit v = {.visitor = all};
		auth_watch *w = auth_watch_start(f.auth, all->principal, on_visit_end, &v);
		if (i % 3 != 0) {
			auth_fixture_sleep_ms(i % 2);
		}
		auth_on_notify(f.auth, i % 2 == 0 ? all->principal->key_id : STR_NONE);
		auth_watch_stop(w);
		atomic_store(&v.is_over, true);
	}
	return NULL;
}

START_TEST(nobody_is_told_after_the_watch_was_stopped)
{
	static visitor all;
	pthread_t threads[THREADS];
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	hear(1);
	all.principal = auth_fixture_resolve(&f, auth_fixture_text(&key), &e);
	revoke(&key);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_create(&threads[i], NULL, visitor_main, &all), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	auth_principal_unref(all.principal);
	(void)auth_fixture_jobs(&f); /* nothing is left to be done */
	auth_fixture_close(&f);
	ck_assert_int_gt(atomic_load(&all.calls), 0);
	ck_assert_int_eq(atomic_load(&all.late_calls), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_revoked_key_ends_its_watches_and_no_others,
		a_key_that_ended_before_the_watch_began_is_noticed,
		a_rotated_key_has_to_come_again_to_learn_its_end,
		a_deleted_tenant_ends_its_watches,
		the_first_key_ends_callers_without_one,
		callers_without_a_key_go_on_when_the_server_has_to_look_again,
		no_key_ends_anybody_where_none_is_asked_for,
		a_database_that_is_away_ends_nobody_and_is_asked_again,
		a_failed_look_is_repeated,
		nobody_is_told_after_the_watch_was_stopped,
	};
	postgres_fixture_url();
	return SUITE_RUN("auth/watch", tests);
}
