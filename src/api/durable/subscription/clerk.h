/*
 * api/durable/subscription/clerk: sees to subscriptions in the background: makes wakes, tells of them, ends those whose
 * lease has run out. One per process; whichever worker looks at a subscription first does what is due, under the row's
 * lock.
 *
 * Hints    clerk_note_append() after each commit of this worker, clerk_note() by whoever changed a subscription. They
 *          gather while a job is on its way, so that many appends cost one look. Appends of tenants that have no
 *          subscriptions cost no query, but one a second for all of them.
 * Truth    the janitor of the fleet looks each round for what is due and for what was missed (hints that were lost with
 *          a worker, or were too many).
 * Owns     the signing keys' cache, the reminder and the courier.
 * Threads  new, stop, free: the main thread. Everything else: any.
 * Limits   CLERK_NOTES_MAX hints are kept; beyond, the janitor's look has to do.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_CLERK_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_CLERK_H

#include "api/api.h"
#include "api/durable/subscription/store.h"
#include "auth/signing.h"

enum { CLERK_NOTES_MAX = 4096, CLERK_TENANTS_MAX = 10000, CLERK_TENANTS_MS = 1000 };

typedef struct clerk clerk;
struct reminder;
struct courier;

/* With api_init(): the log is there, nothing is served yet. */
bool clerk_new(api *a, clerk **out, err *e) MUST_CHECK;
/* Deliveries under way are given back; their retries are up to other workers, or to the next start. */
void clerk_stop(clerk *c);
void clerk_free(clerk *c); /* accepts NULL; all jobs are done */

void clerk_note_append(clerk *c, int64_t tenant_id, int64_t topic_id);
void clerk_note(clerk *c, int64_t subscription_id);
/* Committed as it is now: looked at again when its lease ends, or when it is to be told of. */
void clerk_note_due(clerk *c, const subscription *s);
/* The tenant has a subscription now. */
void clerk_note_tenant(clerk *c, int64_t tenant_id);

/* The janitor's step: finds what is due or was missed, and notes it. */
bool clerk_duty(clerk *c, log_conn *conn, err *e) MUST_CHECK;

api *clerk_api(const clerk *c);
auth_signing *clerk_signing(const clerk *c);
struct reminder *clerk_reminder(const clerk *c);
struct courier *clerk_courier(const clerk *c);

#endif
