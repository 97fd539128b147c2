/*
 * From HTTP/2 to http_exchange. Input: lines `name=value` of a request's header block, pseudo headers included, then, after
 * an empty line, its body; or, when it begins with "PRI", all that a client sends.
 *
 * Checked besides memory errors: every request gets one outcome, an answer of 2xx or 4xx or a reset; what reaches the
 * handler is what was sent; a connection is given back whatever came over it.
 */
#include "fuzz.h"

#include "http/h2_impl.h"
#include "http/server_impl.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_MAX = 32 * 1024, LINES_MAX = 512, TURNS_MAX = 2000, PIECE_BYTES = 64 * 1024 };

/* The request that is under way, as sent. */
typedef struct request {
	nghttp2_nv lines[LINES_MAX];
	size_t count;
	bool has_body;
	str body;
	size_t sent; /* of the body */
	bool has_closed;
	int status; /* 0: none came */
} request;

static const request *current; /* NULL: raw bytes, of which nothing is known */

static str name_of(const nghttp2_nv *line)
{
	return (str){(const char *)line->name, line->namelen};
}

static str value_of(const nghttp2_nv *line)
{
	return (str){(const char *)line->value, line->valuelen};
}

static const nghttp2_nv *find(const request *r, str name)
{
	for (size_t i = 0; i < r->count; i++) {
		if (str_equal(name_of(&r->lines[i]), name)) {
			return &r->lines[i];
		}
	}
	return NULL;
}

/* ---- the server ---- */

static bool is_clean(str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\0' || text.ptr[i] == '\r' || text.ptr[i] == '\n') {
			return false;
		}
	}
	return true;
}

static void handle(http_exchange *x)
{
	FUZZ_CHECK(x->path.len > 0 && (x->path.ptr[0] == '/' || str_equal(x->path, STR("*"))));
	FUZZ_CHECK(http_request_header_count(x, STR("host")) == 1);
	for (size_t i = 0; i < x->header_count; i++) {
		FUZZ_CHECK(x->headers[i].name.len > 0 && x->headers[i].name.ptr[0] != ':');
		FUZZ_CHECK(is_clean(x->headers[i].name) && is_clean(x->headers[i].value));
	}
	for (size_t i = 0; current != NULL && i < current->count; i++) {
		str name = name_of(&current->lines[i]);
		str value = value_of(find(current, name));
		if (str_equal(name, STR(":path"))) {
			FUZZ_CHECK(str_equal(x->target, value));
		} else if (str_equal(name, STR(":method"))) {
			FUZZ_CHECK(str_equal(x->method_text, value));
		} else if (str_equal(name, STR(":authority"))) {
			FUZZ_CHECK(str_equal(http_request_header(x, STR("host")), value));
		} else if (name.ptr[0] != ':' && !str_equal(name, STR("host"))) {
			FUZZ_CHECK(str_equal(http_request_header(x, name), str_trim(value)));
		}
	}
	if (current != NULL && x->method == HTTP_POST && x->encoding == CONTENT_IDENTITY) {
		FUZZ_CHECK(str_equal(http_request_body(x), current->body));
	}
	buf_append_str(http_reply_body(x), x->target);
	http_send(x, 200, "text/plain");
}

static const http_route ROUTES[] = {
	{.method = HTTP_GET, .pattern = "/", .name = "root", .handler = handle},
	{.method = HTTP_GET, .pattern = "/{rest...}", .name = "get", .handler = handle},
	{.method = HTTP_POST, .pattern = "/{rest...}", .name = "post", .handler = handle, .body = HTTP_BODY_ACCEPTED},
};
static const char *write_error(http_exchange *x, const err *e)
{
	buf_append_str(http_reply_body(x), str_from_c(e->message));
	return "text/plain";
}

static const http_dialect DIALECT = {.name = "fuzz",
									 .prefix = "/",
									 .routes = ROUTES,
									 .route_count = sizeof ROUTES / sizeof ROUTES[0],
									 .write_error = write_error};
static const http_dialect *const DIALECTS[] = {&DIALECT};

/* A server whose threads were not started: this one takes the turns of its HTTP/2 worker. */
static h2_worker *worker(void)
{
	static http_server *server;
	const http_server_options options = {
		.threads = 1, .max_header_bytes = 4096, .max_body_bytes = 8192, .dialects = DIALECTS, .dialect_count = 1};
	err e;
	if (server == NULL) {
		server = http_server_new(&options, &e);
	}
	FUZZ_CHECK(server != NULL);
	return server->h2->workers[0];
}

/* The client's end of a new connection. */
static int connect_to(h2_worker *w)
{
	const struct sockaddr_in address = {.sin_family = AF_INET};
	int ends[2];
	FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	FUZZ_CHECK(server_connection_opened(w->owner->server));
	peer from = {0};
	peer_set(&from, (const struct sockaddr *)&address);
	h2_take(w->owner, ends[0], from);
	h2_loop_turn(w, 0);
	return ends[1];
}

static void leave(h2_worker *w, int fd)
{
	close(fd);
	for (int i = 0; i < TURNS_MAX && h2_connection_count(w->owner) > 0; i++) {
		h2_loop_turn(w, 0);
	}
	FUZZ_CHECK(h2_connection_count(w->owner) == 0 && atomic_load(&w->owner->server->connections) == 0);
	FUZZ_CHECK(atomic_load(&w->owner->server->buffered_bytes) == 0);
}

/* ---- the client ---- */

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t most, uint32_t *flags,
						 nghttp2_data_source *source, void *context)
{
	request *r = source->ptr;
	size_t left = r->body.len - r->sent;
	size_t here = left < most ? left : most;
	(void)session;
	(void)id;
	(void)context;
	if (here > 0) {
		memcpy(to, r->body.ptr + r->sent, here);
	}
	r->sent += here;
	*flags |= r->sent == r->body.len ? NGHTTP2_DATA_FLAG_EOF : 0;
	return (ssize_t)here;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
					 const uint8_t *value, size_t value_len, uint8_t flags, void *context)
{
	request *r = context;
	uint64_t status = 0;
	(void)session;
	(void)f;
	(void)flags;
	if (str_equal((str){(const char *)name, name_len}, STR(":status"))) {
		FUZZ_CHECK(r->status == 0 && str_parse_u64((str){(const char *)value, value_len}, 599, &status));
		r->status = (int)status;
	}
	return 0;
}

static int on_closed(nghttp2_session *session, int32_t id, uint32_t error_code, void *context)
{
	request *r = context;
	(void)session;
	(void)id;
	FUZZ_CHECK(!r->has_closed);
	FUZZ_CHECK(error_code != NGHTTP2_NO_ERROR || r->status / 100 == 2 || r->status / 100 == 4);
	r->has_closed = true;
	return 0;
}

static nghttp2_session *client_new(request *r)
{
	nghttp2_session *session = NULL;
	nghttp2_session_callbacks *on = NULL;
	FUZZ_CHECK(nghttp2_session_callbacks_new(&on) == 0);
	nghttp2_session_callbacks_set_on_header_callback(on, on_header);
	nghttp2_session_callbacks_set_on_stream_close_callback(on, on_closed);
	FUZZ_CHECK(nghttp2_session_client_new(&session, on, r) == 0);
	nghttp2_session_callbacks_del(on);
	FUZZ_CHECK(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0) == 0);
	const nghttp2_data_provider body = {.source.ptr = r, .read_callback = read_body};
	FUZZ_CHECK(nghttp2_submit_request(session, NULL, r->lines, r->count, r->has_body ? &body : NULL, NULL) > 0);
	return session;
}

static void exchange_bytes(nghttp2_session *session, int fd)
{
	static uint8_t bytes[PIECE_BYTES];
	const uint8_t *out = NULL;
	ssize_t len;
	while ((len = nghttp2_session_mem_send(session, &out)) > 0) {
		FUZZ_CHECK(send(fd, out, (size_t)len, MSG_NOSIGNAL) == len);
	}
	FUZZ_CHECK(len == 0);
	while ((len = recv(fd, bytes, sizeof bytes, 0)) > 0) {
		FUZZ_CHECK(nghttp2_session_mem_recv(session, bytes, (size_t)len) == len);
	}
}

static void run_request(request *r)
{
	h2_worker *w = worker();
	int fd = connect_to(w);
	nghttp2_session *session = client_new(r);
	current = r;
	for (int i = 0; i < TURNS_MAX && !r->has_closed; i++) {
		exchange_bytes(session, fd);
		h2_loop_turn(w, 0);
	}
	FUZZ_CHECK(r->has_closed);
	nghttp2_session_del(session);
	leave(w, fd);
	current = NULL;
}

static void run_bytes(str input)
{
	static char dropped[PIECE_BYTES];
	h2_worker *w = worker();
	int fd = connect_to(w);
	FUZZ_CHECK(send(fd, input.ptr, input.len, MSG_NOSIGNAL) == (ssize_t)input.len);
	for (int i = 0; i < 4; i++) {
		h2_loop_turn(w, 0);
		while (recv(fd, dropped, sizeof dropped, 0) > 0) {
		}
	}
	leave(w, fd);
}

static void parse(str input, request *r)
{
	str rest = input;
	while (rest.len > 0 && r->count < LINES_MAX) {
		str line;
		str name;
		str value;
		str_split(rest, '\n', &line, &rest);
		if (line.len == 0) {
			r->has_body = true;
			r->body = rest;
			return;
		}
		str_split(line, '=', &name, &value);
		r->lines[r->count++] = (nghttp2_nv){
			.name = (uint8_t *)(uintptr_t)name.ptr,
			.value = (uint8_t *)(uintptr_t)(value.ptr != NULL ? value.ptr : ""),
			.namelen = name.len,
			.valuelen = value.len,
			.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME, /* nor makes it small letters of capitals */
		};
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str input = {(const char *)data, size};
	request r = {.count = 0};
	if (size > INPUT_MAX) {
		return 0;
	}
	if (str_starts_with(input, STR("PRI"))) {
		run_bytes(input);
		return 0;
	}
	parse(input, &r);
	if (r.count > 0) {
		run_request(&r);
	}
	return 0;
}
