/*
 * http/listener: from "127.0.0.1:5470" to a listening socket.
 *
 * "host:port"; IPv6 in brackets; without a host every address of the machine, IPv6 and IPv4; port 0 for any free one.
 * The socket is non-blocking, and what is accepted from it has TCP_NODELAY and keep-alive on.
 */
#ifndef TIDEGATE_HTTP_LISTENER_H
#define TIDEGATE_HTTP_LISTENER_H

#include "base/err.h"

/* ERR_UNAVAILABLE: the message names the address and what is wrong with it. */
bool listener_open(str address, int *fd, err *e) MUST_CHECK;

#endif
