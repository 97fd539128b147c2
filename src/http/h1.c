#include "http/h1.h"

#include "http/engine.h"
#include "http/h1_conn.h"
#include "http/head.h"
#include "http/request.h"
#include "http/server_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SMALL_REST_BYTES = 64 * 1024, /* of a refused body: read to its end, so that the connection can be kept */
	STREAM_UNSENT_BYTES = 256 * 1024,
	STREAM_UNACKNOWLEDGED_MS = 60 * 1000,
	POOL_REST_BYTES = 8 * 1024,
	CONNECTION_SLACK = 64,
};

/* ---- the exchange's view of its connection ---- */

static void resume(http_exchange *x)
{
	h1_conn *c = x->link;
	MHD_resume_connection(c->mhd);
}

static int take_socket(h1_conn *c)
{
	static const int on = 1;
	static const int off = 0;
	static const int unsent = STREAM_UNSENT_BYTES;
	static const unsigned unacknowledged_ms = STREAM_UNACKNOWLEDGED_MS;
	int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		return -1;
	}
	/* libmicrohttpd may have left the socket corked. */
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof off);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	/* What a slow reader has not taken waits in our bounded queue, not in megabytes of the kernel's. */
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
	/* A client that vanished without a word while small frames still fit into the kernel's buffer. */
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
	conn_enter(c, CONN_DETACHED);
	return fd;
}

static int detach(http_exchange *x)
{
	return take_socket(x->link);
}

static const peer *peer_of(const http_exchange *x)
{
	const h1_conn *c = x->link;
	return &c->peer;
}

static bool peer_is_gone(const http_exchange *x)
{
	const h1_conn *c = x->link;
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static const http_transport H1_TRANSPORT = {
	.resume = resume,
	.detach = detach,
	.peer = peer_of,
	.peer_is_gone = peer_is_gone,
};

/* ---- replies ---- */

static enum MHD_Result send_reply(h1_conn *c)
{
	http_exchange *x = &c->exchange;
	size_t len;
	char *bytes = buf_detach(&x->reply, &len);
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, bytes, len > 0 ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (response == NULL) {
		free(bytes);
		return MHD_NO;
	}
	for (size_t i = 0; i < x->reply_header_count; i++) {
		MHD_add_response_header(response, x->reply_headers[i].name, x->reply_headers[i].value);
	}
	if (x->is_broken || atomic_load_explicit(&x->server->is_stopping, memory_order_relaxed)) {
		MHD_add_response_header(response, "Connection", "close");
	}
	conn_enter(c, CONN_REPLY);
	enum MHD_Result result = MHD_queue_response(c->mhd, (unsigned)x->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Answers while the client may still be sending: round libmicrohttpd, which then closes its descriptor. */
static enum MHD_Result send_early(h1_conn *c)
{
	http_exchange *x = &c->exchange;
	buf out;
	size_t len;
	buf_init(&out, HEAD_BYTES_MAX + x->reply.len);
	head_write(x, HEAD_LENGTH, &out);
	if (x->method != HTTP_HEAD) {
		buf_append_str(&out, buf_str(&x->reply));
	}
	char *bytes = buf_detach(&out, &len);
	int fd = take_socket(c);
	if (fd >= 0) {
		engine_goodbye(x->server->engine, fd, bytes, len);
	} else {
		(void)!send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		free(bytes);
	}
	buf_dispose(&out);
	return MHD_NO;
}

/* The reply is settled; the body, if there is one, was not read yet. */
static enum MHD_Result refuse(h1_conn *c)
{
	const http_exchange *x = &c->exchange;
	bool is_expected = http_request_header(x, STR("Expect")).ptr != NULL;
	if (x->has_length && !x->is_broken && !is_expected && x->content_length - x->body_received <= SMALL_REST_BYTES) {
		c->step = STEP_DROP;
		conn_enter(c, CONN_BODY);
		return MHD_YES;
	}
	return send_early(c);
}

/* ---- turns ---- */

/* False: the turn goes on elsewhere; libmicrohttpd will call the handler again when it has ended. */
static bool run_turn(h1_conn *c, void (*function)(http_exchange *x))
{
	http_exchange *x = &c->exchange;
	conn_enter(c, CONN_APP);
	exchange_start_turn(x);
	function(x);
	if (exchange_turn_has_ended(x)) {
		return true;
	}
	MHD_suspend_connection(c->mhd);
	if (!exchange_suspend(x)) {
		MHD_resume_connection(c->mhd);
	}
	return false;
}

static enum MHD_Result after_handler(h1_conn *c)
{
	err e;
	switch (c->exchange.ending) {
	case ENDING_DETACHED:
		return MHD_NO;
	case ENDING_REPLIED:
		return send_reply(c);
	case ENDING_NONE:
	case ENDING_ADMITTED:
		break;
	}
	err_set(&e, ERR_INTERNAL, "the handler of this route did not reply");
	(void)request_refuse(&c->exchange, &e);
	return send_reply(c);
}

static enum MHD_Result call_handler(h1_conn *c)
{
	c->step = STEP_HANDLER;
	return run_turn(c, c->exchange.match.entry->route->handler) ? after_handler(c) : MHD_YES;
}

static enum MHD_Result after_gate(h1_conn *c)
{
	http_exchange *x = &c->exchange;
	if (x->ending == ENDING_DETACHED) {
		return MHD_NO;
	}
	bool is_accepted = x->ending == ENDING_ADMITTED && request_accept(x);
	if (!x->has_body) {
		return is_accepted ? call_handler(c) : send_reply(c);
	}
	if (!is_accepted) {
		return refuse(c);
	}
	c->step = STEP_BODY;
	conn_enter(c, CONN_BODY);
	return MHD_YES;
}

static enum MHD_Result call_gate(h1_conn *c)
{
	http_exchange *x = &c->exchange;
	c->is_called = true;
	if (!request_is_gated(x)) {
		x->ending = ENDING_ADMITTED;
		return after_gate(c);
	}
	return run_turn(c, x->server->options.gate) ? after_gate(c) : MHD_YES;
}

/* ---- libmicrohttpd's callbacks ---- */

static enum MHD_Result add_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_len,
								  const char *value, size_t value_len)
{
	(void)kind;
	str text = value != NULL ? str_trim((str){value, value_len}) : STR("");
	return exchange_add_header(context, (str){name, name_len}, text) ? MHD_YES : MHD_NO;
}

static bool read_headers(h1_conn *c)
{
	http_exchange *x = &c->exchange;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	int count = MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, add_header, x);
	return (size_t)count == x->header_count && info != NULL && info->header_size <= x->server->options.max_header_bytes;
}

static enum MHD_Result begin(h1_conn *c, const char *method, const char *version)
{
	http_exchange *x = &c->exchange;
	x->method_text = str_from_c(method);
	x->is_http_1_0 = strcmp(version, "HTTP/1.0") == 0;
	if (c->target_start + x->target.len + 1 != version) {
		/* A NUL inside the target: libmicrohttpd handed over what comes before it. */
		x->target = STR_NONE;
	}
	bool fits = read_headers(c);
	bool goes_on = request_begin(x);
	if (goes_on && !fits) {
		err e;
		err_set(&e, ERR_HEADERS_TOO_LARGE, "the request line and headers may have %u bytes",
				x->server->options.max_header_bytes);
		x->is_broken = true;
		goes_on = request_refuse(x, &e);
	}
	if (!goes_on) {
		/* What follows cannot be trusted: a reply before the end of the request closes the connection. */
		return x->has_body ? refuse(c) : send_reply(c);
	}
	c->step = STEP_GATE;
	/* Without a body libmicrohttpd calls again at once, for the complete request; a reply then keeps the connection. */
	return x->has_body ? call_gate(c) : MHD_YES;
}

static enum MHD_Result take_body(h1_conn *c, const char *data, size_t *size)
{
	http_exchange *x = &c->exchange;
	if (*size == 0) {
		return request_end_body(x) ? call_handler(c) : send_reply(c);
	}
	str piece = {data, *size};
	*size = 0;
	bool is_taken = request_take_body(x, piece);
	atomic_store_explicit(&c->body_bytes, x->body_received, memory_order_relaxed);
	return is_taken ? MHD_YES : refuse(c);
}

static enum MHD_Result drop_body(h1_conn *c, size_t *size)
{
	if (*size == 0) {
		return send_reply(c);
	}
	c->exchange.body_received += *size;
	atomic_store_explicit(&c->body_bytes, c->exchange.body_received, memory_order_relaxed);
	*size = 0;
	return MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
								  const char *version, const char *data, size_t *size, void **request)
{
	(void)context;
	(void)mhd;
	(void)url;
	h1_conn *c = *request;
	if (c == NULL) {
		return MHD_NO;
	}
	switch (c->step) {
	case STEP_NEW:
		return begin(c, method, version);
	case STEP_GATE:
		return c->is_called ? after_gate(c) : call_gate(c);
	case STEP_BODY:
		return take_body(c, data, size);
	case STEP_DROP:
		return drop_body(c, size);
	case STEP_HANDLER:
		return after_handler(c);
	}
	return MHD_NO;
}

/* The request line is complete; libmicrohttpd is about to take it apart. Returns what on_request gets. */
static void *on_target(void *context, const char *target, struct MHD_Connection *mhd)
{
	(void)context;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	h1_conn *c = info != NULL ? info->socket_context : NULL;
	if (c == NULL) {
		return NULL;
	}
	http_exchange *x = &c->exchange;
	c->target_start = target;
	/* The first request of a connection has been in HEADERS since its first byte. */
	if (conn_state_of(atomic_load_explicit(&c->mark, memory_order_relaxed)) != CONN_HEADERS) {
		conn_enter(c, CONN_HEADERS);
	}
	/* Without memory it stays empty and the request is refused. */
	(void)arena_copy_str(x->arena, str_from_c(target), &x->target);
	return c;
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request,
						 enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)mhd;
	(void)code;
	h1_conn *c = *request;
	*request = NULL;
	if (c == NULL) {
		return;
	}
	bool was_complete = c->step != STEP_NEW && c->step != STEP_BODY && c->step != STEP_DROP;
	exchange_reset(&c->exchange);
	c->step = STEP_NEW;
	c->is_called = false;
	atomic_store_explicit(&c->body_bytes, 0, memory_order_relaxed);
	if (was_complete && conn_state_of(atomic_load_explicit(&c->mark, memory_order_relaxed)) != CONN_DETACHED) {
		conn_enter(c, CONN_IDLE);
	}
}

static h1_conn *conn_new(h1_worker *w, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *address = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	h1_conn *c = calloc(1, sizeof *c);
	peer from = {.tls = NULL};
	if (address != NULL) {
		/* What h1_take() gave libmicrohttpd as the client's address. */
		memcpy(&from, address->client_addr, sizeof from);
	}
	if (c == NULL || fd == NULL || !exchange_init(&c->exchange, w->owner->server, &H1_TRANSPORT, c)) {
		peer_release(&from);
		free(c);
		return NULL;
	}
	c->worker = w;
	c->mhd = mhd;
	c->fd = fd->connect_fd;
	c->peer = from;
	/* The acceptor saw its first byte. */
	conn_enter(c, CONN_HEADERS);
	pthread_mutex_lock(&w->lock);
	c->next = w->conns;
	if (c->next != NULL) {
		c->next->prev = c;
	}
	w->conns = c;
	pthread_mutex_unlock(&w->lock);
	return c;
}

/* Something is left unread, or may still come: closing now would reset the connection under our last answer. */
static bool needs_goodbye(const h1_conn *c, conn_state state)
{
	char byte;
	ssize_t got = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return got > 0 || (got < 0 && errno == EAGAIN && state != CONN_IDLE);
}

static void conn_close(h1_conn *c)
{
	h1_worker *w = c->worker;
	http_server *server = w->owner->server;
	pthread_mutex_lock(&w->lock);
	if (c->prev != NULL) {
		c->prev->next = c->next;
	} else {
		w->conns = c->next;
	}
	if (c->next != NULL) {
		c->next->prev = c->prev;
	}
	pthread_mutex_unlock(&w->lock);
	conn_state state = conn_state_of(atomic_load_explicit(&c->mark, memory_order_relaxed));
	if (state != CONN_DETACHED) {
		int fd = needs_goodbye(c, state) ? take_socket(c) : -1;
		if (fd >= 0) {
			engine_goodbye(server->engine, fd, NULL, 0);
		} else {
			server_connection_closed(server);
		}
	}
	exchange_dispose(&c->exchange);
	peer_release(&c->peer);
	free(c);
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
						  enum MHD_ConnectionNotificationCode code)
{
	h1_worker *w = context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = conn_new(w, mhd);
		return;
	}
	if (*socket_context != NULL) {
		conn_close(*socket_context);
	} else {
		server_connection_closed(w->owner->server);
	}
	atomic_fetch_sub_explicit(&w->count, 1, memory_order_release);
}

/* Paths are decoded per segment by the route table, queries by http/target. */
static size_t keep_escaped(void *context, struct MHD_Connection *mhd, char *text)
{
	(void)context;
	(void)mhd;
	return strlen(text);
}

/* ---- life ---- */

bool h1_new(http_server *server, h1 **out, err *e)
{
	h1 *h = calloc(1, sizeof *h);
	size_t count = server->options.threads;
	if (h != NULL) {
		h->workers = calloc(count, sizeof *h->workers);
	}
	if (h == NULL || h->workers == NULL) {
		free(h);
		return err_set(e, ERR_NO_MEMORY, "out of memory starting the HTTP workers");
	}
	h->server = server;
	h->worker_count = count;
	for (size_t i = 0; i < count; i++) {
		h->workers[i].owner = h;
		pthread_mutex_init(&h->workers[i].lock, NULL);
	}
	*out = h;
	return true;
}

bool h1_start(h1 *h, err *e)
{
	const http_server_options *o = &h->server->options;
	const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
						   MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
	/* Line and headers, then their index and the reply's head. libmicrohttpd clears all of it after every request. */
	size_t pool = (size_t)o->max_header_bytes + POOL_REST_BYTES;
	for (size_t i = 0; i < h->worker_count; i++) {
		h1_worker *w = &h->workers[i];
		w->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, w, MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool,
									 MHD_OPTION_CONNECTION_LIMIT, o->max_connections + CONNECTION_SLACK,
									 MHD_OPTION_NOTIFY_COMPLETED, on_completed, w, MHD_OPTION_NOTIFY_CONNECTION,
									 on_connection, w, MHD_OPTION_URI_LOG_CALLBACK, on_target, w,
									 MHD_OPTION_UNESCAPE_CALLBACK, keep_escaped, w, MHD_OPTION_END);
		if (w->daemon == NULL) {
			return err_set(e, ERR_UNAVAILABLE, "cannot start an HTTP worker thread");
		}
	}
	return true;
}

void h1_take(h1 *h, int fd, peer from)
{
	h1_worker *best = &h->workers[0];
	for (size_t i = 1; i < h->worker_count; i++) {
		h1_worker *w = &h->workers[i];
		if (atomic_load_explicit(&w->count, memory_order_relaxed) <
			atomic_load_explicit(&best->count, memory_order_relaxed)) {
			best = w;
		}
	}
	atomic_fetch_add_explicit(&best->count, 1, memory_order_relaxed);
	/* It keeps a copy of as many bytes as it is told that an address has: so conn_new() gets all of `from`. */
	if (MHD_add_connection(best->daemon, fd, (const struct sockaddr *)&from, sizeof from) != MHD_YES) {
		/* It has closed the socket. */
		peer_release(&from);
		atomic_fetch_sub_explicit(&best->count, 1, memory_order_relaxed);
		server_connection_closed(h->server);
	}
}

size_t h1_connection_count(const h1 *h)
{
	size_t count = 0;
	for (size_t i = 0; i < h->worker_count; i++) {
		count += atomic_load_explicit(&h->workers[i].count, memory_order_acquire);
	}
	return count;
}

void h1_stop(h1 *h)
{
	for (size_t i = 0; i < h->worker_count; i++) {
		if (h->workers[i].daemon != NULL) {
			MHD_stop_daemon(h->workers[i].daemon);
			h->workers[i].daemon = NULL;
		}
	}
}

void h1_free(h1 *h)
{
	if (h == NULL) {
		return;
	}
	for (size_t i = 0; i < h->worker_count; i++) {
		pthread_mutex_destroy(&h->workers[i].lock);
	}
	free(h->workers);
	free(h);
}
