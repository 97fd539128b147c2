#include "http/h2_impl.h"

#include "base/clock.h"
#include "http/request.h"
#include "http/server_impl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
	NUMBER_TEXT_BYTES = 24,
	OWN_HEADERS = 3,            /* :status, date, content-length */
	HEADER_OVERHEAD_BYTES = 32, /* RFC 9113's count of a header's size */
};

static void enter(h2_stream *s, h2_step step)
{
	s->step = step;
	s->since_ms = s->conn->worker->now_ms;
	s->moved_ms = s->since_ms;
}

/* ---- the exchange's view ---- */

static void resume(http_exchange *x)
{
	h2_stream *s = x->link;
	h2_worker *w = s->conn->worker;
	pthread_mutex_lock(&w->lock);
	bool was_empty = w->resumed == NULL;
	s->next_resumed = w->resumed;
	w->resumed = s;
	/* Under the lock: without it the worker could take s, finish and stop in between. */
	if (was_empty) {
		h2_wake(w);
	}
	pthread_mutex_unlock(&w->lock);
}

static int detach(http_exchange *x)
{
	h2_stream *s = x->link;
	int ends[2];
	/* The engine counts the socket out when it closes it. */
	if (!server_connection_opened(x->server) ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
		server_connection_closed(x->server);
		return -1;
	}
	s->pipe_fd = ends[0];
	return ends[1];
}

static const peer *peer_of(const http_exchange *x)
{
	const h2_stream *s = x->link;
	return &s->conn->peer;
}

static bool peer_is_gone(const http_exchange *x)
{
	const h2_stream *s = x->link;
	return atomic_load_explicit(&s->is_gone, memory_order_relaxed);
}

static const http_transport H2_TRANSPORT = {
	.resume = resume,
	.detach = detach,
	.peer = peer_of,
	.peer_is_gone = peer_is_gone,
	.frames_bodies = true,
};

/* ---- life ---- */

h2_stream *h2_stream_new(h2_conn *c, int32_t id)
{
	h2_worker *w = c->worker;
	h2_stream *s = w->spare;
	if (s != NULL) {
		w->spare = s->next;
		w->spare_count--;
	} else {
		s = calloc(1, sizeof *s);
		if (s == NULL || !exchange_init(&s->exchange, w->owner->server, &H2_TRANSPORT, s)) {
			free(s);
			return NULL;
		}
	}
	s->source = H2_SOURCE_PIPE;
	s->conn = c;
	s->id = id;
	s->has_exchange = true;
	s->has_all = false;
	s->has_replied = false;
	s->is_too_large = false;
	s->is_waiting = false;
	s->is_closed = false;
	s->is_deferred = false;
	s->is_complete = false;
	s->header_bytes = 0;
	s->sent = 0;
	s->pipe_fd = -1;
	buf_init(&s->early, H2_WINDOW_BYTES);
	atomic_store_explicit(&s->is_gone, false, memory_order_relaxed);
	enter(s, H2_HEADERS);
	s->prev = NULL;
	s->next = c->streams;
	if (s->next != NULL) {
		s->next->prev = s;
	}
	c->streams = s;
	c->stream_count++;
	c->open_streams++;
	return s;
}

void h2_stream_free_spare(h2_stream *s)
{
	exchange_dispose(&s->exchange);
	free(s);
}

static void release(h2_stream *s)
{
	h2_conn *c = s->conn;
	h2_worker *w = c->worker;
	if (s->prev != NULL) {
		s->prev->next = s->next;
	} else {
		c->streams = s->next;
	}
	if (s->next != NULL) {
		s->next->prev = s->prev;
	}
	c->stream_count--;
	buf_dispose(&s->early);
	if (!s->has_exchange) {
		free(s);
	} else if (w->spare_count < H2_SPARE_STREAMS_MAX) {
		exchange_reset(&s->exchange);
		s->next = w->spare;
		w->spare = s;
		w->spare_count++;
	} else {
		h2_stream_free_spare(s);
	}
	h2_mark_dirty(c);
}

void h2_stream_close(h2_stream *s)
{
	h2_conn *c = s->conn;
	if (!s->is_closed) {
		s->is_closed = true;
		c->open_streams--;
		c->idle_since_ms = c->worker->now_ms;
	}
	if (s->early.len > 0 && c->session != NULL) {
		/* The connection's window is shared: what this stream leaves unread must not narrow it for good. */
		nghttp2_session_consume_connection(c->session, s->early.len);
	}
	buf_dispose(&s->early);
	if (s->pipe_fd >= 0 && !s->is_waiting) {
		/* The engine sees its end hang up, as if a client had left. */
		close(s->pipe_fd);
		s->pipe_fd = -1;
	}
	atomic_store_explicit(&s->is_gone, true, memory_order_relaxed);
	if (!s->is_waiting) {
		release(s);
	}
}

void h2_stream_cut(h2_stream *s)
{
	nghttp2_submit_rst_stream(s->conn->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
	h2_mark_dirty(s->conn);
}

/* ---- replies ---- */

static ssize_t read_reply(nghttp2_session *session, int32_t id, uint8_t *to, size_t most, uint32_t *flags,
						  nghttp2_data_source *source, void *context)
{
	h2_stream *s = source->ptr;
	const buf *reply = &s->exchange.reply;
	size_t left = reply->len - s->sent;
	size_t here = left < most ? left : most;
	(void)session;
	(void)id;
	(void)context;
	memcpy(to, reply->ptr + s->sent, here);
	s->sent += here;
	s->moved_ms = s->conn->worker->now_ms;
	if (s->sent == reply->len) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)here;
}

/* Before the loop saw the pipe's end: was it closed, or only shut? */
static bool was_cut(const h2_stream *s)
{
	struct pollfd p = {.fd = s->pipe_fd, .events = POLLIN};
	return !s->is_complete && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static ssize_t read_events(nghttp2_session *session, int32_t id, uint8_t *to, size_t most, uint32_t *flags,
						   nghttp2_data_source *source, void *context)
{
	h2_stream *s = source->ptr;
	(void)session;
	(void)id;
	(void)context;
	ssize_t got = recv(s->pipe_fd, to, most, MSG_DONTWAIT);
	if (got > 0) {
		return got;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
		s->is_deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (got < 0 || was_cut(s)) {
		h2_stream_cut(s);
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return 0;
}

static const char *date_of(h2_worker *w)
{
	time_t now = time(NULL);
	struct tm at;
	if (now != (time_t)w->date_s && gmtime_r(&now, &at) != NULL) {
		w->date_s = now;
		/* The C locale's names, which this process never leaves. */
		strftime(w->date, sizeof w->date, "%a, %d %b %Y %H:%M:%S GMT", &at);
	}
	return w->date;
}

static nghttp2_nv header(const char *name, const char *value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

static void submit(h2_stream *s, const nghttp2_data_provider *body, bool has_length)
{
	http_exchange *x = &s->exchange;
	h2_conn *c = s->conn;
	nghttp2_nv headers[OWN_HEADERS + HTTP_REPLY_HEADERS_MAX + SERVER_HEADERS_MAX];
	char status[NUMBER_TEXT_BYTES];
	char length[NUMBER_TEXT_BYTES];
	size_t count = 0;
	snprintf(status, sizeof status, "%d", x->status);
	headers[count++] = header(":status", status);
	headers[count++] = header("date", date_of(c->worker));
	if (has_length) {
		snprintf(length, sizeof length, "%zu", x->reply.len);
		headers[count++] = header("content-length", length);
	}
	for (size_t i = 0; i < x->reply_header_count; i++) {
		headers[count++] = header(x->reply_headers[i].name, x->reply_headers[i].value);
	}
	if (nghttp2_submit_response(c->session, s->id, headers, count, body) != 0) {
		nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
	}
	h2_mark_dirty(c);
}

static void send_reply(h2_stream *s)
{
	const http_exchange *x = &s->exchange;
	bool has_length = x->status != 204 && x->status != 304;
	bool has_body = has_length && x->method != HTTP_HEAD && x->reply.len > 0;
	nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_reply};
	enter(s, H2_REPLY);
	submit(s, has_body ? &body : NULL, has_length);
}

static void start_events(h2_stream *s)
{
	nghttp2_data_provider body = {.source.ptr = s, .read_callback = read_events};
	enter(s, H2_EVENTS);
	if (!h2_watch_pipe(s)) {
		nghttp2_submit_rst_stream(s->conn->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
		h2_mark_dirty(s->conn);
		return;
	}
	submit(s, &body, false);
	/* The stream may last for hours: what the request took is given back. */
	exchange_dispose(&s->exchange);
	s->has_exchange = false;
}

/* ---- turns ---- */

/* False: the turn goes on elsewhere. */
static bool run_turn(h2_stream *s, void (*function)(http_exchange *x))
{
	http_exchange *x = &s->exchange;
	exchange_start_turn(x);
	function(x);
	if (exchange_turn_has_ended(x) || !exchange_suspend(x)) {
		return true;
	}
	s->is_waiting = true;
	return false;
}

static void after_handler(h2_stream *s)
{
	err e;
	switch (s->exchange.ending) {
	case ENDING_DETACHED:
		start_events(s);
		return;
	case ENDING_REPLIED:
		send_reply(s);
		return;
	case ENDING_NONE:
	case ENDING_ADMITTED:
		break;
	}
	err_set(&e, ERR_INTERNAL, "the handler of this route did not reply");
	(void)request_refuse(&s->exchange, &e);
	send_reply(s);
}

static void call_handler(h2_stream *s)
{
	enter(s, H2_HANDLER);
	if (run_turn(s, s->exchange.match.entry->route->handler)) {
		after_handler(s);
	}
}

static void feed(h2_stream *s, str piece)
{
	s->moved_ms = s->conn->worker->now_ms;
	if (!request_take_body(&s->exchange, piece)) {
		send_reply(s);
	}
}

static void after_gate(h2_stream *s)
{
	http_exchange *x = &s->exchange;
	if (x->ending == ENDING_DETACHED) {
		start_events(s);
		return;
	}
	if (x->ending != ENDING_ADMITTED || !request_accept(x)) {
		send_reply(s);
		return;
	}
	if (!x->has_body) {
		call_handler(s);
		return;
	}
	enter(s, H2_BODY);
	if (s->early.len > 0) {
		nghttp2_session_consume(s->conn->session, s->id, s->early.len);
		feed(s, buf_str(&s->early));
		buf_dispose(&s->early);
		h2_mark_dirty(s->conn);
	}
	if (s->has_all) {
		h2_stream_end_body(s);
	}
}

static void call_gate(h2_stream *s)
{
	http_exchange *x = &s->exchange;
	enter(s, H2_GATE);
	if (!request_is_gated(x)) {
		x->ending = ENDING_ADMITTED;
		after_gate(s);
	} else if (run_turn(s, x->server->options.gate)) {
		after_gate(s);
	}
}

void h2_stream_resume(h2_stream *s)
{
	s->is_waiting = false;
	if (s->is_closed) {
		h2_stream_close(s);
	} else if (s->step == H2_GATE) {
		after_gate(s);
	} else {
		after_handler(s);
	}
}

/* ---- the request ---- */

static bool take_text(h2_stream *s, str value, str *out)
{
	s->is_too_large = s->is_too_large || !arena_copy_str(s->exchange.arena, value, out);
	return !s->is_too_large;
}

void h2_stream_take_header(h2_stream *s, str name, str value)
{
	http_exchange *x = &s->exchange;
	str name_copy;
	str value_copy;
	s->header_bytes += name.len + value.len + HEADER_OVERHEAD_BYTES;
	s->is_too_large = s->is_too_large || s->header_bytes > x->server->options.max_header_bytes;
	if (s->is_too_large) {
		return;
	}
	if (str_equal(name, STR(":method"))) {
		take_text(s, value, &x->method_text);
	} else if (str_equal(name, STR(":path"))) {
		take_text(s, value, &x->target);
	} else if (str_equal(name, STR(":authority"))) {
		s->is_too_large = !take_text(s, value, &value_copy) || !exchange_add_header(x, STR("host"), value_copy);
	} else if (name.len > 0 && name.ptr[0] != ':') {
		bool is_second_host = str_equal(name, STR("host")) && http_request_header(x, STR("host")).ptr != NULL;
		if (!is_second_host && take_text(s, name, &name_copy) && take_text(s, str_trim(value), &value_copy)) {
			s->is_too_large = !exchange_add_header(x, name_copy, value_copy);
		}
	}
}

void h2_stream_begin(h2_stream *s)
{
	http_exchange *x = &s->exchange;
	err e;
	x->has_open_body = !s->has_all;
	bool goes_on = request_begin(x);
	if (goes_on && s->is_too_large) {
		err_set(&e, ERR_HEADERS_TOO_LARGE, "the headers of a request may have %u bytes",
				x->server->options.max_header_bytes);
		goes_on = request_refuse(x, &e);
	}
	if (goes_on) {
		call_gate(s);
	} else {
		send_reply(s);
	}
}

void h2_stream_take_body(h2_stream *s, str piece)
{
	if (s->step == H2_GATE) {
		/* Within the window it was given, which does not grow until the gate has decided. */
		buf_append_str(&s->early, piece);
		return;
	}
	nghttp2_session_consume(s->conn->session, s->id, piece.len);
	if (s->step == H2_BODY) {
		feed(s, piece);
	}
}

void h2_stream_end_body(h2_stream *s)
{
	s->has_all = true;
	if (s->step != H2_BODY) {
		return;
	}
	if (request_end_body(&s->exchange)) {
		call_handler(s);
	} else {
		send_reply(s);
	}
}
