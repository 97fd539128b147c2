#include "auth/auth.h"

#include <pthread.h>
#include <stdatomic.h>

#include "auth/auth_fixture.h"
#include "auth/lookup.h"
#include "base/clock.h"
#include "db/db_fixture.h"
#include "suite.h"

enum { LONG_MS = 60000, SOON_MS = 30000 };

static bool says(const err *e, const char *text)
{
	return strstr(e->message, text) != NULL;
}

/* ---- modes ---- */

START_TEST(without_keys_every_caller_is_the_default_tenant)
{
	auth_fixture f;
	err e;
	const auth_principal *p = NULL;
	auth_fixture_open(&f);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert_int_eq(auth_fixture_check(&f, STR_NONE, &e, &p), AUTH_OK);
	ck_assert(p->is_development && auth_principal_allows(p, AUTH_SCOPE_ALL));
	ck_assert_int_eq(p->tenant_id, AUTH_DEFAULT_TENANT_ID);
	ck_assert_view_eq(p->tenant, STR("default"));
	ck_assert_uint_eq(p->prefix_count, 0);
	auth_principal_unref(p);
	ck_assert_int_eq(auth_fixture_check(&f, STR("whatever"), &e, NULL), AUTH_OK);
	ck_assert(!auth_is_required(f.auth));
	auth_fixture_close(&f);
}
END_TEST

START_TEST(the_first_key_closes_a_running_server_at_once)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert_int_eq(auth_fixture_try(&f, STR_NONE, &e), ERR_NONE);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_hear(&f);
	int64_t deadline_ms = clock_now_ms() + SOON_MS;
	while (!auth_is_required(f.auth) && clock_now_ms() < deadline_ms) {
		auth_fixture_sleep_ms(5);
	}
	ck_assert(auth_is_required(f.auth));
	ck_assert_int_eq(auth_fixture_try(&f, STR_NONE, &e), ERR_UNAUTHORIZED);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(the_first_key_is_found_without_a_notification)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_fixture_start(&f, AUTH_AUTO, 100); /* the state is looked at every second */
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	int64_t start_ms = clock_now_ms();
	while (auth_fixture_try(&f, STR_NONE, &e) == ERR_NONE && clock_now_ms() < start_ms + SOON_MS) {
		auth_fixture_sleep_ms(20);
	}
	ck_assert(auth_is_required(f.auth));
	auth_fixture_close(&f);
}
END_TEST

START_TEST(an_idle_server_looks_again_before_it_lets_anybody_in)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_fixture_start(&f, AUTH_AUTO, 100);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_sleep_ms(2100);
	ck_assert_int_eq(auth_fixture_check(&f, STR_NONE, &e, NULL), AUTH_PENDING);
	ck_assert_ptr_null(auth_fixture_resolve(&f, STR_NONE, &e));
	ck_assert_int_eq(e.code, ERR_UNAUTHORIZED);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(revoking_the_last_key_does_not_open_the_server)
{
	auth_fixture f;
	err e;
	auth_key_info info;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	must(auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), f.arena, &info, &e));
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert(auth_is_required(f.auth));
	ck_assert_int_eq(auth_fixture_try(&f, STR_NONE, &e), ERR_UNAUTHORIZED);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(required_refuses_although_no_key_exists)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_fixture_start(&f, AUTH_REQUIRED, LONG_MS);
	ck_assert(auth_is_required(f.auth));
	ck_assert_int_eq(auth_fixture_check(&f, STR_NONE, &e, NULL), AUTH_REFUSED);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(off_asks_for_nothing_although_keys_exist)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_OFF, LONG_MS);
	ck_assert(!auth_is_required(f.auth));
	ck_assert_int_eq(auth_fixture_check(&f, STR_NONE, &e, NULL), AUTH_OK);
	ck_assert_int_eq(auth_fixture_check(&f, STR("tg_nonsense"), &e, NULL), AUTH_OK);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(nobody_gets_in_while_it_is_not_known_whether_keys_exist)
{
	auth_fixture f;
	err e;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	auth_fixture_open(&f);
	const auth_options options = {.pool = f.pool, .cache_ms = LONG_MS, .log = f.log, .metrics = f.metrics};
	must(auth_new(&options, &f.auth, &e));
	postgres_fixture_stop();
	ck_assert(!auth_start(f.auth, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	ck_assert(!auth_is_required(f.auth));
	ck_assert_int_eq(auth_fixture_check(&f, STR_NONE, &e, NULL), AUTH_PENDING);
	ck_assert_ptr_null(auth_fixture_resolve(&f, STR_NONE, &e));
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	postgres_fixture_start();
	int64_t deadline_ms = clock_now_ms() + SOON_MS;
	while (auth_fixture_try(&f, STR_NONE, &e) != ERR_NONE && clock_now_ms() < deadline_ms) {
		auth_fixture_sleep_ms(20);
	}
	ck_assert_int_eq(auth_fixture_try(&f, STR_NONE, &e), ERR_NONE);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_schema_that_is_missing_is_an_error_of_its_own)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_fixture_sql(&f, "DROP SCHEMA tidegate CASCADE");
	const auth_options options = {.pool = f.pool, .cache_ms = LONG_MS, .log = f.log, .metrics = f.metrics};
	must(auth_new(&options, &f.auth, &e));
	ck_assert(!auth_start(f.auth, &e));
	ck_assert_int_eq(e.code, ERR_NOT_READY);
	ck_assert_int_eq(auth_fixture_try(&f, STR_NONE, &e), ERR_NOT_READY);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(the_default_tenants_choice_is_followed)
{
	auth_fixture f;
	err e;
	const auth_principal *p = NULL;
	auth_fixture_open(&f);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert_int_eq(auth_fixture_check(&f, STR_NONE, &e, &p), AUTH_OK);
	ck_assert_int_eq(p->auto_create, AUTH_CHOICE_SERVER);
	auth_principal_unref(p);
	must(auth_fixture_set_auto_create(&f, STR("default"), AUTH_CHOICE_ON, &e));
	auth_fixture_hear(&f);
	bool is_on = false;
	for (int64_t deadline_ms = clock_now_ms() + SOON_MS; !is_on && clock_now_ms() < deadline_ms;) {
		ck_assert_int_eq(auth_fixture_check(&f, STR_NONE, &e, &p), AUTH_OK);
		is_on = p->auto_create == AUTH_CHOICE_ON;
		auth_principal_unref(p);
		auth_fixture_sleep_ms(5);
	}
	ck_assert(is_on);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(modes_have_names)
{
	auth_mode mode = AUTH_AUTO;
	ck_assert(auth_mode_parse(STR("required"), &mode) && mode == AUTH_REQUIRED);
	ck_assert(auth_mode_parse(STR("off"), &mode) && mode == AUTH_OFF);
	ck_assert(auth_mode_parse(STR("auto"), &mode) && mode == AUTH_AUTO);
	ck_assert(!auth_mode_parse(STR("on"), &mode));
}
END_TEST

/* ---- keys ---- */

START_TEST(a_valid_key_is_resolved_once_and_then_known)
{
	auth_fixture f;
	err e;
	auth_key key;
	auth_key_info info;
	int64_t tenant_id = 0;
	const str prefixes[] = {STR("orders."), STR("audit.")};
	auth_fixture_open(&f);
	must(auth_tenant_create(f.conn, &AUTH_FIXTURE_ACTOR, STR("acme"), AUTH_CHOICE_OFF, &e));
	must(auth_tenant_find(f.conn, STR("acme"), &tenant_id, &e));
	const auth_key_spec spec = {.tenant_id = tenant_id,
								.name = STR("billing"),
								.scopes = AUTH_SCOPE_READ | AUTH_SCOPE_DELETE,
								.prefixes = prefixes,
								.prefix_count = 2,
								.lifetime_ms = 3600000};
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &spec, f.arena, &key, &info, &e));
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_PENDING);
	for (int round = 0; round < 2; round++) {
		const auth_principal *p = NULL;
		if (round == 0) {
			p = auth_fixture_resolve(&f, auth_fixture_text(&key), &e);
		} else {
			ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, &p), AUTH_OK);
		}
		ck_assert_ptr_nonnull(p);
		ck_assert_int_eq(p->tenant_id, tenant_id);
		ck_assert_view_eq(p->tenant, STR("acme"));
		ck_assert_view_eq(p->key_id, str_from_c(key.id));
		ck_assert_uint_eq(p->scopes, spec.scopes);
		ck_assert_uint_eq(p->prefix_count, 2);
		ck_assert_view_eq(p->prefixes[0], STR("orders."));
		ck_assert_view_eq(p->prefixes[1], STR("audit."));
		ck_assert_int_eq(p->auto_create, AUTH_CHOICE_OFF);
		ck_assert(!p->is_development);
		ck_assert_int_eq(p->expires_ms, info.expires_ms);
		ck_assert_int_gt(p->deadline_ms, clock_now_ms() + 3500000);
		ck_assert_int_le(p->deadline_ms, clock_now_ms() + 3600000);
		auth_principal_unref(p);
	}
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_credential_of_the_wrong_form_is_refused_without_the_database)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert_int_eq(auth_fixture_check(&f, STR_NONE, &e, NULL), AUTH_REFUSED);
	ck_assert(e.code == ERR_UNAUTHORIZED && says(&e, "X-API-Key"));
	ck_assert_int_eq(auth_fixture_check(&f, STR(""), &e, NULL), AUTH_REFUSED);
	ck_assert(says(&e, "X-API-Key"));
	ck_assert_int_eq(auth_fixture_check(&f, STR("hello"), &e, NULL), AUTH_REFUSED);
	ck_assert(e.code == ERR_UNAUTHORIZED && says(&e, "tg_<id>_<secret>_<checksum>"));
	key.text[20] = key.text[20] == 'x' ? 'y' : 'x';
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_REFUSED);
	ck_assert(e.code == ERR_UNAUTHORIZED && says(&e, "checksum"));
	char *large = malloc(AUTH_CREDENTIAL_MAX + 1);
	memset(large, 'a', AUTH_CREDENTIAL_MAX + 1);
	memcpy(large, "tg_", 3);
	ck_assert_int_eq(auth_fixture_check(&f, (str){large, AUTH_CREDENTIAL_MAX + 1}, &e, NULL), AUTH_REFUSED);
	free(large);
	auth_fixture_close(&f);
}
END_TEST

/* auth_resolve() says the same when it is asked all the same. */
START_TEST(resolving_a_credential_of_the_wrong_form_says_so)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert_ptr_null(auth_fixture_resolve(&f, STR_NONE, &e));
	ck_assert(e.code == ERR_UNAUTHORIZED && says(&e, "X-API-Key"));
	ck_assert_ptr_null(auth_fixture_resolve(&f, STR("hello"), &e));
	ck_assert(e.code == ERR_UNAUTHORIZED && says(&e, "checksum"));
	auth_fixture_close(&f);
}
END_TEST

START_TEST(an_unknown_key_is_refused_and_remembered_for_a_while)
{
	auth_fixture f;
	err e;
	auth_key stranger;
	auth_fixture_open(&f);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, 300);
	must(auth_key_generate(&stranger, &e));
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&stranger), &e, NULL), AUTH_PENDING);
	auth_verdict verdict = AUTH_PENDING;
	/* Once more where the machine stood still for that while. */
	for (int i = 0; i < 5 && verdict == AUTH_PENDING; i++) {
		ck_assert_ptr_null(auth_fixture_resolve(&f, auth_fixture_text(&stranger), &e));
		ck_assert(e.code == ERR_UNAUTHORIZED && says(&e, "unknown"));
		verdict = auth_fixture_check(&f, auth_fixture_text(&stranger), &e, NULL);
	}
	ck_assert_int_eq(verdict, AUTH_REFUSED);
	ck_assert(e.code == ERR_UNAUTHORIZED && says(&e, "unknown"));
	auth_fixture_sleep_ms(310);
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&stranger), &e, NULL), AUTH_PENDING);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(the_right_id_with_another_secret_is_unknown)
{
	auth_fixture f;
	err e;
	auth_key stranger;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	must(auth_key_generate(&stranger, &e));
	auth_fixture_sql(&f, "UPDATE tidegate.api_key SET key_id = '%s' WHERE key_id = '%s'", stranger.id, key.id);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&stranger), &e), ERR_UNAUTHORIZED);
	ck_assert(says(&e, "unknown"));
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_revoked_key_ends_when_the_notification_comes)
{
	auth_fixture f;
	err e;
	auth_key_info info;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_key other = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	auth_fixture_hear(&f);
	auth_fixture_hear(&f);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&other), &e), ERR_NONE);
	must(auth_key_revoke(f.conn, &AUTH_FIXTURE_ACTOR, str_from_c(key.id), f.arena, &info, &e));
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_OK);
	auth_fixture_hear(&f);
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_PENDING);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_UNAUTHORIZED);
	ck_assert(says(&e, "revoked") && says(&e, key.id));
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&other), &e, NULL), AUTH_OK);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_revoked_key_ends_with_the_cache_when_no_notification_comes)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	enum { CACHE_MS = 1000 };
	auth_fixture_start(&f, AUTH_AUTO, CACHE_MS);
	int64_t start_ms = clock_now_ms();
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	auth_fixture_sql(&f, "UPDATE tidegate.api_key SET revoked_ms = 1");
	err_code meanwhile = auth_fixture_try(&f, auth_fixture_text(&key), &e);
	ck_assert(meanwhile == ERR_NONE || clock_now_ms() >= start_ms + CACHE_MS);
	auth_fixture_sleep_ms(CACHE_MS + 10);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_UNAUTHORIZED);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(an_empty_notification_forgets_everything)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_OK);
	auth_on_notify(f.auth, STR("someotherkey"));
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_OK);
	auth_on_notify(f.auth, STR_NONE);
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_PENDING);
	auth_fixture_close(&f);
}
END_TEST

static void count_answer(void *context, const auth_principal *p, const err *e)
{
	atomic_int *answers = context;
	if (p != NULL) {
		atomic_fetch_add(&answers[ERR_NONE], 1);
	} else {
		atomic_fetch_add(&answers[e->code], 1);
	}
}

static int all_answers(const atomic_int *answers)
{
	int all = 0;
	for (int code = 0; code < 64; code++) {
		all += atomic_load(&answers[code]);
	}
	return all;
}

static void wait_answers(const atomic_int *answers, int count)
{
	for (int64_t deadline_ms = clock_now_ms() + 30000; all_answers(answers) < count && clock_now_ms() < deadline_ms;) {
		auth_fixture_sleep_ms(2);
	}
	ck_assert_int_eq(all_answers(answers), count);
}

START_TEST(a_notification_during_a_lookup_keeps_its_result_out_of_the_cache)
{
	auth_fixture f;
	err e;
	atomic_int answers[64] = {0};
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	must(db_begin(f.conn, &e));
	auth_fixture_sql(&f, "LOCK TABLE tidegate.tenant IN ACCESS EXCLUSIVE MODE");
	auth_resolve(f.auth, auth_fixture_text(&key), count_answer, answers);
	for (int64_t deadline_ms = clock_now_ms() + SOON_MS; clock_now_ms() < deadline_ms;) {
		if (db_fixture_i64(f.url, "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM "
								  "pg_database WHERE datname = current_database())") > 0) {
			break; /* the lookup waits for the lock */
		}
		auth_fixture_sleep_ms(5);
	}
	auth_on_notify(f.auth, str_from_c(key.id));
	ck_assert_int_eq(all_answers(answers), 0);
	must(db_commit(f.conn, &e));
	wait_answers(answers, 1);
	ck_assert_int_eq(atomic_load(&answers[ERR_NONE]), 1);
	ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_PENDING);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(a_key_ends_when_it_expires_whatever_the_cache_says)
{
	auth_fixture f;
	err e;
	auth_key key;
	auth_key_info info;
	const auth_key_spec spec = {.tenant_id = AUTH_DEFAULT_TENANT_ID, .scopes = AUTH_SCOPE_READ, .lifetime_ms = 3000};
	auth_fixture_open(&f);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	must(auth_key_create(f.conn, &AUTH_FIXTURE_ACTOR, &spec, f.arena, &key, &info, &e));
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	auth_fixture_sleep_ms(3010);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_UNAUTHORIZED);
	ck_assert(says(&e, "expired") && says(&e, key.id));
	auth_fixture_close(&f);
}
END_TEST

START_TEST(without_a_cache_every_request_asks)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_PENDING);
		ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	}
	auth_fixture_close(&f);
}
END_TEST

/* ---- the database away ---- */

START_TEST(known_keys_work_while_the_database_is_away)
{
	auth_fixture f;
	err e;
	auth_key stranger;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	enum { CACHE_MS = 3000 };
	auth_fixture_start(&f, AUTH_AUTO, CACHE_MS);
	must(auth_key_generate(&stranger, &e));
	int64_t start_ms = clock_now_ms();
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	int64_t known_ms = clock_now_ms();
	postgres_fixture_stop();
	for (int i = 0; i < 5; i++) {
		err_code meanwhile = auth_fixture_try(&f, auth_fixture_text(&key), &e);
		ck_assert(meanwhile == ERR_NONE || clock_now_ms() >= start_ms + CACHE_MS);
		ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&stranger), &e), ERR_UNAVAILABLE);
		auth_on_notify(f.auth, STR("someotherkey"));
	}
	while (clock_now_ms() <= known_ms + CACHE_MS) {
		auth_fixture_sleep_ms(10);
	}
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_UNAVAILABLE);
	postgres_fixture_start();
	int64_t deadline_ms = clock_now_ms() + SOON_MS;
	while (auth_fixture_try(&f, auth_fixture_text(&key), &e) != ERR_NONE && clock_now_ms() < deadline_ms) {
		auth_fixture_sleep_ms(20);
	}
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&stranger), &e), ERR_UNAUTHORIZED);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(whoever_waits_is_answered_when_the_pool_stops)
{
	auth_fixture f;
	err e;
	atomic_int answers[64] = {0};
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, 0);
	for (int i = 0; i < 1000; i++) {
		auth_resolve(f.auth, auth_fixture_text(&key), count_answer, answers);
	}
	db_pool_free(f.pool);
	f.pool = NULL;
	ck_assert_int_eq(all_answers(answers), 1000);
	ck_assert_int_eq(atomic_load(&answers[ERR_NONE]) + atomic_load(&answers[ERR_SHUTTING_DOWN]), 1000);
	(void)e;
	auth_fixture_close(&f);
}
END_TEST

/* ---- many at once ---- */

START_TEST(a_flood_of_unknown_keys_is_a_few_queries)
{
	enum { COUNT = 5000 };
	auth_fixture f;
	err e;
	auth_key stranger;
	atomic_int answers[64] = {0};
	auth_fixture_open(&f);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	const metric *jobs = metric_histogram(f.metrics, "tidegate_reader_job_seconds", "", NULL, true);
	must(db_begin(f.conn, &e));
	auth_fixture_sql(&f, "LOCK TABLE tidegate.tenant IN ACCESS EXCLUSIVE MODE");
	int64_t before = metric_value(jobs);
	for (int i = 0; i < COUNT; i++) {
		must(auth_key_generate(&stranger, &e));
		auth_resolve(f.auth, auth_fixture_text(&stranger), count_answer, answers);
	}
	must(db_commit(f.conn, &e));
	wait_answers(answers, COUNT);
	ck_assert_int_eq(atomic_load(&answers[ERR_UNAUTHORIZED]), COUNT);
	ck_assert_int_le(metric_value(jobs) - before, COUNT / LOOKUP_MAX + 3);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(too_many_lookups_are_refused_at_once)
{
	auth_fixture f;
	err e;
	auth_key stranger;
	atomic_int answers[64] = {0};
	auth_fixture_open(&f);
	auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	must(auth_key_generate(&stranger, &e));
	must(db_begin(f.conn, &e));
	auth_fixture_sql(&f, "LOCK TABLE tidegate.tenant IN ACCESS EXCLUSIVE MODE");
	int sent = 0;
	while (atomic_load(&answers[ERR_THROTTLED]) < 10) {
		auth_resolve(f.auth, auth_fixture_text(&stranger), count_answer, answers);
		ck_assert_int_le(++sent, AUTH_WAITING_MAX + LOOKUP_MAX + 10);
	}
	must(db_commit(f.conn, &e));
	wait_answers(answers, sent);
	ck_assert_int_eq(atomic_load(&answers[ERR_THROTTLED]), 10);
	auth_fixture_close(&f);
}
END_TEST

enum { THREADS = 4, KEYS = 20, ROUNDS = 2000 };

typedef struct crowd {
	auth_fixture *f;
	auth_key keys[KEYS];
	auth_key stranger;
	atomic_int answers[64]; /* for the keys */
	atomic_int strange_answers[64];
	atomic_int expected;
	atomic_int strange_expected;
	atomic_int surprises;
} crowd;

static void *crowd_main(void *context)
{
	crowd *c = context;
	for (int i = 0; i < ROUNDS; i++) {
		const auth_principal *p = NULL;
		err e;
		bool is_strange = i % 10 == 0;
		const auth_key *key = is_strange ? &c->stranger : &c->keys[i % KEYS];
		switch (auth_check(c->f->auth, auth_fixture_text(key), &e, &p)) {
		case AUTH_OK:
			if (is_strange || !str_equal(p->key_id, str_from_c(key->id))) {
				atomic_fetch_add(&c->surprises, 1);
			}
			auth_principal_unref(p);
			break;
		case AUTH_REFUSED:
			atomic_fetch_add(&c->surprises, is_strange ? 0 : 1);
			break;
		case AUTH_PENDING:
			atomic_fetch_add(is_strange ? &c->strange_expected : &c->expected, 1);
			auth_resolve(c->f->auth, auth_fixture_text(key), count_answer,
						 is_strange ? c->strange_answers : c->answers);
			break;
		}
		if (i % 100 == 50) {
			auth_on_notify(c->f->auth, i % 200 == 50 ? str_from_c(key->id) : STR_NONE);
		}
	}
	return NULL;
}

START_TEST(many_threads_get_what_is_theirs)
{
	auth_fixture f;
	err e;
	pthread_t threads[THREADS];
	static crowd c;
	auth_fixture_open(&f);
	c.f = &f;
	must(auth_key_generate(&c.stranger, &e));
	for (int i = 0; i < KEYS; i++) {
		c.keys[i] = auth_fixture_key(&f, AUTH_SCOPE_READ);
	}
	auth_fixture_start(&f, AUTH_AUTO, 50);
	for (int i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_create(&threads[i], NULL, crowd_main, &c), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	wait_answers(c.answers, atomic_load(&c.expected));
	wait_answers(c.strange_answers, atomic_load(&c.strange_expected));
	ck_assert_int_eq(atomic_load(&c.surprises), 0);
	ck_assert_int_gt(atomic_load(&c.expected), 0);
	ck_assert_int_eq(atomic_load(&c.answers[ERR_NONE]), atomic_load(&c.expected));
	ck_assert_int_eq(atomic_load(&c.strange_answers[ERR_UNAUTHORIZED]), atomic_load(&c.strange_expected));
	auth_fixture_close(&f);
}
END_TEST

/* ---- last use ---- */

static auth_key_info only_key(auth_fixture *f)
{
	err e;
	auth_key_info *keys = NULL;
	size_t count = 0;
	must(auth_key_list(f->conn, STR_NONE, f->arena, &keys, &count, &e));
	ck_assert_uint_eq(count, 1);
	return keys[0];
}

static int64_t wait_last_used(auth_fixture *f, int64_t above)
{
	auth_key_info info = only_key(f);
	for (int64_t deadline_ms = clock_now_ms() + SOON_MS; info.last_used_ms <= above && clock_now_ms() < deadline_ms;) {
		auth_fixture_sleep_ms(10);
		info = only_key(f);
	}
	return info.last_used_ms;
}

START_TEST(a_use_is_written_down_once_a_minute)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	auth_fixture_start(&f, AUTH_AUTO, LONG_MS);
	ck_assert_int_eq(only_key(&f).last_used_ms, 0);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	int64_t first = wait_last_used(&f, 0);
	ck_assert_int_gt(first, 0);
	int64_t jobs = auth_fixture_jobs(&f);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(auth_fixture_check(&f, auth_fixture_text(&key), &e, NULL), AUTH_OK);
	}
	ck_assert_int_eq(auth_fixture_jobs(&f), jobs);
	for (int i = 0; i < 5; i++) { /* another worker's cache is no better informed than a lookup */
		auth_principal_unref(auth_fixture_resolve(&f, auth_fixture_text(&key), &e));
		ck_assert_int_eq(auth_fixture_jobs(&f), jobs + i + 1);
	}
	ck_assert_int_eq(only_key(&f).last_used_ms, first);
	auth_fixture_sql(&f, "UPDATE tidegate.api_key SET last_used_ms = last_used_ms - 60000");
	auth_on_notify(f.auth, STR_NONE);
	ck_assert_int_eq(auth_fixture_try(&f, auth_fixture_text(&key), &e), ERR_NONE);
	ck_assert_int_ge(wait_last_used(&f, first - 60000), first);
	auth_fixture_close(&f);
}
END_TEST

START_TEST(workers_do_not_write_a_use_that_another_has_written)
{
	auth_fixture f;
	err e;
	auth_fixture_open(&f);
	auth_key key = auth_fixture_key(&f, AUTH_SCOPE_READ);
	const str id = str_from_c(key.id);
	must(lookup_write_used(f.conn, &id, 1, &e));
	int64_t first = only_key(&f).last_used_ms;
	auth_fixture_sleep_ms(5);
	must(lookup_write_used(f.conn, &id, 1, &e));
	ck_assert_int_eq(only_key(&f).last_used_ms, first);
	auth_fixture_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		without_keys_every_caller_is_the_default_tenant,
		the_first_key_closes_a_running_server_at_once,
		the_first_key_is_found_without_a_notification,
		an_idle_server_looks_again_before_it_lets_anybody_in,
		revoking_the_last_key_does_not_open_the_server,
		required_refuses_although_no_key_exists,
		off_asks_for_nothing_although_keys_exist,
		nobody_gets_in_while_it_is_not_known_whether_keys_exist,
		a_schema_that_is_missing_is_an_error_of_its_own,
		the_default_tenants_choice_is_followed,
		modes_have_names,
		a_valid_key_is_resolved_once_and_then_known,
		a_credential_of_the_wrong_form_is_refused_without_the_database,
		resolving_a_credential_of_the_wrong_form_says_so,
		an_unknown_key_is_refused_and_remembered_for_a_while,
		the_right_id_with_another_secret_is_unknown,
		a_revoked_key_ends_when_the_notification_comes,
		a_revoked_key_ends_with_the_cache_when_no_notification_comes,
		an_empty_notification_forgets_everything,
		a_notification_during_a_lookup_keeps_its_result_out_of_the_cache,
		a_key_ends_when_it_expires_whatever_the_cache_says,
		without_a_cache_every_request_asks,
		known_keys_work_while_the_database_is_away,
		whoever_waits_is_answered_when_the_pool_stops,
		a_flood_of_unknown_keys_is_a_few_queries,
		too_many_lookups_are_refused_at_once,
		many_threads_get_what_is_theirs,
		a_use_is_written_down_once_a_minute,
		workers_do_not_write_a_use_that_another_has_written,
	};
	postgres_fixture_url();
	return SUITE_RUN("auth/auth", tests);
}
