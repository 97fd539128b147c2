/*
 * http/h1: HTTP/1.1 connections, carried by libmicrohttpd. Nothing else includes its header.
 *
 * One daemon (an epoll thread) per worker; a connection goes to the worker that has the fewest. libmicrohttpd's own
 * pool would choose by descriptor number, which is lopsided as soon as other descriptors are made in step with accepted
 * ones.
 *
 * Three things go round libmicrohttpd on purpose:
 *  - An event stream: its head is written to the socket by the stream engine through a descriptor of its own, then the
 *    handler returns MHD_NO and libmicrohttpd closes its descriptor. With MHD_USE_TURBO it does not shutdown(2), so the
 *    TCP connection lives on while libmicrohttpd's memory for it is freed. No byte of libmicrohttpd's is pending then:
 *    it starts on a request only after the reply before has been written, "100 Continue" included.
 *  - A reply before the body was read to its end goes the same way, because libmicrohttpd would close the socket with
 *    unread bytes in it and the client would see a reset instead of the reply.
 *  - Deadlines: libmicrohttpd only knows silence. http/h1_sweep watches progress instead.
 *
 * Owns     its workers and, per connection, one exchange that serves its requests one after the other.
 * Threads  h1_take: any. h1_sweep: one thread. The rest: the main thread.
 */
#ifndef TIDEGATE_HTTP_H1_H
#define TIDEGATE_HTTP_H1_H

#include "http/exchange_impl.h"

typedef struct h1 h1;

bool h1_new(http_server *server, h1 **out, err *e) MUST_CHECK;
bool h1_start(h1 *h, err *e) MUST_CHECK;
/* Takes both. */
void h1_take(h1 *h, int fd, peer from);
/* Cuts connections that are past a deadline. */
void h1_sweep(h1 *h, int64_t now_ms);
/* Cuts the connections that wait for a request; with `also_busy` every one. */
void h1_cut(h1 *h, bool also_busy);
size_t h1_connection_count(const h1 *h);
/* No exchange may be with the application any more. */
void h1_stop(h1 *h);
void h1_free(h1 *h); /* accepts NULL */

#endif
