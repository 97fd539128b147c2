/*
 * auth/jwt_sign: JSON Web Tokens for operators without an issuer of their own: HS256 with a shared secret that servers
 * take too (auth/jwt_keys).
 *
 * Threads  any.
 */
#ifndef TIDEGATE_AUTH_JWT_SIGN_H
#define TIDEGATE_AUTH_JWT_SIGN_H

#include "auth/jwt.h"

typedef struct jwt_grant {
	str tenant;
	str subject; /* who bears it; empty: nobody in particular */
	uint32_t scopes;
	const str *prefixes;
	size_t prefix_count; /* 0: any name */
	int64_t lifetime_s;  /* above 0 */
} jwt_grant;

/*
 * Appends a token that auth_jwt_verify() takes when it is created with the same options. The secret is the first one of
 * options->key_files, with its kid; claims are named by the options, members of the payload also where the name has dots.
 *
 * Errors   ERR_INVALID_REQUEST: a key file cannot be used, or none holds a shared secret; ERR_NO_MEMORY.
 */
bool jwt_sign(const auth_jwt_options *options, const jwt_grant *grant, buf *out, err *e) MUST_CHECK;

#endif
