/*
 * api/allowance: whether the caller may append: what handlers ask before they hand records to the log.
 *
 * The records of an append count for the rates of the caller's key and tenant. Their bytes count for what the tenant
 * stores, until the database has been asked how much that is, about once a second: the limit of stored bytes
 * may be exceeded by what comes in meanwhile.
 *
 * Threads  any. Never waits.
 * Errors   ERR_THROTTLED (auth/limit).
 */
#ifndef TIDEGATE_API_ALLOWANCE_H
#define TIDEGATE_API_ALLOWANCE_H

#include "api/api.h"
#include "auth/principal.h"

bool allowance_append(api *a, const auth_principal *p, const log_columns *records, err *e) MUST_CHECK;

#endif
