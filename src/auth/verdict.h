/*
 * auth/verdict: the outcomes of judging a credential, and the sentence for each.
 */
#ifndef TIDEGATE_AUTH_VERDICT_H
#define TIDEGATE_AUTH_VERDICT_H

#include "base/err.h"

/* X(NAME, label of the metric) */
#define AUTH_REASONS(X)                                                                                                \
	X(GRANTED, "granted")                                                                                              \
	X(MISSING, "missing")                                                                                              \
	X(MALFORMED, "malformed")                                                                                          \
	X(TYPO, "typo")                                                                                                    \
	X(UNKNOWN, "unknown")                                                                                              \
	X(REVOKED, "revoked")                                                                                              \
	X(EXPIRED, "expired")                                                                                              \
	X(TOKEN_MALFORMED, "token_malformed")                                                                              \
	X(TOKEN_ALGORITHM, "token_algorithm")                                                                              \
	X(TOKEN_SIGNATURE, "token_signature")                                                                              \
	X(TOKEN_TIMES, "token_times")                                                                                      \
	X(TOKEN_EXPIRED, "token_expired")                                                                                  \
	X(TOKEN_EARLY, "token_early")                                                                                      \
	X(TOKEN_ISSUER, "token_issuer")                                                                                    \
	X(TOKEN_AUDIENCE, "token_audience")                                                                                \
	X(TOKEN_TENANT, "token_tenant")                                                                                    \
	X(TOKEN_PREFIXES, "token_prefixes")

typedef enum auth_reason {
#define AUTH_REASON_ENUM(name, label) AUTH_REASON_##name,
	AUTH_REASONS(AUTH_REASON_ENUM)
#undef AUTH_REASON_ENUM
		AUTH_REASON_COUNT
} auth_reason;

const char *auth_reason_label(auth_reason reason);
/* ERR_UNAUTHORIZED with what is wrong and what to do. Returns false. Never GRANTED. */
bool auth_reason_err(auth_reason reason, str key_id, err *e);

#endif
