/*
 * api/durable/subscription/wake: the life of a wake: idle → told → leased → done, one at a time per subscription.
 *
 * idle     no wake_id. Something pending makes a wake: a new generation and wake_id, with the tails of what is pending.
 * to tell  tell_ms: the webhook is to be called, or the wake event appended; a worker that is at it has tell_until_ms.
 * leased   lease_until_ms: a worker has it. A webhook's lease begins with the wake, a pull-wake's with its claim.
 *          When it runs out the wake ends as if nothing had happened, unless somebody is still to be told.
 *
 * Pending is a stream with more messages than are acknowledged. That it has more is noted with its link: by the clerk after
 * an append, for the streams of a wake when it ends, for all of them by wake_look(). So a wake costs what is pending,
 * however many streams the subscription has.
 *
 * All of it inside the caller's transaction, with the row locked; *s is brought up to date.
 *
 * Threads  the one that was given the connection.
 * Errors   those of db/conn; ERR_INVALID_OFFSET.
 */
#ifndef TIDEGATE_API_DURABLE_SUBSCRIPTION_WAKE_H
#define TIDEGATE_API_DURABLE_SUBSCRIPTION_WAKE_H

#include "api/durable/subscription/store.h"

/* Ends a wake whose lease has run out. */
bool wake_settle(db_conn *conn, subscription *s, err *e) MUST_CHECK;
/* Looks at every stream for news that nobody has noted yet; the cost grows with their number. */
bool wake_look(db_conn *conn, const subscription *s, err *e) MUST_CHECK;
/* Makes a wake if none is in flight and something is known to be pending. */
bool wake_begin(db_conn *conn, subscription *s, arena *a, err *e) MUST_CHECK;
/* The wake in flight, unclaimed, gets today's tails; it ends when nothing is pending any more. */
bool wake_renew(db_conn *conn, subscription *s, err *e) MUST_CHECK;
bool wake_end(db_conn *conn, subscription *s, err *e) MUST_CHECK;
/* A lease for the worker, which needs no telling. */
bool wake_hold(db_conn *conn, subscription *s, str holder, err *e) MUST_CHECK;
bool wake_extend(db_conn *conn, subscription *s, err *e) MUST_CHECK;

typedef struct wake_ack {
	str path;
	str offset; /* as it was sent */
} wake_ack;

enum { WAKE_ACKS_MAX = 1000 };

/* All of them, or none: ERR_INVALID_OFFSET. */
bool wake_acknowledge(db_conn *conn, const subscription *s, const wake_ack *acks, size_t count, arena *a,
					  err *e) MUST_CHECK;
/* Exactly what the wake was made for. */
bool wake_acknowledge_all(db_conn *conn, const subscription *s, err *e) MUST_CHECK;

static inline bool wake_is_in_flight(const subscription *s)
{
	return s->wake_id.ptr != NULL;
}

/* When it has to be looked at although nobody asked: 0, never. */
static inline int64_t wake_due_ms(const subscription *s)
{
	return s->tell_ms != 0 ? s->tell_ms : s->lease_until_ms;
}

/* Whether telling is due and nobody is at it. */
static inline bool wake_is_to_tell(const subscription *s)
{
	return wake_is_in_flight(s) && s->tell_ms != 0 && s->tell_ms <= s->now_ms &&
		   (s->tell_until_ms == 0 || s->tell_until_ms <= s->now_ms);
}

#endif
