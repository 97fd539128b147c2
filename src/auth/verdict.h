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
	X(EXPIRED, "expired")

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
