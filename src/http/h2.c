#include "http/h2_impl.h"

#include "base/clock.h"
#include "http/server_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, SWEEP_MS_MAX = 1000, SWEEP_MS_MIN = 10, MS_PER_SECOND = 1000, LINGER_MS = 1000 };

/* ---- waking ---- */

void h2_wake(const h2_worker *w)
{
	uint64_t one = 1;
	while (write(w->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
	}
}

void h2_mark_dirty(h2_conn *c)
{
	if (!c->is_dirty) {
		c->is_dirty = true;
		c->next_dirty = c->worker->dirty;
		c->worker->dirty = c;
	}
}

/* ---- sockets ---- */

bool h2_watch_pipe(h2_stream *s)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = s};
	return epoll_ctl(s->conn->worker->epoll_fd, EPOLL_CTL_ADD, s->pipe_fd, &event) == 0;
}

static void arm(h2_conn *c)
{
	uint32_t wanted = EPOLLIN | EPOLLRDHUP | (c->rest != NULL ? (uint32_t)EPOLLOUT : 0);
	if (wanted != c->armed) {
		struct epoll_event event = {.events = wanted, .data.ptr = c};
		if (epoll_ctl(c->worker->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) == 0) {
			c->armed = wanted;
		}
	}
}

/* ---- connections ---- */

static void conn_free(h2_conn *c)
{
	h2_worker *w = c->worker;
	if (c->prev != NULL) {
		c->prev->next = c->next;
	} else {
		w->conns = c->next;
	}
	if (c->next != NULL) {
		c->next->prev = c->prev;
	}
	free(c->rest);
	peer_release(&c->peer);
	free(c);
	atomic_fetch_sub_explicit(&w->count, 1, memory_order_release);
}

/* The connection itself lives until the last exchange has come back from the application. */
static void conn_close(h2_conn *c)
{
	if (c->fd < 0) {
		return;
	}
	close(c->fd);
	c->fd = -1;
	nghttp2_session_del(c->session);
	c->session = NULL;
	h2_stream *next;
	for (h2_stream *s = c->streams; s != NULL; s = next) {
		next = s->next;
		h2_stream_close(s);
	}
	server_connection_closed(c->worker->owner->server);
	h2_mark_dirty(c);
}

static void conn_open(h2_worker *w, h2_arrival *from)
{
	h2_conn *c = calloc(1, sizeof *c);
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = c};
	if (c != NULL) {
		c->source = H2_SOURCE_CONN;
		c->worker = w;
		c->fd = from->fd;
		c->peer = from->peer;
		c->armed = event.events;
		c->idle_since_ms = w->now_ms;
	}
	if (c == NULL || !h2_session_open(c) || epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, from->fd, &event) != 0) {
		if (c != NULL) {
			nghttp2_session_del(c->session);
		}
		free(c);
		close(from->fd);
		peer_release(&from->peer);
		server_connection_closed(w->owner->server);
		atomic_fetch_sub_explicit(&w->count, 1, memory_order_release);
		return;
	}
	c->next = w->conns;
	if (c->next != NULL) {
		c->next->prev = c;
	}
	w->conns = c;
	h2_mark_dirty(c);
	if (w->seen >= H2_SHUTTING_DOWN) {
		h2_session_end(c, NGHTTP2_NO_ERROR);
	}
}

static void take_incoming(h2_worker *w)
{
	pthread_mutex_lock(&w->lock);
	h2_arrival *list = w->incoming;
	w->incoming = NULL;
	pthread_mutex_unlock(&w->lock);
	while (list != NULL) {
		h2_arrival *arrival = list;
		list = arrival->next;
		conn_open(w, arrival);
		free(arrival);
	}
}

/* ---- the turns of the loop ---- */

static void handle_conn(h2_conn *c, uint32_t events)
{
	if (c->fd < 0) {
		return;
	}
	if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
		conn_close(c);
	} else if ((events & (EPOLLIN | EPOLLRDHUP)) != 0 && !h2_session_receive(c)) {
		/* What nghttp2 has to say about it (GOAWAY with the reason) goes out first. */
		bool is_told = h2_session_send(c);
		(void)is_told;
		conn_close(c);
	} else {
		h2_mark_dirty(c);
	}
}

static void handle_pipe(h2_stream *s)
{
	if (s->is_deferred && !s->is_closed) {
		s->is_deferred = false;
		nghttp2_session_resume_data(s->conn->session, s->id);
		h2_mark_dirty(s->conn);
	}
}

static void handle_resumed(h2_worker *w)
{
	pthread_mutex_lock(&w->lock);
	h2_stream *list = w->resumed;
	w->resumed = NULL;
	pthread_mutex_unlock(&w->lock);
	while (list != NULL) {
		h2_stream *s = list;
		list = s->next_resumed;
		h2_stream_resume(s);
	}
}

static bool is_finished(const h2_conn *c)
{
	if (c->rest != NULL) {
		return false;
	}
	bool is_silent = nghttp2_session_want_read(c->session) == 0 && nghttp2_session_want_write(c->session) == 0;
	return is_silent || (c->is_ending && c->open_streams == 0);
}

/* Once a turn for each connection that something happened to: what its streams have to send leaves together. */
static void flush_dirty(h2_worker *w)
{
	while (w->dirty != NULL) {
		h2_conn *c = w->dirty;
		w->dirty = c->next_dirty;
		c->is_dirty = false;
		if (c->fd >= 0 && (!h2_session_send(c) || is_finished(c))) {
			conn_close(c);
		} else if (c->fd >= 0) {
			arm(c);
		} else if (c->stream_count == 0) {
			conn_free(c);
		}
	}
}

/* ---- deadlines ---- */

static bool is_stream_overdue(const h2_stream *s, const http_server_options *o, int64_t now_ms)
{
	int64_t elapsed = now_ms - s->since_ms;
	bool is_stuck = now_ms - s->moved_ms >= o->body_timeout_ms;
	uint64_t least = (uint64_t)elapsed / MS_PER_SECOND * o->min_body_rate;
	bool is_late = elapsed >= o->body_timeout_ms;
	switch (s->step) {
	case H2_HEADERS:
		return elapsed >= o->header_timeout_ms;
	case H2_BODY:
		return is_stuck || (is_late && s->exchange.body_received < least);
	case H2_REPLY:
		return is_stuck || (is_late && s->sent < least);
	case H2_GATE:
	case H2_HANDLER:
	case H2_EVENTS:
		break;
	}
	return false;
}

static void sweep_conn(h2_conn *c, const http_server_options *o, int64_t now_ms)
{
	metric *slow = c->worker->owner->server->stats.refused[REFUSED_SLOW];
	if (c->rest != NULL && now_ms - c->sent_ms >= o->body_timeout_ms) {
		metric_add(slow, 1);
		conn_close(c);
		return;
	}
	if (c->open_streams == 0 && now_ms - c->idle_since_ms >= o->idle_timeout_ms) {
		h2_session_end(c, NGHTTP2_NO_ERROR);
		return;
	}
	for (const h2_stream *s = c->streams; s != NULL; s = s->next) {
		if (s->is_closed) {
			continue;
		}
		if (s->has_replied) {
			if (now_ms - s->since_ms >= LINGER_MS) {
				nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
				h2_mark_dirty(c);
			}
		} else if (is_stream_overdue(s, o, now_ms)) {
			metric_add(slow, 1);
			if (s->step == H2_HEADERS) {
				/* The header block is the connection's: nothing else can come before its end. */
				conn_close(c);
				return;
			}
			nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
			h2_mark_dirty(c);
		}
	}
}

static int sweep_ms(const http_server_options *o)
{
	uint32_t shortest = o->header_timeout_ms < o->idle_timeout_ms ? o->header_timeout_ms : o->idle_timeout_ms;
	shortest = o->body_timeout_ms < shortest ? o->body_timeout_ms : shortest;
	uint32_t period = shortest / 4;
	return (int)(period > SWEEP_MS_MAX ? SWEEP_MS_MAX : period < SWEEP_MS_MIN ? SWEEP_MS_MIN : period);
}

static void sweep(h2_worker *w)
{
	const http_server_options *o = &w->owner->server->options;
	if (w->now_ms - w->swept_ms < sweep_ms(o)) {
		return;
	}
	w->swept_ms = w->now_ms;
	for (h2_conn *c = w->conns; c != NULL; c = c->next) {
		if (c->fd >= 0) {
			sweep_conn(c, o, w->now_ms);
		}
	}
}

static void follow_phase(h2_worker *w)
{
	h2_phase phase = (h2_phase)atomic_load_explicit(&w->owner->phase, memory_order_acquire);
	if (phase == w->seen) {
		return;
	}
	w->seen = phase;
	for (h2_conn *c = w->conns; c != NULL; c = c->next) {
		if (phase >= H2_CUT) {
			conn_close(c);
		} else if (c->fd >= 0) {
			h2_session_end(c, NGHTTP2_NO_ERROR);
		}
	}
}

/* ---- the thread ---- */

static void handle_event(h2_worker *w, const struct epoll_event *event)
{
	uint64_t drained;
	switch (*(const h2_source *)event->data.ptr) {
	case H2_SOURCE_WAKE:
		(void)!read(w->wake_fd, &drained, sizeof drained);
		break;
	case H2_SOURCE_CONN:
		handle_conn(event->data.ptr, event->events);
		break;
	case H2_SOURCE_PIPE:
		break;
	}
}

static void *run(void *context)
{
	h2_worker *w = context;
	struct epoll_event events[EVENTS_MAX];
	const int sleep_ms = sweep_ms(&w->owner->server->options);
	while (w->seen != H2_STOPPED) {
		int count = epoll_wait(w->epoll_fd, events, EVENTS_MAX, sleep_ms);
		w->now_ms = clock_now_ms();
		/* Streams first: a connection frees streams, of which one may be named further down. */
		int kept = 0;
		for (int i = 0; i < count; i++) {
			if (*(const h2_source *)events[i].data.ptr == H2_SOURCE_PIPE) {
				handle_pipe(events[i].data.ptr);
			} else {
				events[kept++] = events[i];
			}
		}
		for (int i = 0; i < kept; i++) {
			handle_event(w, &events[i]);
		}
		take_incoming(w);
		handle_resumed(w);
		sweep(w);
		follow_phase(w);
		flush_dirty(w);
	}
	return NULL;
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
		w->has_thread = pthread_create(&w->thread, NULL, run, w) == 0;
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
