/*
 * auth/keyring: API keys in the database, for the commands and the admin API: make, list, revoke, rotate. Every change is
 * announced to the workers (AUTH_CHANNEL) and written to the audit as part of its transaction.
 *
 * Rights   `by` is who asks (auth/actor): a key out of their reach does not exist for them, and they give no more than they
 *          have.
 *
 * Owns     nothing; lists are in the caller's arena.
 * Threads  the one that was given the connection.
 * Units    *_ms are times since the Unix epoch by the database's clock; lifetime_ms, overlap_ms are durations.
 * Errors   ERR_INVALID_REQUEST, ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_KEY_NOT_ACTIVE with a sentence for the user; and those
 *          of db/conn.
 */
#ifndef TIDEGATE_AUTH_KEYRING_H
#define TIDEGATE_AUTH_KEYRING_H

#include "auth/actor.h"
#include "auth/key.h"
#include "auth/principal.h"
#include "db/conn.h"

enum { AUTH_KEY_NAME_MAX = 128 };
#define AUTH_LIFETIME_MAX_MS ((int64_t)1000 * 60 * 60 * 24 * 36525) /* a century */

typedef enum auth_key_status {
	AUTH_KEY_ACTIVE,
	AUTH_KEY_REPLACED, /* by a rotation; still valid, until expires_ms */
	AUTH_KEY_EXPIRED,
	AUTH_KEY_REVOKED
} auth_key_status;

typedef struct auth_key_info {
	str key_id;
	int64_t tenant_id;
	str tenant;
	str name;
	uint32_t scopes;
	const str *prefixes;
	size_t prefix_count;
	auth_key_status status;
	int64_t created_ms;
	int64_t expires_ms; /* 0 = never, as for the two below */
	int64_t revoked_ms;
	int64_t last_used_ms; /* to the minute */
	str replaced_by;      /* key id, or empty */
} auth_key_info;

typedef struct auth_key_spec {
	int64_t tenant_id;
	str name; /* UTF-8 without control characters */
	uint32_t scopes;
	const str *prefixes;
	size_t prefix_count;
	int64_t lifetime_ms; /* 0 = does not expire */
} auth_key_spec;

/* *key holds the secret, which can be had only now; the caller wipes it. *info describes it, in the arena. That the
 * actor reaches the tenant is the caller's to know (auth_tenant_reach). */
bool auth_key_create(db_conn *c, const auth_actor *by, const auth_key_spec *spec, arena *a, auth_key *key,
					 auth_key_info *info, err *e) MUST_CHECK;
/* Of one tenant, or of all when tenant.ptr is NULL. */
bool auth_key_list(db_conn *c, str tenant, arena *a, auth_key_info **out, size_t *count, err *e) MUST_CHECK;

typedef struct auth_key_place {
	int64_t created_ms;
	str key_id; /* empty: the beginning */
} auth_key_place;

/* By age: those behind `after`, `limit` at most, of one tenant, or of all with tenant_id 0. */
bool auth_key_page(db_conn *c, int64_t tenant_id, const auth_key_place *after, uint32_t limit, arena *a,
				   auth_key_info **out, size_t *count, err *e) MUST_CHECK;
/* `which` is a key id, or a whole key; here and below. */
bool auth_key_find(db_conn *c, const auth_actor *by, str which, arena *a, auth_key_info *out, err *e) MUST_CHECK;
/* Revoking twice is fine. *info: as it is then. */
bool auth_key_revoke(db_conn *c, const auth_actor *by, str which, arena *a, auth_key_info *info, err *e) MUST_CHECK;
/* A new key of the same tenant, name, scopes, prefixes and length of life; the old one ends after overlap_ms. *old and
 * *info describe the two. Refused for a key that is not active. */
bool auth_key_rotate(db_conn *c, const auth_actor *by, str which, int64_t overlap_ms, arena *a, auth_key *key,
					 auth_key_info *info, auth_key_info *old, err *e) MUST_CHECK;

#endif
