/*
 * api/topics/hub: what the live connections of this dialect share in one worker: formats, the count of connections, and
 * the keeper of open watch streams.
 *
 * Owns     its parts. Threads: new, free: the main thread, free when no connection is left. Everything else: any.
 */
#ifndef TIDEGATE_API_TOPICS_HUB_H
#define TIDEGATE_API_TOPICS_HUB_H

#include "api/api.h"
#include "api/topics/live_slots.h"
#include "api/topics/watch_format.h"
#include "api/topics/watch_keeper.h"

typedef struct topics_hub {
	watch_formats *formats;
	live_slots *slots;
	watch_keeper *keeper;
} topics_hub;

topics_hub *topics_hub_new(api *a);  /* NULL when memory is out */
void topics_hub_free(topics_hub *h); /* accepts NULL */

#endif
