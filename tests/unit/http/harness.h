/*
 * tests/unit/http/harness: a real server on a loopback port, a thread that replies late, and a blunt client.
 *
 * The client checks the framing of what it reads; anything unexpected, or nothing for CLIENT_PATIENCE_MS, fails the
 * test.
 */
#ifndef TIDEGATE_TESTS_HTTP_HARNESS_H
#define TIDEGATE_TESTS_HTTP_HARNESS_H

#include "suite.h"

#include "base/clock.h"
#include "http/server.h"

enum { CLIENT_PATIENCE_MS = 20000, CLIENT_BYTES_MAX = 128 * 1024 * 1024 };

/* ---- server ---- */

typedef struct fixture {
	http_server *server;
	metric_registry *metrics;
	uint16_t port;
} fixture;

/* `options`: dialects and whatever else differs from a plain server on 127.0.0.1:0. */
fixture fixture_start(http_server_options options);
/* Stops with much patience; the answer is http_server_stop()'s. */
bool fixture_stop(fixture *f);
/* The value of a metric by name and labels. */
int64_t fixture_metric(const fixture *f, const char *name, const char *labels);
/* What follows an answer is counted a moment after it. */
void wait_for_metric(const fixture *f, const char *name, const char *labels, int64_t wanted);
/* Fails the test when it never happens. */
#define WAIT_FOR(condition)                                                                                            \
	do {                                                                                                               \
		int64_t until_ms_ = clock_now_ms() + CLIENT_PATIENCE_MS;                                                       \
		while (!(condition) && clock_now_ms() < until_ms_) {                                                           \
			sleep_ms(1);                                                                                               \
		}                                                                                                              \
		ck_assert(condition);                                                                                          \
	} while (0)

/* Runs function(x) on another thread, after `delay_ms`. */
void run_later(http_exchange *x, http_handler *function, int delay_ms);
void sleep_ms(int ms);

/* {"error":"code"} */
const char *write_plain_error(http_exchange *x, const err *e);

/* ---- client ---- */

typedef struct client {
	int fd;
	buf in; /* read and not yet consumed */
} client;

typedef struct reply {
	int status;
	buf head; /* status line and headers */
	buf body; /* chunks put together */
	bool is_chunked;
	bool has_length;
} reply;

client client_open(uint16_t port);
client client_open_with_buffer(uint16_t port, int receive_bytes); /* a small SO_RCVBUF */
void client_close(client *c);
void client_send(client *c, str bytes);
void client_send_c(client *c, const char *text);
void client_send_repeated(client *c, char byte, size_t count);
/* Like client_send, but a server that closes is no failure. */
bool client_try_send(client *c, str bytes);
/* One reply. The body of an answer to HEAD is never there. */
reply client_read(client *c, bool is_head);
reply client_ask(client *c, const char *request);
void reply_dispose(reply *r);
str reply_header(const reply *r, const char *name); /* STR_NONE when absent */
/* The next `count` bytes, into a view valid until the next read. */
str client_take(client *c, size_t count);
/* All bytes until the server closes. */
str client_take_all(client *c);
str client_take_line(client *c); /* without CRLF */
/* One chunk of a chunked body; empty at the last one. */
str client_take_chunk(client *c);
bool client_is_closed(client *c); /* within its patience: EOF or reset, and nothing before it */
bool client_closes_within(client *c, int ms);
bool client_is_silent(client *c, int for_ms); /* no byte, no EOF */

/* open, ask, read, close; the connection is new for each. */
reply ask(uint16_t port, const char *request);

#define ASSERT_REPLY(r, wanted_status, wanted_body)                                                                    \
	do {                                                                                                               \
		ck_assert_int_eq((r).status, (wanted_status));                                                                 \
		ck_assert_view_eq(buf_str(&(r).body), str_from_c(wanted_body));                                                \
		reply_dispose(&(r));                                                                                           \
	} while (0)

#endif
