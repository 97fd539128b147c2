/*
 * auth/audit: what was done to tenants and keys: written in the transaction of the act, so that neither is there without
 * the other, and never changed.
 *
 * Owns     nothing; lists are in the caller's arena.
 * Threads  the one that was given the connection.
 * Units    at_ms since the Unix epoch by the database's clock.
 * Errors   those of db/conn; ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_AUTH_AUDIT_H
#define TIDEGATE_AUTH_AUDIT_H

#include "auth/actor.h"
#include "base/arena.h"
#include "db/conn.h"

enum { AUTH_AUDIT_DETAIL_MAX = 1 << 20 };

typedef struct auth_audit {
	int64_t audit_id; /* grows */
	int64_t at_ms;
	str actor; /* auth/actor.h */
	str tenant;
	str act;    /* key.create, key.rotate, key.revoke; tenant.create, tenant.set, tenant.delete; signing.rotate */
	str object; /* a key id, or the tenant's name */
	str detail; /* the object after the act, as JSON */
} auth_audit;

/* Inside a transaction. audit_id and at_ms of *row are not looked at. */
bool auth_audit_write(db_conn *c, int64_t tenant_id, const auth_audit *row, err *e) MUST_CHECK;
/* The newest first: those before before_id (0: from the newest), `limit` at most. tenant_id 0, tenant.ptr NULL: any. */
bool auth_audit_page(db_conn *c, int64_t tenant_id, str tenant, int64_t before_id, uint32_t limit, arena *a,
					 auth_audit **out, size_t *count, err *e) MUST_CHECK;

#endif
