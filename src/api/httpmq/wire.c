#include "api/httpmq/wire.h"

#include "api/httpmq/httpmq.h"
#include "api/httpmq/subject.h"
#include "base/sha1.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MS_PER_SECOND = 1000, UUID_BYTES = 16, UUID_TEXT = 36, FIRST_SURROGATE = 0x10000 };

#define REQUEST_ID_HEADER STR("Httpmq-Request-ID")

/* ---- text ---- */

/* One character of `length` bytes. */
static uint32_t code_point(const char *at, size_t length)
{
	static const uint32_t MASKS[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t point = (unsigned char)at[0] & MASKS[length];
	for (size_t i = 1; i < length; i++) {
		point = point << 6 | ((unsigned char)at[i] & 0x3f);
	}
	return point;
}

static void write_escape(buf *out, uint32_t point)
{
	if (point >= FIRST_SURROGATE) {
		point -= FIRST_SURROGATE;
		buf_printf(out, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + (point >> 10), 0xdc00 + (point & 0x3ff));
	} else {
		buf_printf(out, "\\u%04" PRIx32, point);
	}
}

void httpmq_write_string(buf *out, str s)
{
	buf_append_byte(out, '"');
	while (s.len > 0) {
		size_t length = text_utf8_length(s);
		char c = s.ptr[0];
		if (length == 0) {
			buf_append_byte(out, '?');
			length = 1;
		} else if (length > 1 || (unsigned char)c < 0x20 || c == 0x7f) {
			write_escape(out, code_point(s.ptr, length));
		} else {
			if (c == '"' || c == '\\') {
				buf_append_byte(out, '\\');
			}
			buf_append_byte(out, c);
		}
		s = str_skip(s, length);
	}
	buf_append_byte(out, '"');
}

void httpmq_write_json(buf *out, str text)
{
	while (text.len > 0) {
		size_t length = text_utf8_length(text);
		if (length > 1) {
			/* Inside a string: JSON has no other place for it. */
			write_escape(out, code_point(text.ptr, length));
		} else {
			buf_append_byte(out, text.ptr[0]);
			length = 1;
		}
		text = str_skip(text, length);
	}
}

void httpmq_write_time(buf *out, int64_t unix_ms)
{
	struct tm at;
	char text[32];
	time_t seconds = (time_t)(unix_ms / MS_PER_SECOND);
	int ms = (int)(unix_ms % MS_PER_SECOND);
	if (gmtime_r(&seconds, &at) == NULL) {
		httpmq_write_never(out);
		return;
	}
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &at);
	buf_printf(out, "\"%s", text);
	if (ms > 0) {
		int len = snprintf(text, sizeof text, ".%03d", ms);
		while (text[len - 1] == '0') {
			len--;
		}
		buf_append(out, text, (size_t)len);
	}
	buf_append_str(out, STR("Z\""));
}

void httpmq_write_never(buf *out)
{
	buf_append_str(out, STR("\"0001-01-01T00:00:00Z\""));
}

/* ---- the request's id ---- */

/* The server's own id of the request is unique, but no UUID: one is made of it. */
static str make_id(http_exchange *x)
{
	static const uint8_t DASH_BEFORE[] = {4, 6, 8, 10};
	unsigned char digest[SHA1_BYTES];
	buf seed;
	buf_init(&seed, 1024);
	buf_append_str(&seed, http_request_id(x));
	buf_printf(&seed, " %" PRId64, http_started_us(x));
	sha1(buf_str(&seed), digest);
	buf_dispose(&seed);
	digest[6] = (unsigned char)((digest[6] & 0x0f) | 0x40);
	digest[8] = (unsigned char)((digest[8] & 0x3f) | 0x80);
	char *text = arena_alloc(http_arena(x), UUID_TEXT + 3);
	if (text == NULL) {
		return STR("00000000-0000-4000-8000-000000000000");
	}
	size_t len = 0;
	for (size_t i = 0; i < UUID_BYTES; i++) {
		if (memchr(DASH_BEFORE, (int)i, sizeof DASH_BEFORE) != NULL) {
			text[len++] = '-';
		}
		text[len++] = "0123456789abcdef"[digest[i] >> 4];
		text[len++] = "0123456789abcdef"[digest[i] & 15];
	}
	return (str){text, len};
}

str httpmq_request_id(http_exchange *x)
{
	str sent = http_request_header(x, REQUEST_ID_HEADER);
	return sent.len > 0 ? sent : make_id(x);
}

void httpmq_decorate(http_exchange *x)
{
	if (http_request_route(x) != NULL && !http_reply_has_header(x, REQUEST_ID_HEADER)) {
		http_reply_header(x, REQUEST_ID_HEADER, httpmq_request_id(x));
	}
}

/* ---- envelopes ---- */

static void write_opening(buf *out, bool success, str request_id)
{
	buf_append_str(out, success ? STR("{\"success\":true,\"request_id\":") : STR("{\"success\":false,\"request_id\":"));
	httpmq_write_string(out, request_id);
}

void httpmq_begin(http_exchange *x)
{
	write_opening(http_reply_body(x), true, httpmq_request_id(x));
}

void httpmq_send(http_exchange *x)
{
	buf_append_byte(http_reply_body(x), '}');
	http_send(x, 200, "application/json");
}

void httpmq_send_done(http_exchange *x)
{
	httpmq_begin(x);
	httpmq_send(x);
}

void httpmq_write_failure(buf *out, str request_id, int code, const err *e)
{
	write_opening(out, false, request_id);
	buf_printf(out, ",\"error\":{\"code\":%d,\"message\":", code);
	httpmq_write_string(out, e->message[0] != '\0' ? str_from_c(e->message) : STR("the request failed"));
	buf_append_str(out, STR("}}"));
}

int httpmq_code_of(const err *e)
{
	switch (err_http_status(e->code)) {
	case 400:
	case 408:
	case 413:
	case 415:
		return 400;
	case 401:
		return 401;
	case 403:
		return 403;
	case 429:
		return 429;
	case 431:
		return 431;
	default:
		return 500;
	}
}

/* Unknown paths and methods are told without an envelope. */
static const char *write_unrouted(http_exchange *x, const err *e)
{
	buf *out = http_reply_body(x);
	str path = http_request_raw_path(x);
	size_t at;
	if (e->code == ERR_METHOD_NOT_ALLOWED) {
		return NULL;
	}
	if (e->code == ERR_NOT_FOUND && str_find(path, STR("//"), &at)) {
		buf clean;
		buf_init(&clean, path.len + 1);
		for (size_t i = 0; i < path.len; i++) {
			if (path.ptr[i] != '/' || i == 0 || path.ptr[i - 1] != '/') {
				buf_append_byte(&clean, path.ptr[i]);
			}
		}
		if (http_reply_header(x, STR("Location"), buf_str(&clean))) {
			http_set_error_status(x, 301);
		}
		buf_dispose(&clean);
	}
	buf_append_str(out, e->code == ERR_NOT_FOUND ? STR("404 page not found") : str_from_c(e->message));
	buf_append_byte(out, '\n');
	return "text/plain; charset=utf-8";
}

static bool is_publish(const http_route *route)
{
	return route->handler == httpmq_publish || route->handler == httpmq_publish_raw ||
		   route->handler == httpmq_publish_batch;
}

const char *httpmq_write_error(http_exchange *x, const err *e)
{
	const http_route *route = http_request_route(x);
	if (route == NULL || e->code == ERR_NOT_FOUND || e->code == ERR_METHOD_NOT_ALLOWED) {
		return write_unrouted(x, e);
	}
	int code = httpmq_code_of(e);
	int status = code;
	if (is_publish(route) && code != 401 && code != 403 && code != 429) {
		/* Also what is too large: the request was sound, the message cannot be stored. */
		code = e->code == ERR_INVALID_REQUEST ? 400 : 500;
		status = 400;
	}
	http_set_error_status(x, status);
	httpmq_write_failure(http_reply_body(x), httpmq_request_id(x), code, e);
	return "application/json";
}

/* ---- requests ---- */

static bool refuse(http_exchange *x, const err *e)
{
	http_send_error(x, e);
	return false;
}

/* False: answered. */
static bool take_segment(http_exchange *x, size_t index, str *out)
{
	err e;
	*out = http_request_param(x, index);
	if (memchr(out->ptr, '/', out->len) != NULL) {
		err_set(&e, ERR_NOT_FOUND, "there is nothing at this path");
		return refuse(x, &e);
	}
	return true;
}

bool httpmq_take_name(http_exchange *x, size_t index, const char *what, str *out)
{
	err e;
	if (!take_segment(x, index, out)) {
		return false;
	}
	if (!httpmq_name_is_valid(*out) || out->len > HTTPMQ_NAME_MAX) {
		err_set(&e, ERR_INVALID_REQUEST, "the name of a %s is letters and digits, or a UUID in lower case", what);
		return refuse(x, &e);
	}
	return true;
}

bool httpmq_take_subject(http_exchange *x, size_t index, str *out)
{
	err e;
	if (!take_segment(x, index, out)) {
		return false;
	}
	return httpmq_subject_check(*out, &e) || refuse(x, &e);
}

bool httpmq_subject_check(str subject, err *e)
{
	return (httpmq_subject_is_valid(subject) && !httpmq_subject_has_wildcard(subject)) ||
		   err_set(e, ERR_INVALID_REQUEST,
				   "a message's subject is words of letters, digits and '-', joined by dots, without wildcards");
}

bool httpmq_body_begin(body *b, http_exchange *x, err *e)
{
	return body_begin_text(b, http_request_body(x), http_arena(x), e);
}

bool httpmq_body_end(const body *b)
{
	return !b->failed;
}

bool httpmq_body_next(body *b, str *key)
{
	while (body_next(b, key)) {
		if (!body_null(b)) {
			return true;
		}
	}
	return false;
}

bool httpmq_key_is(str key, const char *name)
{
	return str_equal_ignore_case(key, str_from_c(name));
}
