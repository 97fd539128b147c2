/*
 * api/pump: work that is done again whenever something happened, never twice at once: a long poll that looks again when
 * records arrive, a group's stream that goes on when its client has read.
 *
 * The body runs as a job on a reader thread. A kick asks for a run; kicks that come while one is queued or running lead
 * to one more run afterwards. The body ends the pump by returning PUMP_DONE; when no job can be had, because the database
 * is away or the queue of jobs was full for three seconds, `refuse` is called instead, which ends the pump likewise, or
 * has it try again in a second. Neither is called after a PUMP_DONE.
 *
 * Owns     its watch and its timer. By reference count: one for the pump itself until it is done, one for the creator.
 * Threads  new, kick, ref, unref: any, also from watch, timer and stream callbacks. watch, kick_at: the body only.
 * Limits   API_WAITERS_MAX pumps of one api: pump_new fails with ERR_THROTTLED.
 */
#ifndef TIDEGATE_API_PUMP_H
#define TIDEGATE_API_PUMP_H

#include "api/api.h"
#include "log/wake.h"

typedef struct pump pump;
typedef struct pump_set pump_set;

typedef enum pump_next {
	PUMP_WAIT, /* for the next kick */
	PUMP_DONE  /* the context may be gone already */
} pump_next;

typedef struct pump_body {
	pump_next (*run)(void *context, log_conn *conn);
	pump_next (*refuse)(void *context, const err *e);
	void *context;
} pump_body;

pump_set *pump_set_new(metric_registry *metrics); /* NULL when memory is out */
void pump_set_free(pump_set *s);                  /* accepts NULL; all pumps are done */
void pump_set_kick(pump_set *s);                  /* kicks every pump */

/* Not running yet: kick it. NULL with *e filled. */
pump *pump_new(api *a, pump_body body, err *e) MUST_CHECK;
pump *pump_ref(pump *p); /* returns p */
void pump_unref(pump *p);
void pump_kick(pump *p);
/* Kicks at that time on clock_now_ms(); replaces an earlier call. */
void pump_kick_at(pump *p, int64_t at_ms);
/* From now on new records of the partition (or LOG_ALL_PARTITIONS) kick, as does the topic's deletion. Once a pump;
 * further calls do nothing. False: memory is out. */
bool pump_watch(pump *p, int64_t topic_id, int32_t partition) MUST_CHECK;

#endif
