/*
 * api/durable/subscription/sweep: the elected janitor's look at subscriptions: what is due (leases, retries), and what was
 * missed because a hint was lost. It only finds; the clerk does.
 *
 * Threads  the janitor's.
 * Errors   those of db/conn.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_SWEEP_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_SWEEP_H

#include "api/durable/subscription/clerk.h"

/* How far it has come; begins zeroed. */
typedef struct sweep {
	int64_t found_to; /* subscription id: up to here idle ones with noted work were found */
	int64_t after;    /* subscription id: up to here all links were looked at */
	int64_t size;     /* subscriptions a step of that */
	int64_t next_ms;  /* on clock_now_ms(): when the next such step is due */
} sweep;

/* One bounded step of each. */
bool sweep_run(sweep *s, clerk *c, log_conn *conn, err *e) MUST_CHECK;

#endif
