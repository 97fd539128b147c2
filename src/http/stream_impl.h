/*
 * http/stream_impl: a stream's socket and queue, as http/stream and http/engine share them.
 */
#ifndef TIDEGATE_HTTP_STREAM_IMPL_H
#define TIDEGATE_HTTP_STREAM_IMPL_H

#include "http/engine.h"
#include "http/head.h"
#include "http/peer.h"
#include "http/wheel.h"

#include <pthread.h>
#include <stdatomic.h>

enum { RING_INLINE = 4, RING_MAX = 16 * 1024 };

/* OPEN → ENDING: http_stream_end(), any thread. All others: the home thread. */
typedef enum stream_phase { STREAM_OPEN, STREAM_ENDING, STREAM_LINGERING, STREAM_CLOSED } stream_phase;

typedef enum flush_result {
	FLUSH_DONE,    /* nothing is left to be written */
	FLUSH_BLOCKED, /* the socket is full; epoll will tell */
	FLUSH_MORE,    /* enough for one turn; come back */
	FLUSH_BROKEN   /* the socket is dead */
} flush_result;

struct http_stream {
	pthread_mutex_t lock;
	atomic_uint references;
	atomic_bool is_over;    /* no push is taken any more */
	atomic_bool is_settled; /* all was taken before the last frame: what is lost afterwards is only that */
	struct engine_thread *home;
	http_stream_options options;
	void *hold;    /* engine_options.release; released with on_closed */
	peer_tls *tls; /* in front of the socket, or NULL; a reference */
	size_t queue_max_bytes;
	bool is_chunked;
	atomic_bool is_paused; /* nothing is read from the client */
	bool is_goodbye;       /* no callbacks, does not count as a stream */

	/* Under the lock. */
	stream_phase phase;
	int fd;
	bool is_broken;
	bool was_full; /* on_drain is owed */
	uint8_t tail_sent;
	char *head; /* status line and headers; freed when sent */
	size_t head_bytes;
	size_t head_sent;
	frame **ring;
	frame *inline_ring[RING_INLINE];
	uint32_t ring_first;
	uint32_t ring_count;
	uint32_t ring_capacity; /* a power of two */
	size_t queued_bytes;
	size_t sent_of_first;
	int64_t last_output_ms;
	int64_t waiting_since_ms; /* for the socket to take something, while anything is queued */

	/* The home thread's. */
	bool is_adopted;
	bool is_reported; /* on_closed was called */
	atomic_bool
		has_lost; /* output did not reach the client; after a proper end this may turn out later than on_closed */
	bool has_expired;
	bool has_eof;
	bool has_input;         /* was not read to the end in the last turn */
	uint64_t dropped_bytes; /* of the client's */
	int64_t opened_ms;
	struct http_stream *next;
	struct http_stream *prev;
	struct http_stream *next_dead;
	wheel_entry timer;

	/* Under the home thread's lock. */
	bool is_ready;
	struct http_stream *next_ready;
};

/* Caller holds s->lock for all of these. */
bool stream_has_output(const http_stream *s);
bool stream_enqueue(http_stream *s, frame *f, size_t already_sent);
flush_result stream_flush(http_stream *s, int64_t now_ms);
http_push stream_push_locked(http_stream *s, frame *f, int64_t now_ms);
http_push stream_push_all_locked(http_stream *s, frame *const *frames, size_t count, int64_t now_ms);
void stream_drop_output(http_stream *s);
/* The reply is `status` and the headers of x, then a stream: see http_stream_open(). */
http_stream *stream_open_as(http_exchange *x, int status, head_framing framing, const http_stream_options *options);
/* Puts the stream on its thread's list and wakes it. False: the thread has stopped. */
bool engine_mark_ready(http_stream *s);
void engine_count_bytes(const http_stream *s, size_t bytes);

#endif
