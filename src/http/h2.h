/*
 * http/h2: HTTP/2 connections with prior knowledge, carried by nghttp2.
 *
 * One epoll thread per worker; a connection stays with the worker that has the fewest. Everything of a connection
 * (nghttp2's session, its streams) happens on that thread; an exchange that is answered elsewhere comes back through
 * the worker's list of resumed streams.
 *
 * An event stream is a pair of sockets: the stream engine writes the body into one as it would to a client, the worker
 * reads it from the other as HTTP/2's flow control lets it. So the engine's bounded queue, its deadlines and its
 * callbacks are the same for both protocols.
 *
 * Owns     its workers, connections and their exchanges.
 * Threads  h2_take: any. The rest: the main thread.
 * Limits   H2_STREAMS_MAX streams a connection, max_header_bytes of headers a request, H2_WINDOW_BYTES of body that was
 *          not asked for yet a connection; resets and continuations by nghttp2's limits, frames that carry nothing by a
 *          rate of our own (http/h2_session).
 */
#ifndef TIDEGATE_HTTP_H2_H
#define TIDEGATE_HTTP_H2_H

#include "base/err.h"
#include "http/peer.h"

enum { H2_STREAMS_MAX = 256, H2_WINDOW_BYTES = 1024 * 1024 };

typedef struct h2 h2;
typedef struct http_server http_server;

bool h2_new(http_server *server, h2 **out, err *e) MUST_CHECK;
bool h2_start(h2 *h, err *e) MUST_CHECK;
/* Takes both. */
void h2_take(h2 *h, int fd, peer from);
/* Says GOAWAY to everyone: what was begun is answered, then the connections close. */
void h2_begin_shutdown(h2 *h);
/* Closes everything now. */
void h2_cut(h2 *h);
size_t h2_connection_count(const h2 *h);
/* No exchange may be with the application any more. */
void h2_stop(h2 *h);
void h2_free(h2 *h); /* accepts NULL */

#endif
