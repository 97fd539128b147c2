/*
 * http/h2_impl: what the parts of HTTP/2 share: http/h2 (the workers' life), http/h2_loop (a worker's turns), http/h2_conn
 * (a connection's life and deadlines), http/h2_session (nghttp2's callbacks) and http/h2_stream (one request from its
 * headers to its reply).
 *
 * Threads  the worker's, except `resumed` and `incoming` (under the worker's lock) and `is_gone`.
 */
#ifndef TIDEGATE_HTTP_H2_IMPL_H
#define TIDEGATE_HTTP_H2_IMPL_H

#include "http/exchange_impl.h"
#include "http/h2.h"

#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdatomic.h>

enum { H2_INPUT_BYTES = 64 * 1024, H2_OUTPUT_BYTES = 64 * 1024, H2_SPARE_STREAMS_MAX = 64 };

typedef struct h2_worker h2_worker;
typedef struct h2_conn h2_conn;
typedef struct h2_stream h2_stream;

/* What is in a worker's epoll set. */
typedef enum h2_source { H2_SOURCE_WAKE, H2_SOURCE_CONN, H2_SOURCE_PIPE } h2_source;

typedef enum h2_step {
	H2_HEADERS, /* being received */
	H2_GATE,    /* with the gate */
	H2_BODY,    /* being received */
	H2_HANDLER, /* with the handler */
	H2_REPLY,   /* being sent; what still comes of the request is dropped */
	H2_EVENTS   /* an event stream */
} h2_step;

struct h2_stream {
	h2_source source; /* first: PIPE */
	h2_conn *conn;
	int32_t id;
	h2_step step;
	bool has_exchange;
	bool has_all;      /* of the request */
	bool has_replied;  /* all of the reply was sent */
	bool is_too_large; /* headers */
	bool is_waiting;   /* a turn goes on elsewhere */
	bool is_closed;    /* for nghttp2: nothing more can be sent */
	bool is_deferred;  /* an event stream without anything to send */
	bool is_complete;  /* an event stream whose last bytes are in the pipe */
	size_t header_bytes;
	buf early; /* body that came while the gate was deciding */
	size_t sent;
	int pipe_fd;      /* of an event stream, or -1 */
	int64_t since_ms; /* when the step began */
	int64_t moved_ms; /* when it last made progress */
	h2_stream *next;  /* of the connection, or of the spare ones */
	h2_stream *prev;
	h2_stream *next_resumed; /* under the worker's lock */
	atomic_bool is_gone;     /* the client is not interested any more */
	http_exchange exchange;
};

struct h2_conn {
	h2_source source; /* first: CONN */
	h2_worker *worker;
	int fd;         /* -1: closed, and only kept for streams whose turn goes on elsewhere */
	uint32_t armed; /* epoll events */
	bool is_dirty;  /* on the worker's list of connections with something to send */
	bool is_ending; /* GOAWAY was said */
	nghttp2_session *session;
	peer peer;
	h2_stream *streams;
	size_t open_streams; /* of them, those that nghttp2 has open */
	size_t stream_count;
	char *rest; /* what the socket did not take */
	size_t rest_at;
	size_t rest_bytes;
	int64_t idle_since_ms;    /* while no stream is open */
	int64_t idle_frames_left; /* how many that carry nothing may still come */
	int64_t earned_ms;        /* when time last added to them */
	int64_t sent_ms;          /* when the socket last took something, while there is a rest */
	h2_conn *next;
	h2_conn *prev;
	h2_conn *next_dirty;
};

/* A connection on its way from the acceptor. */
typedef struct h2_arrival {
	int fd;
	peer peer;
	struct h2_arrival *next;
} h2_arrival;

typedef enum h2_phase { H2_RUNNING, H2_SHUTTING_DOWN, H2_CUT, H2_STOPPED } h2_phase;

struct h2_worker {
	h2_source source; /* first: WAKE */
	h2 *owner;
	pthread_t thread;
	bool has_thread;
	int epoll_fd;
	int wake_fd;
	atomic_size_t count; /* connections, from the moment they are handed over */
	pthread_mutex_t lock;
	h2_arrival *incoming;
	h2_stream *resumed;
	/* The thread's own. */
	h2_phase seen;
	int64_t now_ms;
	int64_t swept_ms;
	int64_t date_s;
	char date[32];
	h2_conn *conns;
	h2_conn *dirty;
	h2_stream *spare;
	size_t spare_count;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	char input[H2_INPUT_BYTES];
	char output[H2_OUTPUT_BYTES];
};

struct h2 {
	http_server *server;
	_Atomic int phase; /* h2_phase; the main thread, always upwards */
	size_t worker_count;
	h2_worker **workers;
};

/* ---- http/h2 ---- */

void h2_wake(const h2_worker *w);

/* ---- http/h2_loop ---- */

/* What a worker does until H2_STOPPED; the context is the worker. */
void *h2_loop_run(void *context);
/* Waits for something to happen, and does what follows from it. */
void h2_loop_turn(h2_worker *w, int wait_ms);
/* Something may have to be sent: looked at before the turn ends. */
void h2_mark_dirty(h2_conn *c);
/* Watches the event stream's socket. */
bool h2_watch_pipe(h2_stream *s) MUST_CHECK;

/* ---- http/h2_conn ---- */

/* Takes the socket; closes it when there is no memory. */
void h2_conn_open(h2_worker *w, h2_arrival *from);
/* Ends what goes on. The connection itself lives until the last exchange has come back from the application. */
void h2_conn_close(h2_conn *c);
void h2_conn_free(h2_conn *c);
/* Ends what has passed its deadline. */
void h2_conn_sweep(h2_conn *c);

/* ---- http/h2_session ---- */

/* False: no memory. */
bool h2_session_prepare(h2_worker *w) MUST_CHECK;
bool h2_session_open(h2_conn *c) MUST_CHECK;
/* False: the connection is finished. */
bool h2_session_receive(h2_conn *c) MUST_CHECK;
bool h2_session_send(h2_conn *c) MUST_CHECK;
/* No new streams. */
void h2_session_end(h2_conn *c, uint32_t error_code);

/* ---- http/h2_stream ---- */

h2_stream *h2_stream_new(h2_conn *c, int32_t id); /* NULL: no memory */
/* nghttp2 has closed it, or the connection is gone. Frees it unless a turn goes on elsewhere. */
void h2_stream_close(h2_stream *s);
void h2_stream_take_header(h2_stream *s, str name, str value);
void h2_stream_begin(h2_stream *s);
void h2_stream_take_body(h2_stream *s, str piece);
void h2_stream_end_body(h2_stream *s);
/* Resets it: what was begun is not ended in order. */
void h2_stream_cut(h2_stream *s);
/* Its turn has ended. */
void h2_stream_resume(h2_stream *s);
void h2_stream_free_spare(h2_stream *s);

#endif
