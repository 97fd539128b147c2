/*
 * auth/auth: from a credential to a principal: the cache of verified keys in front of the database.
 *
 *   switch (auth_check(a, credential, &e, &p)) {
 *   case AUTH_OK:      … p is yours: auth_principal_unref()
 *   case AUTH_REFUSED: … e says why
 *   case AUTH_PENDING: auth_resolve(a, credential, done, context);
 *   }
 *
 * Modes    required: a valid credential, always. off: never; every caller is the default tenant (development mode).
 *          auto: development mode until the first API key exists, in the database or the configuration, and never back
 *          while the process runs: revoking the last key must not open the server. While it is not known whether one
 *          exists, nobody gets in.
 * Cache    a verified key is trusted for cache_ms, a refused one for a shorter while; both are bounded. Revocation
 *          comes by auth_on_notify(); without it a revoked key works for cache_ms at most. What is cached needs no
 *          database.
 * Lookups  of all callers travel together, one query at a time, so that a flood of unknown keys costs one reader at
 *          most.
 * Writes   last_used, at most once a minute and key, by the same jobs.
 * Threads  new, start, free: the main thread. Everything else: any.
 * Life     free after the pool, so that no lookup is on its way.
 */
#ifndef TIDEGATE_AUTH_AUTH_H
#define TIDEGATE_AUTH_AUTH_H

#include "auth/limit_set.h"
#include "auth/principal.h"
#include "base/err.h"
#include "base/metric.h"
#include "base/slog.h"

struct db_pool;
struct auth_jwt;
struct auth_listed;

typedef struct auth auth;

typedef enum auth_mode { AUTH_AUTO, AUTH_REQUIRED, AUTH_OFF } auth_mode;

/* The channel whose payloads belong to auth_on_notify(). */
#define AUTH_CHANNEL "tidegate_auth"

enum {
	AUTH_CREDENTIAL_MAX = 8192, /* bytes; longer ones are malformed */
	AUTH_CACHE_ENTRIES = 10000, /* verified keys */
	AUTH_REFUSED_ENTRIES = 2000,
	AUTH_REFUSED_MS = 2000,  /* or cache_ms, if that is less */
	AUTH_WAITING_MAX = 10000 /* lookups; beyond, ERR_THROTTLED */
};

typedef struct auth_options {
	struct db_pool *pool;
	auth_mode mode;
	uint32_t cache_ms;    /* 0: every request asks the database */
	struct auth_jwt *jwt; /* takes tokens too, and asks for a credential always (but for mode off); NULL: keys only */
	const struct auth_listed *listed; /* keys of the configuration, borrowed; makes auto ask, too; NULL: none */
	const limit_set *limits;          /* of tenants that have none of their own; NULL: none */
	slog *log;
	metric_registry *metrics;
} auth_options;

bool auth_mode_parse(str text, auth_mode *out); /* auto required off */

bool auth_new(const auth_options *options, auth **out, err *e) MUST_CHECK;
/* Waits for the database's word on whether keys exist. False when there is none (ERR_UNAVAILABLE, ERR_NOT_READY …):
 * going on is safe then, requests find out later and are refused until they have. */
bool auth_start(auth *a, err *e) MUST_CHECK;
void auth_free(auth *a); /* accepts NULL */

/* Whether callers without a credential are surely refused, now and for the rest of this process. */
bool auth_is_required(auth *a);

typedef enum auth_verdict { AUTH_OK, AUTH_REFUSED, AUTH_PENDING } auth_verdict;

/* From memory, without waiting. credential.ptr NULL: none was sent. OK: *out, with a reference for the caller. REFUSED:
 * *e is ERR_UNAUTHORIZED and says what is wrong. PENDING: ask auth_resolve(). */
auth_verdict auth_check(auth *a, str text, err *e, const auth_principal **out);

/* p is borrowed for the call; NULL: *e says why (ERR_UNAUTHORIZED; ERR_UNAVAILABLE and the like when it cannot be
 * known). */
typedef void auth_resolved(void *context, const auth_principal *p, const err *e);

/* Calls `done` exactly once: on a reader thread, or on this one before it returns. The credential is not needed
 * afterwards. */
void auth_resolve(auth *a, str text, auth_resolved *done, void *context);

/* A notification of AUTH_CHANNEL: forgets what is cached of that key, or everything when the payload is empty. To be
 * called with an empty payload also when the LISTEN connection was made anew, since notifications were missed then. */
void auth_on_notify(auth *a, str payload);

#endif
