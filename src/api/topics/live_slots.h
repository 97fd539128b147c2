/*
 * api/topics/live_slots: how many long-lived connections (watch, work, WebSocket) this worker has, in all and per key.
 *
 * Owns     a slot belongs to its taker, from live_slots_take() to live_slots_give_back(). Threads: any.
 * Limits   live_slots_rule; 0 = none. They hold exactly in each worker. A caller in development mode has no key to be
 *          counted for.
 * Errors   ERR_THROTTLED with the detail {"limit":…,"max":…}; ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_TOPICS_LIVE_SLOTS_H
#define TIDEGATE_API_TOPICS_LIVE_SLOTS_H

#include "auth/principal.h"
#include "base/err.h"

typedef struct live_slots live_slots;
typedef struct live_slot live_slot;

/* Texts are literals. */
typedef struct live_slots_rule {
	int64_t most;
	int64_t most_per_key;
	const char *name; /* of the limits, as detail.limit tells them */
	const char *name_per_key;
	const char *what; /* "live connections are open": for the sentence */
} live_slots_rule;

live_slots *live_slots_new(live_slots_rule rule); /* NULL when memory is out */
void live_slots_free(live_slots *s);              /* accepts NULL; all were given back */
bool live_slots_take(live_slots *s, const auth_principal *p, live_slot **out, err *e) MUST_CHECK;
void live_slots_give_back(live_slots *s, live_slot *slot); /* accepts a slot of NULL */
int64_t live_slots_count(live_slots *s);

#endif
