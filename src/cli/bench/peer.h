/*
 * bench/peer: one keep-alive HTTP/1.1 connection to the server under test, non-blocking, one request at a time.
 *
 * Owns     its socket and the block that replies are read into. Requests are borrowed until they are sent.
 * Threads  one at a time.
 * Limits   a reply of at most PEER_REPLY_MAX bytes. Plain http only.
 * Errors   ERR_INVALID_REQUEST the URL; ERR_UNAVAILABLE no connection, or it broke; ERR_TIMEOUT no reply in time;
 *          ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_CLI_BENCH_PEER_H
#define TIDEGATE_CLI_BENCH_PEER_H

#include <sys/socket.h>

#include "base/err.h"
#include "cli/bench/reply.h"

enum { PEER_REPLY_MAX = 256 * 1024 * 1024, PEER_CONNECT_MS = 5000 };

typedef struct peer_address {
	struct sockaddr_storage socket;
	socklen_t socket_bytes;
	char authority[280]; /* for the Host header */
} peer_address;

typedef struct peer {
	int fd;      /* -1 = closed */
	str unsent;  /* rest of the request */
	char *block; /* the reply as received */
	size_t block_len;
	size_t block_capacity;
	reply reply;
} peer;

typedef enum peer_event {
	PEER_WANTS_WRITE, /* the request is not sent completely: wait until the socket can be written */
	PEER_WANTS_READ,  /* wait until it can be read */
	PEER_DONE,        /* the reply is complete: peer_status, peer_body */
	PEER_BROKEN       /* closed, reset, or not HTTP; errno tells, or 0 */
} peer_event;

/* http://host[:port], without a path. Waits for the name service. */
bool peer_resolve(str url, peer_address *out, err *e) MUST_CHECK;
/* Waits for the connection; the socket is non-blocking afterwards. */
bool peer_connect(const peer_address *address, int *fd, err *e) MUST_CHECK;

void peer_init(peer *p); /* closed */
bool peer_open(peer *p, const peer_address *address, err *e) MUST_CHECK;
void peer_dispose(peer *p);

/* Starts a request; the reply before it must be complete. */
peer_event peer_send(peer *p, str request);
/* Goes on after the socket became ready. */
peer_event peer_continue(peer *p);
int peer_status(const peer *p);
str peer_body(const peer *p); /* valid until the next peer_send */
/* A header of the reply, ptr NULL when absent; valid as the body. */
str peer_header(const peer *p, str name);
/* One request and its reply, waiting for it. A status other than 2xx is the caller's business. */
bool peer_call(peer *p, str request, uint32_t timeout_ms, err *e) MUST_CHECK;

#endif
