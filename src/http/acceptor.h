/*
 * http/acceptor: one thread that owns the listening sockets, accepts, and finds out which protocol a client speaks.
 *
 * A connection is handed over as soon as its first bytes are there, usually at once. Until then it costs a descriptor
 * and a few bytes; one that says nothing for header_timeout_ms is closed. The thread also runs the server's periodic
 * work.
 *
 * Owns     its listeners, and connections until they are handed over.
 * Threads  new, start, stop, free: the main thread.
 * Limits   max_connections over the whole server: beyond, "503", or GOAWAY, and close. REFUSALS_MAX of those are kept for a
 * moment, until the client has said its protocol and read the answer; further ones are closed at once, with "503".
 */
#ifndef TIDEGATE_HTTP_ACCEPTOR_H
#define TIDEGATE_HTTP_ACCEPTOR_H

#include "base/err.h"

typedef struct acceptor acceptor;
typedef struct http_server http_server;

enum { REFUSALS_MAX = 256 };

typedef struct acceptor_options {
	http_server *server;
	void (*tick)(http_server *server, int64_t now_ms); /* every tick_ms */
	uint32_t tick_ms;
} acceptor_options;

bool acceptor_new(const acceptor_options *options, acceptor **out, err *e) MUST_CHECK;
/* Binds and listens on "host:port"; ERR_UNAVAILABLE names the address. With `is_tls` clients have to speak TLS there, without
 * it they must not; who does otherwise is told so. Before acceptor_start(). */
bool acceptor_listen(acceptor *a, str address, bool is_tls, err *e) MUST_CHECK;
uint16_t acceptor_port(const acceptor *a, size_t index);
bool acceptor_start(acceptor *a, err *e) MUST_CHECK;
/* Closes the listeners and what was not handed over yet; the periodic work goes on. Waits until that is done. */
void acceptor_close(acceptor *a);
void acceptor_stop(acceptor *a); /* joins the thread */
void acceptor_free(acceptor *a); /* after stop; accepts NULL */

#endif
