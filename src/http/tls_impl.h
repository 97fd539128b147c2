/*
 * http/tls_impl: what the parts of TLS share: http/tls (threads), http/tls_conn (one connection from its handshake to
 * its end) and http/tls_pump (what goes through it).
 *
 * Threads  the connection's, except `incoming` (under the thread's lock) and what is atomic.
 */
#ifndef TIDEGATE_HTTP_TLS_IMPL_H
#define TIDEGATE_HTTP_TLS_IMPL_H

#include "base/metric.h"
#include "http/certificate.h"
#include "http/protocol.h"
#include "http/tls.h"
#include "http/wheel.h"

#include <pthread.h>

enum { TLS_SCRATCH_BYTES = 64 * 1024 };

typedef struct tls_thread tls_thread;
typedef struct tls_conn tls_conn;

typedef enum tls_step { TLS_GREETING, TLS_RELAYING, TLS_LEAVING, TLS_CLOSED } tls_step;

typedef enum tls_phase { TLS_RUNNING, TLS_SHUTTING_DOWN, TLS_STOPPED } tls_phase;

typedef enum tls_result {
	TLS_DONE,    /* handshakes */
	TLS_FAILED,  /* the client or we did not like what the other one said */
	TLS_LATE,    /* header_timeout_ms */
	TLS_REFUSED, /* too many at a time */
	TLS_RESULTS
} tls_result;

/* How one direction of a connection stands. */
typedef enum tls_flow {
	TLS_FLOW_BLOCKED, /* epoll will tell */
	TLS_FLOW_MORE,    /* enough for one turn */
	TLS_FLOW_OVER,    /* nothing will come any more */
	TLS_FLOW_BROKEN   /* the connection is dead */
} tls_flow;

/* One of a connection's two sockets. The flags are cleared by what would block, and set by epoll. */
typedef struct tls_end {
	tls_conn *conn;
	int fd;
	bool may_read;
	bool may_write;
	bool has_hung_up; /* neither direction works any more */
} tls_end;

/* What one side has said and the other one has not taken yet. */
typedef struct tls_rest {
	char *bytes; /* NULL: nothing */
	size_t at;
	size_t len;
} tls_rest;

struct tls_conn {
	tls_thread *thread;
	tls_step step;
	SSL *ssl;
	peer from;
	tls_end client;
	tls_end plain; /* from RELAYING on */
	char first[PROTOCOL_PREFIX_BYTES];
	size_t first_bytes;
	bool has_shaken;        /* hands */
	bool has_client_ended;  /* nothing more will be read from it */
	bool is_end_passed_on;  /* and the server knows */
	bool is_unheard;        /* the server takes nothing more: what the client sends is dropped */
	bool has_server_ended;  /* nothing more will be read from the pair */
	bool has_said_goodbye;  /* everything was sent, close_notify and FIN, too */
	uint64_t dropped_bytes; /* of the client's */
	tls_rest in;            /* for the server */
	tls_rest out;           /* for the client */
	int64_t left_ms;        /* LEAVING: since when, what was sent by then, and when that last grew */
	int64_t moved_ms;
	uint64_t left_sent;
	uint64_t seen_sent;
	wheel_entry timer;
	tls_conn *next; /* of the thread */
	tls_conn *prev;
	tls_conn *next_dead;
	bool is_ready;
	tls_conn *next_ready;
};

/* A connection on its way from the acceptor. */
typedef struct tls_arrival {
	int fd;
	peer from;
	struct tls_arrival *next;
} tls_arrival;

struct tls_thread {
	tls *owner;
	pthread_t thread;
	bool has_thread;
	int epoll_fd;
	int wake_fd;
	atomic_size_t count; /* connections, from the moment they are handed over */
	pthread_mutex_t lock;
	tls_arrival *incoming;
	/* The thread's own. */
	tls_phase seen;
	int64_t now_ms;
	unsigned handshakes_left; /* in this turn */
	tls_conn *conns;
	tls_conn *first_ready; /* in order of their events */
	tls_conn *last_ready;
	tls_conn *dead; /* freed at the end of the turn */
	wheel wheel;
	char scratch[TLS_SCRATCH_BYTES];
};

struct tls {
	http_server *server;
	certificate *certificate;
	_Atomic int phase; /* tls_phase; the main thread, always upwards */
	atomic_size_t count;
	atomic_size_t greeting_count;
	atomic_size_t unsent_count;
	metric *connections;
	metric *handshakes[TLS_RESULTS];
	size_t thread_count;
	tls_thread **threads;
};

/* ---- http/tls ---- */

/* Looks at the connection before the thread sleeps again. */
void tls_mark_ready(tls_conn *c);

/* ---- http/tls_pump ---- */

/* From the server to the client, and the other way: what can be moved now. */
tls_flow tls_pump_out(tls_conn *c);
tls_flow tls_pump_in(tls_conn *c);
/* Reads at most `most` bytes; *got is 0 unless the answer is TLS_FLOW_MORE. */
tls_flow tls_client_read(tls_conn *c, char *to, size_t most, size_t *got);
/* Gives the server what it takes, and keeps the rest. False: out of memory. */
bool tls_send_in(tls_conn *c, const char *bytes, size_t len) MUST_CHECK;
/* Before the server learns that the client has gone: whether that is without having taken everything. */
void tls_note_lost(tls_conn *c);
/* What OpenSSL says of a call that did not succeed; *may is cleared when it would block. */
tls_flow tls_judge(tls_conn *c, int result, bool *may);

/* ---- http/tls_conn ---- */

/* Takes what has arrived. */
void tls_conn_open(tls_thread *t, int fd, peer from);
/* Does what can be done now. */
void tls_conn_move(tls_conn *c);
/* Its timer has run out. */
void tls_conn_expire(tls_conn *c);
void tls_conn_close(tls_conn *c);
void tls_conn_free(tls_conn *c); /* after close */

#endif
