#include "api/body.h"

#include "api/api.h"
#include "base/text.h"

#include <inttypes.h>

bool body_is_json(const http_exchange *x, err *e)
{
	str type = http_request_media_type(x);
	if (type.ptr == NULL || str_equal_ignore_case(type, STR("application/json"))) {
		return true;
	}
	return err_set(e, ERR_UNSUPPORTED_MEDIA_TYPE, "send the body as JSON with Content-Type: application/json");
}

bool body_begin(body *b, http_exchange *x, err *e)
{
	return body_is_json(x, e) && body_begin_text(b, http_request_body(x), http_arena(x), e);
}

bool body_begin_text(body *b, str text, arena *a, err *e)
{
	b->arena = a;
	b->error = e;
	b->failed = false;
	if (str_trim(text).len == 0) {
		b->failed = true;
		return err_set(e, ERR_INVALID_REQUEST, "the body is empty; send a JSON object");
	}
	jscan_init(&b->scan, text, API_JSON_DEPTH);
	jscan_type type = jscan_peek(&b->scan);
	if (type == JSCAN_OBJECT && jscan_begin_object(&b->scan)) {
		return true;
	}
	b->failed = true;
	return type == JSCAN_NONE ? jscan_err(&b->scan, e)
							  : err_set(e, ERR_INVALID_REQUEST, "the body must be a JSON object");
}

/* Takes over what the scanner found wrong. Returns true when all is well. */
static bool check(body *b)
{
	if (!b->failed && jscan_failed(&b->scan)) {
		b->failed = true;
		jscan_err(&b->scan, b->error);
	}
	return !b->failed;
}

bool body_end(body *b)
{
	if (!b->failed) {
		jscan_end(&b->scan);
	}
	return check(b);
}

bool body_next(body *b, str *key)
{
	return !b->failed && (jscan_next_member(&b->scan, key) || (check(b), false));
}

bool body_next_element(body *b)
{
	return !b->failed && (jscan_next_element(&b->scan) || (check(b), false));
}

void body_skip(body *b)
{
	if (!b->failed) {
		jscan_skip(&b->scan);
		check(b);
	}
}

void body_refuse(body *b, const char *name, const char *rule)
{
	if (check(b)) {
		b->failed = true;
		err_set(b->error, ERR_INVALID_REQUEST, "%s must be %s", name, rule);
	}
}

bool body_null(body *b)
{
	return !b->failed && jscan_null(&b->scan);
}

/* True when a value of this type comes next; broken JSON is told as such. */
static bool expect(body *b, jscan_type type, const char *name, const char *rule)
{
	if (b->failed) {
		return false;
	}
	if (jscan_peek(&b->scan) == type) {
		return true;
	}
	if (check(b)) {
		body_skip(b); /* rather report what is broken in it than that it has the wrong type */
		body_refuse(b, name, rule);
	}
	return false;
}

void body_integer(body *b, const char *name, int64_t least, int64_t most, int64_t *out)
{
	str digits;
	int64_t value;
	char rule[96];
	snprintf(rule, sizeof rule, "an integer from %" PRId64 " to %" PRId64, least, most);
	if (!expect(b, JSCAN_NUMBER, name, rule) || !jscan_raw(&b->scan, &digits)) {
		check(b);
	} else if (!str_parse_i64(digits, least, most, &value)) {
		body_refuse(b, name, rule);
	} else {
		*out = value;
	}
}

void body_unsigned(body *b, const char *name, int64_t *out)
{
	static const char rule[] = "an integer from 0 to 18446744073709551615";
	str digits;
	uint64_t value;
	if (!expect(b, JSCAN_NUMBER, name, rule) || !jscan_raw(&b->scan, &digits)) {
		check(b);
	} else if (!str_parse_u64(digits, UINT64_MAX, &value)) {
		body_refuse(b, name, rule);
	} else {
		*out = value < INT64_MAX ? (int64_t)value : INT64_MAX;
	}
}

void body_bool(body *b, const char *name, bool *out)
{
	if (expect(b, JSCAN_BOOL, name, "true or false")) {
		jscan_bool(&b->scan, out);
		check(b);
	}
}

void body_text(body *b, const char *name, str *out)
{
	if (expect(b, JSCAN_STRING, name, "a string")) {
		jscan_text(&b->scan, b->arena, out);
		check(b);
	}
}

bool body_is_name(str text, size_t most_bytes)
{
	if (text.len == 0 || text.len > most_bytes || !text_is_utf8(text)) {
		return false;
	}
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) {
			return false;
		}
	}
	return true;
}

void body_name(body *b, const char *name, size_t most_bytes, str *out)
{
	str text;
	char rule[96];
	snprintf(rule, sizeof rule, "a string of 1 to %zu bytes without control characters", most_bytes);
	if (!expect(b, JSCAN_STRING, name, rule) || !jscan_text(&b->scan, b->arena, &text)) {
		check(b);
	} else if (!body_is_name(text, most_bytes)) {
		body_refuse(b, name, rule);
	} else {
		*out = text;
	}
}

bool body_array(body *b, const char *name)
{
	return expect(b, JSCAN_ARRAY, name, "an array") && (jscan_begin_array(&b->scan) || (check(b), false));
}

bool body_object(body *b, const char *name)
{
	return expect(b, JSCAN_OBJECT, name, "an object") && (jscan_begin_object(&b->scan) || (check(b), false));
}
