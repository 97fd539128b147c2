/*
 * auth/token: bearer tokens that Tidegate gives out itself, good for one thing of one tenant: signed, not stored.
 *
 * Form     tgt_<key id>.<claims>.<MAC>, in base64url. Whoever reads one may see its claims, which are no secret;
 *          nobody else can make one.
 * Threads  any. The keys are auth/signing's: auth_signing_ready() first.
 */
#ifndef TIDEGATE_AUTH_TOKEN_H
#define TIDEGATE_AUTH_TOKEN_H

#include "auth/signing.h"

typedef struct auth_token {
	int64_t tenant_id;
	int64_t subject_id; /* what it is good for; the purpose tells of which kind */
	int64_t generation;
	int64_t expires_ms; /* since the Unix epoch, by the database's clock; judged by the caller */
} auth_token;

enum { AUTH_TOKEN_MAX = 512 }; /* bytes */

/* `purpose` keeps tokens of different uses apart; at most 32 bytes of letters and '_'. */
bool auth_token_mint(auth_signing *s, str purpose, const auth_token *token, buf *out, err *e) MUST_CHECK;
/* The key's id in a token, or STR_NONE: for auth_signing_ready_for(). */
str auth_token_key_id(str text);
/* False: malformed, changed, of another purpose, or by a key that is not known. */
bool auth_token_read(auth_signing *s, str purpose, str text, auth_token *out) MUST_CHECK;

#endif
