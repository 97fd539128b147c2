#include "api/httpmq/publish_body.h"

#include "api/httpmq/httpmq.h"
#include "api/httpmq/subject.h"
#include "api/httpmq/wire.h"
#include "base/jwrite.h"
#include "base/text.h"

#include <string.h>

#define HEADER_PREFIX STR("Httpmq-Header-")

static bool err_no_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
}

/* ---- payloads ---- */

static bool check_payload(str payload, err *e)
{
	if (payload.len == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "the message is empty; send at least one byte");
	}
	if (payload.len > HTTPMQ_PAYLOAD_MAX) {
		return err_set(e, ERR_RECORD_TOO_LARGE, "a message has at most %d bytes; this one has %zu", HTTPMQ_PAYLOAD_MAX,
					   payload.len);
	}
	return true;
}

/* Line ends anywhere are passed over. */
static bool decode_base64(arena *a, str encoded, str *out, err *e)
{
	if (encoded.len > 0 &&
		(memchr(encoded.ptr, '\n', encoded.len) != NULL || memchr(encoded.ptr, '\r', encoded.len) != NULL)) {
		char *clean = arena_alloc(a, encoded.len + 1);
		size_t len = 0;
		if (clean == NULL) {
			return err_no_memory(e);
		}
		for (size_t i = 0; i < encoded.len; i++) {
			if (encoded.ptr[i] != '\n' && encoded.ptr[i] != '\r') {
				clean[len++] = encoded.ptr[i];
			}
		}
		encoded = (str){clean, len};
	}
	if (!text_base64_decode(a, encoded, out)) {
		return err_set(e, ERR_INVALID_REQUEST, "a message must be base64 of the standard alphabet, with its padding");
	}
	return check_payload(*out, e);
}

/* ---- headers: compact JSON, [["name","value"],…] ---- */

static void begin_headers(buf *out)
{
	buf_init(out, HTTPMQ_HEADERS_MAX);
	buf_append_byte(out, '[');
}

static void add_header(buf *out, str name, str value)
{
	buf_append_str(out, out->len > 1 ? STR(",[") : STR("["));
	jwrite_string(out, name);
	buf_append_byte(out, ',');
	jwrite_string(out, value);
	buf_append_byte(out, ']');
}

/* Disposes of `text`. None leave *headers as it is. */
static bool end_headers(buf *text, arena *a, str *headers, err *e)
{
	bool has_some = text->len > 1;
	buf_append_byte(text, ']');
	bool ok = !text->failed || err_set(e, ERR_RECORD_TOO_LARGE, "the headers of a message may have %d bytes of JSON",
									   HTTPMQ_HEADERS_MAX);
	if (ok && has_some) {
		ok = arena_copy_str(a, buf_str(text), headers) || err_no_memory(e);
	}
	buf_dispose(text);
	return ok;
}

/* As HTTP/2 sends them, whatever the protocol. ptr NULL: memory is out. */
static str lower_case(arena *a, str name)
{
	char *text = arena_alloc(a, name.len + 1);
	for (size_t i = 0; text != NULL && i < name.len; i++) {
		char c = name.ptr[i];
		text[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	return (str){text, name.len};
}

static bool take_headers(http_exchange *x, str *headers, err *e)
{
	const str prefix = HEADER_PREFIX;
	buf text;
	str name;
	str value;
	begin_headers(&text);
	for (size_t i = 0; http_request_header_at(x, i, &name, &value); i++) {
		if (name.len <= prefix.len || !str_equal_ignore_case(str_take(name, prefix.len), prefix)) {
			continue;
		}
		name = lower_case(http_arena(x), str_skip(name, prefix.len));
		if (name.ptr == NULL || !text_is_utf8(name) || !text_is_utf8(value)) {
			buf_dispose(&text);
			return name.ptr == NULL ? err_no_memory(e)
									: err_set(e, ERR_INVALID_REQUEST, "the headers of a message must be UTF-8");
		}
		add_header(&text, name, value);
	}
	return end_headers(&text, http_arena(x), headers, e);
}

static void read_pair(body *b, buf *text)
{
	str pair[2] = {STR_NONE, STR_NONE};
	size_t count = 0;
	if (!body_array(b, "headers")) {
		return;
	}
	while (body_next_element(b)) {
		if (count == 2) {
			body_refuse(b, "headers", "an array of [name, value] pairs");
			return;
		}
		body_text(b, "headers", &pair[count++]);
	}
	if (count != 2) {
		body_refuse(b, "headers", "an array of [name, value] pairs");
	} else {
		add_header(text, pair[0], pair[1]);
	}
}

static void read_headers(body *b, str *headers)
{
	err e;
	buf text;
	begin_headers(&text);
	if (body_array(b, "headers")) {
		while (body_next_element(b)) {
			read_pair(b, &text);
		}
	}
	if (!end_headers(&text, b->arena, headers, &e) && !b->failed) {
		b->failed = true;
		*b->error = e;
	}
}

/* ---- the bodies ---- */

typedef struct columns {
	str *subjects;
	str *payloads;
	str *headers;
} columns;

/* Room for so many messages. */
static bool make_columns(arena *a, size_t count, columns *c, err *e)
{
	c->subjects = arena_alloc_array(a, count, sizeof *c->subjects);
	c->payloads = arena_alloc_array(a, count, sizeof *c->payloads);
	c->headers = arena_alloc_array(a, count, sizeof *c->headers);
	return (c->subjects != NULL && c->payloads != NULL && c->headers != NULL) || err_no_memory(e);
}

static log_columns finish(const columns *c, uint32_t count)
{
	bool has_headers = false;
	for (uint32_t i = 0; i < count; i++) {
		has_headers = has_headers || c->headers[i].ptr != NULL;
	}
	return (log_columns){.count = count,
						 .keys = c->subjects,
						 .values = c->payloads,
						 .headers = has_headers ? c->headers : NULL,
						 .tags = c->subjects};
}

bool publish_body_base64(http_exchange *x, str subject, log_columns *out, err *e)
{
	columns c;
	if (!make_columns(http_arena(x), 1, &c, e) ||
		!decode_base64(http_arena(x), http_request_body(x), &c.payloads[0], e)) {
		return false;
	}
	c.subjects[0] = subject;
	c.headers[0] = STR_NONE;
	*out = finish(&c, 1);
	return true;
}

bool publish_body_raw(http_exchange *x, str subject, log_columns *out, err *e)
{
	columns c;
	if (!make_columns(http_arena(x), 1, &c, e)) {
		return false;
	}
	c.subjects[0] = subject;
	c.payloads[0] = http_request_body(x);
	c.headers[0] = STR_NONE;
	if (!check_payload(c.payloads[0], e) || !take_headers(x, &c.headers[0], e)) {
		return false;
	}
	*out = finish(&c, 1);
	return true;
}

/* One message of a batch, into its place. */
static bool read_message(body *b, const columns *c, uint32_t at)
{
	err e;
	str key;
	str subject = STR_NONE;
	str encoded = STR_NONE;
	c->headers[at] = STR_NONE;
	if (!body_object(b, "messages")) {
		return false;
	}
	while (httpmq_body_next(b, &key)) {
		if (httpmq_key_is(key, "subject")) {
			body_text(b, "subject", &subject);
		} else if (httpmq_key_is(key, "b64_msg")) {
			body_text(b, "b64_msg", &encoded);
		} else if (httpmq_key_is(key, "headers")) {
			read_headers(b, &c->headers[at]);
		} else {
			body_skip(b);
		}
	}
	c->subjects[at] = subject;
	if (!b->failed && (!httpmq_subject_check(subject, &e) || !decode_base64(b->arena, encoded, &c->payloads[at], &e))) {
		b->failed = true;
		err_set(b->error, e.code, "messages[%u]: %s", at, e.message);
	}
	return !b->failed;
}

static uint32_t read_messages(body *b, const columns *c)
{
	uint32_t count = 0;
	if (!body_array(b, "messages")) {
		return 0;
	}
	while (body_next_element(b)) {
		if (count == HTTPMQ_BATCH_MESSAGES) {
			body_refuse(b, "messages", "1 to 1000 messages");
		} else if (read_message(b, c, count)) {
			count++;
		}
	}
	return count;
}

bool publish_body_batch(http_exchange *x, log_columns *out, err *e)
{
	body b;
	str key;
	columns c;
	uint32_t count = 0;
	if (!make_columns(http_arena(x), HTTPMQ_BATCH_MESSAGES, &c, e) || !httpmq_body_begin(&b, x, e)) {
		return false;
	}
	while (httpmq_body_next(&b, &key)) {
		if (httpmq_key_is(key, "messages")) {
			count = read_messages(&b, &c);
		} else {
			body_skip(&b);
		}
	}
	if (!httpmq_body_end(&b)) {
		return false;
	}
	*out = finish(&c, count);
	return count > 0 ||
		   err_set(e, ERR_INVALID_REQUEST, "messages must be an array of 1 to %d messages", HTTPMQ_BATCH_MESSAGES);
}
