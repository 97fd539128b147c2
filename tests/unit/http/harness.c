#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- server ---- */

fixture fixture_start(http_server_options options)
{
	static const str any_port = {"127.0.0.1:0", 11};
	err e;
	fixture f = {.metrics = metric_registry_new()};
	ck_assert_ptr_nonnull(f.metrics);
	if (options.listen_count == 0) {
		options.listen = &any_port;
		options.listen_count = 1;
	}
	options.metrics = f.metrics;
	f.server = http_server_new(&options, &e);
	ck_assert_msg(f.server != NULL, "%s", f.server == NULL ? e.message : "");
	bool is_started = http_server_start(f.server, &e);
	ck_assert_msg(is_started, "%s", is_started ? "" : e.message);
	f.port = http_server_port(f.server, 0);
	ck_assert_uint_ne(f.port, 0);
	return f;
}

bool fixture_stop(fixture *f)
{
	bool is_clean = http_server_stop(f->server, clock_now_ms() + 2 * CLIENT_PATIENCE_MS);
	/* What counts a thing up counts it down again. */
	ck_assert_int_eq(fixture_metric(f, "tidegate_http_requests_in_flight", NULL), 0);
	ck_assert_int_eq(fixture_metric(f, "tidegate_http_streams", NULL), 0);
	ck_assert_int_eq(fixture_metric(f, "tidegate_http_connections", NULL), 0);
	http_server_free(f->server);
	metric_registry_free(f->metrics);
	*f = (fixture){.server = NULL};
	return is_clean;
}

int64_t fixture_metric(const fixture *f, const char *name, const char *labels)
{
	bool is_counter = str_ends_with(str_from_c(name), STR("_total"));
	return metric_value(is_counter ? metric_counter(f->metrics, name, "", labels)
								   : metric_gauge(f->metrics, name, "", labels));
}

void wait_for_metric(const fixture *f, const char *name, const char *labels, int64_t wanted)
{
	int64_t until_ms = clock_now_ms() + CLIENT_PATIENCE_MS;
	while (fixture_metric(f, name, labels) != wanted && clock_now_ms() < until_ms) {
		sleep_ms(1);
	}
	ck_assert_int_eq(fixture_metric(f, name, labels), wanted);
}

typedef struct late {
	http_exchange *x;
	http_handler *function;
	int delay_ms;
} late;

void sleep_ms(int ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	nanosleep(&t, NULL);
}

static void *run_late(void *context)
{
	late l = *(late *)context;
	free(context);
	if (l.delay_ms > 0) {
		sleep_ms(l.delay_ms);
	}
	l.function(l.x);
	return NULL;
}

void run_later(http_exchange *x, http_handler *function, int delay_ms)
{
	pthread_t thread;
	late *l = malloc(sizeof *l);
	ck_assert_ptr_nonnull(l);
	*l = (late){x, function, delay_ms};
	ck_assert_int_eq(pthread_create(&thread, NULL, run_late, l), 0);
	pthread_detach(thread);
}

const char *write_plain_error(http_exchange *x, const err *e)
{
	buf_printf(http_reply_body(x), "{\"error\":\"%s\"}", err_wire_code(e->code));
	return "application/json";
}

/* ---- client ---- */

client client_open_with_buffer(uint16_t port, int receive_bytes)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	client c = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	ck_assert_int_ge(c.fd, 0);
	if (receive_bytes > 0) {
		setsockopt(c.fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
	}
	ck_assert_msg(connect(c.fd, (struct sockaddr *)&at, sizeof at) == 0, "connect: %s", strerror(errno));
	buf_init(&c.in, CLIENT_BYTES_MAX);
	return c;
}

client client_open(uint16_t port)
{
	return client_open_with_buffer(port, 0);
}

void client_close(client *c)
{
	close(c->fd);
	buf_dispose(&c->in);
	c->fd = -1;
}

bool client_try_send(client *c, str bytes)
{
	while (bytes.len > 0) {
		ssize_t sent = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
		if (sent < 0) {
			return false;
		}
		bytes = str_skip(bytes, (size_t)sent);
	}
	return true;
}

void client_send(client *c, str bytes)
{
	ck_assert_msg(client_try_send(c, bytes), "send: %s", strerror(errno));
}

void client_send_c(client *c, const char *text)
{
	client_send(c, str_from_c(text));
}

void client_send_repeated(client *c, char byte, size_t count)
{
	char piece[16384];
	memset(piece, byte, sizeof piece);
	while (count > 0) {
		size_t len = count < sizeof piece ? count : sizeof piece;
		client_send(c, (str){piece, len});
		count -= len;
	}
}

static bool is_readable(const client *c, int within_ms)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	return poll(&p, 1, within_ms) > 0;
}

/* More bytes into c->in; false at the end. */
static bool read_more(client *c)
{
	ck_assert_msg(is_readable(c, CLIENT_PATIENCE_MS), "the server said nothing; so far: %.*s",
				  STR_ARG(buf_str(&c->in)));
	ck_assert(buf_reserve(&c->in, 65536));
	ssize_t got = recv(c->fd, c->in.ptr + c->in.len, 65536, 0);
	ck_assert_msg(got >= 0, "recv: %s; so far: %.*s", strerror(errno), STR_ARG(buf_str(&c->in)));
	c->in.len += (size_t)got;
	return got > 0;
}

/* A view of the first `count` bytes, which the next read moves out. Kept in front of the rest. */
static void drop(client *c, size_t count)
{
	memmove(c->in.ptr, c->in.ptr + count, c->in.len - count);
	c->in.len -= count;
}

static void need(client *c, size_t count)
{
	while (c->in.len < count) {
		ck_assert_msg(read_more(c), "the server closed in the middle of: %.*s", STR_ARG(buf_str(&c->in)));
	}
}

/* Moves `count` bytes to the end of `to`. */
static void move(client *c, size_t count, buf *to)
{
	need(c, count);
	buf_append(to, c->in.ptr, count);
	drop(c, count);
	ck_assert(!to->failed);
}

static buf taken; /* what the client_take functions return views of */

static str take(client *c, size_t count)
{
	taken.max_bytes = CLIENT_BYTES_MAX;
	buf_clear(&taken);
	move(c, count, &taken);
	return taken.len > 0 ? buf_str(&taken) : STR("");
}

str client_take(client *c, size_t count)
{
	return take(c, count);
}

str client_take_all(client *c)
{
	while (read_more(c)) {
	}
	return take(c, c->in.len);
}

static size_t need_line(client *c)
{
	size_t at;
	while (!str_find(buf_str(&c->in), STR("\r\n"), &at)) {
		ck_assert_msg(read_more(c), "the server closed in the middle of a line: %.*s", STR_ARG(buf_str(&c->in)));
	}
	return at;
}

str client_take_line(client *c)
{
	size_t len = need_line(c);
	return str_take(take(c, len + 2), len);
}

/* Appends the chunk to `to`; its length. */
static size_t take_chunk(client *c, buf *to)
{
	char digits[32] = "";
	str line = client_take_line(c);
	ck_assert_uint_gt(line.len, 0);
	ck_assert_uint_lt(line.len, sizeof digits);
	memcpy(digits, line.ptr, line.len);
	char *end;
	size_t len = strtoul(digits, &end, 16);
	ck_assert_msg(*end == '\0', "not a chunk size: %s", digits);
	move(c, len, to);
	str after = client_take_line(c);
	ck_assert_uint_eq(after.len, 0);
	return len;
}

str client_take_chunk(client *c)
{
	static buf chunk;
	chunk.max_bytes = CLIENT_BYTES_MAX;
	buf_clear(&chunk);
	take_chunk(c, &chunk);
	return chunk.len > 0 ? buf_str(&chunk) : STR("");
}

str reply_header(const reply *r, const char *name)
{
	str rest = buf_str(&r->head);
	str line;
	str found = STR_NONE;
	while (rest.len > 0) {
		str key;
		str value;
		str_split(rest, '\n', &line, &rest);
		if (str_split(line, ':', &key, &value) && str_equal_ignore_case(key, str_from_c(name))) {
			value = str_trim(value);
			ck_assert_msg(found.ptr == NULL || strcasecmp(name, "vary") == 0, "%s comes twice", name);
			found = str_take(value, value.len - 1); /* the CR */
		}
	}
	return found;
}

static void read_body(client *c, reply *r)
{
	str length = reply_header(r, "Content-Length");
	str coding = reply_header(r, "Transfer-Encoding");
	uint64_t bytes;
	r->has_length = length.ptr != NULL;
	r->is_chunked = coding.ptr != NULL;
	ck_assert_msg(!r->has_length || !r->is_chunked, "both framings: %.*s", STR_ARG(buf_str(&r->head)));
	if (r->is_chunked) {
		ck_assert_view_eq(coding, STR("chunked"));
		while (take_chunk(c, &r->body) > 0) {
		}
	} else if (r->has_length) {
		ck_assert(str_parse_u64(length, CLIENT_BYTES_MAX, &bytes));
		move(c, (size_t)bytes, &r->body);
	} else {
		buf_append_str(&r->body, client_take_all(c));
	}
}

reply client_read(client *c, bool is_head)
{
	reply r = {.status = 0};
	buf_init(&r.head, CLIENT_BYTES_MAX);
	buf_init(&r.body, CLIENT_BYTES_MAX);
	size_t at;
	while (!str_find(buf_str(&c->in), STR("\r\n\r\n"), &at)) {
		ck_assert_msg(read_more(c), "the server closed instead of a reply, after: %.*s", STR_ARG(buf_str(&c->in)));
	}
	move(c, at + 4, &r.head);
	uint64_t status;
	ck_assert(str_starts_with(buf_str(&r.head), STR("HTTP/1.1 ")));
	ck_assert(str_parse_u64(str_take(str_skip(buf_str(&r.head), 9), 3), 599, &status));
	r.status = (int)status;
	if (!is_head && r.status >= 200 && r.status != 204 && r.status != 304) {
		read_body(c, &r);
	}
	return r;
}

reply client_ask(client *c, const char *request)
{
	client_send_c(c, request);
	return client_read(c, strncmp(request, "HEAD ", 5) == 0);
}

void reply_dispose(reply *r)
{
	buf_dispose(&r->head);
	buf_dispose(&r->body);
}

bool client_closes_within(client *c, int ms)
{
	char byte;
	if (c->in.len > 0 || !is_readable(c, ms)) {
		return false;
	}
	return recv(c->fd, &byte, 1, 0) <= 0;
}

bool client_is_closed(client *c)
{
	return client_closes_within(c, CLIENT_PATIENCE_MS);
}

bool client_is_silent(client *c, int for_ms)
{
	return c->in.len == 0 && !is_readable(c, for_ms);
}

reply ask(uint16_t port, const char *request)
{
	client c = client_open(port);
	reply r = client_ask(&c, request);
	client_close(&c);
	return r;
}
