/*
 * http/h1_conn: one HTTP/1.1 connection: what http/h1 does with it and what http/h1_sweep watches.
 *
 * Threads  the worker's, except `mark`, `body_bytes` (any reader) and the fields of the sweeper.
 */
#ifndef TIDEGATE_HTTP_H1_CONN_H
#define TIDEGATE_HTTP_H1_CONN_H

#include "http/h1.h"

#include <pthread.h>
#include <stdatomic.h>

struct MHD_Connection;
struct MHD_Daemon;

/* Where the connection is, as far as deadlines go. The worker's thread changes it, DETACHED excepted. */
typedef enum conn_state {
	CONN_IDLE,    /* kept open, no request: idle_timeout_ms */
	CONN_HEADERS, /* header_timeout_ms */
	CONN_BODY,    /* body_timeout_ms without progress, then min_body_rate */
	CONN_APP,     /* with the application: no deadline */
	CONN_REPLY,   /* as BODY, in the other direction */
	CONN_DETACHED /* the socket is the stream engine's; any thread within a turn */
} conn_state;

/* What the next call of libmicrohttpd's handler is for. */
typedef enum conn_step {
	STEP_NEW,    /* headers complete */
	STEP_GATE,   /* the gate is to be called, or was called and has ended */
	STEP_BODY,   /* a piece of the body, or its end */
	STEP_DROP,   /* the same, but the reply is settled */
	STEP_HANDLER /* the handler has ended */
} conn_step;

typedef struct h1_worker h1_worker;

typedef struct h1_conn {
	h1_worker *worker;
	struct MHD_Connection *mhd;
	int fd;
	conn_step step;
	bool is_called;           /* the gate was called */
	const char *target_start; /* in libmicrohttpd's buffer */
	peer peer;

	_Atomic uint64_t mark; /* conn_state in the low byte, a count of changes above */
	_Atomic uint64_t body_bytes;

	/* The sweeper's. */
	uint64_t seen_mark;
	int64_t seen_since_ms;
	int64_t moved_ms; /* last progress */
	uint64_t seen_bytes;
	uint64_t first_bytes;

	/* The registry's, under the worker's lock. */
	struct h1_conn *next;
	struct h1_conn *prev;

	http_exchange exchange;
} h1_conn;

struct h1_worker {
	h1 *owner;
	struct MHD_Daemon *daemon;
	atomic_size_t count; /* connections, from the moment they are handed over */
	pthread_mutex_t lock;
	h1_conn *conns;
};

struct h1 {
	http_server *server;
	size_t worker_count;
	h1_worker *workers;
};

enum { STATE_BITS = 8, STATE_MASK = 0xff };

static inline conn_state conn_state_of(uint64_t mark)
{
	return (conn_state)(mark & STATE_MASK);
}

/* One writer at a time: the worker's thread, or whoever holds the exchange. */
static inline void conn_enter(h1_conn *c, conn_state state)
{
	uint64_t mark = atomic_load_explicit(&c->mark, memory_order_relaxed);
	atomic_store_explicit(&c->mark, ((mark >> STATE_BITS) + 1) << STATE_BITS | (uint64_t)state, memory_order_relaxed);
}

#endif
