/*
 * auth/jwt: from a JSON Web Token to what it says of its bearer.
 *
 * Taken are HS256, RS256 and ES256, each only with a key of its own kind (auth/jwt_keys). A token with a `kid` is tried
 * with the keys of that name and those without one, a token without with all of its algorithm. `exp` is required, `nbf`
 * honoured, both with the leeway; `iss` and `aud` when they are configured.
 *
 * Claims   named by the settings; a name that is no member itself is a path: "app.tenant" is the member tenant of the
 *          member app. Scopes are words (a text with blanks, or a list): read write delete admin all, also with
 *          "tidegate:" before them; other words are somebody else's and ignored. Prefixes are a text or a list of texts.
 * Threads  any, once created.
 * Limits   AUTH_CREDENTIAL_MAX bytes, AUTH_PREFIXES_MAX prefixes; tenant and prefixes JWT_NAME_BYTES_MAX each.
 */
#ifndef TIDEGATE_AUTH_JWT_H
#define TIDEGATE_AUTH_JWT_H

#include "auth/principal.h"
#include "auth/verdict.h"
#include "base/slog.h"

enum { JWT_NAME_BYTES_MAX = 1024 };

typedef struct auth_jwt auth_jwt;

/* Texts are borrowed. */
typedef struct auth_jwt_options {
	str key_files; /* comma-separated */
	str issuer;    /* empty: any */
	str audience;  /* empty: any */
	str tenant_claim;
	str scopes_claim;
	str prefixes_claim;
	str default_tenant; /* of tokens without the claim; empty: they are refused */
	uint32_t leeway_s;
	slog *log;
} auth_jwt_options;

/* ERR_INVALID_REQUEST: a key file that cannot be used; the message names it. */
bool auth_jwt_new(const auth_jwt_options *options, auth_jwt **out, err *e) MUST_CHECK;
void auth_jwt_free(auth_jwt *j); /* accepts NULL */

/* Whether a credential has the form of a token. */
bool auth_jwt_is_token(str text);

typedef struct auth_jwt_claims {
	str subject; /* may be empty */
	str tenant;
	uint32_t scopes;
	str prefixes[AUTH_PREFIXES_MAX];
	size_t prefix_count;
	int64_t ends_s; /* since the Unix epoch, leeway included */
	void *root;     /* the claims' texts */
} auth_jwt_claims;

/* GRANTED: *out is filled, to be disposed of. */
auth_reason auth_jwt_verify(auth_jwt *j, str token, auth_jwt_claims *out);
void auth_jwt_claims_dispose(auth_jwt_claims *c);

#endif
