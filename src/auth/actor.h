/*
 * auth/actor: who changes tenants and keys, and what they may not exceed.
 *
 *   operator       a principal of the tenant `default` without prefixes (whose scopes the caller has checked), or somebody
 *                  at the database itself: every tenant
 *   anybody else   the keys of their own tenant; with prefixes, only keys that are confined to those
 *
 * Nobody gives more than they have: scopes and prefixes of a key that is made or replaced are a part of its maker's.
 *
 * Owns     nothing; texts are borrowed.
 * Threads  any.
 * Errors   ERR_FORBIDDEN, with a sentence for the user.
 */
#ifndef TIDEGATE_AUTH_ACTOR_H
#define TIDEGATE_AUTH_ACTOR_H

#include "auth/principal.h"
#include "base/err.h"

typedef struct auth_actor {
	str name;                        /* for the audit: "key:<id>", "jwt:<subject>", "cli:<user>", "development" */
	const auth_principal *principal; /* NULL: at the database itself */
} auth_actor;

bool auth_actor_is_operator(const auth_actor *by);
bool auth_actor_check_operator(const auth_actor *by, err *e) MUST_CHECK;
bool auth_actor_check_tenant(const auth_actor *by, str tenant, err *e) MUST_CHECK;
/* Whether these prefixes (none: any name) lie within the actor's own. */
bool auth_actor_covers(const auth_actor *by, const str *prefixes, size_t count);
bool auth_actor_check_gives(const auth_actor *by, uint32_t scopes, const str *prefixes, size_t count,
							err *e) MUST_CHECK;

#endif
