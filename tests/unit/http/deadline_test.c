#include "harness.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Deadlines are short here; the sweep comes every 100 ms. */
enum { HEADER_MS = 400, IDLE_MS = 1500, BODY_MS = 400, RATE = 10000, LATE_MS = 500 };

static void show_length(http_exchange *x)
{
	buf_printf(http_reply_body(x), "%zu", http_request_body(x).len);
	http_send(x, 200, "text/plain");
}

static void send_large(http_exchange *x)
{
	buf *out = http_reply_body(x);
	for (int i = 0; i < 2000000; i++) {
		buf_append_str(out, STR("0123456789"));
	}
	http_send(x, 200, "application/octet-stream");
}

static void take_long(http_exchange *x)
{
	run_later(x, show_length, 3 * HEADER_MS);
}

static const http_route routes[] = {
	{.method = HTTP_POST, .pattern = "/body", .name = "body", .handler = show_length, .body = HTTP_BODY_ACCEPTED},
	{.method = HTTP_GET, .pattern = "/hello", .name = "hello", .handler = show_length},
	{.method = HTTP_GET, .pattern = "/large", .name = "large", .handler = send_large},
	{.method = HTTP_GET, .pattern = "/long", .name = "long", .handler = take_long},
};
static const http_dialect dialect = {.name = "main", .prefix = "/", .routes = routes, .route_count = 4};
static const http_dialect *const dialects[] = {&dialect};
static const http_server_options quick = {
	.dialects = dialects,
	.dialect_count = 1,
	.header_timeout_ms = HEADER_MS,
	.idle_timeout_ms = IDLE_MS,
	.body_timeout_ms = BODY_MS,
	.min_body_rate = RATE,
};

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* Sends one byte of `bytes` every `every_ms` until the server has closed; how long that took. */
static int64_t drip(client *c, const char *bytes, int every_ms)
{
	int64_t start = clock_now_ms();
	for (const char *at = bytes; *at != '\0' && clock_now_ms() - start < CLIENT_PATIENCE_MS; at++) {
		if (!client_try_send(c, (str){at, 1}) || client_is_closed(c, every_ms)) {
			break;
		}
	}
	return clock_now_ms() - start;
}

static const char LONG_HEADER[] =
	"GET /hello HTTP/1.1\r\nHost: x\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

START_TEST(a_connection_that_says_nothing_is_closed)
{
	fixture f = fixture_start(quick);
	client c = client_open(f.port);
	int64_t start = clock_now_ms();
	ck_assert(client_is_closed(&c, 3000));
	ck_assert_int_ge(clock_now_ms() - start, HEADER_MS - 20);
	ck_assert_int_lt(clock_now_ms() - start, HEADER_MS + LATE_MS);
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_slow_drip_of_headers_is_cut)
{
	fixture f = fixture_start(quick);
	client c = client_open(f.port);
	int64_t took = drip(&c, LONG_HEADER, 20);
	ck_assert_int_ge(took, HEADER_MS - 20);
	ck_assert_int_lt(took, HEADER_MS + LATE_MS);
	client_close(&c);
	/* The same on a connection that was kept, and already within the request line. */
	c = client_open(f.port);
	reply r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "0");
	sleep_ms(150);
	took = drip(&c, LONG_HEADER, 20);
	ck_assert_int_lt(took, HEADER_MS + LATE_MS);
	client_close(&c);
	/* And when not even the request line ends. */
	c = client_open(f.port);
	r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "0");
	sleep_ms(150);
	took = drip(&c, LONG_HEADER + sizeof "GET /hello HTTP/1.1\r\nHost: x\r\nX: " - 1, 20);
	ck_assert_int_ge(took, HEADER_MS - 20);
	ck_assert_int_lt(took, HEADER_MS + LATE_MS);
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(an_idle_connection_is_kept_for_its_time)
{
	fixture f = fixture_start(quick);
	client c = client_open(f.port);
	reply r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "0");
	/* Longer than the header deadline, shorter than the idle one. */
	ck_assert(client_is_silent(&c, (HEADER_MS + IDLE_MS) / 2));
	r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "0");
	int64_t start = clock_now_ms();
	ck_assert(client_is_closed(&c, 3000));
	ck_assert_int_ge(clock_now_ms() - start, IDLE_MS - 20);
	ck_assert_int_lt(clock_now_ms() - start, IDLE_MS + LATE_MS);
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_body_that_stands_still_is_cut)
{
	fixture f = fixture_start(quick);
	client c = client_open(f.port);
	client_send_c(&c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
	int64_t start = clock_now_ms();
	ck_assert(client_is_closed(&c, 3000));
	ck_assert_int_ge(clock_now_ms() - start, BODY_MS - 20);
	ck_assert_int_lt(clock_now_ms() - start, BODY_MS + LATE_MS);
	client_close(&c);
	ck_assert_int_eq(fixture_metric(&f, "tidegate_http_refused_total", "reason=\"slow\""), 1);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_body_below_the_least_rate_is_cut_and_one_above_is_not)
{
	static char bytes[2001];
	fixture f = fixture_start(quick);
	client c = client_open(f.port);
	memset(bytes, 'x', sizeof bytes - 1);
	client_send_c(&c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n");
	int64_t took = drip(&c, bytes, 10);
	ck_assert_int_ge(took, BODY_MS - 20);
	/* The rate is counted in whole seconds. */
	ck_assert_int_lt(took, 1000 + LATE_MS);
	client_close(&c);
	c = client_open(f.port);
	client_send_c(&c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
	for (int i = 0; i < 100; i++) {
		client_send(&c, (str){bytes, 2000});
		sleep_ms(20);
	}
	reply r = client_read(&c, false);
	ASSERT_REPLY(r, 200, "200000");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_reply_that_is_not_taken_is_cut_and_a_slow_reader_is_not)
{
	fixture f = fixture_start(quick);
	client stuck = client_open_with_buffer(f.port, 4096);
	client slow = client_open(f.port);
	client_send_c(&stuck, GET("/large"));
	client_send_c(&slow, GET("/large"));
	/* The reader pauses for less than the deadline, again and again. */
	for (int i = 0; i < 8; i++) {
		(void)client_take(&slow, 1000000);
		sleep_ms(BODY_MS / 4);
	}
	ck_assert_int_eq(fixture_metric(&f, "tidegate_http_refused_total", "reason=\"slow\""), 1);
	ck_assert_int_eq(fixture_metric(&f, "tidegate_http_requests_in_flight", NULL), 1);
	(void)client_take(&slow, 12000000);
	client_close(&stuck);
	client_close(&slow);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(the_application_has_all_the_time_it_wants)
{
	fixture f = fixture_start(quick);
	client c = client_open(f.port);
	reply r = client_ask(&c, GET("/long"));
	ASSERT_REPLY(r, 200, "0");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_connection_that_says_nothing_is_closed,
		a_slow_drip_of_headers_is_cut,
		an_idle_connection_is_kept_for_its_time,
		a_body_that_stands_still_is_cut,
		a_body_below_the_least_rate_is_cut_and_one_above_is_not,
		a_reply_that_is_not_taken_is_cut_and_a_slow_reader_is_not,
		the_application_has_all_the_time_it_wants,
	};
	return SUITE_RUN("http/deadline", tests);
}
