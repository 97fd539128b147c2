#include "encode.h"
#include "harness.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ROUTE_LIMIT = 1000, SERVER_LIMIT = 8 * 1024 * 1024, MIB = 1024 * 1024 };

/* ---- the application ---- */

static atomic_int handled;

/* Length and a sum over position and value of every byte. */
static uint64_t digest(str s)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < s.len; i++) {
		sum = sum * 31 + (unsigned char)s.ptr[i];
	}
	return sum;
}

static void show_body(http_exchange *x)
{
	str body = http_request_body(x);
	handled++;
	buf_printf(http_reply_body(x), "%zu:%llx", body.len, (unsigned long long)digest(body));
	http_send(x, 200, "text/plain");
}

static void refuse(http_exchange *x)
{
	err e;
	err_set(&e, ERR_UNAUTHORIZED, "no");
	http_send_error(x, &e);
}

static void gate(http_exchange *x)
{
	str key = http_request_header(x, STR("x-key"));
	ck_assert_uint_eq(http_request_body(x).len, 0);
	if (key.ptr == NULL) {
		http_admit(x);
	} else if (str_equal(key, STR("good-later"))) {
		run_later(x, http_admit, 0);
	} else if (str_equal(key, STR("bad-later"))) {
		run_later(x, refuse, 0);
	} else {
		refuse(x);
	}
}

static const http_route routes[] = {
	{.method = HTTP_POST, .pattern = "/body", .name = "body", .handler = show_body, .body = HTTP_BODY_ACCEPTED},
	{.method = HTTP_POST,
	 .pattern = "/small",
	 .name = "small",
	 .handler = show_body,
	 .body = HTTP_BODY_ACCEPTED,
	 .max_body_bytes = ROUTE_LIMIT},
	{.method = HTTP_POST, .pattern = "/none", .name = "none", .handler = show_body, .body = HTTP_BODY_NONE},
	{.method = HTTP_GET, .pattern = "/body", .name = "get", .handler = show_body, .body = HTTP_BODY_ACCEPTED},
};
static const http_dialect dialect = {
	.name = "main", .prefix = "/", .routes = routes, .route_count = 4, .write_error = write_plain_error};
static const http_dialect *const dialects[] = {&dialect};
static const http_server_options plain = {
	.dialects = dialects, .dialect_count = 1, .max_body_bytes = SERVER_LIMIT, .gate = gate};

/* ---- helpers ---- */

static buf text;

/* `bytes` of text that differ from place to place, and compress. */
static str make_text(size_t bytes)
{
	buf_clear(&text);
	while (text.len < bytes) {
		buf_printf(&text, "line %zu of a text that compresses well\n", text.len);
	}
	text.len = bytes;
	return buf_str(&text);
}

static void expect_digest(reply *r, str body)
{
	char wanted[64];
	snprintf(wanted, sizeof wanted, "%zu:%llx", body.len, (unsigned long long)digest(body));
	ASSERT_REPLY(*r, 200, wanted);
}

static void send_head(client *c, const char *path, const char *headers)
{
	client_send_c(c, "POST ");
	client_send_c(c, path);
	client_send_c(c, " HTTP/1.1\r\nHost: x\r\n");
	client_send_c(c, headers);
}

/* False when the server closed before it had everything. */
static bool send_with_length(client *c, const char *path, const char *headers, str body)
{
	char length[64];
	send_head(c, path, headers);
	snprintf(length, sizeof length, "Content-Length: %zu\r\n\r\n", body.len);
	client_send_c(c, length);
	return client_try_send(c, body);
}

static bool send_chunked(client *c, const char *path, const char *headers, str body, size_t chunk)
{
	bool is_open = true;
	send_head(c, path, headers);
	client_send_c(c, "Transfer-Encoding: chunked\r\n\r\n");
	while (body.len > 0 && is_open) {
		char size[64];
		str piece = str_take(body, chunk);
		snprintf(size, sizeof size, "%zx;name=value\r\n", piece.len);
		is_open = client_try_send(c, str_from_c(size)) && client_try_send(c, piece) && client_try_send(c, STR("\r\n"));
		body = str_skip(body, chunk);
	}
	return is_open && client_try_send(c, STR("0\r\nX-Trailer: v\r\n\r\n"));
}

/* ---- plain bodies ---- */

START_TEST(a_body_arrives_by_length_and_in_chunks)
{
	static const size_t sizes[] = {1, 100, 70000, 3 * MIB, SERVER_LIMIT};
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		str body = make_text(sizes[i]);
		send_with_length(&c, "/body", "", body);
		reply r = client_read(&c, false);
		expect_digest(&r, body);
		send_chunked(&c, "/body", "", body, 60000);
		r = client_read(&c, false);
		expect_digest(&r, body);
	}
	send_with_length(&c, "/body", "X-Key: good-later\r\n", make_text(70000));
	reply late = client_read(&c, false);
	expect_digest(&late, make_text(70000));
	send_chunked(&c, "/body", "", make_text(500), 1);
	reply r = client_read(&c, false);
	expect_digest(&r, make_text(500));
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(an_empty_body_is_fine_however_it_is_said)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	reply r = client_ask(&c, "POST /body HTTP/1.1\r\nHost: x\r\n\r\n");
	ASSERT_REPLY(r, 200, "0:0");
	r = client_ask(&c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	ASSERT_REPLY(r, 200, "0:0");
	r = client_ask(&c, "POST /body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	ASSERT_REPLY(r, 200, "0:0");
	/* Nothing, encoded as nothing. */
	r = client_ask(&c, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n");
	ASSERT_REPLY(r, 200, "0:0");
	r = client_ask(&c, "GET /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	expect_digest(&r, STR("abc"));
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_route_without_a_body_drops_it)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	send_with_length(&c, "/none", "", make_text(200000));
	reply r = client_read(&c, false);
	ASSERT_REPLY(r, 200, "0:0");
	send_chunked(&c, "/none", "Content-Encoding: br\r\n", make_text(1000), 100);
	r = client_read(&c, false);
	ASSERT_REPLY(r, 200, "0:0");
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(expect_continue_is_answered_before_the_body)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	reply r = client_ask(&c, "POST /body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	ck_assert_int_eq(r.status, 100);
	reply_dispose(&r);
	client_send_c(&c, "abc");
	r = client_read(&c, false);
	expect_digest(&r, STR("abc"));
	/* A refusal comes instead of the 100. */
	r = client_ask(&c, "POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000\r\n\r\n");
	ASSERT_REPLY(r, 413, "{\"error\":\"payload_too_large\"}");
	ck_assert(client_is_closed(&c));
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

/* ---- limits ---- */

START_TEST(a_body_over_the_limit_is_refused_and_a_small_one_keeps_the_connection)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	send_with_length(&c, "/small", "", make_text(ROUTE_LIMIT));
	reply r = client_read(&c, false);
	expect_digest(&r, make_text(ROUTE_LIMIT));
	int before = handled;
	send_with_length(&c, "/small", "", make_text(ROUTE_LIMIT + 1));
	r = client_read(&c, false);
	ck_assert_ptr_null(reply_header(&r, "Connection").ptr);
	ASSERT_REPLY(r, 413, "{\"error\":\"payload_too_large\"}");
	send_chunked(&c, "/small", "", make_text(ROUTE_LIMIT + 1), 100);
	r = client_read(&c, false);
	ck_assert_view_eq(reply_header(&r, "Connection"), STR("close"));
	ASSERT_REPLY(r, 413, "{\"error\":\"payload_too_large\"}");
	ck_assert_int_eq(handled, before);
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_refused_upload_reads_the_answer_and_no_reset)
{
	enum { LINGER_MS = 2000 };
	fixture f = fixture_start(plain);
	for (int i = 0; i < 6; i++) {
		client c = client_open(f.port);
		bool is_sent;
		int64_t start_ms = clock_now_ms();
		/* The client writes all it has before it reads, as curl and most libraries do. */
		const char *path = i < 2 ? "/small" : "/body";
		const char *headers = i < 2 ? "" : i < 4 ? "X-Key: bad\r\n" : "X-Key: bad-later\r\n";
		if (i % 2 == 0) {
			is_sent = send_with_length(&c, path, headers, make_text(5 * MIB));
		} else {
			is_sent = send_chunked(&c, path, headers, make_text(5 * MIB), 100000);
		}
		/* It is not waited for without end. */
		ck_assert(is_sent || clock_now_ms() - start_ms >= LINGER_MS);
		reply r = client_read(&c, false);
		ck_assert_int_eq(r.status, i < 2 ? 413 : 401);
		ck_assert_view_eq(reply_header(&r, "Connection"), STR("close"));
		reply_dispose(&r);
		ck_assert_uint_eq(client_take_all(&c).len, 0);
		client_close(&c);
	}
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(an_endless_upload_is_cut_in_the_end)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	send_head(&c, "/small", "Transfer-Encoding: chunked\r\n\r\n");
	size_t sent = 0;
	str piece = make_text(100000);
	while (client_try_send(&c, STR("186a0\r\n")) && client_try_send(&c, piece) && client_try_send(&c, STR("\r\n"))) {
		sent += piece.len;
		ck_assert_uint_lt(sent, 100 * MIB);
	}
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(bodies_over_the_servers_budget_are_turned_away)
{
	http_server_options options = plain;
	options.max_buffered_bytes = 2 * MIB;
	fixture f = fixture_start(options);
	client holding;
	client c;
	reply r;
	for (int pause_ms = 100;; pause_ms *= 2) {
		holding = client_open(f.port);
		send_head(&holding, "/body", "Content-Length: 1700000\r\n\r\n");
		client_try_send(&holding, make_text(1600000));
		sleep_ms(pause_ms);
		c = client_open(f.port);
		send_with_length(&c, "/body", "", make_text(MIB));
		r = client_read(&c, false);
		if (pause_ms > 5000 || (r.status != 200 && client_is_silent(&holding, 10))) {
			break;
		}
		/* It overtook what is to be held, which the server has not read yet: once more. */
		reply_dispose(&r);
		client_close(&c);
		client_close(&holding);
		wait_for_metric(&f, "tidegate_http_requests_in_flight", NULL, 0);
	}
	ck_assert_ptr_nonnull(reply_header(&r, "Retry-After").ptr);
	ASSERT_REPLY(r, 503, "{\"error\":\"unavailable\"}");
	client_close(&c);
	/* A bomb that is within its own limit but not within the budget. */
	buf packed;
	buf_init(&packed, 16 * MIB);
	encode(CONTENT_GZIP, make_text(6 * MIB), &packed);
	c = client_open(f.port);
	send_with_length(&c, "/body", "Content-Encoding: gzip\r\n", buf_str(&packed));
	r = client_read(&c, false);
	ASSERT_REPLY(r, 503, "{\"error\":\"unavailable\"}");
	client_close(&c);
	buf_dispose(&packed);
	client_send_repeated(&holding, 'x', 100000);
	r = client_read(&holding, false);
	ck_assert_int_eq(r.status, 200);
	reply_dispose(&r);
	/* The budget is given back. */
	send_with_length(&holding, "/body", "", make_text(2 * MIB));
	r = client_read(&holding, false);
	expect_digest(&r, make_text(2 * MIB));
	client_close(&holding);
	ck_assert(fixture_stop(&f));
}
END_TEST

/* ---- encodings ---- */

static const content_encoding ENCODINGS[] = {CONTENT_GZIP, CONTENT_ZSTD, CONTENT_LZ4, CONTENT_SNAPPY};

START_TEST(every_encoding_is_undone)
{
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	buf packed;
	buf_init(&packed, 16 * MIB);
	for (size_t e = 0; e < 4; e++) {
		static const size_t sizes[] = {1, 5000, 300000, SERVER_LIMIT};
		char header[64];
		snprintf(header, sizeof header, "Content-Encoding: %s\r\n", encode_name(ENCODINGS[e]));
		for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
			str body = make_text(sizes[i]);
			buf_clear(&packed);
			encode(ENCODINGS[e], body, &packed);
			send_with_length(&c, "/body", header, buf_str(&packed));
			reply r = client_read(&c, false);
			expect_digest(&r, body);
			send_chunked(&c, "/body", header, buf_str(&packed), 777);
			r = client_read(&c, false);
			expect_digest(&r, body);
		}
	}
	buf_dispose(&packed);
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(bombs_truncated_and_broken_bodies_are_refused)
{
	fixture f = fixture_start(plain);
	buf packed;
	buf_init(&packed, 128 * MIB);
	int before = handled;
	for (size_t e = 0; e < 4; e++) {
		char header[64];
		snprintf(header, sizeof header, "Content-Encoding: %s\r\n", encode_name(ENCODINGS[e]));
		buf_clear(&packed);
		encode(ENCODINGS[e], make_text(64 * MIB), &packed); /* takes longer than a connection may be idle */
		client c = client_open(f.port);
		send_with_length(&c, "/body", header, buf_str(&packed));
		reply r = client_read(&c, false);
		ASSERT_REPLY(r, 413, "{\"error\":\"payload_too_large\"}");
		client_close(&c);

		c = client_open(f.port);
		buf_clear(&packed);
		encode(ENCODINGS[e], make_text(20000), &packed);
		send_with_length(&c, "/body", header, str_take(buf_str(&packed), packed.len - 3));
		r = client_read(&c, false);
		ASSERT_REPLY(r, 400, "{\"error\":\"invalid_request\"}");
		/* Known only at the end: the connection is as good as before. */
		send_with_length(&c, "/body", header, buf_str(&packed));
		r = client_read(&c, false);
		expect_digest(&r, make_text(20000));
		/* Broken in the middle, of a small body: it is read to its end, and the connection kept. */
		send_with_length(&c, "/body", header, make_text(3000));
		r = client_read(&c, false);
		ASSERT_REPLY(r, 400, "{\"error\":\"invalid_request\"}");
		send_with_length(&c, "/body", header, buf_str(&packed));
		r = client_read(&c, false);
		expect_digest(&r, make_text(20000));
		send_chunked(&c, "/body", header, make_text(300000), 1000);
		r = client_read(&c, false);
		ck_assert_view_eq(reply_header(&r, "Connection"), STR("close"));
		ASSERT_REPLY(r, 400, "{\"error\":\"invalid_request\"}");
		client_close(&c);
	}
	ck_assert_int_eq(handled, before + 8);
	buf_dispose(&packed);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(unknown_and_stacked_encodings_are_refused_with_a_list)
{
	static const char *const headers[] = {
		"Content-Encoding: br\r\n",
		"Content-Encoding: gzip, zstd\r\n",
		"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n",
	};
	fixture f = fixture_start(plain);
	client c = client_open(f.port);
	for (size_t i = 0; i < 3; i++) {
		send_with_length(&c, "/body", headers[i], make_text(100));
		reply r = client_read(&c, false);
		ck_assert_view_eq(reply_header(&r, "Accept-Encoding"), STR("gzip, zstd, lz4, snappy"));
		ASSERT_REPLY(r, 415, "{\"error\":\"unsupported_media_type\"}");
	}
	client_close(&c);
	ck_assert(fixture_stop(&f));
}
END_TEST

START_TEST(a_client_that_leaves_in_the_middle_leaves_nothing_behind)
{
	fixture f = fixture_start(plain);
	int before = handled;
	for (int i = 0; i < 20; i++) {
		client c = client_open(f.port);
		if (i % 2 == 0) {
			send_head(&c, "/body", "Content-Length: 100000\r\n\r\nabc");
		} else {
			send_head(&c, "/body", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\x1f\x8b\r\n");
		}
		sleep_ms(5);
		client_close(&c);
	}
	wait_for_metric(&f, "tidegate_http_requests_in_flight", NULL, 0);
	ck_assert(fixture_stop(&f));
	ck_assert_int_eq(handled, before);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_body_arrives_by_length_and_in_chunks,
		an_empty_body_is_fine_however_it_is_said,
		a_route_without_a_body_drops_it,
		expect_continue_is_answered_before_the_body,
		a_body_over_the_limit_is_refused_and_a_small_one_keeps_the_connection,
		a_refused_upload_reads_the_answer_and_no_reset,
		an_endless_upload_is_cut_in_the_end,
		bodies_over_the_servers_budget_are_turned_away,
		every_encoding_is_undone,
		bombs_truncated_and_broken_bodies_are_refused,
		unknown_and_stacked_encodings_are_refused_with_a_list,
		a_client_that_leaves_in_the_middle_leaves_nothing_behind,
	};
	buf_init(&text, 128 * MIB);
	int failed = SUITE_RUN("http/body", tests);
	buf_dispose(&text);
	return failed;
}
