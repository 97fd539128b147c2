/*
 * api/durable/stream_value: streams as immutable values that count their references; for api/durable/stream.
 *
 * Threads  any.
 */
#ifndef TIDEGATE_API_DURABLE_STREAM_VALUE_H
#define TIDEGATE_API_DURABLE_STREAM_VALUE_H

#include "api/durable/stream.h"

/* A copy with one reference; NULL when memory is out. */
const durable_stream *durable_stream_new(const durable_stream *fields);

#endif
