#include "http/h2_impl.h"

#include "base/clock.h"
#include "http/server_impl.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_MAX = 256, SWEEP_MS_MAX = 1000, SWEEP_MS_MIN = 10 };

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

/* ---- what comes from other threads ---- */

static void take_incoming(h2_worker *w)
{
	pthread_mutex_lock(&w->lock);
	h2_arrival *list = w->incoming;
	w->incoming = NULL;
	pthread_mutex_unlock(&w->lock);
	while (list != NULL) {
		h2_arrival *arrival = list;
		list = arrival->next;
		h2_conn_open(w, arrival);
		free(arrival);
	}
}

/* ---- events ---- */

static void handle_conn(h2_conn *c, uint32_t events)
{
	if (c->fd < 0) {
		return;
	}
	if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
		h2_conn_close(c);
	} else if ((events & (EPOLLIN | EPOLLRDHUP)) != 0 && !h2_session_receive(c)) {
		/* What nghttp2 has to say about it (GOAWAY with the reason) goes out first. */
		bool is_told = h2_session_send(c);
		(void)is_told;
		h2_conn_close(c);
	} else {
		h2_mark_dirty(c);
	}
}

/* The engine shuts its end when the body is complete, and closes it at once when the stream is cut: then also a client
 * that opens no window, so that nothing is read for it any more, has to hear of it. */
static void handle_pipe(h2_stream *s, uint32_t events)
{
	if (s->is_closed) {
		return;
	}
	if ((events & EPOLLHUP) != 0 && !s->is_complete) {
		h2_stream_cut(s);
		return;
	}
	s->is_complete = s->is_complete || (events & EPOLLRDHUP) != 0;
	if (s->is_deferred) {
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
			h2_conn_close(c);
		} else if (c->fd >= 0) {
			arm(c);
		} else if (c->stream_count == 0) {
			h2_conn_free(c);
		}
	}
}

/* ---- deadlines ---- */

static int sweep_ms(const http_server_options *o)
{
	uint32_t shortest = o->header_timeout_ms < o->idle_timeout_ms ? o->header_timeout_ms : o->idle_timeout_ms;
	shortest = o->body_timeout_ms < shortest ? o->body_timeout_ms : shortest;
	uint32_t period = shortest / 4;
	return (int)(period > SWEEP_MS_MAX ? SWEEP_MS_MAX : period < SWEEP_MS_MIN ? SWEEP_MS_MIN : period);
}

static void sweep(h2_worker *w)
{
	if (w->now_ms - w->swept_ms < sweep_ms(&w->owner->server->options)) {
		return;
	}
	w->swept_ms = w->now_ms;
	for (h2_conn *c = w->conns; c != NULL; c = c->next) {
		if (c->fd >= 0) {
			h2_conn_sweep(c);
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
			h2_conn_close(c);
		} else if (c->fd >= 0) {
			h2_session_end(c, NGHTTP2_NO_ERROR);
		}
	}
}

/* ---- a turn ---- */

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

void h2_loop_turn(h2_worker *w, int wait_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(w->epoll_fd, events, EVENTS_MAX, wait_ms);
	w->now_ms = clock_now_ms();
	/* Streams first: a connection frees streams, of which one may be named further down. */
	int kept = 0;
	for (int i = 0; i < count; i++) {
		if (*(const h2_source *)events[i].data.ptr == H2_SOURCE_PIPE) {
			handle_pipe(events[i].data.ptr, events[i].events);
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

void *h2_loop_run(void *context)
{
	h2_worker *w = context;
	const int wait_ms = sweep_ms(&w->owner->server->options);
	while (w->seen != H2_STOPPED) {
		h2_loop_turn(w, wait_ms);
	}
	return NULL;
}
