/*
 * http/engine: the threads that write event streams, and the sockets they write to.
 *
 * A socket that was taken from its transport (http_transport.detach) lives here until it is closed: as an event stream,
 * or only to say goodbye: the last bytes are written, then the client's are read and dropped for a while, so that a
 * client that is still uploading reads the answer instead of a reset.
 *
 *   OPEN ──http_stream_end──▶ ENDING ──all written, SHUT_WR──▶ LINGERING ──client closes, 2 s, 8 MiB──▶ CLOSED
 *   any  ──client gone, stalled, cut──▶ CLOSED
 *
 * Any thread writes to a socket under its stream's lock as long as nothing is queued; once the socket is full the
 * stream's own thread goes on when epoll says so. Only that thread changes OPEN and later into CLOSED, runs callbacks
 * and touches timers.
 *
 * Owns     its threads and every socket handed to it.
 * Threads  open, goodbye: any. new, begin_shutdown, cut, free: the main thread.
 * Limits   max_streams streams, GOODBYES_MAX goodbyes, queue_bytes a stream.
 */
#ifndef TIDEGATE_HTTP_ENGINE_H
#define TIDEGATE_HTTP_ENGINE_H

#include "base/metric.h"
#include "http/peer.h"
#include "http/stream.h"

typedef struct engine engine;

enum { GOODBYES_MAX = 1024 };

typedef struct engine_options {
	uint32_t threads;
	uint32_t max_streams;
	uint64_t queue_bytes;
	metric *open_streams; /* gauge */
	metric *bytes_out;
	/* A socket that engine_goodbye() or engine_open() took is closed now. */
	void (*on_socket_closed)(void *context);
	/* A stream is over that engine_open() took with this hold. May be NULL, as may a hold. */
	void (*release)(void *hold);
	void *context;
} engine_options;

bool engine_new(const engine_options *options, engine **out, err *e) MUST_CHECK;
/* Takes fd and the hold, and a reference to `tls` (NULL: none). `head` (malloc'd, may be NULL) goes out first. Returns NULL,
 * with fd and head released, when out of memory or stopped. */
http_stream *engine_open(engine *e, int fd, char *head, size_t head_bytes, bool is_chunked,
						 const http_stream_options *options, void *hold, peer_tls *tls);
/* A place for one more stream; engine_open() uses it up, engine_unreserve() gives it back. */
bool engine_reserve(engine *e);
void engine_unreserve(engine *e);
/* Gives back a hold that engine_open() did not take. */
void engine_release(const engine *e, void *hold); /* accepts NULL */
/* Takes fd, sends `bytes` (malloc'd, may be NULL) and closes in the end. */
void engine_goodbye(engine *e, int fd, char *bytes, size_t len);
/* No new streams; on_shutdown for those there are (a stream without one just ends). */
void engine_begin_shutdown(engine *e);
/* Closes everything now. */
void engine_cut(engine *e);
/* Sockets that are not closed yet. */
size_t engine_socket_count(const engine *e);
size_t engine_stream_count(const engine *e); /* of them, those before on_closed */
void engine_stop(engine *e);                 /* cuts, then joins the threads */
void engine_free(engine *e);                 /* after stop; accepts NULL */

#endif
