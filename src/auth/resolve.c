#include <stdlib.h>
#include <string.h>

#include "auth/jwt.h"
#include "auth/private.h"
#include "base/clock.h"

static void waiter_free(auth_waiter *w)
{
	free(w->token);
	free(w);
}

void auth_resolve(auth *a, str text, auth_resolved *done, void *context)
{
	err e;
	auth_waiter *w = calloc(1, sizeof *w);
	if (w == NULL) {
		err_set(&e, ERR_NO_MEMORY, "out of memory");
		done(context, NULL, &e);
		return;
	}
	w->done = done;
	w->context = context;
	w->reason = auth_read_credential(a, text, &w->credential);
	bool is_token = w->reason == AUTH_REASON_GRANTED && w->credential.kind == AUTH_KIND_TOKEN;
	w->token = is_token ? strndup(text.ptr, text.len) : NULL;
	if (is_token && w->token == NULL) {
		free(w);
		err_set(&e, ERR_NO_MEMORY, "out of memory");
		done(context, NULL, &e);
		return;
	}
	w->digest = auth_digest_of(a, text);
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
		waiter_free(w);
		return;
	}
	auth_kick(a);
}

/* What one run of the job takes on. */
typedef struct work {
	bool wants_state;
	uint64_t generation;
	auth_waiter *first;
	size_t touched_count;
	char touched[LOOKUP_MAX][AUTH_KEY_ID_LENGTH + 1];
} work;

/* Caller holds the lock. The first `count` waiters, as a list of their own. */
static auth_waiter *take_waiters(auth *a, uint32_t count)
{
	auth_waiter *first = a->first;
	auth_waiter **link = &a->first;
	while (*link != NULL && count > 0) {
		link = &(*link)->next;
		a->waiting--;
		count--;
	}
	auth_waiter *rest = *link;
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
	bool is_unknown = auth_current_posture(a, clock_now_ms()) == POSTURE_UNKNOWN;
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
static void answer(auth *a, auth_waiter *w, const auth_principal *principal, const err *e)
{
	metric_add(principal == NULL ? a->failed_results : a->development_results, 1);
	w->done(w->context, principal, e);
	waiter_free(w);
}

static void answer_found(auth *a, auth_waiter *w)
{
	err e;
	const auth_cached *found = &w->credential.lookup.found;
	if (found->reason != AUTH_REASON_GRANTED) {
		auth_refuse(a, found->reason, str_from_c(found->key_id), &e);
		w->done(w->context, NULL, &e);
	} else {
		metric_add(a->results[AUTH_REASON_GRANTED], 1);
		w->done(w->context, found->principal, NULL);
	}
	auth_principal_unref(found->principal);
	waiter_free(w);
}

static void answer_all(auth *a, auth_waiter *first, const auth_principal *principal, const err *e)
{
	while (first != NULL) {
		auth_waiter *next = first->next;
		answer(a, first, principal, e);
		first = next;
	}
}

/* Into the cache, unless a notification came since the row was read. */
static void keep(auth *a, auth_waiter *w, uint64_t generation)
{
	auth_cached *found = &w->credential.lookup.found;
	int64_t now_ms = clock_now_ms();
	bool is_granted = found->reason == AUTH_REASON_GRANTED;
	uint32_t keep_ms = is_granted || a->cache_ms < AUTH_REFUSED_MS ? a->cache_ms : AUTH_REFUSED_MS;
	found->until_ms = now_ms + keep_ms;
	if (is_granted && found->principal->deadline_ms != 0 && found->principal->deadline_ms < found->until_ms) {
		found->until_ms = found->principal->deadline_ms;
	}
	pthread_mutex_lock(&a->lock);
	if (is_granted) {
		auth_note_use(a, found, now_ms);
	}
	if (generation == a->generation && found->until_ms > now_ms) {
		auth_cache_put(is_granted ? a->granted : a->refused, &w->digest, found);
		metric_set(a->cached_keys, auth_cache_count(a->granted));
	}
	pthread_mutex_unlock(&a->lock);
}

/* False: it cannot be known, *e says why. */
static bool resolve_token(const auth *a, db_conn *c, auth_waiter *w, err *e)
{
	auth_jwt_claims claims;
	auth_cached *found = &w->credential.lookup.found;
	found->reason = auth_jwt_verify(a->jwt, str_from_c(w->token), &claims);
	if (found->reason != AUTH_REASON_GRANTED) {
		return true;
	}
	bool ok = lookup_read_token(c, a->limits, &claims, found, e);
	auth_jwt_claims_dispose(&claims);
	return ok;
}

/* One waiter that is not refused; the keys of the database were read for all. */
static bool resolve_one(const auth *a, db_conn *c, auth_waiter *w, bool has_read, err *e)
{
	switch (w->credential.kind) {
	case AUTH_KIND_LISTED:
		return lookup_read_listed(c, a->limits, w->credential.listed, &w->credential.lookup.found, e);
	case AUTH_KIND_TOKEN:
		return resolve_token(a, c, w, e);
	case AUTH_KIND_KEY:
		break;
	}
	return has_read;
}

/* Every waiter has a reason to be refused, or a key to look for, or a token to verify. */
static void run_lookups(auth *a, db_conn *c, const work *job)
{
	lookup *lookups[LOOKUP_MAX];
	size_t count = 0;
	err e;
	auth_waiter *next;
	for (auth_waiter *w = job->first; w != NULL; w = w->next) {
		w->credential.lookup.found.reason = w->reason;
		if (w->reason == AUTH_REASON_GRANTED && w->credential.kind == AUTH_KIND_KEY) {
			lookups[count++] = &w->credential.lookup;
		}
	}
	bool has_read = count == 0 || lookup_read_keys(c, a->limits, lookups, count, &e);
	for (auth_waiter *w = job->first; w != NULL; w = next) {
		next = w->next;
		if (w->reason == AUTH_REASON_GRANTED) {
			if (!resolve_one(a, c, w, has_read, &e)) {
				answer(a, w, NULL, &e);
				continue;
			}
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
	bool is_open = auth_current_posture(a, clock_now_ms()) == POSTURE_OPEN;
	const auth_principal *development = is_open ? auth_principal_ref(a->development) : NULL;
	pthread_mutex_unlock(&a->lock);
	if (is_open) {
		answer_all(a, job->first, development, NULL);
		auth_principal_unref(development);
	} else {
		run_lookups(a, c, job);
	}
}

void auth_work_run(void *context, db_conn *c)
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
			auth_take_state(a, &state);
		}
		run_waiters(a, c, &job);
		run_touches(a, c, &job);
		auth_watch_run(a, c);
	}
	pthread_mutex_lock(&a->lock);
	a->is_working = false;
	pthread_mutex_unlock(&a->lock);
	auth_kick(a);
}

void auth_work_refuse(void *context, const err *e)
{
	auth *a = context;
	pthread_mutex_lock(&a->lock);
	auth_waiter *first = take_waiters(a, UINT32_MAX);
	a->touched_count = 0;
	a->is_working = false;
	pthread_mutex_unlock(&a->lock);
	answer_all(a, first, NULL, e);
}
