/*
 * Deadlines of HTTP/1.1 connections. The workers only note changes; this looks at every connection once a period and
 * measures from when it first saw a state, so the hot path reads no clock. A deadline is therefore kept to within one
 * period.
 */
#include "http/h1_conn.h"
#include "http/server_impl.h"

#include <linux/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { MS_PER_SECOND = 1000, ABANDONED_MS = 3000 };

typedef struct client_bytes {
	uint64_t received;
	uint64_t acknowledged;
} client_bytes;

static bool read_client_bytes(const h1_conn *c, client_bytes *out)
{
	struct tcp_info info = {.tcpi_state = 0};
	socklen_t len = sizeof info;
	if (c->peer.tls != NULL) {
		out->received = atomic_load_explicit(&c->peer.tls->received, memory_order_relaxed);
		out->acknowledged = atomic_load_explicit(&c->peer.tls->sent, memory_order_relaxed);
		return true;
	}
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0) {
		return false;
	}
	out->received = info.tcpi_bytes_received;
	out->acknowledged = info.tcpi_bytes_acked;
	return true;
}

/* The bytes whose growth is progress in this state. */
static uint64_t progress_of(const h1_conn *c, conn_state state)
{
	client_bytes bytes;
	switch (state) {
	case CONN_BODY:
		return atomic_load_explicit(&c->body_bytes, memory_order_relaxed);
	case CONN_IDLE:
		return read_client_bytes(c, &bytes) ? bytes.received : 0;
	case CONN_REPLY:
		return read_client_bytes(c, &bytes) ? bytes.acknowledged : 0;
	case CONN_HEADERS:
	case CONN_APP:
	case CONN_DETACHED:
		break;
	}
	return 0;
}

static bool is_too_slow(const h1_conn *c, int64_t now_ms, const http_server_options *o)
{
	int64_t elapsed = now_ms - c->seen_since_ms;
	if (now_ms - c->moved_ms >= o->body_timeout_ms) {
		return true;
	}
	uint64_t least = (uint64_t)elapsed / MS_PER_SECOND * o->min_body_rate;
	return elapsed >= o->body_timeout_ms && c->seen_bytes - c->first_bytes < least;
}

static bool is_overdue(const h1_conn *c, conn_state state, int64_t now_ms, const http_server_options *o)
{
	int64_t elapsed = now_ms - c->seen_since_ms;
	switch (state) {
	case CONN_IDLE:
		/* The first bytes of a request have come: it has its time, also when the worker has not got round to it yet. */
		return c->seen_bytes != c->first_bytes ? now_ms - c->moved_ms >= o->header_timeout_ms
											   : elapsed >= o->idle_timeout_ms;
	case CONN_HEADERS:
		return elapsed >= o->header_timeout_ms;
	case CONN_BODY:
	case CONN_REPLY:
		return is_too_slow(c, now_ms, o);
	case CONN_APP:
	case CONN_DETACHED:
		break;
	}
	return false;
}

/* The client closed in the middle of a request: all that it sent was read, or nothing is read any more. libmicrohttpd may
 * see the end together with the last bytes, and then waits for another word about either. */
static bool is_abandoned(const h1_conn *c, conn_state state, int64_t now_ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
	int unread = 0;
	/* IDLE: the beginning of a request line may have been read. Not in the round that saw something happen: a worker may be
	 * just about to go on. */
	bool is_reading = state == CONN_IDLE || state == CONN_HEADERS || state == CONN_BODY;
	return is_reading && now_ms > c->moved_ms && poll(&p, 1, 0) > 0 && (p.revents & POLLRDHUP) != 0 &&
		   ioctl(c->fd, FIONREAD, &unread) == 0 && (unread == 0 || now_ms - c->moved_ms >= ABANDONED_MS);
}

static void look_at(h1_conn *c, int64_t now_ms)
{
	uint64_t mark = atomic_load_explicit(&c->mark, memory_order_relaxed);
	conn_state state = conn_state_of(mark);
	uint64_t bytes = progress_of(c, state);
	if (mark != c->seen_mark) {
		/* A request line that took its time counts towards the headers it belongs to. */
		bool has_begun = conn_state_of(c->seen_mark) == CONN_IDLE && c->seen_bytes != c->first_bytes;
		bool goes_on = state == CONN_HEADERS && has_begun && mark >> STATE_BITS == (c->seen_mark >> STATE_BITS) + 1;
		c->seen_since_ms = goes_on ? c->moved_ms : now_ms;
		c->seen_mark = mark;
		c->moved_ms = now_ms;
		c->first_bytes = bytes;
	} else if (bytes != c->seen_bytes && (state != CONN_IDLE || c->seen_bytes == c->first_bytes)) {
		/* IDLE keeps the time of its first byte: more of them are no excuse. */
		c->moved_ms = now_ms;
	}
	c->seen_bytes = bytes;
}

void h1_sweep(h1 *h, int64_t now_ms)
{
	const http_server_options *o = &h->server->options;
	for (size_t i = 0; i < h->worker_count; i++) {
		h1_worker *w = &h->workers[i];
		pthread_mutex_lock(&w->lock);
		for (h1_conn *c = w->conns; c != NULL; c = c->next) {
			look_at(c, now_ms);
			conn_state state = conn_state_of(c->seen_mark);
			bool is_late = is_overdue(c, state, now_ms, o);
			if (is_late || is_abandoned(c, state, now_ms)) {
				metric_add(h->server->stats.refused[REFUSED_SLOW], is_late && state != CONN_IDLE);
				/* Registered connections are open: the worker unregisters them before it closes. */
				shutdown(c->fd, SHUT_RDWR);
			}
		}
		pthread_mutex_unlock(&w->lock);
	}
}

void h1_cut(h1 *h, bool also_busy)
{
	for (size_t i = 0; i < h->worker_count; i++) {
		h1_worker *w = &h->workers[i];
		pthread_mutex_lock(&w->lock);
		for (h1_conn *c = w->conns; c != NULL; c = c->next) {
			conn_state state = conn_state_of(atomic_load_explicit(&c->mark, memory_order_relaxed));
			if (state == CONN_IDLE && !also_busy) {
				/* Only the reading side: a request that is on its way in right now can still be answered. */
				shutdown(c->fd, SHUT_RD);
			} else if (also_busy && state != CONN_DETACHED) {
				shutdown(c->fd, SHUT_RDWR);
			}
		}
		pthread_mutex_unlock(&w->lock);
	}
}
