/*
 * http/peer: a client as its connection knows it: its address, and the TLS that its bytes come through, if any.
 *
 * Owns     a reference to `tls`. Whoever is given a peer owns it, and calls peer_release() in the end.
 * Threads  one; the counters of peer_tls any.
 */
#ifndef TIDEGATE_HTTP_PEER_H
#define TIDEGATE_HTTP_PEER_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { PEER_TEXT_MAX = 56 };

/* What has gone over a client's connection, which the plain socket behind the TLS cannot tell. */
typedef struct peer_tls {
	atomic_uint references;
	_Atomic uint64_t received; /* bytes, without TLS's own */
	_Atomic uint64_t sent;     /* into the client's socket, which does not take more than TLS_UNSENT_BYTES ahead */
	atomic_bool has_lost;      /* the client has gone without having taken everything */
} peer_tls;

typedef struct peer {
	struct sockaddr_in6 address; /* first; large enough for both families */
	peer_tls *tls;               /* NULL: none */
} peer;

void peer_set(peer *p, const struct sockaddr *address);
/* "127.0.0.1:1234" or "[::1]:1234" into `text`, PEER_TEXT_MAX bytes. */
void peer_format(const peer *p, char *text);
peer_tls *peer_tls_ref(peer_tls *tls); /* accepts NULL */
void peer_tls_unref(peer_tls *tls);    /* accepts NULL */
void peer_release(peer *p);
/* The other end was reset, or has not taken what was written: a client that closes with unread bytes resets. */
bool socket_has_lost(int fd);
/* Something has come that was not read yet. */
bool socket_has_input(int fd);

#endif
