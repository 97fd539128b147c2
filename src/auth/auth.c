#include "auth/auth.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "auth/cache.h"
#include "auth/key.h"
#include "auth/lookup.h"
#include "base/clock.h"
#include "db/pool.h"

/* How old the answer to "do keys exist?" may be before it is asked again; at twice the age it is not used any more. */
enum { STATE_LEAST_MS = 1000 };

typedef enum posture { POSTURE_OPEN, POSTURE_REQUIRED, POSTURE_UNKNOWN } posture;

typedef struct waiter {
	struct waiter *next;
	auth_reason reason; /* before the lookup, as in credential; then the outcome */
	auth_digest digest;
	lookup lookup;
	auth_resolved *done;
	void *context;
} waiter;

struct auth {
	struct db_pool *pool;
	auth_mode mode;
	uint32_t cache_ms;
	slog *log;
	metric *results[AUTH_REASON_COUNT];
	metric *development_results;
	metric *failed_results;
	metric *cached_keys;
	uint8_t digest_key[crypto_generichash_KEYBYTES];

	pthread_mutex_t lock; /* guards all below; never held while calling out */
	bool has_keys;        /* never false again */
	bool is_state_known;
	bool is_state_due;
	int64_t state_ms; /* when it was read */
	const auth_principal *development;
	auth_cache *granted;
	auth_cache *refused;
	uint64_t generation; /* of notifications: what was read before one is not cached after it */
	bool is_working;     /* a job is in the pool */
	waiter *first;
	waiter *last;
	uint32_t waiting;
	char touched[LOOKUP_MAX][AUTH_KEY_ID_LENGTH + 1];
	uint32_t touched_count;
};

static void work_run(void *context, db_conn *c);
static void work_refuse(void *context, const err *e);

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

static const auth_principal *make_development(auth_choice auto_create)
{
	const auth_principal p = {.tenant_id = AUTH_DEFAULT_TENANT_ID,
							  .tenant = STR("default"),
							  .key_id = STR(""),
							  .scopes = AUTH_SCOPE_ALL,
							  .auto_create = auto_create,
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
	auth *a = calloc(1, sizeof *a);
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	a->pool = options->pool;
	a->mode = options->mode;
	a->cache_ms = options->cache_ms;
	a->log = options->log;
	make_metrics(a, options->metrics);
	randombytes_buf(a->digest_key, sizeof a->digest_key);
	pthread_mutex_init(&a->lock, NULL);
	a->development = make_development(AUTH_CHOICE_SERVER);
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

/* Caller holds the lock. May make the state due: kick() afterwards. */
static posture current_posture(auth *a, int64_t now_ms)
{
	if (a->mode == AUTH_REQUIRED || (a->mode == AUTH_AUTO && a->has_keys)) {
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
	bool is_required = a->mode == AUTH_REQUIRED || (a->mode == AUTH_AUTO && a->has_keys);
	pthread_mutex_unlock(&a->lock);
	return is_required;
}

static void take_state(auth *a, const lookup_state *state)
{
	pthread_mutex_lock(&a->lock);
	bool closes = state->has_keys && !a->has_keys && a->mode == AUTH_AUTO;
	bool was_open = a->is_state_known;
	a->has_keys = a->has_keys || state->has_keys;
	a->is_state_known = true;
	a->state_ms = clock_now_ms();
	if (a->development->auto_create != state->auto_create) {
		const auth_principal *changed = make_development(state->auto_create);
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
		take_state(s->a, &state);
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
	bool is_required = auth_is_required(a);
	if (is_required && !a->has_keys) {
		SLOG(a->log, SLOG_WARN, "auth", "an API key is required and none exists: make one with `tidegate key create`");
	} else if (is_required) {
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

/* Of what kind and form a credential is, before anybody is asked; the one place that tells kinds apart. GRANTED: it has
 * the form of a key, and *out says which row to look for. */
static auth_reason read_credential(str text, lookup *out)
{
	str key_id;
	if (text.len == 0) {
		return AUTH_REASON_MISSING;
	}
	if (text.len > AUTH_CREDENTIAL_MAX || !str_starts_with(text, AUTH_KEY_PREFIX)) {
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
	memcpy(out->key_id, key_id.ptr, AUTH_KEY_ID_LENGTH);
	out->key_id[AUTH_KEY_ID_LENGTH] = '\0';
	auth_key_hash(text, out->hash);
	return AUTH_REASON_GRANTED;
}

static auth_digest digest_of(const auth *a, str text)
{
	auth_digest digest;
	crypto_generichash(digest.bytes, sizeof digest.bytes, (const unsigned char *)text.ptr,
					   text.len <= AUTH_CREDENTIAL_MAX ? text.len : 0, a->digest_key, sizeof a->digest_key);
	return digest;
}

/* Caller holds the lock. A use of a key is written down once in a while. */
static void note_use(auth *a, auth_cached *used, int64_t now_ms)
{
	if (now_ms >= used->touch_ms && a->touched_count < LOOKUP_MAX) {
		used->touch_ms = now_ms + LOOKUP_TOUCH_MS;
		memcpy(a->touched[a->touched_count], used->key_id, sizeof used->key_id);
		a->touched_count++;
	}
}

static auth_verdict refuse(auth *a, auth_reason reason, str key_id, err *e)
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
		note_use(a, found, now_ms);
		metric_add(a->results[AUTH_REASON_GRANTED], 1);
		*out = auth_principal_ref(found->principal);
		return AUTH_OK;
	}
	found = auth_cache_find(a->refused, digest, now_ms);
	return found == NULL ? AUTH_PENDING : refuse(a, found->reason, str_from_c(found->key_id), e);
}

/* The one job that does all there is to do is put into the pool, unless it is there, or there is nothing to do. */
static void kick(auth *a)
{
	err e;
	pthread_mutex_lock(&a->lock);
	bool starts = !a->is_working && (a->is_state_due || a->first != NULL || a->touched_count > 0);
	a->is_working = a->is_working || starts;
	pthread_mutex_unlock(&a->lock);
	if (starts && !db_pool_submit(a->pool, (db_job){work_run, work_refuse, a}, &e)) {
		work_refuse(a, &e);
	}
}

auth_verdict auth_check(auth *a, str text, err *e, const auth_principal **out)
{
	auth_verdict verdict = AUTH_PENDING;
	int64_t now_ms = clock_now_ms();
	auth_digest digest = digest_of(a, text);
	lookup ignored;
	pthread_mutex_lock(&a->lock);
	posture now = current_posture(a, now_ms);
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
		kick(a);
	}
	if (verdict == AUTH_PENDING && now == POSTURE_REQUIRED) {
		auth_reason reason = read_credential(text, &ignored);
		verdict = reason == AUTH_REASON_GRANTED ? AUTH_PENDING : refuse(a, reason, STR_NONE, e);
	}
	return verdict;
}

/* ---- asking the database ---- */

void auth_resolve(auth *a, str text, auth_resolved *done, void *context)
{
	err e;
	waiter *w = calloc(1, sizeof *w);
	if (w == NULL) {
		err_set(&e, ERR_NO_MEMORY, "out of memory");
		done(context, NULL, &e);
		return;
	}
	w->done = done;
	w->context = context;
	w->reason = read_credential(text, &w->lookup);
	w->digest = digest_of(a, text);
	pthread_mutex_lock(&a->lock);
	bool is_full = a->waiting == AUTH_WAITING_MAX;
	if (!is_full) {
		*(a->last != NULL ? &a->last->next : &a->first) = w;
		a->last = w;
		a->waiting++;
	}
	pthread_mutex_unlock(&a->lock);
	if (is_full) {
		metric_add(a->failed_results, 1);
		err_set(&e, ERR_THROTTLED, "too many unknown credentials are being looked up; try again");
		done(context, NULL, &e);
		free(w);
		return;
	}
	kick(a);
}

/* What one run of the job takes on. */
typedef struct work {
	bool wants_state;
	uint64_t generation;
	waiter *first;
	size_t touched_count;
	char touched[LOOKUP_MAX][AUTH_KEY_ID_LENGTH + 1];
} work;

/* Caller holds the lock. The first `count` waiters, as a list of their own. */
static waiter *take_waiters(auth *a, uint32_t count)
{
	waiter *first = a->first;
	waiter **link = &a->first;
	while (*link != NULL && count > 0) {
		link = &(*link)->next;
		a->waiting--;
		count--;
	}
	waiter *rest = *link;
	*link = NULL;
	if (rest == NULL) {
		a->last = NULL;
	}
	a->first = rest;
	return first;
}

static void take_work(auth *a, work *out)
{
	pthread_mutex_lock(&a->lock);
	bool is_unknown = current_posture(a, clock_now_ms()) == POSTURE_UNKNOWN;
	out->wants_state = a->is_state_due || is_unknown;
	out->generation = a->generation;
	out->first = take_waiters(a, LOOKUP_MAX);
	out->touched_count = a->touched_count;
	memcpy(out->touched, a->touched, sizeof out->touched);
	a->touched_count = 0;
	a->is_state_due = false;
	pthread_mutex_unlock(&a->lock);
}

/* Without the lock; w and what it holds are freed. */
static void answer(auth *a, waiter *w, const auth_principal *principal, const err *e)
{
	metric_add(principal == NULL ? a->failed_results : a->development_results, 1);
	w->done(w->context, principal, e);
	free(w);
}

static void answer_found(auth *a, waiter *w)
{
	err e;
	const auth_cached *found = &w->lookup.found;
	if (found->reason != AUTH_REASON_GRANTED) {
		refuse(a, found->reason, str_from_c(found->key_id), &e);
		w->done(w->context, NULL, &e);
	} else {
		metric_add(a->results[AUTH_REASON_GRANTED], 1);
		w->done(w->context, found->principal, NULL);
	}
	auth_principal_unref(found->principal);
	free(w);
}

static void answer_all(auth *a, waiter *first, const auth_principal *principal, const err *e)
{
	while (first != NULL) {
		waiter *next = first->next;
		answer(a, first, principal, e);
		first = next;
	}
}

/* Into the cache, unless a notification came since the row was read. */
static void keep(auth *a, waiter *w, uint64_t generation)
{
	auth_cached *found = &w->lookup.found;
	int64_t now_ms = clock_now_ms();
	bool is_granted = found->reason == AUTH_REASON_GRANTED;
	uint32_t keep_ms = is_granted || a->cache_ms < AUTH_REFUSED_MS ? a->cache_ms : AUTH_REFUSED_MS;
	found->until_ms = now_ms + keep_ms;
	if (is_granted && found->principal->deadline_ms != 0 && found->principal->deadline_ms < found->until_ms) {
		found->until_ms = found->principal->deadline_ms;
	}
	pthread_mutex_lock(&a->lock);
	if (is_granted) {
		note_use(a, found, now_ms);
	}
	if (generation == a->generation && found->until_ms > now_ms) {
		auth_cache_put(is_granted ? a->granted : a->refused, &w->digest, found);
		metric_set(a->cached_keys, auth_cache_count(a->granted));
	}
	pthread_mutex_unlock(&a->lock);
}

/* Every waiter has a reason to be refused, or a key to look for. */
static void run_lookups(auth *a, db_conn *c, const work *job)
{
	lookup *lookups[LOOKUP_MAX];
	size_t count = 0;
	err e;
	waiter *next;
	for (waiter *w = job->first; w != NULL; w = w->next) {
		w->lookup.found.reason = w->reason;
		if (w->reason == AUTH_REASON_GRANTED) {
			lookups[count++] = &w->lookup;
		}
	}
	bool ok = count == 0 || lookup_read_keys(c, lookups, count, &e);
	for (waiter *w = job->first; w != NULL; w = next) {
		next = w->next;
		if (w->reason == AUTH_REASON_GRANTED && !ok) {
			answer(a, w, NULL, &e);
			continue;
		}
		if (w->reason == AUTH_REASON_GRANTED) {
			keep(a, w, job->generation);
		}
		answer_found(a, w);
	}
}

static void run_touches(auth *a, db_conn *c, const work *job)
{
	str ids[LOOKUP_MAX];
	err e;
	for (size_t i = 0; i < job->touched_count; i++) {
		ids[i] = str_from_c(job->touched[i]);
	}
	if (job->touched_count > 0 && !lookup_write_used(c, ids, job->touched_count, &e)) {
		slog_err(a->log, SLOG_DEBUG, "auth", "the last use of keys was not written", &e);
	}
}

/* With the answer to "do keys exist?": the waiters of a server that asks for none get in. */
static void run_waiters(auth *a, db_conn *c, const work *job)
{
	pthread_mutex_lock(&a->lock);
	bool is_open = current_posture(a, clock_now_ms()) == POSTURE_OPEN;
	const auth_principal *development = is_open ? auth_principal_ref(a->development) : NULL;
	pthread_mutex_unlock(&a->lock);
	if (is_open) {
		answer_all(a, job->first, development, NULL);
		auth_principal_unref(development);
	} else {
		run_lookups(a, c, job);
	}
}

static void work_run(void *context, db_conn *c)
{
	auth *a = context;
	work job;
	lookup_state state;
	err e;
	take_work(a, &job);
	if (job.wants_state && !lookup_read_state(c, &state, &e)) {
		answer_all(a, job.first, NULL, &e);
	} else {
		if (job.wants_state) {
			take_state(a, &state);
		}
		run_waiters(a, c, &job);
		run_touches(a, c, &job);
	}
	pthread_mutex_lock(&a->lock);
	a->is_working = false;
	pthread_mutex_unlock(&a->lock);
	kick(a);
}

static void work_refuse(void *context, const err *e)
{
	auth *a = context;
	pthread_mutex_lock(&a->lock);
	waiter *first = take_waiters(a, UINT32_MAX);
	a->touched_count = 0;
	a->is_working = false;
	pthread_mutex_unlock(&a->lock);
	answer_all(a, first, NULL, e);
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
	a->is_state_due = true;
	pthread_mutex_unlock(&a->lock);
	kick(a);
}
