/*
 * auth/show: tenants and keys as JSON, the same for the commands, the admin API and the audit. Never a secret.
 *
 * Members without braces; the caller writes those.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_AUTH_SHOW_H
#define TIDEGATE_AUTH_SHOW_H

#include "auth/keyring.h"
#include "auth/tenant.h"

str auth_show_status(auth_key_status status); /* "active" … */
void auth_show_key(buf *out, const auth_key_info *key);
void auth_show_tenant(buf *out, const auth_tenant *tenant);

#endif
