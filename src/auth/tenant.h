/*
 * auth/tenant: tenants in the database, for the commands. A tenant is an isolated namespace with its own topics and
 * keys.
 *
 * Threads  the one that was given the connection.
 * Errors   ERR_INVALID_REQUEST, ERR_NOT_FOUND with a sentence for the user; and those of db/conn.
 */
#ifndef TIDEGATE_AUTH_TENANT_H
#define TIDEGATE_AUTH_TENANT_H

#include "auth/limit_set.h"
#include "auth/principal.h"
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

bool auth_tenant_create(db_conn *c, str name, auth_choice auto_create, err *e) MUST_CHECK;
bool auth_tenant_find(db_conn *c, str name, int64_t *tenant_id, err *e) MUST_CHECK;
/* Workers follow at once. */
bool auth_tenant_set_auto_create(db_conn *c, str name, auth_choice auto_create, err *e) MUST_CHECK;
/* The limits that `change` names, the others stay as they are. Workers follow at once. */
bool auth_tenant_set_limits(db_conn *c, str name, const limit_set *change, err *e) MUST_CHECK;
/* By name, in the arena. */
bool auth_tenant_list(db_conn *c, arena *a, auth_tenant **out, size_t *count, err *e) MUST_CHECK;
/* With its keys, which stop working at once. Refused for a tenant that has topics, and for `default`. */
bool auth_tenant_delete(db_conn *c, str name, err *e) MUST_CHECK;

#endif
