/*
 * http/tls: TLS in front of HTTP/1.1 and HTTP/2, for workers without a proxy.
 *
 * A connection is a relay: a few threads shake hands with the client, and give one end of a pair of sockets to whoever
 * serves the protocol that was agreed upon (by ALPN, else by the first bytes), as if it were the client. What comes
 * through the pair is encrypted and sent, and the other way round. So handlers, event streams, WebSockets and both
 * protocols do not know of TLS, but for the peer that says so.
 *
 *   GREETING ──handshake, first byte of a request──▶ RELAYING ──the server hangs up──▶ LEAVING ──all sent──▶ CLOSED
 *   GREETING ──header_timeout_ms, failure──▶ CLOSED     any ──client gone──▶ CLOSED
 *
 * Ends are passed on one direction at a time: a client's close_notify becomes an end of input for the server, the
 * server's end of output a close_notify. In LEAVING a client that takes too little is cut off as for a reply
 * (body_timeout_ms, min_body_rate); one that has everything has two seconds to close, too.
 *
 * Owns     its threads, the client's sockets, and its end of each pair.
 * Threads  tls_take: any. tls_look_at_files: one. The rest: the main thread.
 * Limits   max_connections connections, TLS_GREETINGS_MAX of them greeting: beyond, closed at once. Buffers: what one
 *          read has brought, in each direction, if the other side does not take it; TLS_PAIR_BYTES in the pair;
 *          TLS_UNSENT_BYTES in the client's socket. While a direction is full nothing is read for it.
 */
#ifndef TIDEGATE_HTTP_TLS_H
#define TIDEGATE_HTTP_TLS_H

#include "base/err.h"
#include "http/peer.h"

typedef struct tls tls;
typedef struct http_server http_server;

enum { TLS_GREETINGS_MAX = 4096, TLS_PAIR_BYTES = 128 * 1024, TLS_UNSENT_BYTES = 128 * 1024 };

/* ERR_INVALID_REQUEST: the certificate or its key; the message names the file. */
bool tls_new(http_server *server, tls **out, err *e) MUST_CHECK;
bool tls_start(tls *t, err *e) MUST_CHECK;
/* Takes both. */
void tls_take(tls *t, int fd, peer from);
void tls_look_at_files(tls *t, int64_t now_ms); /* see certificate_look() */

/* All of these accept NULL. */
void tls_begin_shutdown(tls *t); /* no new requests from connections that are still greeting */
size_t tls_connection_count(const tls *t);
size_t tls_unsent_count(const tls *t); /* of them, those whose server has not hung up, or not with everything sent */
void tls_stop(tls *t);                 /* cuts what is left */
void tls_free(tls *t);                 /* after stop */

#endif
