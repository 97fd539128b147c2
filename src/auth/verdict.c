#include "auth/verdict.h"

const char *auth_reason_label(auth_reason reason)
{
	static const char *const LABELS[AUTH_REASON_COUNT] = {
#define AUTH_REASON_LABEL(name, label) [AUTH_REASON_##name] = (label),
		AUTH_REASONS(AUTH_REASON_LABEL)
#undef AUTH_REASON_LABEL
	};
	return LABELS[reason];
}

bool auth_reason_err(auth_reason reason, str key_id, err *e)
{
	switch (reason) {
	case AUTH_REASON_MISSING:
		return err_set(
			e, ERR_UNAUTHORIZED,
			"this server asks for an API key: send it as `X-API-Key: <key>` or `Authorization: Bearer <key>`; "
			"`tidegate key create` makes one");
	case AUTH_REASON_MALFORMED:
		return err_set(
			e, ERR_UNAUTHORIZED,
			"the credential is not an API key: keys look like tg_<id>_<secret>_<checksum>; check that all of it "
			"was sent, and nothing else");
	case AUTH_REASON_TYPO:
		return err_set(e, ERR_UNAUTHORIZED,
					   "the API key has a typing error: its checksum does not fit; copy the whole key again");
	case AUTH_REASON_UNKNOWN:
		return err_set(e, ERR_UNAUTHORIZED,
					   "the API key is well formed but unknown here: perhaps it belongs to another server; "
					   "`tidegate key create` makes one");
	case AUTH_REASON_REVOKED:
		return err_set(e, ERR_UNAUTHORIZED,
					   "the API key %.*s was revoked; use another one, or make one with "
					   "`tidegate key create`",
					   STR_ARG(key_id));
	case AUTH_REASON_EXPIRED:
		return err_set(e, ERR_UNAUTHORIZED,
					   "the API key %.*s has expired; use another one, or make one with "
					   "`tidegate key create`",
					   STR_ARG(key_id));
	case AUTH_REASON_TOKEN_MALFORMED:
		return err_set(e, ERR_UNAUTHORIZED, "the token is malformed: it must be a signed JSON Web Token, all of it");
	case AUTH_REASON_TOKEN_ALGORITHM:
		return err_set(e, ERR_UNAUTHORIZED,
					   "the token's algorithm is not taken here: sign it with HS256, RS256 or ES256, without `crit`");
	case AUTH_REASON_TOKEN_SIGNATURE:
		return err_set(e, ERR_UNAUTHORIZED,
					   "the token was signed by none of the keys that this server knows for its algorithm and `kid`");
	case AUTH_REASON_TOKEN_TIMES:
		return err_set(e, ERR_UNAUTHORIZED, "the token needs `exp`, and `nbf` if it has one, as seconds since 1970");
	case AUTH_REASON_TOKEN_EXPIRED:
		return err_set(e, ERR_UNAUTHORIZED, "the token has expired; get a new one from its issuer");
	case AUTH_REASON_TOKEN_EARLY:
		return err_set(e, ERR_UNAUTHORIZED, "the token is not valid yet: see its `nbf`, and the clocks");
	case AUTH_REASON_TOKEN_ISSUER:
		return err_set(e, ERR_UNAUTHORIZED, "the token's `iss` is not the issuer that this server trusts");
	case AUTH_REASON_TOKEN_AUDIENCE:
		return err_set(e, ERR_UNAUTHORIZED, "the token's `aud` does not name this service");
	case AUTH_REASON_TOKEN_TENANT:
		return err_set(e, ERR_UNAUTHORIZED,
					   "the token names no tenant of this server; `tidegate tenant list` shows those there are");
	case AUTH_REASON_TOKEN_PREFIXES:
		return err_set(e, ERR_UNAUTHORIZED, "the token's claim of name prefixes must be a text or a list of texts");
	case AUTH_REASON_GRANTED:
	case AUTH_REASON_COUNT:
		break;
	}
	return err_set(e, ERR_INTERNAL, "a credential was granted and refused");
}
