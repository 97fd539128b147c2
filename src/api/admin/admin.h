/*
 * api/admin: tenants, keys and the audit over HTTP, under /v1/tidegate (docs/keys.md). The same functions as the commands
 * (auth/tenant, auth/keyring), for the principal of the request; what that may do is judged there.
 *
 * Bodies are strict: a member that is not known is refused, because a misspelt `prefixes` would make a key that may
 * everything.
 *
 * Limits   ADMIN_BODY_BYTES_MAX a body; WIRE_PAGE_MAX entries a page.
 */
#ifndef TIDEGATE_API_ADMIN_ADMIN_H
#define TIDEGATE_API_ADMIN_ADMIN_H

#include "api/body.h"
#include "auth/actor.h"
#include "http/route.h"

enum { ADMIN_BODY_BYTES_MAX = 256 << 10 };

extern const http_dialect admin_dialect;

/* Who makes this request; the name lives in the exchange's arena. */
auth_actor admin_actor(http_exchange *x);
/* Fails for a member that is not known. */
void admin_refuse_member(body *b, str key);

/* tenants.c */
void admin_create_tenant(http_exchange *x);
void admin_list_tenants(http_exchange *x);
void admin_get_tenant(http_exchange *x);
void admin_alter_tenant(http_exchange *x);
void admin_delete_tenant(http_exchange *x);
/* keys.c */
void admin_create_key(http_exchange *x);
void admin_get_key(http_exchange *x);
void admin_rotate_key(http_exchange *x);
void admin_revoke_key(http_exchange *x);
/* lists.c */
void admin_list_keys(http_exchange *x);
void admin_list_audit(http_exchange *x);

#endif
