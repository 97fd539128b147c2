/*
 * auth/listed: the API keys that the configuration names, beside those in the database.
 *
 *   secret[:scopes[:prefixes]],…        s3cret:read+write:orders.|audit:,0therS3cret
 *
 * Scopes are words of auth_scopes_parse() joined by '+', none means all. Prefixes are joined by '|', none means any
 * name; they may hold ':'. Blanks around entries and fields do not count, nor do empty entries. Secrets are hashed and
 * not kept; a key is called by an id that comes from its hash, so that it is the same on every worker.
 *
 * Owns     everything in it, until auth_listed_free().
 * Threads  any, once created.
 * Limits   LISTED_MAX keys, AUTH_PREFIXES_MAX prefixes each.
 */
#ifndef TIDEGATE_AUTH_LISTED_H
#define TIDEGATE_AUTH_LISTED_H

#include "auth/principal.h"
#include "base/err.h"

enum { LISTED_MAX = 1000 };

typedef struct auth_listed auth_listed;

typedef struct auth_listed_key {
	str id; /* "listed:…" */
	uint32_t scopes;
	const str *prefixes;
	size_t prefix_count;
} auth_listed_key;

/* *out is NULL when the text names no key. ERR_INVALID_REQUEST: an entry that cannot be used; the message names its place
 * in the list, never its text. */
bool auth_listed_new(str text, auth_listed **out, err *e) MUST_CHECK;
void auth_listed_free(auth_listed *l); /* accepts NULL */
/* The key of that secret, or NULL. Takes the same time wherever it stands in the list. */
const auth_listed_key *auth_listed_find(const auth_listed *l, str secret);

#endif
