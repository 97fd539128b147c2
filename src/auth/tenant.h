/*
 * auth/tenant: tenants in the database, for the commands and the admin API. A tenant is an isolated namespace with its own
 * topics and keys. Every change is written to the audit as part of its transaction.
 *
 * Rights   tenants are made, changed and deleted by the operator only; `by` is who asks (auth/actor).
 * Threads  the one that was given the connection.
 * Errors   ERR_INVALID_REQUEST, ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_TENANT_EXISTS, ERR_TENANT_IN_USE with a sentence for the
 *          user; and those of db/conn.
 */
#ifndef TIDEGATE_AUTH_TENANT_H
#define TIDEGATE_AUTH_TENANT_H

#include "auth/actor.h"
#include "auth/limit_set.h"
#include "db/conn.h"

enum { AUTH_TENANT_NAME_MAX = 64 }; /* bytes: letters, digits, '.', '_', '-'; the first a letter or digit */

typedef struct auth_tenant {
	int64_t tenant_id;
	str name;
	int64_t created_ms;
	auth_choice auto_create;
	int64_t topics;
	int64_t keys;     /* that are valid now */
	limit_set limits; /* of its own; the server's where unset */
} auth_tenant;

bool auth_tenant_is_name(str name);
bool auth_tenant_create(db_conn *c, const auth_actor *by, str name, auth_choice auto_create, err *e) MUST_CHECK;
bool auth_tenant_find(db_conn *c, str name, int64_t *tenant_id, err *e) MUST_CHECK;
/* The same for the actor: ERR_FORBIDDEN for another tenant than their own, whether it exists or not. An absent name is
 * their own; at the database itself, `default`. */
bool auth_tenant_reach(db_conn *c, const auth_actor *by, str name, int64_t *tenant_id, err *e) MUST_CHECK;

typedef struct auth_tenant_change {
	bool has_auto_create;
	auth_choice auto_create;
	limit_set limits; /* those that are set; the others stay as they are */
} auth_tenant_change;

/* Workers follow at once. */
bool auth_tenant_alter(db_conn *c, const auth_actor *by, str name, const auth_tenant_change *change, err *e) MUST_CHECK;
/* By name, in the arena. */
bool auth_tenant_list(db_conn *c, arena *a, auth_tenant **out, size_t *count, err *e) MUST_CHECK;
/* Those behind the name `after` (empty: from the first), `limit` at most. */
bool auth_tenant_page(db_conn *c, str after, uint32_t limit, arena *a, auth_tenant **out, size_t *count,
					  err *e) MUST_CHECK;
bool auth_tenant_read(db_conn *c, str name, arena *a, auth_tenant *out, err *e) MUST_CHECK;
/* With its keys, which stop working at once. Refused for a tenant that has topics, and for `default`. */
bool auth_tenant_delete(db_conn *c, const auth_actor *by, str name, err *e) MUST_CHECK;

#endif
