#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { OPENED_MAX = 64 };

/* ---- the application: one watcher per stream ---- */

typedef struct watcher {
	http_stream *stream;
	atomic_int drains;
	atomic_int expiries;
	atomic_int shutdowns;
	atomic_int closes;
	_Atomic int reason;
	_Atomic int64_t closed_at_ms;
} watcher;

static http_stream_options next_options; /* what the next stream is opened with; the context is filled in */
static watcher watchers[OPENED_MAX];
static atomic_int opened;

static void on_drain(void *context)
{
	watcher *w = context;
	w->drains++;
}

static void on_expire(void *context)
{
	watcher *w = context;
	w->expiries++;
}

static void on_shutdown(void *context)
{
	watcher *w = context;
	frame *last = frame_new(STR("bye"));
	w->shutdowns++;
	http_stream_end(w->stream, last);
	frame_unref(last);
}

static void on_closed(void *context, http_stream_end_reason reason)
{
	watcher *w = context;
	w->reason = (int)reason;
	w->closed_at_ms = clock_now_ms();
	w->closes++;
}

static void open_stream(http_exchange *x)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&one_at_a_time);
	watcher *w = &watchers[opened];
	http_stream_options options = next_options;
	options.context = w;
	options.place = &w->stream;
	opened += http_stream_open(x, &options) != NULL;
	pthread_mutex_unlock(&one_at_a_time);
}

static void open_stream_later(http_exchange *x)
{
	run_later(x, open_stream, 0);
}

static void say_hello(http_exchange *x)
{
	buf_append_str(http_reply_body(x), STR("hello"));
	http_send(x, 200, "text/plain");
}

static void decorate(http_exchange *x)
{
	http_reply_header(x, STR("Cache-Control"), STR("no-store"));
}

static const http_route routes[] = {
	{.method = HTTP_GET, .pattern = "/stream", .name = "stream", .handler = open_stream},
	{.method = HTTP_POST,
	 .pattern = "/stream",
	 .name = "post_stream",
	 .handler = open_stream,
	 .body = HTTP_BODY_ACCEPTED},
	{.method = HTTP_GET, .pattern = "/stream-later", .name = "later", .handler = open_stream_later},
	{.method = HTTP_GET, .pattern = "/hello", .name = "hello", .handler = say_hello},
};
static const http_dialect dialect = {.name = "main",
									 .prefix = "/",
									 .routes = routes,
									 .route_count = 4,
									 .write_error = write_plain_error,
									 .decorate = decorate};
static const http_dialect *const dialects[] = {&dialect};
static const http_server_options plain = {.dialects = dialects, .dialect_count = 1};

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* ---- helpers ---- */

static fixture begin(http_server_options options)
{
	for (size_t i = 0; i < OPENED_MAX; i++) {
		memset(&watchers[i], 0, sizeof watchers[i]);
	}
	opened = 0;
	next_options = (http_stream_options){
		.content_type = "text/event-stream",
		.on_drain = on_drain,
		.on_expire = on_expire,
		.on_shutdown = on_shutdown,
		.on_closed = on_closed,
	};
	return fixture_start(options);
}

static bool end(fixture *f)
{
	bool is_clean = fixture_stop(f);
	for (int i = 0; i < opened; i++) {
		ck_assert_int_eq(watchers[i].closes, 1);
		ck_assert(http_stream_is_closed(watchers[i].stream));
		/* After the server is gone. */
		frame *f2 = frame_new(STR("x"));
		ck_assert_int_eq(http_stream_push(watchers[i].stream, f2), HTTP_PUSH_CLOSED);
		frame_unref(f2);
		http_stream_unref(watchers[i].stream);
	}
	return is_clean;
}

static void read_head(client *c, const char *framing)
{
	char line[128] = "";
	bool has_framing = framing == NULL;
	str status = client_take_line(c);
	ck_assert_view_eq(status, STR("HTTP/1.1 200 OK"));
	for (;;) {
		str next = client_take_line(c);
		if (next.len == 0) {
			break;
		}
		snprintf(line, sizeof line, "%.*s", STR_ARG(next));
		has_framing = has_framing || strcmp(line, framing) == 0;
		ck_assert_msg(framing != NULL || strstr(line, "Transfer-Encoding") == NULL, "%s", line);
	}
	ck_assert_msg(has_framing, "without %s", framing);
}

static void wait_for_opened(int count)
{
	WAIT_FOR(opened == count);
}

static client open_client(const fixture *f, const char *request)
{
	int before = opened;
	client c = client_open(f->port);
	client_send_c(&c, request);
	read_head(&c, "Transfer-Encoding: chunked");
	wait_for_opened(before + 1);
	return c;
}

static http_push push(watcher *w, const char *text)
{
	frame *f = frame_new(str_from_c(text));
	http_push answer = http_stream_push(w->stream, f);
	frame_unref(f);
	return answer;
}

static void wait_for_close(const watcher *w, http_stream_end_reason reason)
{
	WAIT_FOR(w->closes == 1);
	ck_assert_int_eq(w->reason, (int)reason);
}

/* ---- opening ---- */

START_TEST(headers_and_first_frame_come_at_once_and_frames_follow)
{
	fixture f = begin(plain);
	next_options.first = frame_new(STR("retry: 2000\n\n"));
	client c = client_open(f.port);
	client_send_c(&c, GET("/stream"));
	read_head(&c, "Content-Type: text/event-stream");
	ck_assert_view_eq(client_take_chunk(&c), STR("retry: 2000\n\n"));
	wait_for_opened(1);
	/* libmicrohttpd has let go of the connection by now; the stream lives on. */
	sleep_ms(100);
	ck_assert_int_eq(push(&watchers[0], "one"), HTTP_PUSH_OK);
	ck_assert_view_eq(client_take_chunk(&c), STR("one"));
	ck_assert_int_eq(push(&watchers[0], "two"), HTTP_PUSH_OK);
	ck_assert_view_eq(client_take_chunk(&c), STR("two"));
	frame_unref(next_options.first);
	ck_assert_int_eq(fixture_metric(&f, "tidegate_http_streams", NULL), 1);
	ck_assert_int_eq(fixture_metric(&f, "tidegate_http_connections", NULL), 1);
	client_close(&c);
	wait_for_close(&watchers[0], HTTP_STREAM_CLIENT_GONE);
	ck_assert(end(&f));
}
END_TEST

START_TEST(a_stream_opens_from_another_thread_after_a_body_and_on_a_used_connection)
{
	fixture f = begin(plain);
	client a = open_client(&f, GET("/stream-later"));
	client b = open_client(&f, "POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	client c = client_open(f.port);
	reply r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "hello");
	client_send_c(&c, GET("/hello") GET("/stream-later"));
	r = client_read(&c, false);
	ASSERT_REPLY(r, 200, "hello");
	read_head(&c, "Cache-Control: no-store");
	wait_for_opened(3);
	client *clients[] = {&a, &b, &c};
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(push(&watchers[i], "text"), HTTP_PUSH_OK);
		ck_assert_view_eq(client_take_chunk(clients[i]), STR("text"));
		client_close(clients[i]);
	}
	ck_assert(end(&f));
}
END_TEST

START_TEST(http_1_0_gets_plain_bytes_until_the_close)
{
	fixture f = begin(plain);
	next_options.first = frame_new(STR("first\n"));
	client c = client_open(f.port);
	client_send_c(&c, "GET /stream HTTP/1.0\r\n\r\n");
	read_head(&c, NULL);
	ck_assert_view_eq(client_take(&c, 6), STR("first\n"));
	wait_for_opened(1);
	push(&watchers[0], "second\n");
	frame *last = frame_new(STR("last\n"));
	http_stream_end(watchers[0].stream, last);
	ck_assert_view_eq(client_take_all(&c), STR("second\nlast\n"));
	frame_unref(last);
	frame_unref(next_options.first);
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

START_TEST(head_on_a_stream_gets_headers_only)
{
	fixture f = begin(plain);
	client c = client_open(f.port);
	reply r = client_ask(&c, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	ck_assert_view_eq(reply_header(&r, "Content-Type"), STR("text/event-stream"));
	ASSERT_REPLY(r, 200, "");
	r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "hello");
	ck_assert_int_eq(opened, 0);
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

START_TEST(streams_over_the_limit_are_refused_and_places_come_back)
{
	http_server_options options = plain;
	options.max_streams = 2;
	fixture f = begin(options);
	client a = open_client(&f, GET("/stream"));
	client b = open_client(&f, GET("/stream"));
	client c = client_open(f.port);
	reply r = client_ask(&c, GET("/stream"));
	ck_assert_ptr_nonnull(reply_header(&r, "Retry-After").ptr);
	ASSERT_REPLY(r, 429, "{\"error\":\"throttled\"}");
	/* The connection is still an ordinary one. */
	r = client_ask(&c, GET("/hello"));
	ASSERT_REPLY(r, 200, "hello");
	client_close(&a);
	wait_for_close(&watchers[0], HTTP_STREAM_CLIENT_GONE);
	/* The place is free a moment later. */
	int64_t until_ms = clock_now_ms() + CLIENT_PATIENCE_MS;
	for (bool is_open = false; !is_open;) {
		client_close(&c);
		c = client_open(f.port);
		client_send_c(&c, GET("/stream"));
		is_open = str_equal(client_take_line(&c), STR("HTTP/1.1 200 OK"));
		ck_assert(is_open || clock_now_ms() < until_ms);
	}
	wait_for_opened(3);
	client_close(&b);
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

/* ---- order and back pressure ---- */

enum { PUSHERS = 4, FRAMES_EACH = 5000 };

static pthread_mutex_t sequence_lock = PTHREAD_MUTEX_INITIALIZER;
static int sequence;

static void *push_numbers(void *context)
{
	watcher *w = context;
	for (int i = 0; i < FRAMES_EACH; i++) {
		char text[32];
		pthread_mutex_lock(&sequence_lock);
		snprintf(text, sizeof text, "%d", sequence);
		http_push answer;
		while ((answer = push(w, text)) == HTTP_PUSH_FULL) {
			sleep_ms(1);
		}
		sequence++;
		pthread_mutex_unlock(&sequence_lock);
		if (answer == HTTP_PUSH_CLOSED) {
			break;
		}
	}
	return NULL;
}

START_TEST(frames_of_many_threads_arrive_in_the_order_of_their_pushes)
{
	fixture f = begin(plain);
	sequence = 0;
	client c = open_client(&f, GET("/stream"));
	pthread_t threads[PUSHERS];
	for (size_t i = 0; i < PUSHERS; i++) {
		pthread_create(&threads[i], NULL, push_numbers, &watchers[0]);
	}
	for (int i = 0; i < PUSHERS * FRAMES_EACH; i++) {
		char wanted[32];
		snprintf(wanted, sizeof wanted, "%d", i);
		ck_assert_view_eq(client_take_chunk(&c), str_from_c(wanted));
	}
	for (size_t i = 0; i < PUSHERS; i++) {
		pthread_join(threads[i], NULL);
	}
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

START_TEST(a_full_queue_refuses_then_drains_and_loses_nothing)
{
	http_server_options options = plain;
	options.stream_queue_bytes = 64 * 1024;
	fixture f = begin(options);
	client c = client_open_with_buffer(f.port, 4096);
	client_send_c(&c, GET("/stream"));
	read_head(&c, "Transfer-Encoding: chunked");
	wait_for_opened(1);
	char text[1000];
	memset(text, 'x', sizeof text);
	int pushed = 0;
	for (int round = 0; round < 3; round++) {
		int drains = watchers[0].drains;
		for (;;) {
			http_push answer = HTTP_PUSH_OK;
			while (answer == HTTP_PUSH_OK) {
				snprintf(text, sizeof text, "%06d", pushed);
				frame *fr = frame_new((str){text, sizeof text});
				answer = http_stream_push(watchers[0].stream, fr);
				pushed += answer == HTTP_PUSH_OK;
				frame_unref(fr);
				ck_assert_int_lt(pushed, 100000);
			}
			ck_assert_int_eq(answer, HTTP_PUSH_FULL);
			sleep_ms(20);
			if (watchers[0].drains == drains) {
				break;
			}
			/* The socket had room yet: its thread came late. */
			ck_assert_int_eq(watchers[0].drains, ++drains);
		}
		static int taken;
		taken = round == 0 ? 0 : taken;
		for (; taken < pushed; taken++) {
			str chunk = client_take_chunk(&c);
			ck_assert_uint_eq(chunk.len, sizeof text);
			snprintf(text, sizeof text, "%06d", taken);
			ck_assert_view_eq(str_take(chunk, 6), str_from_c(text));
		}
		WAIT_FOR(watchers[0].drains == drains + 1);
	}
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

START_TEST(a_frame_larger_than_the_queue_goes_when_it_is_empty)
{
	http_server_options options = plain;
	options.stream_queue_bytes = 1000;
	fixture f = begin(options);
	client c = open_client(&f, GET("/stream"));
	static char large[16000000]; /* more than the kernel keeps for a client that does not read */
	memset(large, 'y', sizeof large);
	frame *fr = frame_new((str){large, sizeof large});
	ck_assert_int_eq(http_stream_push(watchers[0].stream, fr), HTTP_PUSH_OK);
	ck_assert_int_eq(http_stream_push(watchers[0].stream, fr), HTTP_PUSH_FULL);
	ck_assert_int_eq(push(&watchers[0], "small"), HTTP_PUSH_FULL);
	str chunk = client_take_chunk(&c);
	ck_assert_uint_eq(chunk.len, sizeof large);
	WAIT_FOR(watchers[0].drains >= 1);
	ck_assert_int_eq(http_stream_push(watchers[0].stream, fr), HTTP_PUSH_OK);
	chunk = client_take_chunk(&c);
	ck_assert_uint_eq(chunk.len, sizeof large);
	frame_unref(fr);
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

/* ---- endings ---- */

START_TEST(an_end_is_a_proper_end_of_the_body)
{
	fixture f = begin(plain);
	client c = open_client(&f, GET("/stream"));
	frame *last = frame_new(STR("last"));
	push(&watchers[0], "one");
	http_stream_end(watchers[0].stream, last);
	http_stream_end(watchers[0].stream, last);
	ck_assert_int_eq(push(&watchers[0], "too late"), HTTP_PUSH_CLOSED);
	ck_assert(http_stream_is_closed(watchers[0].stream));
	ck_assert_view_eq(client_take_chunk(&c), STR("one"));
	ck_assert_view_eq(client_take_chunk(&c), STR("last"));
	ck_assert_view_eq(client_take_chunk(&c), STR(""));
	ck_assert(client_is_closed(&c));
	wait_for_close(&watchers[0], HTTP_STREAM_ENDED);
	frame_unref(last);
	client_close(&c);
	client d = open_client(&f, GET("/stream"));
	http_stream_end(watchers[1].stream, NULL);
	ck_assert_view_eq(client_take_chunk(&d), STR(""));
	wait_for_close(&watchers[1], HTTP_STREAM_ENDED);
	client_close(&d);
	ck_assert(end(&f));
}
END_TEST

START_TEST(an_end_waits_for_what_is_queued)
{
	http_server_options options = plain;
	options.stream_queue_bytes = 1024 * 1024;
	fixture f = begin(options);
	client c = client_open_with_buffer(f.port, 4096);
	client_send_c(&c, GET("/stream"));
	read_head(&c, "Transfer-Encoding: chunked");
	wait_for_opened(1);
	char text[500];
	memset(text, 'z', sizeof text);
	frame *fr = frame_new((str){text, sizeof text});
	int pushed = 0;
	while (http_stream_push(watchers[0].stream, fr) == HTTP_PUSH_OK) {
		pushed++;
	}
	http_stream_end(watchers[0].stream, fr);
	sleep_ms(20);
	ck_assert_int_eq(watchers[0].closes, 0);
	for (int i = 0; i < pushed + 1; i++) {
		ck_assert_uint_eq(client_take_chunk(&c).len, sizeof text);
	}
	ck_assert_uint_eq(client_take_chunk(&c).len, 0);
	ck_assert_uint_eq(client_take_all(&c).len, 0);
	wait_for_close(&watchers[0], HTTP_STREAM_ENDED);
	frame_unref(fr);
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

START_TEST(a_client_that_leaves_is_noticed_at_once)
{
	fixture f = begin(plain);
	for (int i = 0; i < 10; i++) {
		client c = open_client(&f, i % 2 == 0 ? GET("/stream") : GET("/stream-later"));
		if (i % 3 == 0) {
			push(&watchers[i], "something unread");
		}
		client_close(&c);
		wait_for_close(&watchers[i], HTTP_STREAM_CLIENT_GONE); /* not after half a minute of silence */
		ck_assert_int_eq(push(&watchers[i], "x"), HTTP_PUSH_CLOSED);
	}
	ck_assert(end(&f));
}
END_TEST

static void wait_for_lost(const watcher *w)
{
	WAIT_FOR(http_stream_has_lost(w->stream));
}

START_TEST(what_a_client_left_unread_is_lost_but_not_for_the_sake_of_the_last_frame)
{
	fixture f = begin(plain);
	/* It closes over what it did not read. */
	client c = open_client(&f, GET("/stream"));
	push(&watchers[0], "unread");
	client_close(&c);
	wait_for_lost(&watchers[0]);
	/* It has read all. */
	c = open_client(&f, GET("/stream"));
	push(&watchers[1], "read");
	ck_assert_view_eq(client_take_chunk(&c), STR("read"));
	client_close(&c);
	wait_for_close(&watchers[1], HTTP_STREAM_CLIENT_GONE);
	ck_assert(!http_stream_has_lost(watchers[1].stream));
	/* It has read all but the farewell. */
	c = open_client(&f, GET("/stream"));
	push(&watchers[2], "read");
	ck_assert_view_eq(client_take_chunk(&c), STR("read"));
	frame *last = frame_new(STR("farewell"));
	http_stream_end(watchers[2].stream, last);
	frame_unref(last);
	wait_for_close(&watchers[2], HTTP_STREAM_ENDED);
	client_close(&c);
	http_stream *ended = watchers[2].stream;
	for (int i = 0; i < 50; i++) { /* the reset comes in a moment */
		ck_assert(!http_stream_has_lost(ended));
		sleep_ms(1);
	}
	ck_assert(end(&f));
}
END_TEST

START_TEST(what_the_client_sends_is_dropped_up_to_a_limit)
{
	fixture f = begin(plain);
	client c = open_client(&f, GET("/stream"));
	client_send_repeated(&c, 'a', 500000);
	client_send_c(&c, GET("/hello"));
	push(&watchers[0], "still here");
	ck_assert_view_eq(client_take_chunk(&c), STR("still here"));
	static char more[2000000];
	memset(more, 'b', sizeof more);
	client_try_send(&c, (str){more, sizeof more});
	wait_for_close(&watchers[0], HTTP_STREAM_CLIENT_GONE);
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

/* ---- time ---- */

START_TEST(heartbeats_come_only_into_silence)
{
	enum { HEARTBEAT_MS = 150 };
	fixture f = begin(plain);
	next_options.heartbeat = frame_new(STR(": hb\n\n"));
	next_options.heartbeat_ms = HEARTBEAT_MS;
	int64_t busy_ms = clock_now_ms();
	client c = open_client(&f, GET("/stream"));
	for (int i = 0; i < 6; i++) {
		sleep_ms(50);
		int64_t before_ms = busy_ms;
		busy_ms = clock_now_ms();
		push(&watchers[0], "busy");
		str chunk = client_take_chunk(&c);
		/* On a machine that stood still there was silence. */
		while (str_equal(chunk, STR(": hb\n\n"))) {
			ck_assert_int_ge(clock_now_ms() - before_ms, HEARTBEAT_MS);
			chunk = client_take_chunk(&c);
		}
		ck_assert_view_eq(chunk, STR("busy"));
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_view_eq(client_take_chunk(&c), STR(": hb\n\n"));
	}
	ck_assert_int_ge(clock_now_ms() - busy_ms, 3 * HEARTBEAT_MS);
	frame_unref(next_options.heartbeat);
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

START_TEST(a_client_that_takes_nothing_is_cut_off)
{
	http_server_options options = plain;
	options.stream_queue_bytes = 64 * 1024;
	fixture f = begin(options);
	next_options.stall_ms = 300;
	client c = client_open_with_buffer(f.port, 4096);
	client_send_c(&c, GET("/stream"));
	read_head(&c, "Transfer-Encoding: chunked");
	wait_for_opened(1);
	client idle = open_client(&f, GET("/stream"));
	char text[2000];
	memset(text, 'x', sizeof text);
	frame *fr = frame_new((str){text, sizeof text});
	int64_t start_ms = clock_now_ms();
	/* Again and again: a queue that was full may find room in the socket yet. */
	while (http_stream_push(watchers[0].stream, fr) != HTTP_PUSH_CLOSED) {
		sleep_ms(1);
		ck_assert_int_lt(clock_now_ms() - start_ms, CLIENT_PATIENCE_MS);
	}
	wait_for_close(&watchers[0], HTTP_STREAM_STALLED);
	ck_assert_int_ge(watchers[0].closed_at_ms - start_ms, 300);
	/* One with nothing to take is no stalled one. */
	sleep_ms(500);
	ck_assert_int_eq(watchers[1].closes, 0);
	frame_unref(fr);
	client_close(&c);
	client_close(&idle);
	ck_assert(end(&f));
}
END_TEST

START_TEST(a_client_that_takes_little_is_not_cut_off)
{
	enum { STALL_MS = 3000 }; /* a machine may stand still for a while */
	http_server_options options = plain;
	options.stream_queue_bytes = 4 * 1024 * 1024;
	fixture f = begin(options);
	next_options.stall_ms = STALL_MS;
	client c = client_open_with_buffer(f.port, 4096);
	client_send_c(&c, GET("/stream"));
	read_head(&c, "Transfer-Encoding: chunked");
	wait_for_opened(1);
	char text[2000];
	memset(text, 'x', sizeof text);
	frame *fr = frame_new((str){text, sizeof text});
	while (http_stream_push(watchers[0].stream, fr) == HTTP_PUSH_OK) {
	}
	int64_t until = clock_now_ms() + STALL_MS + STALL_MS / 2;
	while (clock_now_ms() < until) {
		for (int i = 0; i < 15; i++) {
			(void)client_take_chunk(&c);
		}
		sleep_ms(50);
	}
	ck_assert_int_eq(watchers[0].closes, 0);
	frame_unref(fr);
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

START_TEST(max_age_is_announced_once)
{
	fixture f = begin(plain);
	next_options.max_age_ms = 100;
	next_options.stall_ms = 50; /* so that the stream's time is looked at again */
	client c = open_client(&f, GET("/stream"));
	WAIT_FOR(watchers[0].expiries > 0);
	sleep_ms(300);
	ck_assert_int_eq(watchers[0].expiries, 1);
	ck_assert_int_eq(push(&watchers[0], "still open"), HTTP_PUSH_OK);
	ck_assert_view_eq(client_take_chunk(&c), STR("still open"));
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

/* ---- stopping ---- */

START_TEST(stopping_asks_streams_to_say_goodbye)
{
	fixture f = begin(plain);
	client c = open_client(&f, GET("/stream"));
	next_options.on_shutdown = NULL;
	client d = open_client(&f, GET("/stream"));
	push(&watchers[0], "one");
	ck_assert(end(&f)); /* nobody was waited for until the deadline */
	ck_assert_int_eq(watchers[0].shutdowns, 1);
	ck_assert_int_eq(watchers[0].reason, HTTP_STREAM_ENDED);
	ck_assert_int_eq(watchers[1].reason, HTTP_STREAM_ENDED);
	ck_assert_view_eq(client_take_chunk(&c), STR("one"));
	ck_assert_view_eq(client_take_chunk(&c), STR("bye"));
	ck_assert_view_eq(client_take_chunk(&c), STR(""));
	ck_assert_view_eq(client_take_chunk(&d), STR(""));
	ck_assert(client_is_closed(&c));
	ck_assert(client_is_closed(&d));
	client_close(&c);
	client_close(&d);
}
END_TEST

static void ignore_shutdown(void *context)
{
	watcher *w = context;
	w->shutdowns++;
}

START_TEST(streams_that_do_not_end_are_cut_at_the_deadline)
{
	fixture f = begin(plain);
	next_options.on_shutdown = ignore_shutdown;
	client c = open_client(&f, GET("/stream"));
	/* Long enough for a thread that stands still to learn of the stop before it learns of the cut. */
	ck_assert(!http_server_stop(f.server, clock_now_ms() + 3000));
	ck_assert_int_eq(watchers[0].shutdowns, 1);
	ck_assert_int_eq(watchers[0].closes, 1);
	ck_assert_int_eq(watchers[0].reason, HTTP_STREAM_SHUTDOWN);
	ck_assert(client_is_closed(&c));
	client_close(&c);
	ck_assert(end(&f));
}
END_TEST

/* ---- many ---- */

enum { CHURNERS = 4, CHURNS = 150 };

static void churn_open(http_exchange *x)
{
	static atomic_uint turn;
	static const http_stream_options options = {
		.content_type = "text/plain", .on_closed = on_closed, .context = &watchers[0]};
	http_stream *s = http_stream_open(x, &options);
	if (s != NULL) {
		frame *f = frame_new(STR("text"));
		http_stream_push(s, f);
		if (turn++ % 2 == 0) {
			http_stream_end(s, f);
		}
		frame_unref(f);
		http_stream_unref(s);
	}
}

static void churn_open_later(http_exchange *x)
{
	run_later(x, churn_open, 0);
}

static void *churn(void *context)
{
	for (int i = 0; i < CHURNS; i++) {
		client c = client_open(*(const uint16_t *)context);
		client_send_c(&c, GET("/churn"));
		if (i % 3 != 0) {
			(void)client_is_silent(&c, 100);
		}
		client_close(&c);
	}
	return NULL;
}

START_TEST(streams_that_come_and_go_leave_nothing_behind)
{
	static const http_route churn_routes[] = {
		{.method = HTTP_GET, .pattern = "/churn", .name = "churn", .handler = churn_open_later},
	};
	static const http_dialect churn_dialect = {
		.name = "churn", .prefix = "/", .routes = churn_routes, .route_count = 1};
	static const http_dialect *const churn_dialects[] = {&churn_dialect};
	fixture f = begin((http_server_options){.dialects = churn_dialects, .dialect_count = 1, .stream_threads = 2});
	pthread_t threads[CHURNERS];
	for (size_t i = 0; i < CHURNERS; i++) {
		pthread_create(&threads[i], NULL, churn, &f.port);
	}
	for (size_t i = 0; i < CHURNERS; i++) {
		pthread_join(threads[i], NULL);
	}
	wait_for_metric(&f, "tidegate_http_streams", NULL, 0);
	ck_assert(fixture_stop(&f));
}
END_TEST

/* ---- a fan-out as applications do it: one lock around the list of readers ---- */

enum { BROADCASTS = 400 };

typedef struct reader {
	http_stream *stream;
	struct reader *next;
} reader;

static pthread_mutex_t readers_lock = PTHREAD_MUTEX_INITIALIZER;
static reader *readers;
static atomic_bool broadcast_is_over;

static void on_reader_closed(void *context, http_stream_end_reason reason)
{
	reader *gone = context;
	(void)reason;
	pthread_mutex_lock(&readers_lock);
	for (reader **at = &readers; *at != NULL; at = &(*at)->next) {
		if (*at == gone) {
			*at = gone->next;
			break;
		}
	}
	pthread_mutex_unlock(&readers_lock);
	http_stream_unref(gone->stream);
	free(gone);
}

static void open_reader(http_exchange *x)
{
	reader *r = calloc(1, sizeof *r);
	const http_stream_options options = {.content_type = "text/event-stream",
										 .place = &r->stream,
										 .context = r,
										 .on_closed = on_reader_closed,
										 .stall_ms = 300};
	/* Under the lock: the reader is on the list before it can be taken off. */
	pthread_mutex_lock(&readers_lock);
	if (http_stream_open(x, &options) != NULL) {
		r->next = readers;
		readers = r;
	} else {
		free(r);
	}
	pthread_mutex_unlock(&readers_lock);
}

static void *broadcast(void *unused)
{
	(void)unused;
	for (int i = 0; i < BROADCASTS; i++) {
		char text[64];
		snprintf(text, sizeof text, "data: %d\n\n", i);
		frame *f = frame_new(str_from_c(text));
		pthread_mutex_lock(&readers_lock);
		for (reader *r = readers; r != NULL; r = r->next) {
			if (http_stream_push(r->stream, f) == HTTP_PUSH_OK && i % 37 == 0) {
				http_stream_end(r->stream, NULL);
			}
		}
		pthread_mutex_unlock(&readers_lock);
		frame_unref(f);
		sleep_ms(1);
	}
	broadcast_is_over = true;
	return NULL;
}

static void *come_and_go(void *context)
{
	unsigned turn = 0;
	while (!broadcast_is_over) {
		client c = client_open(*(const uint16_t *)context);
		client_send_c(&c, GET("/read"));
		if (turn++ % 4 != 0) {
			(void)client_is_silent(&c, 20);
			sleep_ms((int)(turn % 7));
		}
		client_close(&c);
	}
	return NULL;
}

START_TEST(a_fan_out_to_readers_that_come_and_go_is_sound)
{
	static const http_route read_routes[] = {
		{.method = HTTP_GET, .pattern = "/read", .name = "read", .handler = open_reader}};
	static const http_dialect read_dialect = {.name = "read", .prefix = "/", .routes = read_routes, .route_count = 1};
	static const http_dialect *const read_dialects[] = {&read_dialect};
	fixture f = begin((http_server_options){.dialects = read_dialects, .dialect_count = 1, .stream_threads = 2});
	pthread_t pushing[2];
	pthread_t reading[CHURNERS];
	for (size_t i = 0; i < 2; i++) {
		pthread_create(&pushing[i], NULL, broadcast, NULL);
	}
	for (size_t i = 0; i < CHURNERS; i++) {
		pthread_create(&reading[i], NULL, come_and_go, &f.port);
	}
	for (size_t i = 0; i < 2; i++) {
		pthread_join(pushing[i], NULL);
	}
	for (size_t i = 0; i < CHURNERS; i++) {
		pthread_join(reading[i], NULL);
	}
	ck_assert(fixture_stop(&f));
	ck_assert_ptr_null(readers);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		headers_and_first_frame_come_at_once_and_frames_follow,
		a_stream_opens_from_another_thread_after_a_body_and_on_a_used_connection,
		http_1_0_gets_plain_bytes_until_the_close,
		head_on_a_stream_gets_headers_only,
		streams_over_the_limit_are_refused_and_places_come_back,
		frames_of_many_threads_arrive_in_the_order_of_their_pushes,
		a_full_queue_refuses_then_drains_and_loses_nothing,
		a_frame_larger_than_the_queue_goes_when_it_is_empty,
		an_end_is_a_proper_end_of_the_body,
		an_end_waits_for_what_is_queued,
		a_client_that_leaves_is_noticed_at_once,
		what_a_client_left_unread_is_lost_but_not_for_the_sake_of_the_last_frame,
		what_the_client_sends_is_dropped_up_to_a_limit,
		heartbeats_come_only_into_silence,
		a_client_that_takes_nothing_is_cut_off,
		a_client_that_takes_little_is_not_cut_off,
		max_age_is_announced_once,
		stopping_asks_streams_to_say_goodbye,
		streams_that_do_not_end_are_cut_at_the_deadline,
		streams_that_come_and_go_leave_nothing_behind,
		a_fan_out_to_readers_that_come_and_go_is_sound,
	};
	return SUITE_RUN("http/stream", tests);
}
