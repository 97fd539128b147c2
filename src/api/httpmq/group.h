/*
 * api/httpmq/group: the members of a delivery group that this worker serves, of whom one at a time is called to look for
 * messages: whoever has slept longest. The others sleep on, so that a message costs the same in a group of two and of two
 * thousand.
 *
 * A seat is a member's place. It is awake from the start, and whenever its pump runs; each run ends with sleep, pass or excuse.
 * News that come while nobody sleeps are kept for the next one who does. A group has one alarm for what becomes due by itself,
 * on the pump of one of its members.
 *
 * Owns     groups and their watches. A seat is embedded in its subscription, which leaves before it goes.
 * Threads  any; join and leave not from inside a wake-up.
 * Limits   those of pumps: a seat is one.
 */
#ifndef TIDEGATE_API_HTTPMQ_GROUP_H
#define TIDEGATE_API_HTTPMQ_GROUP_H

#include "api/pump.h"

typedef struct httpmq_groups httpmq_groups;

typedef struct httpmq_seat {
	struct httpmq_group *group; /* NULL: in none */
	pump *pump;
	bool is_asleep;
	/* of those who sleep */
	struct httpmq_seat *next;
	struct httpmq_seat *prev;
} httpmq_seat;

httpmq_groups *httpmq_groups_new(log_engine *engine); /* NULL when memory is out */
void httpmq_groups_free(httpmq_groups *gs);           /* accepts NULL; nobody is in a group */

/* Of a consumer, whose name is copied. False: memory is out, and the seat is in no group. */
bool httpmq_group_join(httpmq_groups *gs, httpmq_seat *seat, int64_t topic_id, str consumer, pump *p) MUST_CHECK;
/* What it was called for goes to another one. Who is in no group is passed over. */
void httpmq_group_leave(httpmq_groups *gs, httpmq_seat *seat);

/* The seat's pump runs: it is not called meanwhile. */
void httpmq_group_wake(httpmq_groups *gs, httpmq_seat *seat);

/* ---- how a run ends; due_in_ms: until then nothing becomes due by itself, -1: nothing will ---- */

/* Nothing is left to be done. */
void httpmq_group_sleep(httpmq_groups *gs, httpmq_seat *seat, int64_t due_in_ms);
/* Sleeps, and calls another one, who goes on. False: nobody else slept, so that this one has to look again by itself. */
bool httpmq_group_pass(httpmq_groups *gs, httpmq_seat *seat, int64_t due_in_ms) MUST_CHECK;
/* Calls another one; is not called before it has run again for a reason of its own. */
void httpmq_group_excuse(httpmq_groups *gs, httpmq_seat *seat);

#endif
