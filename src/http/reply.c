#include "base/clock.h"
#include "http/exchange_impl.h"
#include "http/server_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { COMPRESS_LEAST_BYTES = 1024, DEFAULT_RETRY_MS = 1000, MS_PER_SECOND = 1000, RETRY_TEXT_MAX = 16 };

/* ---- headers ---- */

static bool is_header_text(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (c == '\r' || c == '\n' || c == '\0') {
			return false;
		}
	}
	return s.len > 0;
}

void exchange_reply_header(http_exchange *x, const char *name, const char *value)
{
	if (x->reply_header_count < sizeof x->reply_headers / sizeof x->reply_headers[0]) {
		x->reply_headers[x->reply_header_count++] = (reply_header){name, value};
	}
}

const char *exchange_find_reply_header(const http_exchange *x, const char *name)
{
	for (size_t i = 0; i < x->reply_header_count; i++) {
		if (strcasecmp(x->reply_headers[i].name, name) == 0) {
			return x->reply_headers[i].value;
		}
	}
	return NULL;
}

buf *http_reply_body(http_exchange *x)
{
	return &x->reply;
}

/* How a message is delimited is the transport's to say. */
static bool is_framing(str name)
{
	return str_equal_ignore_case(name, STR("Content-Length")) ||
		   str_equal_ignore_case(name, STR("Transfer-Encoding")) || str_equal_ignore_case(name, STR("Connection"));
}

bool http_reply_header(http_exchange *x, str name, str value)
{
	bool is_sound = is_header_text(name) && is_header_text(value) && !is_framing(name);
	if (x->reply_header_count >= HTTP_REPLY_HEADERS_MAX || !is_sound) {
		return false;
	}
	/* Both copies in one allocation. */
	char *copy = arena_alloc(x->arena, name.len + value.len + 2);
	if (copy == NULL) {
		return false;
	}
	memcpy(copy, name.ptr, name.len);
	copy[name.len] = '\0';
	char *value_copy = copy + name.len + 1;
	memcpy(value_copy, value.ptr, value.len);
	value_copy[value.len] = '\0';
	exchange_reply_header(x, copy, value_copy);
	return true;
}

bool http_reply_has_header(const http_exchange *x, str name)
{
	for (size_t i = 0; i < x->reply_header_count; i++) {
		if (str_equal_ignore_case(str_from_c(x->reply_headers[i].name), name)) {
			return true;
		}
	}
	return false;
}

void http_set_error_status(http_exchange *x, int status)
{
	x->error_status = status;
}

/* ---- what every reply carries ---- */

static void add_cors(http_exchange *x)
{
	const char *origin = x->server->cors_origin;
	if (origin == NULL || exchange_find_reply_header(x, "Access-Control-Allow-Origin") != NULL) {
		return;
	}
	exchange_reply_header(x, "Access-Control-Allow-Origin", origin);
	if (strcmp(origin, "*") != 0) {
		exchange_reply_header(x, "Vary", "Origin");
	}
}

void reply_add_common_headers(http_exchange *x)
{
	const http_dialect *dialect = x->match.dialect;
	if (dialect != NULL && dialect->decorate != NULL) {
		dialect->decorate(x);
	}
	if (exchange_find_reply_header(x, "X-Content-Type-Options") == NULL) {
		exchange_reply_header(x, "X-Content-Type-Options", "nosniff");
	}
	if (x->id.len > 0) {
		exchange_reply_header(x, "X-Request-Id", x->id_text);
	}
	add_cors(x);
}

/* ---- compression ---- */

static void compress_reply(http_exchange *x)
{
	const http_server *server = x->server;
	if (!server->options.compress_replies || x->reply.len <= COMPRESS_LEAST_BYTES ||
		exchange_find_reply_header(x, "Content-Encoding") != NULL) {
		return;
	}
	exchange_reply_header(x, "Vary", "Accept-Encoding");
	if (!x->wants_gzip) {
		return;
	}
	buf packed;
	buf_init(&packed, (size_t)server->options.max_reply_bytes);
	if (content_gzip(buf_str(&x->reply), &packed) && packed.len < x->reply.len) {
		exchange_reply_header(x, "Content-Encoding", "gzip");
		buf_dispose(&x->reply);
		x->reply = packed;
	} else {
		buf_dispose(&packed);
	}
}

/* ---- the ending ---- */

static void finish(http_exchange *x, int status, const char *content_type)
{
	x->status = status;
	if (content_type != NULL && x->reply.len > 0) {
		exchange_reply_header(x, "Content-Type", content_type);
	}
	reply_add_common_headers(x);
	compress_reply(x);
	x->reply_bytes = x->method == HTTP_HEAD ? 0 : x->reply.len;
	exchange_end_turn(x, ENDING_REPLIED);
}

void http_send(http_exchange *x, int status, const char *content_type)
{
	if (x->reply.failed) {
		err e;
		err_set(&e, ERR_INTERNAL, "the reply is larger than this server sends; ask for less at once");
		http_send_error(x, &e);
		return;
	}
	if (status == 204 || status == 304) {
		buf_dispose(&x->reply);
	}
	finish(x, status, content_type);
}

static bool is_worth_a_retry(err_code code)
{
	int status = err_http_status(code);
	return status == 429 || status == 503;
}

static void add_retry_after(http_exchange *x, const err *e)
{
	if ((!is_worth_a_retry(e->code) && e->retry_after_ms == 0) ||
		exchange_find_reply_header(x, "Retry-After") != NULL) {
		return;
	}
	uint32_t ms = e->retry_after_ms > 0 ? e->retry_after_ms : DEFAULT_RETRY_MS;
	char text[RETRY_TEXT_MAX];
	int len = snprintf(text, sizeof text, "%u", ms / MS_PER_SECOND + (ms % MS_PER_SECOND > 0));
	if (!http_reply_header(x, STR("Retry-After"), (str){text, (size_t)len})) {
		exchange_reply_header(x, "Retry-After", "1");
	}
}

void http_send_error(http_exchange *x, const err *e)
{
	const http_dialect *dialect = x->match.dialect;
	const char *content_type = NULL;
	buf_clear(&x->reply);
	if (e->code == ERR_INTERNAL) {
		slog_err(x->server->options.log, SLOG_ERROR, "http", "request failed", e);
	}
	x->error_status = err_http_status(e->code);
	if (dialect != NULL && dialect->write_error != NULL) {
		content_type = dialect->write_error(x, e);
	} else {
		buf_printf(&x->reply, "%s: %s\n", err_wire_code(e->code), e->message);
		content_type = "text/plain; charset=utf-8";
	}
	if (x->reply.failed) {
		/* Not even the error fits: the status says what there is to say. */
		buf_dispose(&x->reply);
		content_type = NULL;
	}
	add_retry_after(x, e);
	if (x->error_status == 401 && exchange_find_reply_header(x, "WWW-Authenticate") == NULL) {
		exchange_reply_header(x, "WWW-Authenticate", "Bearer");
	}
	finish(x, x->error_status, content_type);
}
