#include "auth/auth_fixture.h"

#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "db/db_fixture.h"

enum { WAIT_MS = 30000, THREADS = 2 };

const auth_actor AUTH_FIXTURE_ACTOR = {.name = {"cli:test", sizeof "cli:test" - 1}};

void auth_fixture_open(auth_fixture *f)
{
	err e;
	memset(f, 0, sizeof *f);
	db_fixture_create_migrated(f->url);
	sem_init(&f->taken, 0, 0);
	sem_init(&f->go, 0, 0);
	f->metrics = metric_registry_new();
	f->log = slog_new(2, SLOG_ERROR, SLOG_TEXT);
	f->arena = arena_new(64 << 20);
	db_conn_options conn = {.url = str_from_c(f->url), .role = "test", .timeout_ms = WAIT_MS, .log = f->log};
	f->conn = db_conn_new(&conn);
	const db_pool_options pool = {.conn = conn, .threads = THREADS, .max_queue = 100, .metrics = f->metrics};
	must(db_pool_new(&pool, &f->pool, &e));
	conn.session_features = true;
	f->listener = db_conn_new(&conn);
	must(db_listen(f->listener, AUTH_CHANNEL, &e));
}

void auth_fixture_close(auth_fixture *f)
{
	db_pool_free(f->pool);
	auth_free(f->auth);
	db_conn_free(f->listener);
	db_conn_free(f->conn);
	arena_free(f->arena);
	slog_free(f->log);
	metric_registry_free(f->metrics);
	sem_destroy(&f->taken);
	sem_destroy(&f->go);
}

void auth_fixture_start(auth_fixture *f, auth_mode mode, uint32_t cache_ms)
{
	err e;
	const auth_options options = {
		.pool = f->pool, .mode = mode, .cache_ms = cache_ms, .log = f->log, .metrics = f->metrics};
	must(auth_new(&options, &f->auth, &e));
	must(auth_start(f->auth, &e));
}

auth_key auth_fixture_key(auth_fixture *f, uint32_t scopes)
{
	err e;
	auth_key key;
	auth_key_info info;
	const auth_key_spec spec = {.tenant_id = AUTH_DEFAULT_TENANT_ID, .name = STR("test"), .scopes = scopes};
	must(auth_key_create(f->conn, &AUTH_FIXTURE_ACTOR, &spec, f->arena, &key, &info, &e));
	return key;
}

str auth_fixture_text(const auth_key *key)
{
	return (str){key->text, AUTH_KEY_LENGTH};
}

void auth_fixture_hear(auth_fixture *f)
{
	err e;
	str channel;
	str payload;
	must(db_wait_notification(f->listener, clock_now_ms() + WAIT_MS, -1, &channel, &payload, &e));
	auth_on_notify(f->auth, payload);
}

auth_verdict auth_fixture_check(auth_fixture *f, str credential, err *e, const auth_principal **out)
{
	const auth_principal *p = NULL;
	auth_verdict verdict = auth_check(f->auth, credential, e, &p);
	ck_assert_int_eq(p != NULL, verdict == AUTH_OK);
	if (out != NULL) {
		*out = p;
	} else {
		auth_principal_unref(p);
	}
	return verdict;
}

typedef struct waiting {
	sem_t done;
	const auth_principal *principal;
	err e;
} waiting;

static void resolved(void *context, const auth_principal *p, const err *e)
{
	waiting *w = context;
	w->principal = p != NULL ? auth_principal_ref(p) : NULL;
	if (p == NULL) {
		w->e = *e;
	}
	sem_post(&w->done);
}

const auth_principal *auth_fixture_resolve(auth_fixture *f, str credential, err *e)
{
	waiting w = {.principal = NULL};
	struct timespec until;
	sem_init(&w.done, 0, 0);
	auth_resolve(f->auth, credential, resolved, &w);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_MS / 1000;
	ck_assert_msg(sem_timedwait(&w.done, &until) == 0, "the credential was never resolved");
	sem_destroy(&w.done);
	if (w.principal == NULL) {
		*e = w.e;
	}
	return w.principal;
}

err_code auth_fixture_try(auth_fixture *f, str credential, err *e)
{
	const auth_principal *p = NULL;
	err_clear(e);
	if (auth_fixture_check(f, credential, e, &p) == AUTH_PENDING) {
		p = auth_fixture_resolve(f, credential, e);
	}
	bool ok = p != NULL;
	auth_principal_unref(p);
	return ok ? ERR_NONE : e->code;
}

void auth_fixture_sql(auth_fixture *f, const char *format, ...)
{
	char sql[2048];
	err e;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(sql, sizeof sql, format, arguments);
	va_end(arguments);
	must(db_run_script(f->conn, sql, &e));
}

void auth_fixture_sleep_ms(int64_t ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void stop_thread(void *context, db_conn *c)
{
	auth_fixture *f = context;
	(void)c;
	sem_post(&f->taken);
	while (sem_wait(&f->go) != 0) {
	}
}

static void refuse_stop(void *context, const err *e)
{
	(void)context;
	ck_abort_msg("%s", e->message);
}

/* While every thread is at a job of ours, all that were before it are done and counted. */
static int64_t count_jobs(auth_fixture *f)
{
	err e;
	for (int i = 0; i < THREADS; i++) {
		must(db_pool_submit(f->pool, (db_job){stop_thread, refuse_stop, f}, &e));
	}
	for (int i = 0; i < THREADS; i++) {
		while (sem_wait(&f->taken) != 0) {
		}
	}
	int64_t jobs = metric_value(metric_histogram(f->metrics, "tidegate_reader_job_seconds", "", NULL, true)) - f->stops;
	f->stops += THREADS;
	for (int i = 0; i < THREADS; i++) {
		sem_post(&f->go);
	}
	return jobs;
}

int64_t auth_fixture_jobs(auth_fixture *f)
{
	int64_t before = -1;
	int64_t jobs = count_jobs(f);
	while (jobs != before) {
		before = jobs;
		jobs = count_jobs(f);
	}
	return jobs;
}

bool auth_fixture_set_auto_create(auth_fixture *f, str tenant, auth_choice choice, err *e)
{
	const auth_tenant_change change = {.has_auto_create = true, .auto_create = choice, .limits = limit_set_none()};
	return auth_tenant_alter(f->conn, &AUTH_FIXTURE_ACTOR, tenant, &change, e);
}
