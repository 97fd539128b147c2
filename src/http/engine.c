#include "http/engine.h"

#include "base/clock.h"
#include "http/engine_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GOODBYE_STALL_MS = 2000 };

bool engine_new(const engine_options *options, engine **out, err *e)
{
	engine *n = calloc(1, sizeof *n);
	if (n != NULL) {
		n->options = *options;
		n->threads = calloc(options->threads, sizeof(engine_thread *));
	}
	bool is_ready = n != NULL && n->threads != NULL;
	while (is_ready && n->thread_count < options->threads) {
		n->threads[n->thread_count] = engine_thread_new(n);
		is_ready = n->threads[n->thread_count] != NULL;
		n->thread_count += is_ready;
	}
	if (!is_ready) {
		if (n != NULL) {
			engine_stop(n);
			engine_free(n);
		}
		return err_set(e, ERR_NO_MEMORY, "cannot start the stream threads");
	}
	*out = n;
	return true;
}

bool engine_reserve(engine *e)
{
	if (atomic_fetch_add_explicit(&e->stream_count, 1, memory_order_relaxed) < e->options.max_streams) {
		return true;
	}
	engine_unreserve(e);
	return false;
}

void engine_unreserve(engine *e)
{
	atomic_fetch_sub_explicit(&e->stream_count, 1, memory_order_relaxed);
}

/* Two references: the engine's and the caller's. */
static http_stream *stream_new(engine *e, int fd, char *head, size_t head_bytes, const http_stream_options *options)
{
	http_stream *s = calloc(1, sizeof *s);
	if (s == NULL) {
		return NULL;
	}
	int64_t now_ms = clock_now_ms();
	size_t at = atomic_fetch_add_explicit(&e->next_thread, 1, memory_order_relaxed) % e->thread_count;
	pthread_mutex_init(&s->lock, NULL);
	atomic_init(&s->references, 2);
	s->home = e->threads[at];
	s->options = *options;
	if (options->first != NULL) {
		frame_ref(options->first);
	}
	if (options->heartbeat != NULL) {
		frame_ref(options->heartbeat);
	}
	s->queue_max_bytes = (size_t)e->options.queue_bytes;
	s->fd = fd;
	s->head = head_bytes > 0 ? head : NULL;
	s->head_bytes = head_bytes;
	s->ring = s->inline_ring;
	s->ring_capacity = RING_INLINE;
	s->last_output_ms = now_ms;
	s->waiting_since_ms = now_ms;
	s->opened_ms = now_ms;
	return s;
}

/* First output, then into the hands of its thread. False: the engine has stopped; the caller keeps both references. */
static bool launch(http_stream *s)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s};
	pthread_mutex_lock(&s->lock);
	if (stream_flush(s, s->opened_ms) == FLUSH_BROKEN) {
		s->is_broken = true;
	}
	pthread_mutex_unlock(&s->lock);
	/* Counted first: from the next line on its thread may close it at any moment. */
	atomic_fetch_add_explicit(&s->home->engine->socket_count, 1, memory_order_relaxed);
	bool is_launched = engine_mark_ready(s);
	if (!is_launched) {
		atomic_fetch_sub_explicit(&s->home->engine->socket_count, 1, memory_order_relaxed);
		return false;
	}
	pthread_mutex_lock(&s->lock);
	if (s->fd >= 0 && epoll_ctl(s->home->epoll_fd, EPOLL_CTL_ADD, s->fd, &event) != 0) {
		s->is_broken = true;
	}
	bool is_broken = s->is_broken;
	pthread_mutex_unlock(&s->lock);
	if (is_broken) {
		(void)engine_mark_ready(s);
	}
	return true;
}

static void give_up(http_stream *s)
{
	close(s->fd);
	http_stream_unref(s);
	http_stream_unref(s);
}

void engine_release(const engine *e, void *hold)
{
	if (hold != NULL) {
		e->options.release(hold);
	}
}

http_stream *engine_open(engine *e, int fd, char *head, size_t head_bytes, bool is_chunked,
						 const http_stream_options *options, void *hold, peer_tls *tls)
{
	http_stream *s = stream_new(e, fd, head, head_bytes, options);
	if (s == NULL) {
		free(head);
		close(fd);
		engine_release(e, hold);
		engine_unreserve(e);
		e->options.on_socket_closed(e->options.context);
		return NULL;
	}
	s->is_chunked = is_chunked;
	s->hold = hold;
	s->tls = peer_tls_ref(tls);
	if (options->first != NULL) {
		(void)stream_enqueue(s, options->first, 0);
	}
	metric_add(e->options.open_streams, 1);
	if (options->place != NULL) {
		*options->place = s;
	}
	if (!launch(s)) {
		if (options->place != NULL) {
			*options->place = NULL;
		}
		metric_add(e->options.open_streams, -1);
		engine_release(e, hold);
		engine_unreserve(e);
		give_up(s);
		e->options.on_socket_closed(e->options.context);
		return NULL;
	}
	return s;
}

void engine_goodbye(engine *e, int fd, char *bytes, size_t len)
{
	const http_stream_options options = {.stall_ms = GOODBYE_STALL_MS};
	bool has_room = atomic_fetch_add_explicit(&e->goodbye_count, 1, memory_order_relaxed) < GOODBYES_MAX;
	http_stream *s = has_room ? stream_new(e, fd, bytes, len, &options) : NULL;
	if (s != NULL) {
		if (len == 0) {
			free(bytes);
		}
		s->is_goodbye = true;
		s->phase = STREAM_ENDING;
		atomic_store_explicit(&s->is_over, true, memory_order_relaxed);
		if (launch(s)) {
			http_stream_unref(s);
			return;
		}
		give_up(s);
	} else {
		/* Too many at once: the answer goes out as far as the socket takes it. */
		(void)!send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		free(bytes);
		close(fd);
	}
	atomic_fetch_sub_explicit(&e->goodbye_count, 1, memory_order_relaxed);
	e->options.on_socket_closed(e->options.context);
}

static void set_phase(engine *e, engine_phase phase)
{
	atomic_store_explicit(&e->phase, phase, memory_order_release);
	for (size_t i = 0; i < e->thread_count; i++) {
		engine_thread_wake(e->threads[i]);
	}
}

void engine_begin_shutdown(engine *e)
{
	set_phase(e, ENGINE_SHUTTING_DOWN);
}

void engine_cut(engine *e)
{
	set_phase(e, ENGINE_CUT);
}

size_t engine_socket_count(const engine *e)
{
	return atomic_load_explicit(&e->socket_count, memory_order_acquire);
}

size_t engine_stream_count(const engine *e)
{
	return atomic_load_explicit(&e->stream_count, memory_order_acquire);
}

void engine_stop(engine *e)
{
	set_phase(e, ENGINE_STOPPED);
	for (size_t i = 0; i < e->thread_count; i++) {
		engine_thread_join(e->threads[i]);
	}
}

void engine_free(engine *e)
{
	if (e == NULL) {
		return;
	}
	for (size_t i = 0; i < e->thread_count; i++) {
		engine_thread_free(e->threads[i]);
	}
	free(e->threads);
	free(e);
}
