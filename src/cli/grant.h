/*
 * cli/grant: what a credential may do, as `key create` and `token create` take it. Threads: any.
 */
#ifndef TIDEGATE_CLI_GRANT_H
#define TIDEGATE_CLI_GRANT_H

#include "auth/principal.h"
#include "base/err.h"

/* What a credential is for when nothing else is said. */
extern const char GRANT_DEFAULT_TENANT[];
extern const char GRANT_DEFAULT_SCOPES[];

/* "read,write"; NULL is the default. ERR_INVALID_REQUEST. */
bool grant_parse_scopes(const char *text, uint32_t *out, err *e) MUST_CHECK;
/* "orders.,audit."; NULL is none. Empty ones are the caller's to refuse. ERR_INVALID_REQUEST. */
bool grant_parse_prefixes(const char *text, str prefixes[AUTH_PREFIXES_MAX], size_t *count, err *e) MUST_CHECK;

#endif
