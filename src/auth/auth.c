#include "auth/auth.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwt.h"
#include "auth/private.h"
#include "base/clock.h"

/* How old the answer to "do keys exist?" may be before it is asked again; at twice the age it is not used any more. */
enum { STATE_LEAST_MS = 1000 };

/* ---- life ---- */

bool auth_mode_parse(str text, auth_mode *out)
{
	static const struct {
		const char *name;
		auth_mode mode;
	} MODES[] = {{"auto", AUTH_AUTO}, {"required", AUTH_REQUIRED}, {"off", AUTH_OFF}};
	for (size_t i = 0; i < sizeof MODES / sizeof MODES[0]; i++) {
		if (str_equal(text, str_from_c(MODES[i].name))) {
			*out = MODES[i].mode;
			return true;
		}
	}
	return false;
}

/* Of whoever comes without a credential: the default tenant's. With a reference; NULL when memory is out. */
static limit_account *find_development_account(auth *a, const limit_set *own)
{
	return limit_book_find(a->limits, AUTH_DEFAULT_TENANT_ID, STR_NONE, own, clock_now_us());
}

static const auth_principal *make_development(auth_choice auto_create, limit_account *account)
{
	const auth_principal p = {.tenant_id = AUTH_DEFAULT_TENANT_ID,
							  .tenant = STR("default"),
							  .key_id = STR(""),
							  .scopes = AUTH_SCOPE_ALL,
							  .auto_create = auto_create,
							  .account = account,
							  .is_development = true};
	return auth_principal_new(&p);
}

static metric *make_result(metric_registry *metrics, const char *label)
{
	char labels[64];
	snprintf(labels, sizeof labels, "result=\"%s\"", label);
	return metric_counter(metrics, "tidegate_auth_total", "credentials judged", labels);
}

static void make_metrics(auth *a, metric_registry *metrics)
{
	for (int reason = 0; reason < AUTH_REASON_COUNT; reason++) {
		a->results[reason] = make_result(metrics, auth_reason_label((auth_reason)reason));
	}
	a->development_results = make_result(metrics, "development");
	a->failed_results = make_result(metrics, "unavailable");
	a->cached_keys = metric_gauge(metrics, "tidegate_auth_cached_keys", "verified keys in memory", NULL);
}

bool auth_new(const auth_options *options, auth **out, err *e)
{
	if (sodium_init() < 0) {
		return err_set(e, ERR_INTERNAL, "libsodium cannot be used on this machine");
	}
	const limit_set none = limit_set_none();
	auth *a = calloc(1, sizeof *a);
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	a->pool = options->pool;
	a->mode = options->mode;
	a->cache_ms = options->cache_ms;
	a->jwt = options->jwt;
	a->listed = options->listed;
	a->log = options->log;
	make_metrics(a, options->metrics);
	randombytes_buf(a->digest_key, sizeof a->digest_key);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->watch_returned, NULL);
	a->limits = limit_book_new(options->limits != NULL ? options->limits : &none, options->metrics);
	limit_account *account = a->limits != NULL ? find_development_account(a, &none) : NULL;
	a->development = account != NULL ? make_development(AUTH_CHOICE_SERVER, account) : NULL;
	limit_account_unref(account);
	a->granted = auth_cache_new(AUTH_CACHE_ENTRIES);
	a->refused = auth_cache_new(AUTH_REFUSED_ENTRIES);
	if (a->development == NULL || a->granted == NULL || a->refused == NULL) {
		auth_free(a);
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	*out = a;
	return true;
}

void auth_free(auth *a)
{
	if (a != NULL) {
		auth_cache_free(a->granted);
		auth_cache_free(a->refused);
		auth_principal_unref(a->development);
		limit_book_free(a->limits);
		pthread_cond_destroy(&a->watch_returned);
		pthread_mutex_destroy(&a->lock);
		sodium_memzero(a->digest_key, sizeof a->digest_key);
		free(a);
	}
}

/* ---- whether a credential is asked for ---- */

static int64_t state_max_age_ms(const auth *a)
{
	return a->cache_ms > STATE_LEAST_MS ? a->cache_ms : STATE_LEAST_MS;
}

/* Caller holds the lock. */
static bool is_required(const auth *a)
{
	return a->mode == AUTH_REQUIRED || (a->mode == AUTH_AUTO && (a->has_keys || a->jwt != NULL || a->listed != NULL));
}

/* Caller holds the lock. May make the state due: kick() afterwards. */
auth_posture auth_current_posture(auth *a, int64_t now_ms)
{
	if (is_required(a)) {
		return POSTURE_REQUIRED;
	}
	int64_t age_ms = now_ms - a->state_ms;
	if (!a->is_state_known || age_ms >= state_max_age_ms(a)) {
		a->is_state_due = true;
	}
	if (a->mode == AUTH_OFF || (a->is_state_known && age_ms < 2 * state_max_age_ms(a))) {
		return POSTURE_OPEN;
	}
	return POSTURE_UNKNOWN;
}

bool auth_is_required(auth *a)
{
	pthread_mutex_lock(&a->lock);
	bool answer = is_required(a);
	pthread_mutex_unlock(&a->lock);
	return answer;
}

void auth_take_state(auth *a, const lookup_state *state)
{
	pthread_mutex_lock(&a->lock);
	bool closes = state->has_keys && !a->has_keys && a->mode == AUTH_AUTO;
	bool was_open = a->is_state_known;
	a->has_keys = a->has_keys || state->has_keys;
	if (closes) {
		auth_watch_mark_development(a);
	}
	a->is_state_known = true;
	a->state_ms = clock_now_ms();
	/* The account stays the same while the principal refers to it. */
	limit_account_unref(find_development_account(a, &state->limits));
	if (a->development->auto_create != state->auto_create) {
		const auth_principal *changed = make_development(state->auto_create, a->development->account);
		if (changed != NULL) {
			auth_principal_unref(a->development);
			a->development = changed;
		}
	}
	pthread_mutex_unlock(&a->lock);
	if (closes && was_open) {
		SLOG(a->log, SLOG_INFO, "auth", "an API key exists now: from here on every request needs one");
	}
}

typedef struct starter {
	auth *a;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_done;
	bool ok;
	err e;
} starter;

static void start_end(starter *s, bool ok)
{
	pthread_mutex_lock(&s->lock);
	s->ok = ok;
	s->is_done = true;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void start_run(void *context, db_conn *c)
{
	starter *s = context;
	lookup_state state;
	bool ok = lookup_read_state(c, &state, &s->e);
	if (ok) {
		auth_take_state(s->a, &state);
	}
	start_end(s, ok);
}

static void start_refuse(void *context, const err *e)
{
	starter *s = context;
	s->e = *e;
	start_end(s, false);
}

static void log_start(auth *a)
{
	bool asks = auth_is_required(a);
	if (asks && a->jwt != NULL) {
		SLOG(a->log, SLOG_INFO, "auth", "every request needs an API key or a token");
	} else if (asks && !a->has_keys && a->listed == NULL) {
		SLOG(a->log, SLOG_WARN, "auth", "an API key is required and none exists: make one with `tidegate key create`");
	} else if (asks) {
		SLOG(a->log, SLOG_INFO, "auth", "every request needs an API key");
	}
}

bool auth_start(auth *a, err *e)
{
	starter s = {.a = a};
	pthread_mutex_init(&s.lock, NULL);
	pthread_cond_init(&s.changed, NULL);
	bool ok = db_pool_submit(a->pool, (db_job){start_run, start_refuse, &s}, e);
	if (ok) {
		pthread_mutex_lock(&s.lock);
		while (!s.is_done) {
			pthread_cond_wait(&s.changed, &s.lock);
		}
		pthread_mutex_unlock(&s.lock);
		ok = s.ok;
		if (ok) {
			log_start(a);
		} else {
			*e = s.e;
			err_frame(e, "starting authentication");
		}
	}
	pthread_cond_destroy(&s.changed);
	pthread_mutex_destroy(&s.lock);
	return ok;
}

/* ---- judging from memory ---- */

auth_reason auth_read_credential(const auth *a, str text, auth_credential *out)
{
	str key_id;
	if (text.len == 0) {
		return AUTH_REASON_MISSING;
	}
	if (text.len > AUTH_CREDENTIAL_MAX) {
		return AUTH_REASON_MALFORMED;
	}
	out->listed = a->listed != NULL ? auth_listed_find(a->listed, text) : NULL;
	if (out->listed != NULL) {
		out->kind = AUTH_KIND_LISTED;
		return AUTH_REASON_GRANTED;
	}
	if (a->jwt != NULL && auth_jwt_is_token(text)) {
		out->kind = AUTH_KIND_TOKEN;
		return AUTH_REASON_GRANTED;
	}
	if (!str_starts_with(text, AUTH_KEY_PREFIX)) {
		return AUTH_REASON_MALFORMED;
	}
	switch (auth_key_parse(text, &key_id)) {
	case AUTH_KEY_GOOD:
		break;
	case AUTH_KEY_MALFORMED:
		return AUTH_REASON_MALFORMED;
	case AUTH_KEY_TYPO:
		return AUTH_REASON_TYPO;
	}
	out->kind = AUTH_KIND_KEY;
	memcpy(out->lookup.key_id, key_id.ptr, AUTH_KEY_ID_LENGTH);
	out->lookup.key_id[AUTH_KEY_ID_LENGTH] = '\0';
	auth_key_hash(text, out->lookup.hash);
	return AUTH_REASON_GRANTED;
}

auth_digest auth_digest_of(const auth *a, str text)
{
	auth_digest digest;
	crypto_generichash(digest.bytes, sizeof digest.bytes, (const unsigned char *)text.ptr,
					   text.len <= AUTH_CREDENTIAL_MAX ? text.len : 0, a->digest_key, sizeof a->digest_key);
	return digest;
}

/* Caller holds the lock. A use of a key is written down once in a while. */
void auth_note_use(auth *a, auth_cached *used, int64_t now_ms)
{
	if (now_ms >= used->touch_ms && a->touched_count < LOOKUP_MAX) {
		used->touch_ms = now_ms + LOOKUP_TOUCH_MS;
		memcpy(a->touched[a->touched_count], used->key_id, sizeof used->key_id);
		a->touched_count++;
	}
}

auth_verdict auth_refuse(auth *a, auth_reason reason, str key_id, err *e)
{
	metric_add(a->results[reason], 1);
	auth_reason_err(reason, key_id, e);
	return AUTH_REFUSED;
}

/* Caller holds the lock. */
static auth_verdict judge_cached(auth *a, const auth_digest *digest, int64_t now_ms, err *e, const auth_principal **out)
{
	auth_cached *found = auth_cache_find(a->granted, digest, now_ms);
	if (found != NULL) {
		auth_note_use(a, found, now_ms);
		metric_add(a->results[AUTH_REASON_GRANTED], 1);
		*out = auth_principal_ref(found->principal);
		return AUTH_OK;
	}
	found = auth_cache_find(a->refused, digest, now_ms);
	return found == NULL ? AUTH_PENDING : auth_refuse(a, found->reason, str_from_c(found->key_id), e);
}

/* The one job that does all there is to do is put into the pool, unless it is there, or there is nothing to do. */
void auth_kick(auth *a)
{
	err e;
	pthread_mutex_lock(&a->lock);
	bool has_work = a->is_state_due || a->first != NULL || a->touched_count > 0 || a->wants_watches;
	bool starts = !a->is_working && has_work;
	a->is_working = a->is_working || starts;
	pthread_mutex_unlock(&a->lock);
	if (starts && !db_pool_submit(a->pool, (db_job){auth_work_run, auth_work_refuse, a}, &e)) {
		auth_work_refuse(a, &e);
	}
}

auth_verdict auth_check(auth *a, str text, err *e, const auth_principal **out)
{
	auth_verdict verdict = AUTH_PENDING;
	int64_t now_ms = clock_now_ms();
	auth_digest digest = auth_digest_of(a, text);
	auth_credential ignored;
	pthread_mutex_lock(&a->lock);
	auth_posture now = auth_current_posture(a, now_ms);
	if (now == POSTURE_OPEN) {
		metric_add(a->development_results, 1);
		*out = auth_principal_ref(a->development);
		verdict = AUTH_OK;
	} else if (now == POSTURE_REQUIRED) {
		verdict = judge_cached(a, &digest, now_ms, e, out);
	}
	bool has_work = a->is_state_due || a->touched_count > 0;
	pthread_mutex_unlock(&a->lock);
	if (has_work) {
		auth_kick(a);
	}
	if (verdict == AUTH_PENDING && now == POSTURE_REQUIRED) {
		auth_reason reason = auth_read_credential(a, text, &ignored);
		verdict = reason == AUTH_REASON_GRANTED ? AUTH_PENDING : auth_refuse(a, reason, STR_NONE, e);
	}
	return verdict;
}

void auth_on_notify(auth *a, str payload)
{
	pthread_mutex_lock(&a->lock);
	a->generation++;
	if (payload.len == 0) {
		auth_cache_clear(a->granted);
		auth_cache_clear(a->refused);
	} else {
		auth_cache_drop_key(a->granted, payload);
		auth_cache_drop_key(a->refused, payload);
	}
	metric_set(a->cached_keys, auth_cache_count(a->granted));
	auth_watch_mark(a, payload);
	a->is_state_due = true;
	pthread_mutex_unlock(&a->lock);
	auth_kick(a);
}
