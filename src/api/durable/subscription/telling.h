/*
 * api/durable/subscription/telling: tells of a wake: calls the webhook, or appends the wake event.
 *
 * Telling happens outside any transaction. That a worker is at it stands in the row (tell_until_ms), so that no two do
 * it at once and another one takes over when this one dies.
 *
 *   telling_prepare()  in the transaction that found it due
 *   telling_start()    after its commit; the telling belongs to itself from here on
 *   telling_drop()     instead, when the commit failed
 *
 * Threads  any.
 * Limits   webhooks: as many as the courier carries; beyond, nothing is prepared, and the janitor's look comes back.
 * Errors   those of db/conn; ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_TELLING_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_TELLING_H

#include "api/durable/subscription/clerk.h"

enum {
	TELLING_RETRY_MS_MIN = 1000,
	TELLING_RETRY_MS_MAX = 60000,
	TELLING_MARGIN_MS = 5000, /* beyond the timeout, before another worker tries */
	SUBSCRIPTION_TOKEN_GRACE_MS = 3600000,
};

typedef struct telling telling;

/* *out stays NULL when there is nothing that can be done now. */
bool telling_prepare(clerk *c, log_conn *conn, const subscription *s, telling **out, err *e) MUST_CHECK;
void telling_start(telling *t, log_conn *conn);
void telling_drop(telling *t); /* accepts NULL */

/* A token for the wake in flight. */
bool subscription_mint_token(auth_signing *signing, const subscription *s, buf *out, err *e) MUST_CHECK;
/* How long to wait after so many failures in a row; random_bits spreads it by 20 % both ways. */
int64_t telling_retry_ms(int32_t failures, uint64_t random_bits);

extern const str SUBSCRIPTION_TOKEN_PURPOSE;

#endif
