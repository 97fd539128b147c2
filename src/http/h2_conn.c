#include "http/h2_impl.h"

#include "http/server_impl.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MS_PER_SECOND = 1000, LINGER_MS = 1000, DROPPED_READS_MAX = 64 };

/* ---- life ---- */

void h2_conn_free(h2_conn *c)
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

/* Closing with unread bytes would reset the connection, and could take away what the client has not read yet. */
static void close_gently(int fd)
{
	char bytes[4096];
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < DROPPED_READS_MAX && recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0; i++) {
	}
	close(fd);
}

void h2_conn_close(h2_conn *c)
{
	if (c->fd < 0) {
		return;
	}
	close_gently(c->fd);
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

void h2_conn_open(h2_worker *w, h2_arrival *from)
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

void h2_conn_sweep(h2_conn *c)
{
	http_server *server = c->worker->owner->server;
	const http_server_options *o = &server->options;
	const int64_t now_ms = c->worker->now_ms;
	metric *slow = server->stats.refused[REFUSED_SLOW];
	if (c->rest != NULL && now_ms - c->sent_ms >= o->body_timeout_ms) {
		metric_add(slow, 1);
		h2_conn_close(c);
		return;
	}
	/* A request may have come in time that a worker which stood still has not got round to. */
	if (c->open_streams == 0 && now_ms - c->idle_since_ms >= o->idle_timeout_ms && !socket_has_input(c->fd)) {
		h2_session_end(c, NGHTTP2_NO_ERROR);
		return;
	}
	for (h2_stream *s = c->streams; s != NULL; s = s->next) {
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
				h2_conn_close(c);
				return;
			}
			h2_stream_cut(s);
		}
	}
}
