#include "cli/bench/h2_load.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/bench/load_window.h"

enum {
	WINDOW_BYTES = 4 << 20,
	IO_BYTES = 64 << 10,
	FRAME_BYTES_MAX = 9 + (16 << 10),
};

struct h2_load;

typedef struct h2_conn {
	struct h2_load *load;
	nghttp2_session *session;
	int fd;
	bool writes; /* registered for writing as well */
	char output[IO_BYTES];
	size_t sent; /* of the output */
	size_t filled;
} h2_conn;

typedef struct h2_lane {
	uint32_t index;
	int32_t stream; /* 0 = none */
	int64_t sent_ns;
	str unsent; /* rest of the request's body */
	int status;
	buf body; /* of the reply */
} h2_lane;

typedef struct h2_load {
	load_window window;
	const load_options *options;
	nghttp2_session_callbacks *callbacks;
	h2_conn *conns;
	h2_lane *lanes;
	int epoll;
	err *e; /* of the run */
} h2_load;

/* ---- a request, as nghttp2 wants it ---- */

typedef struct fields {
	nghttp2_nv list[H2_LOAD_HEADERS_MAX];
	size_t count;
	char names[H2_LOAD_NAME_MAX]; /* in lower case */
	size_t names_len;
} fields;

static bool add_field(fields *f, str name, str value)
{
	if (f->count == H2_LOAD_HEADERS_MAX || f->names_len + name.len > sizeof f->names) {
		return false;
	}
	char *copy = f->names + f->names_len;
	for (size_t i = 0; i < name.len; i++) {
		bool is_upper = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z';
		copy[i] = is_upper ? (char)(name.ptr[i] + ('a' - 'A')) : name.ptr[i];
	}
	f->names_len += name.len;
	/* nghttp2 takes them without const, and copies them. */
	union {
		const char *text;
		uint8_t *bytes;
	} v = {.text = value.ptr}, n = {.text = copy};
	f->list[f->count++] = (nghttp2_nv){n.bytes, v.bytes, name.len, value.len, NGHTTP2_NV_FLAG_NONE};
	return true;
}

static str without_cr(str line)
{
	return line.len > 0 && line.ptr[line.len - 1] == '\r' ? str_take(line, line.len - 1) : line;
}

/* *body is what follows the empty line. */
static bool translate(str request, fields *f, str *body)
{
	str line, method, path, name, value;
	f->count = 0;
	f->names_len = 0;
	if (!str_split(request, '\n', &line, &request) || !str_split(line, ' ', &method, &line) ||
		!str_split(line, ' ', &path, &line) || !add_field(f, STR(":method"), method) ||
		!add_field(f, STR(":scheme"), STR("http")) || !add_field(f, STR(":path"), path)) {
		return false;
	}
	while (str_split(request, '\n', &line, &request) && (line = without_cr(line)).len > 0) {
		bool ok = str_split(line, ':', &name, &value);
		bool is_host = str_equal_ignore_case(name, STR("host"));
		if (!ok || !add_field(f, is_host ? STR(":authority") : name, str_trim(value))) {
			return false;
		}
	}
	*body = request;
	return true;
}

/* ---- lanes ---- */

static h2_lane *lane_of(nghttp2_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session, stream);
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
						 nghttp2_data_source *source, void *context)
{
	(void)session;
	(void)stream;
	(void)context;
	h2_lane *n = source->ptr;
	str piece = str_take(n->unsent, room);
	memcpy(to, piece.ptr, piece.len);
	n->unsent = str_skip(n->unsent, piece.len);
	*flags |= n->unsent.len == 0 ? NGHTTP2_DATA_FLAG_EOF : 0;
	return (ssize_t)piece.len;
}

/* The lane's next request, if there is one. */
static bool send_next(h2_conn *c, h2_lane *n)
{
	h2_load *l = c->load;
	fields f;
	str request = load_window_next(&l->window, n->index);
	if (request.ptr == NULL) {
		return true;
	}
	if (!translate(request, &f, &n->unsent)) {
		return err_set(l->e, ERR_INTERNAL, "a request cannot be said in HTTP/2");
	}
	const nghttp2_data_provider body = {.source.ptr = n, .read_callback = read_body};
	n->status = 0;
	buf_clear(&n->body);
	n->sent_ns = latency_now_ns();
	n->stream = nghttp2_submit_request(c->session, NULL, f.list, f.count, n->unsent.len > 0 ? &body : NULL, n);
	return n->stream > 0 || err_set(l->e, ERR_INTERNAL, "no stream: %s", nghttp2_strerror(n->stream));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
					 const uint8_t *value, size_t value_len, uint8_t flags, void *context)
{
	(void)flags;
	(void)context;
	h2_lane *n = lane_of(session, f->hd.stream_id);
	uint64_t status = 0;
	if (n != NULL && str_equal((str){(const char *)name, name_len}, STR(":status")) &&
		str_parse_u64((str){(const char *)value, value_len}, 999, &status)) {
		n->status = (int)status;
	}
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t len,
				   void *context)
{
	(void)flags;
	(void)context;
	h2_lane *n = lane_of(session, stream);
	if (n != NULL) {
		buf_append(&n->body, bytes, len);
	}
	return 0;
}

static int on_stream_closed(nghttp2_session *session, int32_t stream, uint32_t error_code, void *context)
{
	h2_conn *c = context;
	h2_load *l = c->load;
	h2_lane *n = lane_of(session, stream);
	bool ok = true;
	if (n == NULL) {
		return 0;
	}
	if (error_code != NGHTTP2_NO_ERROR) {
		ok = err_set(l->e, ERR_UNAVAILABLE, "a stream was reset: %s", nghttp2_http2_strerror(error_code));
	} else if (n->body.failed) {
		ok = err_set(l->e, ERR_NO_MEMORY, "a reply is too large");
	}
	ok =
		ok && load_window_take(&l->window, n->index, n->status, buf_str(&n->body), n->sent_ns, l->e) && send_next(c, n);
	return ok ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* ---- connections ---- */

static bool watch(h2_conn *c, bool writes, err *e)
{
	struct epoll_event event = {.events = EPOLLIN | (writes ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};
	if (c->writes == writes) {
		return true;
	}
	c->writes = writes;
	return epoll_ctl(c->load->epoll, EPOLL_CTL_MOD, c->fd, &event) == 0 ||
		   err_set(e, ERR_INTERNAL, "epoll_ctl: %s", strerror(errno));
}

/* Frames, until the next one might not fit. */
static bool gather(h2_conn *c)
{
	c->sent = 0;
	c->filled = 0;
	while (sizeof c->output - c->filled >= FRAME_BYTES_MAX) {
		const uint8_t *bytes = NULL;
		ssize_t len = nghttp2_session_mem_send(c->session, &bytes);
		if (len <= 0) {
			return len == 0;
		}
		memcpy(c->output + c->filled, bytes, (size_t)len);
		c->filled += (size_t)len;
	}
	return true;
}

static bool err_broken(const char *why, err *e)
{
	return err_set(e, ERR_UNAVAILABLE, "the HTTP/2 connection to the server broke: %s", why);
}

static bool flush(h2_conn *c, err *e)
{
	for (;;) {
		if (c->sent == c->filled && !gather(c)) {
			return err_broken("nothing can be sent", e);
		}
		if (c->filled == 0) {
			return watch(c, false, e);
		}
		ssize_t sent = send(c->fd, c->output + c->sent, c->filled - c->sent, MSG_NOSIGNAL);
		if (sent < 0) {
			return errno == EAGAIN ? watch(c, true, e) : err_broken(strerror(errno), e);
		}
		c->sent += (size_t)sent;
	}
}

static bool receive(h2_conn *c, err *e)
{
	uint8_t input[IO_BYTES];
	ssize_t got = recv(c->fd, input, sizeof input, 0);
	if (got < 0 && errno == EAGAIN) {
		return true;
	}
	if (got <= 0) {
		return err_broken(got == 0 ? "closed" : strerror(errno), e);
	}
	ssize_t taken = nghttp2_session_mem_recv(c->session, input, (size_t)got);
	if (taken == NGHTTP2_ERR_CALLBACK_FAILURE) {
		return false; /* *e tells */
	}
	return taken >= 0 || err_broken(nghttp2_strerror((int)taken), e);
}

static bool open_conn(h2_load *l, h2_conn *c, err *e)
{
	static const nghttp2_settings_entry SETTINGS[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
													  {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES}};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	if (!peer_connect(l->options->address, &c->fd, e)) {
		return false;
	}
	if (nghttp2_session_client_new(&c->session, l->callbacks, c) != 0 ||
		nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, SETTINGS, sizeof SETTINGS / sizeof SETTINGS[0]) != 0 ||
		nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES) != 0 ||
		epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &event) != 0) {
		return err_set(e, ERR_NO_MEMORY, "out of memory or file descriptors");
	}
	return true;
}

/* ---- the loop ---- */

static bool start(void *context, err *e)
{
	h2_load *l = context;
	for (uint32_t i = 0; i < l->options->connections; i++) {
		h2_conn *c = &l->conns[i];
		for (uint32_t k = 0; k < l->options->streams; k++) {
			if (!send_next(c, &l->lanes[i * l->options->streams + k])) {
				return false;
			}
		}
		if (!flush(c, e)) {
			return false;
		}
	}
	return true;
}

static bool act(void *context, const struct epoll_event *event, err *e)
{
	(void)context;
	h2_conn *c = event->data.ptr;
	bool is_readable = (event->events & ~(uint32_t)EPOLLOUT) != 0;
	return (!is_readable || receive(c, e)) && flush(c, e);
}

static bool set_up(h2_load *l, err *e)
{
	const uint32_t lanes = l->options->connections * l->options->streams;
	l->conns = calloc(l->options->connections, sizeof *l->conns);
	l->lanes = calloc(lanes, sizeof *l->lanes);
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->conns == NULL || l->lanes == NULL || l->epoll < 0 || nghttp2_session_callbacks_new(&l->callbacks) != 0) {
		return err_set(e, ERR_NO_MEMORY, "out of memory or file descriptors");
	}
	nghttp2_session_callbacks_set_on_header_callback(l->callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(l->callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(l->callbacks, on_stream_closed);
	for (uint32_t i = 0; i < lanes; i++) {
		l->lanes[i].index = i;
		buf_init(&l->lanes[i].body, PEER_REPLY_MAX);
	}
	for (uint32_t i = 0; i < l->options->connections; i++) {
		l->conns[i].load = l;
		l->conns[i].fd = -1;
	}
	for (uint32_t i = 0; i < l->options->connections; i++) {
		if (!open_conn(l, &l->conns[i], e)) {
			return false;
		}
	}
	return true;
}

static void tear_down(h2_load *l)
{
	for (uint32_t i = 0; l->conns != NULL && i < l->options->connections; i++) {
		nghttp2_session_del(l->conns[i].session);
		if (l->conns[i].load != NULL && l->conns[i].fd >= 0) {
			close(l->conns[i].fd);
		}
	}
	for (uint32_t i = 0; l->lanes != NULL && i < l->options->connections * l->options->streams; i++) {
		buf_dispose(&l->lanes[i].body);
	}
	if (l->epoll >= 0) {
		close(l->epoll);
	}
	nghttp2_session_callbacks_del(l->callbacks);
	free(l->conns);
	free(l->lanes);
}

bool h2_load_run(const load_options *options, load_result *out, err *e)
{
	h2_load l = {.options = options, .epoll = -1, .e = e};
	bool ok = set_up(&l, e);
	if (ok) {
		load_window_begin(&l.window, options, out);
		ok = load_window_run(&l.window, &(load_carrier){&l, l.epoll, start, act}, e);
	}
	tear_down(&l);
	return ok;
}
