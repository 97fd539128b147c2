#include "auth/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/private.h"
#include "base/clock.h"

/* All of it is guarded by the auth's lock; `lookup` is the job's while the watch is taken. */
struct auth_watch {
	auth *auth;
	auth_watch *next;
	auth_watch *previous;
	int references; /* the caller's, and the job's */
	bool is_development;
	bool is_unstored;
	bool is_due;
	bool is_told; /* on_end was called, or is being called */
	bool is_calling;
	bool is_stopped;
	int64_t expires_ms; /* of the key, when the watch began; 0 = never */
	lookup lookup;
	void (*on_end)(void *context, const err *e);
	void *context;
};

/* Caller holds the lock. */
static void unref(auth_watch *w)
{
	if (--w->references == 0) {
		free(w);
	}
}

/* Caller holds the lock. */
static void mark(auth_watch *w)
{
	if (!w->is_due && !w->is_told && !w->is_stopped) {
		w->is_due = true;
		w->auth->due_watches++;
	}
}

/* Caller holds the lock. */
static void unmark(auth_watch *w)
{
	if (w->is_due) {
		w->is_due = false;
		w->auth->due_watches--;
	}
}

void auth_watch_mark(auth *a, str key_id)
{
	for (auth_watch *w = a->watches; w != NULL; w = w->next) {
		if (!w->is_development && !w->is_unstored &&
			(key_id.len == 0 || str_equal(str_from_c(w->lookup.key_id), key_id))) {
			mark(w);
		}
	}
	a->wants_watches = a->due_watches > 0;
}

void auth_watch_mark_development(auth *a)
{
	for (auth_watch *w = a->watches; w != NULL; w = w->next) {
		if (w->is_development) {
			mark(w);
		}
	}
	a->wants_watches = a->due_watches > 0;
}

auth_watch *auth_watch_start(auth *a, const auth_principal *p, void (*on_end)(void *context, const err *e),
							 void *context)
{
	auth_watch *w = calloc(1, sizeof *w);
	if (w == NULL) {
		return NULL;
	}
	w->auth = a;
	w->references = 1;
	w->is_development = p->is_development;
	w->is_unstored = p->is_unstored;
	w->on_end = on_end;
	w->context = context;
	w->expires_ms = p->expires_ms;
	w->lookup.is_by_id = true;
	snprintf(w->lookup.key_id, sizeof w->lookup.key_id, "%.*s", STR_ARG(p->key_id));
	pthread_mutex_lock(&a->lock);
	w->next = a->watches;
	if (w->next != NULL) {
		w->next->previous = w;
	}
	a->watches = w;
	/* What has no row has an end that is known from the start, or none: it is the caller's to keep. */
	if (!p->is_unstored && (!w->is_development || auth_current_posture(a, clock_now_ms()) != POSTURE_OPEN)) {
		mark(w);
		a->wants_watches = true;
	}
	pthread_mutex_unlock(&a->lock);
	auth_kick(a);
	return w;
}

void auth_watch_stop(auth_watch *w)
{
	if (w == NULL) {
		return;
	}
	auth *a = w->auth;
	pthread_mutex_lock(&a->lock);
	unmark(w);
	w->is_stopped = true;
	*(w->previous != NULL ? &w->previous->next : &a->watches) = w->next;
	if (w->next != NULL) {
		w->next->previous = w->previous;
	}
	while (w->is_calling) {
		pthread_cond_wait(&a->watch_returned, &a->lock);
	}
	unref(w);
	pthread_mutex_unlock(&a->lock);
}

/* ---- the job's part ---- */

static size_t take_due(auth *a, auth_watch *due[LOOKUP_MAX])
{
	size_t count = 0;
	pthread_mutex_lock(&a->lock);
	for (auth_watch *w = a->watches; w != NULL && a->due_watches > 0 && count < LOOKUP_MAX; w = w->next) {
		if (w->is_due) {
			unmark(w);
			w->references++;
			due[count++] = w;
		}
	}
	a->wants_watches = a->due_watches > 0;
	pthread_mutex_unlock(&a->lock);
	return count;
}

/* Gives the job's reference back. */
static void tell(auth_watch *w, const err *e)
{
	auth *a = w->auth;
	pthread_mutex_lock(&a->lock);
	if (!w->is_stopped && !w->is_told) {
		w->is_told = true;
		w->is_calling = true;
		pthread_mutex_unlock(&a->lock);
		w->on_end(w->context, e);
		pthread_mutex_lock(&a->lock);
		w->is_calling = false;
		pthread_cond_broadcast(&a->watch_returned);
	}
	unref(w);
	pthread_mutex_unlock(&a->lock);
}

/* The same, for one that goes on. is_unsure: it could not be looked at and stays due, until something else is to be
 * done. */
static void let_go(auth_watch *w, bool is_unsure)
{
	auth *a = w->auth;
	pthread_mutex_lock(&a->lock);
	if (is_unsure) {
		mark(w);
	}
	unref(w);
	pthread_mutex_unlock(&a->lock);
}

/* What was found of a key; false with *e when it has ended for this watch. The caller of a key that ends earlier than
 * it was told has to come again, to be told the new end. */
static bool goes_on(auth_watch *w, err *e)
{
	const auth_cached *found = &w->lookup.found;
	str key_id = str_from_c(w->lookup.key_id);
	if (found->reason != AUTH_REASON_GRANTED) {
		return auth_reason_err(found->reason, key_id, e);
	}
	int64_t expires_ms = found->principal->expires_ms;
	if (expires_ms != 0 && (w->expires_ms == 0 || expires_ms < w->expires_ms)) {
		return err_set(e, ERR_UNAUTHORIZED, "the API key %.*s ends earlier than it did: it was replaced; connect again",
					   STR_ARG(key_id));
	}
	return true;
}

static void settle(auth_watch *w, bool is_looked_up, bool is_required)
{
	err e;
	bool stays = true;
	if (w->is_development) {
		stays = !is_required || auth_reason_err(AUTH_REASON_MISSING, STR_NONE, &e);
	} else if (is_looked_up) {
		stays = goes_on(w, &e);
		auth_principal_unref(w->lookup.found.principal);
		w->lookup.found.principal = NULL;
	}
	if (stays) {
		let_go(w, !w->is_development && !is_looked_up);
	} else {
		tell(w, &e);
	}
}

void auth_watch_run(auth *a, db_conn *c)
{
	auth_watch *due[LOOKUP_MAX];
	lookup *lookups[LOOKUP_MAX];
	size_t lookup_count = 0;
	err e;
	size_t count = take_due(a, due);
	for (size_t i = 0; i < count; i++) {
		if (!due[i]->is_development) {
			lookups[lookup_count++] = &due[i]->lookup;
		}
	}
	bool ok = lookup_count == 0 || lookup_read_keys(c, a->limits, lookups, lookup_count, &e);
	bool is_required = auth_is_required(a);
	for (size_t i = 0; i < count; i++) {
		settle(due[i], ok, is_required);
	}
}
