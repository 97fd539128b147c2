/*
 * api/durable/keep: streams with a TTL that somebody reads live do not expire: their access time is written again and
 * again, once a worker and stream, and a last time when the last reader has gone.
 *
 * Owns     a reference to each stream that is kept.
 * Threads  any. Written by a job (api/pump), every third of the TTL, at most KEEP_PERIOD_MS_MAX apart.
 * Limits   those of api/pump; a stream that finds no room there is not kept.
 */
#ifndef TIDEGATE_API_DURABLE_KEEP_H
#define TIDEGATE_API_DURABLE_KEEP_H

#include "api/durable/stream.h"

typedef struct durable_keeper durable_keeper;
typedef struct durable_kept durable_kept;

enum { KEEP_PERIOD_MS_MIN = 100, KEEP_PERIOD_MS_MAX = 60000 };

durable_keeper *durable_keeper_new(void);    /* NULL when memory is out */
void durable_keeper_free(durable_keeper *k); /* accepts NULL; nothing is kept any more */

/* From now on until durable_unkeep(). NULL when there is nothing to do, or nothing can be done. */
durable_kept *durable_keep(api *a, const durable_stream *s);
void durable_unkeep(durable_kept *s); /* accepts NULL */

#endif
