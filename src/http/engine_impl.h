/*
 * http/engine_impl: what the two halves of the engine share: http/engine takes sockets in, http/engine_thread serves
 * them.
 */
#ifndef TIDEGATE_HTTP_ENGINE_IMPL_H
#define TIDEGATE_HTTP_ENGINE_IMPL_H

#include "http/stream_impl.h"

enum { ENGINE_INPUT_BYTES = 16 * 1024 };

/* Who sets it: the main thread, always upwards. */
typedef enum engine_phase { ENGINE_RUNNING, ENGINE_SHUTTING_DOWN, ENGINE_CUT, ENGINE_STOPPED } engine_phase;

typedef struct engine_thread {
	engine *engine;
	pthread_t thread;
	bool has_thread;
	int epoll_fd;
	int wake_fd;
	pthread_mutex_t lock;
	http_stream *ready; /* under lock */
	bool is_stopped;    /* under lock */
	/* The thread's own. */
	engine_phase seen;
	http_stream *streams;
	http_stream *dead; /* their reference is dropped at the end of the turn */
	wheel wheel;
	char input[ENGINE_INPUT_BYTES];
} engine_thread;

struct engine {
	engine_options options;
	_Atomic int phase;
	atomic_size_t stream_count;
	atomic_size_t goodbye_count;
	atomic_size_t socket_count;
	atomic_size_t next_thread;
	engine_thread **threads;
	size_t thread_count;
};

engine_thread *engine_thread_new(engine *e); /* NULL: no memory, descriptors or threads left */
void engine_thread_wake(const engine_thread *t);
void engine_thread_join(engine_thread *t);
void engine_thread_free(engine_thread *t); /* after join; accepts NULL */

#endif
