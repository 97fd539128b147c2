/*
 * api/durable/cache: streams remembered by topic_id; for api/durable/stream.
 *
 * Owns     a reference to each stream it holds.
 * Threads  any.
 */
#ifndef TIDEGATE_API_DURABLE_CACHE_H
#define TIDEGATE_API_DURABLE_CACHE_H

#include "api/durable/stream.h"

/* A copy with one reference; NULL when memory is out. */
const durable_stream *durable_stream_new(const durable_stream *fields);
const durable_stream *durable_cache_get(durable_cache *c, int64_t topic_id); /* a reference, or NULL */
/* Takes a reference of its own. */
void durable_cache_put(durable_cache *c, const durable_stream *s);

#endif
