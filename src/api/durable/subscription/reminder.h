/*
 * api/durable/subscription/reminder: looks at what subscriptions wait for, the end of a lease or the next attempt to tell,
 * when it is due.
 *
 * Set by whoever wrote down that something will be due, and by each look for what is due next, whoever wrote it. It is a
 * hint: what a worker that died had set is found by the janitor's look.
 *
 * Owns     at most one entry of the engine's timer that it knows of.
 * Threads  new, free: the main thread. set: any. look: the one that was given the connection.
 * Limits   REMINDER_DUE_MAX subscriptions a look; looks are REMINDER_PAUSE_MS apart at least.
 * Errors   those of db/conn.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_REMINDER_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_REMINDER_H

#include "api/durable/subscription/clerk.h"

enum { REMINDER_DUE_MAX = 200, REMINDER_PAUSE_MS = 20 };

typedef struct reminder reminder;

reminder *reminder_new(clerk *c); /* NULL when memory is out */
void reminder_free(reminder *a);  /* the engine's timer and jobs are done; accepts NULL */
/* Something is due in so many milliseconds. */
void reminder_set(reminder *a, int64_t in_ms);
/* Notes what is due with the clerk, and sets the reminder for what is next. */
bool reminder_look(reminder *a, log_conn *conn, err *e) MUST_CHECK;

#endif
