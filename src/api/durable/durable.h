/*
 * api/durable/durable: the durable streams dialect, /v1/stream/…
 *
 * A stream is a topic of one partition, named by its path (api/durable/path). What the protocol knows of it beyond the log
 * is in tidegate.durable_stream (api/durable/stream).
 *
 * Threads  handlers run on a server's thread and do not block.
 */
#ifndef TIDEGATE_API_DURABLE_DURABLE_H
#define TIDEGATE_API_DURABLE_DURABLE_H

#include "api/durable/stream.h"
#include "api/operation.h"
#include "http/route.h"

enum { DURABLE_BODY_BYTES_MAX = 16 << 20 };

extern const http_dialect durable_dialect;

void durable_put(http_exchange *x);
void durable_post(http_exchange *x);
void durable_get(http_exchange *x);
void durable_head(http_exchange *x);
void durable_delete(http_exchange *x);
void durable_options(http_exchange *x);

/* What is wrong with the path and the headers. */
bool durable_put_check(http_exchange *x, err *e) MUST_CHECK;
bool durable_post_check(http_exchange *x, err *e) MUST_CHECK;

/* The topic's name from the request's path. */
bool durable_read_path(http_exchange *x, str *name, err *e) MUST_CHECK;
/* The same. False: answered. */
bool durable_take_path(http_exchange *x, str *name);

/* Sends the reply, without a body if there is none, and releases the operation and the stream (may be NULL). */
void durable_finish(api_operation *op, const durable_stream *s, int status);

/* A step of the janitor: expired streams, and softly deleted ones without forks. */
bool durable_sweep(log_engine *engine, log_conn *conn, bool *more, err *e) MUST_CHECK;

#endif
