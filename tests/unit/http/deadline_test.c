#include "harness.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Deadlines are short where nothing but their end is waited for, and longer than a machine stands still where something
 * has to happen before them. The one for idle connections is beyond the client's patience but where it is meant. */
enum { HEADER_MS = 400, IDLE_MS = 5000, BODY_MS = 400, PATIENT_BODY_MS = 3000, RATE = 10000 };

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
	.idle_timeout_ms = 10 * CLIENT_PATIENCE_MS,
	.body_timeout_ms = BODY_MS,
	.min_body_rate = RATE,
};

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* Sends one byte of `bytes` every `every_ms`, the last one again and again, until the server has closed; how long that
 * took. */
static int64_t drip(client *c, const char *bytes, int every_ms)
{
	int64_t start = clock_now_ms();
	const char *at = bytes;
	while (client_try_send(c, (str){at, 1}) && !client_closes_within(c, every_ms)) {
		ck_assert_int_lt(clock_now_ms() - start, CLIENT_PATIENCE_MS);
		at += at[1] != '\0' ? 1 : 0;
	}
	return clock_now_ms() - start;
}

static const char LONG_HEADER[] = "GET /hello HTTP/1.1\r\nHost: x\r\nX: a";

START_TEST(a_connection_that_says_nothing_is_closed)
{
	fixture f = fixture_start(quick);
	int64_t start = clock_now_ms();
	client c = client_open(f.port);
	ck_assert(client_is_closed(&c));
	ck_assert_int_ge(clock_now_ms() - start, HEADER_MS - 20);
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_slow_drip_of_headers_is_cut)
{
	fixture f = fixture_start(quick);
	int64_t start = clock_now_ms();
	client c = client_open(f.port);
	drip(&c, LONG_HEADER, 20);
	ck_assert_int_ge(clock_now_ms() - start, HEADER_MS - 20);
	client_close(&c);
	/* The same on a connection that was kept, and already within the request line. */
	c = client_open(f.port);
	reply r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "0");
	sleep_ms(150);
	drip(&c, LONG_HEADER, 20);
	client_close(&c);
	/* And when not even the request line ends. */
	c = client_open(f.port);
	r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "0");
	sleep_ms(150);
	ck_assert_int_ge(drip(&c, "a", 20), HEADER_MS - 20);
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(an_idle_connection_is_kept_for_its_time)
{
	http_server_options options = quick;
	options.idle_timeout_ms = IDLE_MS;
	fixture f = fixture_start(options);
	client c = client_open(f.port);
	reply r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "0");
	/* Longer than the header deadline, shorter than the idle one. */
	ck_assert(client_is_silent(&c, 2 * HEADER_MS));
	int64_t start = clock_now_ms();
	r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "0");
	ck_assert(client_is_closed(&c));
	ck_assert_int_ge(clock_now_ms() - start, IDLE_MS - 20);
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_body_that_stands_still_is_cut)
{
	fixture f = fixture_start(quick);
	client c = client_open(f.port);
	int64_t start = clock_now_ms();
	client_send_c(&c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc");
	ck_assert(client_is_closed(&c));
	ck_assert_int_ge(clock_now_ms() - start, BODY_MS - 20);
	client_close(&c);
	wait_for_metric(&f, "tidegate_http_refused_total", "reason=\"slow\"", 1);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_body_below_the_least_rate_is_cut_and_one_above_is_not)
{
	static char bytes[2000];
	http_server_options options = quick;
	options.body_timeout_ms = PATIENT_BODY_MS;
	fixture f = fixture_start(options);
	client c = client_open(f.port);
	memset(bytes, 'x', sizeof bytes);
	int64_t start = clock_now_ms();
	client_send_c(&c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n");
	drip(&c, "x", 10);
	ck_assert_int_ge(clock_now_ms() - start, PATIENT_BODY_MS - 20);
	client_close(&c);
	/* Ten times the rate, for longer than the deadline. */
	c = client_open(f.port);
	client_send_c(&c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n");
	for (int i = 0; i < 200; i++) {
		client_send(&c, (str){bytes, sizeof bytes});
		sleep_ms(20);
	}
	reply r = client_read(&c, false);
	ASSERT_REPLY(r, 200, "400000");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_reply_that_is_not_taken_is_cut_and_a_slow_reader_is_not)
{
	enum { PAUSES = 10 };
	http_server_options options = quick;
	options.body_timeout_ms = PATIENT_BODY_MS;
	fixture f = fixture_start(options);
	client stuck = client_open_with_buffer(f.port, 4096);
	client slow = client_open(f.port);
	client_send_c(&stuck, GET("/large"));
	client_send_c(&slow, GET("/large"));
	/* The reader pauses for less than the deadline, again and again. */
	for (int i = 0; i < PAUSES; i++) {
		(void)client_take(&slow, 1000000);
		sleep_ms(PATIENT_BODY_MS / (PAUSES - 2));
	}
	wait_for_metric(&f, "tidegate_http_refused_total", "reason=\"slow\"", 1);
	wait_for_metric(&f, "tidegate_http_requests_in_flight", NULL, 1);
	(void)client_take(&slow, 20000000 - PAUSES * 1000000);
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
