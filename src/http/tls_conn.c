#include "http/tls_impl.h"

#include "http/server_impl.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	LINGER_MS = 2000,
	PROGRESS_MS = 1000, /* between two looks at a client that has to take the last bytes */
	MS_PER_SECOND = 1000,
	UNACKNOWLEDGED_MS = 60 * 1000,
};

static const http_server_options *options_of(const tls_conn *c)
{
	return &c->thread->owner->server->options;
}

static void set_timer(tls_conn *c, int64_t after_ms)
{
	wheel_set(&c->thread->wheel, &c->timer, c->thread->now_ms + after_ms);
}

/* ---- greeting ---- */

static tls_flow shake_hands(tls_conn *c)
{
	tls_thread *t = c->thread;
	http_server *server = t->owner->server;
	if (t->handshakes_left == 0) {
		return TLS_FLOW_MORE;
	}
	t->handshakes_left--;
	ERR_clear_error();
	int result = SSL_accept(c->ssl);
	bool may_go_on;
	tls_flow f = result == 1 ? TLS_FLOW_OVER : tls_judge(c, result, &may_go_on);
	if (f == TLS_FLOW_BLOCKED) {
		return f;
	}
	if (result == 1) {
		c->has_shaken = true;
		metric_add(t->owner->handshakes[TLS_DONE], 1);
		return TLS_FLOW_OVER;
	}
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	char text[PEER_TEXT_MAX];
	peer_format(&c->from, text);
	metric_add(t->owner->handshakes[TLS_FAILED], 1);
	SLOG(server->options.log, SLOG_DEBUG, "tls", "a handshake failed",
		 F_STR("reason", str_from_c(reason != NULL ? reason : "the client went away")),
		 F_STR("peer", str_from_c(text)));
	/* Our alert is on its way. */
	shutdown(c->client.fd, SHUT_WR);
	return TLS_FLOW_BROKEN;
}

static bool watch(tls_end *end, tls_conn *c, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = end};
	*end = (tls_end){.conn = c, .fd = fd, .may_read = true, .may_write = true};
	return epoll_ctl(c->thread->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* From here on the server's end of the pair counts as the client's connection. */
static tls_flow begin_relay(tls_conn *c, protocol spoken)
{
	static const int pair_bytes = TLS_PAIR_BYTES;
	tls *owner = c->thread->owner;
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
		metric_add(owner->server->stats.refused[REFUSED_DESCRIPTORS], 1);
		return TLS_FLOW_BROKEN;
	}
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &pair_bytes, sizeof pair_bytes);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &pair_bytes, sizeof pair_bytes);
	if (!watch(&c->plain, c, ends[0]) || !tls_send_in(c, c->first, c->first_bytes)) {
		close(ends[1]);
		return TLS_FLOW_BROKEN;
	}
	wheel_cancel(&c->thread->wheel, &c->timer);
	c->step = TLS_RELAYING;
	atomic_fetch_sub_explicit(&owner->greeting_count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&owner->unsent_count, 1, memory_order_relaxed);
	(void)peer_tls_ref(c->from.tls);
	server_take(owner->server, spoken, ends[1], c->from);
	return TLS_FLOW_MORE;
}

/* By what was agreed upon, else by the first bytes. A request has to begin in either case. */
static protocol protocol_of(const tls_conn *c)
{
	const unsigned char *name = NULL;
	unsigned name_bytes = 0;
	str first = {c->first, c->first_bytes};
	SSL_get0_alpn_selected(c->ssl, &name, &name_bytes);
	if (name_bytes == 0 || first.len == 0) {
		return protocol_tell(first);
	}
	return str_equal((str){(const char *)name, name_bytes}, STR("h2")) ? PROTOCOL_HTTP2 : PROTOCOL_HTTP1;
}

static tls_flow greet(tls_conn *c)
{
	tls_flow f = c->has_shaken ? TLS_FLOW_OVER : shake_hands(c);
	if (f != TLS_FLOW_OVER) {
		return f;
	}
	protocol spoken;
	while ((spoken = protocol_of(c)) == PROTOCOL_UNDECIDED) {
		size_t got;
		f = tls_client_read(c, c->first + c->first_bytes, sizeof c->first - c->first_bytes, &got);
		if (f != TLS_FLOW_MORE) {
			return f == TLS_FLOW_BLOCKED ? TLS_FLOW_BLOCKED : TLS_FLOW_BROKEN;
		}
		c->first_bytes += got;
		atomic_fetch_add_explicit(&c->from.tls->received, got, memory_order_relaxed);
	}
	/* TLS within TLS is a malformed request. */
	return begin_relay(c, spoken == PROTOCOL_TLS ? PROTOCOL_HTTP1 : spoken);
}

/* ---- leaving ---- */

static void note_leaving(tls_conn *c)
{
	if (c->step == TLS_RELAYING && c->plain.has_hung_up) {
		uint64_t sent = atomic_load_explicit(&c->from.tls->sent, memory_order_relaxed);
		c->step = TLS_LEAVING;
		c->left_ms = c->thread->now_ms;
		c->moved_ms = c->left_ms;
		c->left_sent = sent;
		c->seen_sent = sent;
		set_timer(c, c->has_said_goodbye ? LINGER_MS : PROGRESS_MS);
	}
}

/* The client takes what is left too slowly. */
static bool is_too_slow(tls_conn *c)
{
	const http_server_options *o = options_of(c);
	int64_t now_ms = c->thread->now_ms;
	uint64_t sent = atomic_load_explicit(&c->from.tls->sent, memory_order_relaxed);
	if (sent != c->seen_sent) {
		c->seen_sent = sent;
		c->moved_ms = now_ms;
	}
	int64_t elapsed_ms = now_ms - c->left_ms;
	uint64_t least = (uint64_t)elapsed_ms / MS_PER_SECOND * o->min_body_rate;
	return now_ms - c->moved_ms >= o->body_timeout_ms ||
		   (elapsed_ms >= o->body_timeout_ms && sent - c->left_sent < least);
}

void tls_conn_expire(tls_conn *c)
{
	if (c->step == TLS_GREETING && !c->has_shaken) {
		metric_add(c->thread->owner->handshakes[TLS_LATE], 1);
	}
	if (c->step != TLS_LEAVING || c->has_said_goodbye || is_too_slow(c)) {
		tls_conn_close(c);
	} else {
		set_timer(c, PROGRESS_MS);
	}
}

/* ---- turns ---- */

void tls_conn_move(tls_conn *c)
{
	tls_flow in = TLS_FLOW_MORE;
	tls_flow out = TLS_FLOW_MORE;
	if (c->step == TLS_CLOSED) {
		return;
	}
	if (c->step == TLS_GREETING) {
		in = greet(c);
		out = in;
	} else {
		bool had_said_goodbye = c->has_said_goodbye;
		in = tls_pump_in(c);
		out = in != TLS_FLOW_BROKEN ? tls_pump_out(c) : TLS_FLOW_BROKEN;
		if (c->step == TLS_LEAVING && c->has_said_goodbye && !had_said_goodbye) {
			set_timer(c, LINGER_MS);
		}
		note_leaving(c);
	}
	/* Hung up: reset, or both have said goodbye. */
	bool is_over = (in == TLS_FLOW_OVER && out == TLS_FLOW_OVER) || c->client.has_hung_up;
	if (in == TLS_FLOW_BROKEN || out == TLS_FLOW_BROKEN || is_over) {
		tls_conn_close(c);
	} else if (in == TLS_FLOW_MORE || out == TLS_FLOW_MORE) {
		tls_mark_ready(c);
	}
}

/* ---- life ---- */

static bool prepare(tls_conn *c, int fd)
{
	static const int on = 1;
	static const int unsent = TLS_UNSENT_BYTES;
	const uint32_t body_timeout_ms = options_of(c)->body_timeout_ms;
	const unsigned unacknowledged_ms = body_timeout_ms > UNACKNOWLEDGED_MS ? body_timeout_ms : UNACKNOWLEDGED_MS;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	/* What a slow client has not taken waits with whoever sends it, where it is bounded and watched. */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
	c->from.tls = calloc(1, sizeof *c->from.tls);
	if (c->from.tls == NULL) {
		return false;
	}
	atomic_init(&c->from.tls->references, 1);
	c->ssl = certificate_session(c->thread->owner->certificate);
	return c->ssl != NULL && SSL_set_fd(c->ssl, fd) == 1 && watch(&c->client, c, fd);
}

static void discount(tls_thread *t)
{
	tls *owner = t->owner;
	metric_add(owner->connections, -1);
	atomic_fetch_sub_explicit(&t->count, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&owner->count, 1, memory_order_release);
}

void tls_conn_open(tls_thread *t, int fd, peer from)
{
	tls_conn *c = calloc(1, sizeof *c);
	if (c == NULL) {
		close(fd);
		atomic_fetch_sub_explicit(&t->owner->greeting_count, 1, memory_order_relaxed);
		server_connection_closed(t->owner->server);
		discount(t);
		return;
	}
	c->thread = t;
	c->from = from;
	c->client.fd = fd;
	c->plain.fd = -1;
	c->next = t->conns;
	if (c->next != NULL) {
		c->next->prev = c;
	}
	t->conns = c;
	if (!prepare(c, fd)) {
		tls_conn_close(c);
		return;
	}
	set_timer(c, options_of(c)->header_timeout_ms);
	tls_mark_ready(c);
}

void tls_conn_close(tls_conn *c)
{
	tls_thread *t = c->thread;
	tls *owner = t->owner;
	if (c->step == TLS_CLOSED) {
		return;
	}
	if (c->step == TLS_GREETING) {
		atomic_fetch_sub_explicit(&owner->greeting_count, 1, memory_order_relaxed);
		server_connection_closed(owner->server);
	} else if (!c->has_said_goodbye) {
		atomic_fetch_sub_explicit(&owner->unsent_count, 1, memory_order_release);
		tls_note_lost(c);
	}
	c->step = TLS_CLOSED;
	wheel_cancel(&t->wheel, &c->timer);
	close(c->client.fd);
	if (c->plain.fd >= 0) {
		close(c->plain.fd);
	}
	if (c->prev != NULL) {
		c->prev->next = c->next;
	} else {
		t->conns = c->next;
	}
	if (c->next != NULL) {
		c->next->prev = c->prev;
	}
	discount(t);
	c->next_dead = t->dead;
	t->dead = c;
}

void tls_conn_free(tls_conn *c)
{
	SSL_free(c->ssl);
	free(c->in.bytes);
	free(c->out.bytes);
	peer_release(&c->from);
	free(c);
}
