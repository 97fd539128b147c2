/*
 * http/peer: a client's address.
 */
#ifndef TIDEGATE_HTTP_PEER_H
#define TIDEGATE_HTTP_PEER_H

#include "http/exchange_impl.h"

#include <netinet/in.h>

typedef struct peer {
	struct sockaddr_in6 address; /* large enough for both families */
} peer;

void peer_set(peer *p, const struct sockaddr *address);
/* "127.0.0.1:1234" or "[::1]:1234" into `text`, PEER_TEXT_MAX bytes. */
void peer_format(const peer *p, char *text);

#endif
