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
	TURN_BYTES = 256 * 1024,       /* of one direction, then the other connections have their turn */
	DROPPED_MAX = 8 * 1024 * 1024, /* what a client may still send when nobody listens */
	LINGER_MS = 2000,
	PROGRESS_MS = 1000, /* between two looks at a client that has to take the last bytes */
	MS_PER_SECOND = 1000,
	UNACKNOWLEDGED_MS = 60 * 1000,
};

/* How a direction stands. */
typedef enum flow {
	FLOW_BLOCKED, /* epoll will tell */
	FLOW_MORE,    /* enough for one turn */
	FLOW_OVER,    /* nothing will come any more */
	FLOW_BROKEN   /* the connection is dead */
} flow;

static const http_server_options *options_of(const tls_conn *c)
{
	return &c->thread->owner->server->options;
}

static void set_timer(tls_conn *c, int64_t after_ms)
{
	wheel_set(&c->thread->wheel, &c->timer, c->thread->now_ms + after_ms);
}

/* ---- rests ---- */

static bool rest_keep(tls_rest *r, const char *bytes, size_t len)
{
	r->bytes = malloc(len);
	if (r->bytes == NULL) {
		return false;
	}
	memcpy(r->bytes, bytes, len);
	r->at = 0;
	r->len = len;
	return true;
}

static void rest_drop(tls_rest *r)
{
	free(r->bytes);
	r->bytes = NULL;
}

static void rest_consume(tls_rest *r, size_t taken)
{
	r->at += taken;
	if (r->at == r->len) {
		rest_drop(r);
	}
}

/* ---- the client's side ---- */

/* What OpenSSL says of a call that did not succeed. */
static flow judge(tls_conn *c, int result, bool *may)
{
	switch (SSL_get_error(c->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		*may = false;
		return FLOW_BLOCKED;
	case SSL_ERROR_ZERO_RETURN:
		return FLOW_OVER;
	default:
		return FLOW_BROKEN;
	}
}

/* Reads at most `most` bytes; *got is 0 unless the answer is FLOW_MORE. */
static flow client_read(tls_conn *c, char *to, size_t most, size_t *got)
{
	*got = 0;
	if (!c->client.may_read) {
		return FLOW_BLOCKED;
	}
	ERR_clear_error();
	int result = SSL_read_ex(c->ssl, to, most, got);
	return result == 1 ? FLOW_MORE : judge(c, result, &c->client.may_read);
}

/* FLOW_MORE: *taken of them, at least one, are on their way. */
static flow client_write(tls_conn *c, const char *bytes, size_t len, size_t *taken)
{
	*taken = 0;
	if (!c->client.may_write) {
		return FLOW_BLOCKED;
	}
	ERR_clear_error();
	int result = SSL_write_ex(c->ssl, bytes, len, taken);
	if (result != 1) {
		return judge(c, result, &c->client.may_write);
	}
	atomic_fetch_add_explicit(&c->from.tls->sent, *taken, memory_order_relaxed);
	return FLOW_MORE;
}

/* ---- from the server to the client ---- */

/* Sends all of it, or keeps the rest. */
static flow send_out(tls_conn *c, const char *bytes, size_t len)
{
	while (len > 0) {
		size_t taken;
		flow f = client_write(c, bytes, len, &taken);
		if (f != FLOW_MORE) {
			return f == FLOW_BLOCKED && rest_keep(&c->out, bytes, len) ? FLOW_BLOCKED : FLOW_BROKEN;
		}
		bytes += taken;
		len -= taken;
	}
	return FLOW_MORE;
}

static flow send_out_rest(tls_conn *c)
{
	while (c->out.bytes != NULL) {
		size_t taken;
		flow f = client_write(c, c->out.bytes + c->out.at, c->out.len - c->out.at, &taken);
		if (f != FLOW_MORE) {
			return f;
		}
		rest_consume(&c->out, taken);
	}
	return FLOW_MORE;
}

/* Everything was sent. */
static flow say_goodbye(tls_conn *c)
{
	ERR_clear_error();
	int result = SSL_shutdown(c->ssl);
	if (result < 0) {
		return judge(c, result, &c->client.may_write);
	}
	shutdown(c->client.fd, SHUT_WR);
	c->has_said_goodbye = true;
	atomic_fetch_sub_explicit(&c->thread->owner->unsent_count, 1, memory_order_release);
	return FLOW_OVER;
}

static flow pump_out(tls_conn *c)
{
	tls_thread *t = c->thread;
	if (c->has_said_goodbye) {
		return FLOW_OVER;
	}
	flow f = send_out_rest(c);
	for (size_t turn = 0; f == FLOW_MORE && turn < TURN_BYTES;) {
		if (c->has_server_ended) {
			return say_goodbye(c);
		}
		if (!c->plain.may_read) {
			return FLOW_BLOCKED;
		}
		ssize_t got = recv(c->plain.fd, t->scratch, sizeof t->scratch, MSG_DONTWAIT);
		if (got > 0) {
			turn += (size_t)got;
			f = send_out(c, t->scratch, (size_t)got);
		} else if (got < 0 && errno == EAGAIN) {
			c->plain.may_read = false;
		} else {
			c->has_server_ended = got == 0 || errno != EINTR;
		}
	}
	return f;
}

/* ---- from the client to the server ---- */

/* False: out of memory. */
static bool send_in(tls_conn *c, const char *bytes, size_t len)
{
	while (len > 0 && !c->is_unheard) {
		ssize_t sent = send(c->plain.fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0) {
			bytes += sent;
			len -= (size_t)sent;
		} else if (sent < 0 && errno == EAGAIN) {
			c->plain.may_write = false;
			return rest_keep(&c->in, bytes, len);
		} else {
			c->is_unheard = sent == 0 || errno != EINTR;
		}
	}
	c->dropped_bytes += len;
	return true;
}

static bool send_in_rest(tls_conn *c)
{
	tls_rest rest = c->in;
	if (rest.bytes == NULL || !(c->plain.may_write || c->is_unheard)) {
		return true;
	}
	c->in.bytes = NULL;
	bool ok = send_in(c, rest.bytes + rest.at, rest.len - rest.at);
	rest_drop(&rest);
	return ok;
}

static flow pump_in(tls_conn *c)
{
	tls_thread *t = c->thread;
	flow f = FLOW_MORE;
	for (size_t turn = 0; turn < TURN_BYTES;) {
		size_t got;
		if (!send_in_rest(c) || c->dropped_bytes > DROPPED_MAX) {
			return FLOW_BROKEN;
		}
		if (c->in.bytes != NULL) {
			return FLOW_BLOCKED;
		}
		if (c->has_client_ended) {
			if (!c->is_end_passed_on) {
				c->is_end_passed_on = true;
				shutdown(c->plain.fd, SHUT_WR);
			}
			return FLOW_OVER;
		}
		f = client_read(c, t->scratch, sizeof t->scratch, &got);
		if (f == FLOW_BLOCKED || f == FLOW_BROKEN) {
			return f;
		}
		c->has_client_ended = f == FLOW_OVER;
		atomic_fetch_add_explicit(&c->from.tls->received, got, memory_order_relaxed);
		turn += got;
		if (!send_in(c, t->scratch, got)) {
			return FLOW_BROKEN;
		}
	}
	return FLOW_MORE;
}

/* ---- greeting ---- */

static flow shake_hands(tls_conn *c)
{
	tls_thread *t = c->thread;
	http_server *server = t->owner->server;
	if (t->handshakes_left == 0) {
		return FLOW_MORE;
	}
	t->handshakes_left--;
	ERR_clear_error();
	int result = SSL_accept(c->ssl);
	bool may_go_on;
	flow f = result == 1 ? FLOW_OVER : judge(c, result, &may_go_on);
	if (f == FLOW_BLOCKED) {
		return f;
	}
	if (result == 1) {
		c->has_shaken = true;
		metric_add(t->owner->handshakes[TLS_DONE], 1);
		return FLOW_OVER;
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
	return FLOW_BROKEN;
}

static bool watch(tls_end *end, tls_conn *c, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = end};
	*end = (tls_end){.conn = c, .fd = fd, .may_read = true, .may_write = true};
	return epoll_ctl(c->thread->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* From here on the server's end of the pair counts as the client's connection. */
static flow begin_relay(tls_conn *c, protocol spoken)
{
	static const int pair_bytes = TLS_PAIR_BYTES;
	tls *owner = c->thread->owner;
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
		metric_add(owner->server->stats.refused[REFUSED_DESCRIPTORS], 1);
		return FLOW_BROKEN;
	}
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &pair_bytes, sizeof pair_bytes);
	setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &pair_bytes, sizeof pair_bytes);
	if (!watch(&c->plain, c, ends[0]) || !send_in(c, c->first, c->first_bytes)) {
		close(ends[1]);
		return FLOW_BROKEN;
	}
	wheel_cancel(&c->thread->wheel, &c->timer);
	c->step = TLS_RELAYING;
	atomic_fetch_sub_explicit(&owner->greeting_count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&owner->unsent_count, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->from.tls->references, 1, memory_order_relaxed);
	server_take(owner->server, spoken, ends[1], c->from);
	return FLOW_MORE;
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

static flow greet(tls_conn *c)
{
	flow f = c->has_shaken ? FLOW_OVER : shake_hands(c);
	if (f != FLOW_OVER) {
		return f;
	}
	protocol spoken;
	while ((spoken = protocol_of(c)) == PROTOCOL_UNDECIDED) {
		size_t got;
		f = client_read(c, c->first + c->first_bytes, sizeof c->first - c->first_bytes, &got);
		if (f != FLOW_MORE) {
			return f == FLOW_BLOCKED ? FLOW_BLOCKED : FLOW_BROKEN;
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
	flow in = FLOW_MORE;
	flow out = FLOW_MORE;
	if (c->step == TLS_CLOSED) {
		return;
	}
	if (c->step == TLS_GREETING) {
		in = greet(c);
		out = in;
	} else {
		bool had_said_goodbye = c->has_said_goodbye;
		in = pump_in(c);
		out = in != FLOW_BROKEN ? pump_out(c) : FLOW_BROKEN;
		if (c->step == TLS_LEAVING && c->has_said_goodbye && !had_said_goodbye) {
			set_timer(c, LINGER_MS);
		}
		note_leaving(c);
	}
	/* Hung up: reset, or both have said goodbye. */
	bool is_over = (in == FLOW_OVER && out == FLOW_OVER) || c->client.has_hung_up;
	if (in == FLOW_BROKEN || out == FLOW_BROKEN || is_over) {
		tls_conn_close(c);
	} else if (in == FLOW_MORE || out == FLOW_MORE) {
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
	rest_drop(&c->in);
	rest_drop(&c->out);
	peer_release(&c->from);
	free(c);
}
