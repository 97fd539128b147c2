#include "http/h2_impl.h"

#include "http/server_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

void h2_wake(const h2_worker *w)
{
	uint64_t one = 1;
	while (write(w->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
	}
}

/* ---- life ---- */

static void worker_free(h2_worker *w)
{
	if (w == NULL) {
		return;
	}
	while (w->spare != NULL) {
		h2_stream *s = w->spare;
		w->spare = s->next;
		h2_stream_free_spare(s);
	}
	while (w->incoming != NULL) {
		h2_arrival *arrival = w->incoming;
		w->incoming = arrival->next;
		close(arrival->fd);
		peer_release(&arrival->peer);
		server_connection_closed(w->owner->server);
		free(arrival);
	}
	if (w->epoll_fd >= 0) {
		close(w->epoll_fd);
	}
	if (w->wake_fd >= 0) {
		close(w->wake_fd);
	}
	nghttp2_session_callbacks_del(w->callbacks);
	nghttp2_option_del(w->option);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static h2_worker *worker_new(h2 *h)
{
	h2_worker *w = calloc(1, sizeof *w);
	if (w == NULL) {
		return NULL;
	}
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};
	w->source = H2_SOURCE_WAKE;
	w->owner = h;
	pthread_mutex_init(&w->lock, NULL);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->epoll_fd < 0 || w->wake_fd < 0 || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &event) != 0 ||
		!h2_session_prepare(w)) {
		worker_free(w);
		return NULL;
	}
	return w;
}

bool h2_new(http_server *server, h2 **out, err *e)
{
	h2 *h = calloc(1, sizeof *h);
	size_t count = server->options.threads;
	if (h != NULL) {
		h->server = server;
		h->workers = calloc(count, sizeof *h->workers);
	}
	while (h != NULL && h->workers != NULL && h->worker_count < count) {
		h2_worker *w = worker_new(h);
		if (w == NULL) {
			break;
		}
		h->workers[h->worker_count++] = w;
	}
	if (h == NULL || h->worker_count < count) {
		h2_free(h);
		return err_set(e, ERR_NO_MEMORY, "out of memory or descriptors starting the HTTP/2 workers");
	}
	*out = h;
	return true;
}

bool h2_start(h2 *h, err *e)
{
	for (size_t i = 0; i < h->worker_count; i++) {
		h2_worker *w = h->workers[i];
		w->has_thread = pthread_create(&w->thread, NULL, h2_loop_run, w) == 0;
		if (!w->has_thread) {
			return err_set(e, ERR_UNAVAILABLE, "cannot start an HTTP/2 worker thread");
		}
	}
	return true;
}

void h2_take(h2 *h, int fd, peer from)
{
	h2_worker *best = h->workers[0];
	for (size_t i = 1; i < h->worker_count; i++) {
		h2_worker *w = h->workers[i];
		if (atomic_load_explicit(&w->count, memory_order_relaxed) <
			atomic_load_explicit(&best->count, memory_order_relaxed)) {
			best = w;
		}
	}
	h2_arrival *arrival = calloc(1, sizeof *arrival);
	if (arrival == NULL) {
		close(fd);
		peer_release(&from);
		server_connection_closed(h->server);
		return;
	}
	arrival->fd = fd;
	arrival->peer = from;
	atomic_fetch_add_explicit(&best->count, 1, memory_order_relaxed);
	pthread_mutex_lock(&best->lock);
	arrival->next = best->incoming;
	best->incoming = arrival;
	pthread_mutex_unlock(&best->lock);
	h2_wake(best);
}

static void set_phase(h2 *h, h2_phase phase)
{
	atomic_store_explicit(&h->phase, phase, memory_order_release);
	for (size_t i = 0; i < h->worker_count; i++) {
		h2_wake(h->workers[i]);
	}
}

void h2_begin_shutdown(h2 *h)
{
	set_phase(h, H2_SHUTTING_DOWN);
}

void h2_cut(h2 *h)
{
	set_phase(h, H2_CUT);
}

size_t h2_connection_count(const h2 *h)
{
	size_t count = 0;
	for (size_t i = 0; i < h->worker_count; i++) {
		count += atomic_load_explicit(&h->workers[i]->count, memory_order_acquire);
	}
	return count;
}

void h2_stop(h2 *h)
{
	set_phase(h, H2_STOPPED);
	for (size_t i = 0; i < h->worker_count; i++) {
		h2_worker *w = h->workers[i];
		if (w->has_thread) {
			pthread_join(w->thread, NULL);
			w->has_thread = false;
		}
	}
}

void h2_free(h2 *h)
{
	if (h == NULL) {
		return;
	}
	for (size_t i = 0; i < h->worker_count; i++) {
		worker_free(h->workers[i]);
	}
	free(h->workers);
	free(h);
}
