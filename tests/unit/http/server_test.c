#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- the application ---- */

static void say_hello(http_exchange *x)
{
	buf_append_str(http_reply_body(x), STR("hello"));
	http_send(x, 200, "text/plain");
}

static void say_hello_later(http_exchange *x)
{
	run_later(x, say_hello, 0);
}

static http_exchange *_Atomic held; /* until the test has it answered */

static void hold(http_exchange *x)
{
	atomic_store(&held, x);
}

static void show_param(http_exchange *x)
{
	buf *out = http_reply_body(x);
	str param = http_request_param(x, 0);
	for (size_t i = 0; i < param.len; i++) {
		buf_printf(out, "%02x", (unsigned)(unsigned char)param.ptr[i]);
	}
	http_send(x, 200, "text/plain");
}

static void show_request(http_exchange *x)
{
	buf *out = http_reply_body(x);
	str q = STR("-");
	http_request_query(x, STR("q"), &q);
	str empty = http_request_header(x, STR("x-empty"));
	buf_printf(out, "%d|%.*s|%.*s|%.*s|%zu|%.*s|%zu|%s|%.*s|%.*s", (int)http_request_method(x),
			   STR_ARG(http_request_raw_path(x)), STR_ARG(http_request_raw_query(x)), STR_ARG(q),
			   http_request_query_count(x, STR("q")), STR_ARG(http_request_header(x, STR("X-NAME"))),
			   http_request_header_count(x, STR("x-name")), empty.ptr == NULL ? "absent" : "empty",
			   STR_ARG(http_request_media_type(x)), STR_ARG(http_request_id(x)));
	http_send(x, 200, "text/plain");
}

static void add_headers(http_exchange *x)
{
	char text[4] = "abc";
	bool copied = http_reply_header(x, STR("X-One"), (str){text, 3});
	memset(text, 'x', 3);
	bool refused = http_reply_header(x, STR("X-Two"), STR("a\r\nX-Three: b"));
	refused = refused || http_reply_header(x, STR("X-\nTwo"), STR("b"));
	refused = refused || http_reply_header(x, STR("X-Two"), STR("a\0b"));
	refused = refused || http_reply_header(x, STR("X-Two"), STR(""));
	refused = refused || http_reply_header(x, STR("content-length"), STR("3"));
	refused = refused || http_reply_header(x, STR("Transfer-Encoding"), STR("chunked"));
	refused = refused || http_reply_header(x, STR("CONNECTION"), STR("upgrade"));
	bool has = http_reply_has_header(x, STR("x-one")) && !http_reply_has_header(x, STR("x-two"));
	buf_printf(http_reply_body(x), "%d%d%d", copied, refused, has);
	http_send(x, 200, "text/plain");
}

static void send_nothing(http_exchange *x)
{
	buf_append_str(http_reply_body(x), STR("this must not be seen"));
	http_send(x, 204, "text/plain");
}

static void send_not_modified(http_exchange *x)
{
	http_reply_header(x, STR("ETag"), STR("\"v1\""));
	http_send(x, 304, NULL);
}

static void send_large(http_exchange *x)
{
	buf *out = http_reply_body(x);
	for (int i = 0; i < 1000000; i++) {
		buf_append_str(out, STR("0123456789"));
	}
	http_send(x, 200, "application/octet-stream");
}

static void send_too_large(http_exchange *x)
{
	buf *out = http_reply_body(x);
	while (!out->failed) {
		buf_append_str(out, STR("0123456789"));
	}
	http_send(x, 200, "text/plain");
}

static void send_throttled(http_exchange *x)
{
	err e;
	err_set(&e, ERR_THROTTLED, "slow down");
	e.retry_after_ms = 2500;
	http_send_error(x, &e);
}

static void send_teapot(http_exchange *x)
{
	err e;
	err_set(&e, ERR_TOPIC_NOT_FOUND, "no");
	http_send_error(x, &e);
}

static void show_peer(http_exchange *x)
{
	buf_append_str(http_reply_body(x), http_request_peer(x));
	buf_printf(http_reply_body(x), " %d", http_peer_is_gone(x));
	http_send(x, 200, "text/plain");
}

static atomic_int peers_watched;
static atomic_int peers_seen_gone;

static void watch_peer(http_exchange *x)
{
	peers_watched++;
	for (int i = 0; i < 2000 && !http_peer_is_gone(x); i++) {
		sleep_ms(10);
	}
	peers_seen_gone += http_peer_is_gone(x);
	http_send(x, 200, NULL);
}

static void watch_peer_elsewhere(http_exchange *x)
{
	run_later(x, watch_peer, 0);
}

static const char *write_teapot_error(http_exchange *x, const err *e)
{
	if (e->code == ERR_TOPIC_NOT_FOUND) {
		http_set_error_status(x, 418);
	}
	buf_printf(http_reply_body(x), "teapot: %s", err_wire_code(e->code));
	return "text/plain";
}

static void decorate(http_exchange *x)
{
	if (!http_reply_has_header(x, STR("Cache-Control"))) {
		http_reply_header(x, STR("Cache-Control"), STR("no-store"));
	}
}

static const http_route main_routes[] = {
	{.method = HTTP_GET, .pattern = "/hello", .name = "hello", .handler = say_hello},
	{.method = HTTP_GET, .pattern = "/later", .name = "later", .handler = say_hello_later},
	{.method = HTTP_GET, .pattern = "/held", .name = "held", .handler = hold},
	{.method = HTTP_POST, .pattern = "/hello", .name = "post_hello", .handler = say_hello, .body = HTTP_BODY_ACCEPTED},
	{.method = HTTP_GET, .pattern = "/param/{name}", .name = "param", .handler = show_param},
	{.method = HTTP_GET, .pattern = "/show", .name = "show", .handler = show_request},
	{.method = HTTP_GET, .pattern = "/headers", .name = "headers", .handler = add_headers},
	{.method = HTTP_GET, .pattern = "/nothing", .name = "nothing", .handler = send_nothing},
	{.method = HTTP_GET, .pattern = "/not-modified", .name = "not_modified", .handler = send_not_modified},
	{.method = HTTP_GET, .pattern = "/large", .name = "large", .handler = send_large},
	{.method = HTTP_GET, .pattern = "/too-large", .name = "too_large", .handler = send_too_large},
	{.method = HTTP_GET, .pattern = "/throttled", .name = "throttled", .handler = send_throttled},
	{.method = HTTP_GET, .pattern = "/peer", .name = "peer", .handler = show_peer},
	{.method = HTTP_GET, .pattern = "/watch-peer", .name = "watch_peer", .handler = watch_peer_elsewhere},
};
static const http_route teapot_routes[] = {
	{.method = HTTP_GET, .pattern = "/teapot", .name = "teapot", .handler = send_teapot},
};
static const http_dialect main_dialect = {
	.name = "main",
	.prefix = "/",
	.routes = main_routes,
	.route_count = sizeof main_routes / sizeof main_routes[0],
	.write_error = write_plain_error,
};
static const http_dialect teapot_dialect = {
	.name = "teapot",
	.prefix = "/tea",
	.routes = teapot_routes,
	.route_count = 1,
	.write_error = write_teapot_error,
	.decorate = decorate,
	.gate_unknown = true,
};
static const http_dialect *const dialects[] = {&main_dialect, &teapot_dialect};
static const http_server_options plain = {.dialects = dialects, .dialect_count = 2};

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* ---- routing and replies ---- */

START_TEST(a_route_answers_at_once_and_later)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	for (int i = 0; i < 3; i++) {
		reply r = client_ask(&c, GET("/hello"));
		ck_assert_view_eq(reply_header(&r, "Content-Type"), STR("text/plain"));
		ck_assert_view_eq(reply_header(&r, "X-Content-Type-Options"), STR("nosniff"));
		ck_assert_uint_gt(reply_header(&r, "X-Request-Id").len, 8);
		ck_assert_ptr_nonnull(reply_header(&r, "Date").ptr);
		ck_assert_ptr_null(reply_header(&r, "Access-Control-Allow-Origin").ptr);
		ASSERT_REPLY(r, 200, "hello");
		r = client_ask(&c, GET("/later"));
		ASSERT_REPLY(r, 200, "hello");
	}
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(unknown_paths_and_methods_are_refused_in_their_dialect)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	reply r = client_ask(&c, GET("/nowhere"));
	ASSERT_REPLY(r, 404, "{\"error\":\"not_found\"}");
	r = client_ask(&c, "DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_view_eq(reply_header(&r, "Allow"), STR("GET, HEAD, POST, OPTIONS"));
	ASSERT_REPLY(r, 405, "{\"error\":\"method_not_allowed\"}");
	r = client_ask(&c, "BREW /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	ASSERT_REPLY(r, 405, "{\"error\":\"method_not_allowed\"}");
	r = client_ask(&c, GET("/tea/unknown"));
	ck_assert_view_eq(reply_header(&r, "Cache-Control"), STR("no-store"));
	ASSERT_REPLY(r, 404, "teapot: not_found");
	r = client_ask(&c, GET("/teapot"));
	ASSERT_REPLY(r, 418, "teapot: topic_not_found");
	/* All of it on one connection. */
	r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "hello");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(head_answers_like_get_without_the_body)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	reply r = client_ask(&c, "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(r.status, 200);
	ck_assert_view_eq(reply_header(&r, "Content-Length"), STR("5"));
	reply_dispose(&r);
	r = client_ask(&c, "HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_int_eq(r.status, 404);
	reply_dispose(&r);
	r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "hello");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(options_is_answered_by_the_server_with_cors_when_configured)
{
	http_server_options options = plain;
	options.cors_origin = STR("*");
	fixture f = fixture_start(options);
	client c = client_open(f.port);
	reply r = client_ask(
		&c, "OPTIONS /hello HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\nAccess-Control-Request-Method: POST\r\n"
			"Access-Control-Request-Headers: x-api-key, if-none-match\r\n\r\n");
	ck_assert_view_eq(reply_header(&r, "Access-Control-Allow-Origin"), STR("*"));
	ck_assert_view_eq(reply_header(&r, "Access-Control-Allow-Methods"), STR("GET, HEAD, POST, OPTIONS"));
	ck_assert_view_eq(reply_header(&r, "Access-Control-Allow-Headers"), STR("x-api-key, if-none-match"));
	ck_assert_ptr_nonnull(reply_header(&r, "Access-Control-Max-Age").ptr);
	ASSERT_REPLY(r, 204, "");
	r = client_ask(&c, "OPTIONS /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
	ASSERT_REPLY(r, 404, "{\"error\":\"not_found\"}");
	r = client_ask(&c, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
	ASSERT_REPLY(r, 204, "");
	r = client_ask(&c, GET("/nowhere"));
	ck_assert_view_eq(reply_header(&r, "Access-Control-Allow-Origin"), STR("*"));
	reply_dispose(&r);
	client_close(&c);
	ck_assert(fixture_stop(&f));

	options.cors_origin = STR("https://app.example");
	f = fixture_start(options);
	r = ask(f.port, GET("/hello"));
	ck_assert_view_eq(reply_header(&r, "Access-Control-Allow-Origin"), STR("https://app.example"));
	ck_assert_view_eq(reply_header(&r, "Vary"), STR("Origin"));
	ASSERT_REPLY(r, 200, "hello");
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(path_parameters_keep_every_byte)
{
	static const struct {
		const char *path;
		const char *hex;
	} cases[] = {
		{"/param/abc", "616263"},
		{"/param/a%2Fb", "612f62"},
		{"/param/%00%01", "0001"},
		{"/param/%C3%A4", "c3a4"},
		{"/param/a%20b+c", "612062"
						   "2b63"},
		{"/param/%zz", "257a7a"},
		{"/param/a%3Eb", "613e62"},
		{"/param/\xC3\xA4", "c3a4"},
	};
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char request[200];
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", cases[i].path);
		reply r = client_ask(&c, request);
		ASSERT_REPLY(r, 200, cases[i].hex);
	}
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_handler_sees_the_request_as_it_was_sent)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	reply r =
		client_ask(&c, "GET /sh%6Fw?q=a%20b&q=2&x=%26 HTTP/1.1\r\nHost: x\r\nX-Name:  first \r\nx-name: second\r\n"
					   "X-Empty:\r\nContent-Type: Application/JSON ; charset=utf-8\r\nX-Request-Id: my-id.1\r\n\r\n");
	ck_assert_view_eq(reply_header(&r, "X-Request-Id"), STR("my-id.1"));
	ASSERT_REPLY(r, 200, "0|/sh%6Fw|q=a%20b&q=2&x=%26|a b|2|first|2|empty|Application/JSON|my-id.1");
	/* An id with a blank, and one that is too long, are replaced. */
	r = client_ask(&c, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\r\n\r\n");
	ck_assert(!str_equal(reply_header(&r, "X-Request-Id"), STR("a b")));
	reply_dispose(&r);
	/* The absolute form of a proxy. */
	r = client_ask(&c, GET("http://example.com/hello"));
	ASSERT_REPLY(r, 200, "hello");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(fifty_headers_are_all_seen)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	client_send_c(&c, "GET /show HTTP/1.1\r\nHost: x\r\n");
	for (int i = 0; i < 50; i++) {
		client_send_c(&c, "x-name: v\r\n");
	}
	client_send_c(&c, "\r\n");
	reply r = client_read(&c, false);
	ck_assert_int_eq(r.status, 200);
	size_t at;
	ck_assert(str_find(buf_str(&r.body), STR("|v|50|absent|"), &at));
	reply_dispose(&r);
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(reply_headers_are_copied_and_cannot_be_split)
{
	fixture f = fixture_start(plain);
	reply r = ask(f.port, GET("/headers"));
	ck_assert_view_eq(reply_header(&r, "X-One"), STR("abc"));
	ck_assert_ptr_null(reply_header(&r, "X-Two").ptr);
	ck_assert_ptr_null(reply_header(&r, "X-Three").ptr);
	ASSERT_REPLY(r, 200, "101");
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(bodiless_statuses_have_no_body_and_keep_the_connection)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	reply r = client_ask(&c, GET("/nothing"));
	ck_assert_ptr_null(reply_header(&r, "Transfer-Encoding").ptr);
	ck_assert_ptr_null(reply_header(&r, "Content-Type").ptr);
	ASSERT_REPLY(r, 204, "");
	r = client_ask(&c, GET("/not-modified"));
	ck_assert_view_eq(reply_header(&r, "ETag"), STR("\"v1\""));
	ck_assert_ptr_null(reply_header(&r, "Transfer-Encoding").ptr);
	ASSERT_REPLY(r, 304, "");
	r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "hello");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_large_reply_arrives_whole)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	for (int i = 0; i < 2; i++) {
		reply r = client_ask(&c, GET("/large"));
		ck_assert_uint_eq(r.body.len, 10000000);
		ck_assert_int_eq(memcmp(r.body.ptr + 9999990, "0123456789", 10), 0);
		reply_dispose(&r);
	}
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_reply_over_its_limit_becomes_an_error)
{
	http_server_options options = plain;
	options.max_reply_bytes = 5000;
	fixture f = fixture_start(options);
	reply r = ask(f.port, GET("/too-large"));
	ASSERT_REPLY(r, 500, "{\"error\":\"internal\"}");
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(an_error_worth_a_retry_says_when)
{
	fixture f = fixture_start(plain);
	reply r = ask(f.port, GET("/throttled"));
	ck_assert_view_eq(reply_header(&r, "Retry-After"), STR("3"));
	ASSERT_REPLY(r, 429, "{\"error\":\"throttled\"}");
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(replies_are_compressed_only_when_asked_for_and_allowed)
{
	http_server_options options = plain;
	options.compress_replies = true;
	fixture f = fixture_start(options);
	client c = client_open(f.port);
	reply r = client_ask(&c, "GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n");
	ck_assert_view_eq(reply_header(&r, "Content-Encoding"), STR("gzip"));
	ck_assert_view_eq(reply_header(&r, "Vary"), STR("Accept-Encoding"));
	ck_assert_uint_lt(r.body.len, 200000);
	ck_assert_int_eq(memcmp(r.body.ptr, "\x1f\x8b", 2), 0);
	reply_dispose(&r);
	r = client_ask(&c, "GET /large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0\r\n\r\n");
	ck_assert_ptr_null(reply_header(&r, "Content-Encoding").ptr);
	ck_assert_view_eq(reply_header(&r, "Vary"), STR("Accept-Encoding"));
	ck_assert_uint_eq(r.body.len, 10000000);
	reply_dispose(&r);
	r = client_ask(&c, "GET /hello HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
	ck_assert_ptr_null(reply_header(&r, "Content-Encoding").ptr);
	ASSERT_REPLY(r, 200, "hello");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(the_peer_is_known_and_its_going_is_seen)
{
	fixture f = fixture_start(plain);
	reply r = ask(f.port, GET("/peer"));
	ck_assert(str_starts_with(buf_str(&r.body), STR("127.0.0.1:")));
	ck_assert(str_ends_with(buf_str(&r.body), STR(" 0")));
	reply_dispose(&r);
	client c = client_open(f.port);
	client_send_c(&c, GET("/watch-peer"));
	WAIT_FOR(peers_watched == 1);
	client_close(&c);
	WAIT_FOR(peers_seen_gone == 1);
	ck_assert(fixture_stop(&f));
}
END_TEST

/* ---- connections ---- */

START_TEST(pipelined_requests_are_answered_in_order)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	client_send_c(&c,
				  GET("/later") GET("/nothing")
					  GET("/hello") "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" GET("/param/a")
						  GET("/later"));
	static const int statuses[] = {200, 204, 200, 200, 200, 200};
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		reply r = client_read(&c, false);
		ck_assert_int_eq(r.status, statuses[i]);
		ck_assert_int_eq(i == 4, str_equal(buf_str(&r.body), STR("61")));
		reply_dispose(&r);
	}
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(connection_close_and_http_1_0_end_the_connection)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	reply r = client_ask(&c, "GET /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	ck_assert_view_eq(reply_header(&r, "Connection"), STR("close"));
	ASSERT_REPLY(r, 200, "hello");
	ck_assert(client_is_closed(&c));
	client_close(&c);
	c = client_open(f.port);
	r = client_ask(&c, "GET /hello HTTP/1.0\r\n\r\n");
	ASSERT_REPLY(r, 200, "hello");
	ck_assert(client_is_closed(&c));
	client_close(&c);
	c = client_open(f.port);
	r = client_ask(&c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	ASSERT_REPLY(r, 200, "hello");
	r = client_ask(&c, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	ASSERT_REPLY(r, 200, "hello");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_request_may_come_byte_by_byte)
{
	static const char request[] = "GET /hello?a=b HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n";
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	for (size_t i = 0; i < sizeof request - 1; i++) {
		client_send(&c, (str){request + i, 1});
		sleep_ms(1);
	}
	reply r = client_read(&c, false);
	ASSERT_REPLY(r, 200, "hello");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_method_that_begins_like_the_http2_preface_is_no_preface)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	client_send_c(&c, "PRI");
	sleep_ms(30);
	client_send_c(&c, "NT /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	reply r = client_read(&c, false);
	ASSERT_REPLY(r, 405, "{\"error\":\"method_not_allowed\"}");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(http2_is_told_apart_by_its_preface)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	client_send_c(&c, "PRI * HTTP/2.0\r\n");
	sleep_ms(30);
	client_send_c(&c, "\r\nSM\r\n\r\n");
	client_send(&c, STR("\0\0\0\4\0\0\0\0\0"));
	/* GOAWAY: no stream was begun, nothing more will come. */
	client_send(&c, STR("\0\0\10\7\0\0\0\0\0\0\0\0\0\0\0\0\0"));
	str answer = client_take_all(&c);
	ck_assert_uint_gt(answer.len, 9);
	ck_assert_int_eq(answer.ptr[3], 4); /* its SETTINGS come first */
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(connections_over_the_limit_get_a_503_and_the_others_go_on)
{
	http_server_options options = plain;
	options.max_connections = 3;
	fixture f = fixture_start(options);
	client kept[3];
	for (int i = 0; i < 3; i++) {
		kept[i] = client_open(f.port);
		reply r = client_ask(&kept[i], GET("/hello"));
		ASSERT_REPLY(r, 200, "hello");
	}
	for (int i = 0; i < 3; i++) {
		client c = client_open(f.port);
		client_send_c(&c, "GET /hello HTTP/1.1\r\n");
		sleep_ms(i * 30);
		(void)client_try_send(&c, STR("Host: x\r\n\r\n")); /* it is refused, and may be closed, by now */
		reply r = client_read(&c, false);
		ck_assert_int_eq(r.status, 503);
		ck_assert_view_eq(reply_header(&r, "Retry-After"), STR("1"));
		ck_assert(str_starts_with(buf_str(&r.body), STR("{\"error\":{\"code\":\"unavailable\"")));
		reply_dispose(&r);
		/* An end, not a reset. */
		ck_assert_uint_eq(client_take_all(&c).len, 0);
		client_close(&c);
	}
	reply r = client_ask(&kept[1], GET("/hello"));
	ASSERT_REPLY(r, 200, "hello");
	client_close(&kept[0]);
	client c = client_open(f.port);
	bool is_let_in = false;
	for (int i = 0; i < 1000 && !is_let_in; i++) {
		/* The refused ones count until they are closed. */
		sleep_ms(20);
		client_close(&c);
		c = client_open(f.port);
		r = client_ask(&c, GET("/hello"));
		is_let_in = r.status == 200;
		reply_dispose(&r);
	}
	ck_assert(is_let_in);
	client_close(&c);
	client_close(&kept[1]);
	client_close(&kept[2]);
	ck_assert(fixture_stop(&f));
}
END_TEST

/* ---- malformed requests ---- */

START_TEST(malformed_requests_are_refused_and_the_connection_closed)
{
	const struct {
		str bytes;
		int status;
	} cases[] = {
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		 400},
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"), 400},
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc"), 400},
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"), 400},
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc"), 400},
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc"), 400},
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400},
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n"), 400},
		{STR("POST /hello HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"), 400},
		{STR("POST /hello HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n"), 400},
		{STR("GET /hello HTTP/1.1\r\n\r\n"), 400},
		{STR("GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), 400},
		{STR("GET /hello\0/x HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
		{STR("GET /hel\x01lo HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
		{STR("GET /hello there HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
		{STR("GET hello HTTP/1.1\r\nHost: x\r\n\r\n"), 400},
		{STR("GET /hello HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n"), 400},
		{STR("GET /hello HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n"), 400},
		{STR("GET /hello HTTP/3.0\r\nHost: x\r\n\r\n"), 505},
	};
	fixture f = fixture_start(plain);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		client c = client_open(f.port);
		client_send(&c, cases[i].bytes);
		reply r = client_read(&c, false);
		ck_assert_msg(r.status == cases[i].status, "case %zu: %d", i, r.status);
		reply_dispose(&r);
		/* Nothing that came after the request was served. libmicrohttpd says some of its own refusals twice. */
		size_t at;
		ck_assert_msg(!str_find(client_take_all(&c), STR("hello"), &at), "case %zu", i);
		client_close(&c);
	}
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(headers_over_the_limit_are_refused)
{
	http_server_options options = plain;
	options.max_header_bytes = 4096;
	fixture f = fixture_start(options);
	static const size_t sizes[] = {4200, 20000, 200000};
	static char bytes[200000];
	memset(bytes, 'a', sizeof bytes);
	/* A client that stands still for long finds the connection closed, and the answer in it. */
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		client c = client_open(f.port);
		client_send_c(&c, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Long: ");
		client_try_send(&c, (str){bytes, sizes[i]});
		client_try_send(&c, STR("\r\n\r\n"));
		reply r = client_read(&c, false);
		ck_assert_msg(r.status == 431, "%zu: %d", sizes[i], r.status);
		reply_dispose(&r);
		client_close(&c);
		c = client_open(f.port);
		client_send_c(&c, "GET /");
		client_try_send(&c, (str){bytes, sizes[i]});
		client_try_send(&c, STR(" HTTP/1.1\r\nHost: x\r\n\r\n"));
		r = client_read(&c, false);
		ck_assert_msg(r.status == 414 || r.status == 431, "%zu: %d", sizes[i], r.status);
		reply_dispose(&r);
		client_close(&c);
	}
	/* Just under it. */
	client c = client_open(f.port);
	client_send_c(&c, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Long: ");
	client_send_repeated(&c, 'a', 4000);
	client_send_c(&c, "\r\n\r\n");
	reply r = client_read(&c, false);
	ASSERT_REPLY(r, 200, "hello");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

/* ---- the gate ---- */

static void refuse_at_gate(http_exchange *x)
{
	err e;
	err_set(&e, ERR_UNAUTHORIZED, "who are you");
	http_send_error(x, &e);
}

static void gate(http_exchange *x)
{
	str key = http_request_header(x, STR("x-key"));
	http_set_principal(x, "somebody");
	if (str_equal(key, STR("now"))) {
		http_admit(x);
	} else if (str_equal(key, STR("later"))) {
		run_later(x, http_admit, 0);
	} else if (str_equal(key, STR("refuse-later"))) {
		run_later(x, refuse_at_gate, 0);
	} else {
		refuse_at_gate(x);
	}
}

START_TEST(the_gate_admits_and_refuses_at_once_and_later)
{
	http_server_options options = plain;
	options.gate = gate;
	fixture f = fixture_start(options);
	client c = client_open(f.port);
	for (int i = 0; i < 3; i++) {
		reply r = client_ask(&c, "GET /hello HTTP/1.1\r\nHost: x\r\nX-Key: now\r\n\r\n");
		ASSERT_REPLY(r, 200, "hello");
		r = client_ask(&c, GET("/hello"));
		ck_assert_view_eq(reply_header(&r, "WWW-Authenticate"), STR("Bearer"));
		ASSERT_REPLY(r, 401, "{\"error\":\"unauthorized\"}");
		r = client_ask(&c, "GET /later HTTP/1.1\r\nHost: x\r\nX-Key: later\r\n\r\n");
		ASSERT_REPLY(r, 200, "hello");
		r = client_ask(&c, "POST /hello HTTP/1.1\r\nHost: x\r\nX-Key: later\r\nContent-Length: 3\r\n\r\nabc");
		ASSERT_REPLY(r, 200, "hello");
		r = client_ask(&c, "POST /hello HTTP/1.1\r\nHost: x\r\nX-Key: refuse-later\r\nContent-Length: 3\r\n\r\nabc");
		ASSERT_REPLY(r, 401, "{\"error\":\"unauthorized\"}");
		r = client_ask(&c, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
		ASSERT_REPLY(r, 401, "{\"error\":\"unauthorized\"}");
	}
	/* Unknown paths: only of the dialect that wants them judged. OPTIONS never. */
	reply r = client_ask(&c, GET("/nowhere"));
	ASSERT_REPLY(r, 404, "{\"error\":\"not_found\"}");
	r = client_ask(&c, GET("/tea/nowhere"));
	ASSERT_REPLY(r, 401, "teapot: unauthorized");
	r = client_ask(&c, "GET /tea/nowhere HTTP/1.1\r\nHost: x\r\nX-Key: later\r\n\r\n");
	ASSERT_REPLY(r, 404, "teapot: not_found");
	r = client_ask(&c, "OPTIONS /teapot HTTP/1.1\r\nHost: x\r\n\r\n");
	ASSERT_REPLY(r, 204, "");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

/* ---- races ---- */

enum { RACERS = 4, RACES = 3000 };

static pthread_mutex_t race_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t race_filled = PTHREAD_COND_INITIALIZER;
static http_exchange *racing[RACERS];
static size_t racing_count;
static bool race_is_over;

/* Takes whatever is there at once: most replies end their turn while the worker is about to suspend. */
static void *answer_races(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&race_lock);
	while (!race_is_over) {
		if (racing_count == 0) {
			pthread_cond_wait(&race_filled, &race_lock);
			continue;
		}
		http_exchange *x = racing[--racing_count];
		pthread_mutex_unlock(&race_lock);
		say_hello(x);
		pthread_mutex_lock(&race_lock);
	}
	pthread_mutex_unlock(&race_lock);
	return NULL;
}

static void race(http_exchange *x)
{
	pthread_mutex_lock(&race_lock);
	racing[racing_count++] = x;
	pthread_cond_signal(&race_filled);
	pthread_mutex_unlock(&race_lock);
	/* Sometimes the reply is there before this returns, sometimes not. */
	static atomic_uint turn;
	for (unsigned i = 0; i < (turn++ & 255) * 8; i++) {
		__asm__ volatile("" ::: "memory");
	}
}

static void *race_client(void *context)
{
	client c = client_open(*(const uint16_t *)context);
	for (int i = 0; i < RACES; i++) {
		reply r = client_ask(&c, GET("/race"));
		ASSERT_REPLY(r, 200, "hello");
	}
	client_close(&c);
	return NULL;
}

START_TEST(replies_that_race_with_the_suspension_are_never_lost)
{
	static const http_route race_routes[] = {{.method = HTTP_GET, .pattern = "/race", .name = "race", .handler = race}};
	static const http_dialect race_dialect = {.name = "race", .prefix = "/", .routes = race_routes, .route_count = 1};
	static const http_dialect *const race_dialects[] = {&race_dialect};
	fixture f = fixture_start((http_server_options){.dialects = race_dialects, .dialect_count = 1});
	pthread_t answering;
	pthread_t asking[RACERS];
	pthread_create(&answering, NULL, answer_races, NULL);
	for (size_t i = 0; i < RACERS; i++) {
		pthread_create(&asking[i], NULL, race_client, &f.port);
	}
	for (size_t i = 0; i < RACERS; i++) {
		pthread_join(asking[i], NULL);
	}
	pthread_mutex_lock(&race_lock);
	race_is_over = true;
	pthread_cond_broadcast(&race_filled);
	pthread_mutex_unlock(&race_lock);
	pthread_join(answering, NULL);
	ck_assert(fixture_stop(&f));
}
END_TEST

/* ---- metrics, listeners, stopping ---- */

START_TEST(requests_are_counted_by_route_and_status_class)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	for (int i = 0; i < 3; i++) {
		reply r = client_ask(&c, GET("/hello"));
		reply_dispose(&r);
	}
	reply r = client_ask(&c, GET("/nowhere"));
	reply_dispose(&r);
	r = client_ask(&c, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	reply_dispose(&r);
	client_close(&c);
	wait_for_metric(&f, "tidegate_http_requests_total", "route=\"hello\",method=\"GET\",status=\"2xx\"", 3);
	wait_for_metric(&f, "tidegate_http_requests_total", "route=\"none\",method=\"any\",status=\"4xx\"", 1);
	wait_for_metric(&f, "tidegate_http_body_bytes_total", "direction=\"in\"", 3);
	ck_assert_int_gt(fixture_metric(&f, "tidegate_http_body_bytes_total", "direction=\"out\""), 20);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(the_access_log_names_the_request_but_not_its_query)
{
	int ends[2];
	char text[4096] = "";
	ck_assert_int_eq(pipe(ends), 0);
	http_server_options options = plain;
	options.log = slog_new(ends[1], SLOG_DEBUG, SLOG_JSON);
	fixture f = fixture_start(options);
	reply r =
		ask(f.port, "GET /hello?token=secret HTTP/1.1\r\nHost: x\r\nX-Request-Id: id-7\r\nX-Api-Key: secret\r\n\r\n");
	ASSERT_REPLY(r, 200, "hello");
	ck_assert(fixture_stop(&f));
	ck_assert_int_gt(read(ends[0], text, sizeof text - 1), 0);
	static const char *const wanted[] = {"\"GET\"", "\"/hello\"", "200", "\"id-7\"", "127.0.0.1:"};
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		ck_assert_msg(strstr(text, wanted[i]) != NULL, "%s is missing in %s", wanted[i], text);
	}
	ck_assert_ptr_null(strstr(text, "secret"));
	slog_free(options.log);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(several_addresses_are_served_and_a_taken_one_is_named)
{
	static const str addresses[] = {{"127.0.0.1:0", 11}, {"localhost:0", 11}, {":0", 2}};
	http_server_options options = plain;
	options.listen = addresses;
	options.listen_count = 3;
	fixture f = fixture_start(options);
	for (size_t i = 0; i < 3; i += 2) { /* localhost may be IPv6 */
		reply r = ask(http_server_port(f.server, i), GET("/hello"));
		ASSERT_REPLY(r, 200, "hello");
	}
	ck_assert_uint_ne(http_server_port(f.server, 1), 0);
	ck_assert_uint_eq(http_server_port(f.server, 3), 0);

	char taken[32];
	snprintf(taken, sizeof taken, "127.0.0.1:%u", f.port);
	const str bad[] = {str_from_c(taken), STR("127.0.0.1"), STR("127.0.0.1:99999"), STR("no such host:80")};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err e;
		options.listen = &bad[i];
		options.listen_count = 1;
		http_server *s = http_server_new(&options, &e);
		ck_assert_ptr_nonnull(s);
		ck_assert(!http_server_start(s, &e));
		ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
		size_t at;
		ck_assert_msg(str_find(str_from_c(e.message), bad[i], &at), "%s", e.message);
		http_server_free(s);
	}
	ck_assert(fixture_stop(&f));
}
END_TEST

/* An idle connection closes when the server has begun to stop. */
static void *answer_when_idle_is_closed(void *idle)
{
	ck_assert(client_is_closed(idle));
	say_hello(held);
	return NULL;
}

START_TEST(stopping_answers_what_was_accepted_and_closes)
{
	pthread_t answering;
	fixture f = fixture_start(plain);
	client idle = client_open(f.port);
	reply r = client_ask(&idle, GET("/hello"));
	reply_dispose(&r);
	client silent = client_open(f.port);
	client busy = client_open(f.port);
	held = NULL;
	client_send_c(&busy, GET("/held"));
	WAIT_FOR(held != NULL);
	ck_assert_int_eq(pthread_create(&answering, NULL, answer_when_idle_is_closed, &idle), 0);
	ck_assert(fixture_stop(&f)); /* nobody was waited for until the deadline */
	pthread_join(answering, NULL);
	r = client_read(&busy, false);
	ck_assert_view_eq(reply_header(&r, "Connection"), STR("close"));
	ASSERT_REPLY(r, 200, "hello");
	ck_assert(client_is_closed(&busy));
	ck_assert(client_is_closed(&silent));
	client_close(&busy);
	client_close(&idle);
	client_close(&silent);
}
END_TEST

static atomic_bool has_answered;

static void say_hello_and_note(http_exchange *x)
{
	has_answered = true;
	say_hello(x);
}

START_TEST(a_reply_after_the_deadline_is_harmless)
{
	fixture f = fixture_start(plain);
	client busy = client_open(f.port);
	held = NULL;
	client_send_c(&busy, GET("/held"));
	client half = client_open(f.port);
	client_send_c(&half, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
	WAIT_FOR(held != NULL);
	ck_assert(!http_server_stop(f.server, clock_now_ms() + 20));
	ck_assert(client_is_closed(&busy));
	ck_assert(client_is_closed(&half));
	/* The handler replies meanwhile; free waits for it. */
	run_later(held, say_hello_and_note, 200);
	http_server_free(f.server);
	ck_assert(has_answered);
	metric_registry_free(f.metrics);
	client_close(&busy);
	client_close(&half);
}
END_TEST

START_TEST(a_server_can_be_freed_without_starting_and_started_after_another)
{
	err e;
	http_server *s = http_server_new(&plain, &e);
	ck_assert_ptr_nonnull(s);
	http_server_free(s);
	http_server_free(NULL);
	for (int i = 0; i < 3; i++) {
		fixture f = fixture_start(plain);
		ck_assert(fixture_stop(&f));
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_route_answers_at_once_and_later,
		unknown_paths_and_methods_are_refused_in_their_dialect,
		head_answers_like_get_without_the_body,
		options_is_answered_by_the_server_with_cors_when_configured,
		path_parameters_keep_every_byte,
		a_handler_sees_the_request_as_it_was_sent,
		fifty_headers_are_all_seen,
		reply_headers_are_copied_and_cannot_be_split,
		bodiless_statuses_have_no_body_and_keep_the_connection,
		a_large_reply_arrives_whole,
		a_reply_over_its_limit_becomes_an_error,
		an_error_worth_a_retry_says_when,
		replies_are_compressed_only_when_asked_for_and_allowed,
		the_peer_is_known_and_its_going_is_seen,
		pipelined_requests_are_answered_in_order,
		connection_close_and_http_1_0_end_the_connection,
		a_request_may_come_byte_by_byte,
		a_method_that_begins_like_the_http2_preface_is_no_preface,
		http2_is_told_apart_by_its_preface,
		connections_over_the_limit_get_a_503_and_the_others_go_on,
		malformed_requests_are_refused_and_the_connection_closed,
		headers_over_the_limit_are_refused,
		the_gate_admits_and_refuses_at_once_and_later,
		replies_that_race_with_the_suspension_are_never_lost,
		requests_are_counted_by_route_and_status_class,
		the_access_log_names_the_request_but_not_its_query,
		several_addresses_are_served_and_a_taken_one_is_named,
		stopping_answers_what_was_accepted_and_closes,
		a_reply_after_the_deadline_is_harmless,
		a_server_can_be_freed_without_starting_and_started_after_another,
	};
	return SUITE_RUN("http/server", tests);
}
