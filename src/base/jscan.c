#include "base/jscan.h"

#include "base/jscan_impl.h"
#include "base/text.h"

#include <string.h>

/* Not the text's fault, so jscan_err() tells it apart (by address). */
static const char out_of_memory[] = "no memory left to decode a string";

void jscan_init(jscan *s, str text, uint32_t max_depth)
{
	const char *start = text.ptr != NULL ? text.ptr : "";
	s->at = start;
	s->start = start;
	s->end = start + text.len;
	s->problem = NULL;
	s->problem_offset = 0;
	s->depth = 0;
	s->max_depth = max_depth;
	s->is_first = true;
	s->wants_value = true;
	size_t valid = text_utf8_valid((str){start, text.len});
	if (valid < text.len) {
		s->at = start + valid;
		jscan_fail(s, "the text is not valid UTF-8");
	}
}

bool jscan_failed(const jscan *s)
{
	return s->problem != NULL;
}

bool jscan_fail(jscan *s, const char *problem)
{
	if (s->problem == NULL) {
		s->problem = problem;
		s->problem_offset = (size_t)(s->at - s->start);
	}
	return false;
}

bool jscan_err(const jscan *s, err *e)
{
	const char *problem = s->problem != NULL ? s->problem : "not what was expected";
	err_code code = problem == out_of_memory ? ERR_NO_MEMORY : ERR_INVALID_REQUEST;
	return err_set(e, code, "JSON: %s at byte %zu", problem, s->problem_offset);
}

static void skip_space(jscan *s)
{
	while (s->at < s->end && jscan_is_space(*s->at)) {
		s->at++;
	}
}

/* The next byte after white space, not consumed; NUL at the end, where no valid text has one either. */
static char next_byte(jscan *s)
{
	skip_space(s);
	return s->at < s->end ? *s->at : '\0';
}

static bool is_digit(const jscan *s)
{
	return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

bool jscan_end(jscan *s)
{
	if (s->problem != NULL) {
		return false;
	}
	skip_space(s);
	if (s->wants_value) {
		return jscan_fail(s, "expected a value");
	}
	if (s->depth > 0) {
		return jscan_fail(s, "the value was not read to its end");
	}
	return s->at == s->end || jscan_fail(s, "expected nothing after the value");
}

jscan_type jscan_peek(jscan *s)
{
	if (s->problem != NULL) {
		return JSCAN_NONE;
	}
	char c = next_byte(s);
	switch (c) {
	case 'n':
		return JSCAN_NULL;
	case 't':
	case 'f':
		return JSCAN_BOOL;
	case '"':
		return JSCAN_STRING;
	case '[':
		return JSCAN_ARRAY;
	case '{':
		return JSCAN_OBJECT;
	default:
		if (c == '-' || is_digit(s)) {
			return JSCAN_NUMBER;
		}
		if (s->at < s->end) {
			jscan_fail(s, "expected a value");
		}
		return JSCAN_NONE;
	}
}

/* Every value is read through here: false on an error and where only a comma or an end can be. */
static bool is_value_due(jscan *s)
{
	return s->problem == NULL && (s->wants_value || jscan_fail(s, "no value can be here"));
}

static bool begin_value(jscan *s, jscan_type type, const char *problem)
{
	return is_value_due(s) && (jscan_peek(s) == type || jscan_fail(s, problem));
}

static bool end_value(jscan *s)
{
	s->wants_value = false;
	return true;
}

static bool begin_container(jscan *s)
{
	if (s->depth == s->max_depth) {
		return jscan_fail(s, "nested too deep");
	}
	s->at++;
	s->depth++;
	s->is_first = true;
	s->wants_value = false;
	return true;
}

bool jscan_begin_object(jscan *s)
{
	return begin_value(s, JSCAN_OBJECT, "expected an object") && begin_container(s);
}

bool jscan_begin_array(jscan *s)
{
	return begin_value(s, JSCAN_ARRAY, "expected an array") && begin_container(s);
}

/* Steps over the comma. False when `closing` was there instead (consumed), or on an error. */
static bool next_item(jscan *s, char closing, const char *problem)
{
	if (s->problem != NULL) {
		return false;
	}
	if (s->wants_value || s->depth == 0) {
		return jscan_fail(s, "expected a value");
	}
	char c = next_byte(s);
	if (c == closing) {
		s->at++;
		s->depth--;
		s->is_first = false;
		return false;
	}
	if (!s->is_first) {
		if (c != ',') {
			return jscan_fail(s, problem);
		}
		s->at++;
	}
	s->is_first = false;
	s->wants_value = true;
	return true;
}

bool jscan_next_element(jscan *s)
{
	return next_item(s, ']', "expected ',' or ']'");
}

/* A key and its colon. */
static bool next_key(jscan *s, jscan_string *key)
{
	if (!next_item(s, '}', "expected ',' or '}'")) {
		return false;
	}
	if (next_byte(s) != '"') {
		return jscan_fail(s, "expected a key in quotes");
	}
	if (!jscan_scan_string(s, key)) {
		return false;
	}
	if (next_byte(s) != ':') {
		return jscan_fail(s, "expected ':'");
	}
	s->at++;
	return true;
}

bool jscan_next_member(jscan *s, str *key)
{
	jscan_string found;
	if (!next_key(s, &found)) {
		return false;
	}
	*key = found.raw;
	if (found.has_escapes) {
		size_t len;
		*key = jscan_decode(found.raw, s->key_text, sizeof s->key_text, &len) ? (str){s->key_text, len} : STR_NONE;
	}
	return true;
}

static bool scan_literal(jscan *s, str literal)
{
	if ((size_t)(s->end - s->at) < literal.len || memcmp(s->at, literal.ptr, literal.len) != 0) {
		return jscan_fail(s, "expected a value");
	}
	s->at += literal.len;
	return true;
}

/* One digit or more. */
static bool scan_digits(jscan *s)
{
	if (!is_digit(s)) {
		return jscan_fail(s, "expected a digit");
	}
	while (is_digit(s)) {
		s->at++;
	}
	return true;
}

/* number = [ "-" ] int [ frac ] [ exp ], RFC 8259 section 6. */
static bool scan_number(jscan *s, str *out, bool *is_integer)
{
	const char *begin = s->at;
	*is_integer = true;
	if (*s->at == '-') {
		s->at++;
	}
	if (s->at < s->end && *s->at == '0') {
		s->at++; /* a leading zero stands alone; a digit after it is found to be no ',' */
	} else if (!scan_digits(s)) {
		return false;
	}
	if (s->at < s->end && *s->at == '.') {
		*is_integer = false;
		s->at++;
		if (!scan_digits(s)) {
			return false;
		}
	}
	if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
		*is_integer = false;
		s->at++;
		if (s->at < s->end && (*s->at == '+' || *s->at == '-')) {
			s->at++;
		}
		if (!scan_digits(s)) {
			return false;
		}
	}
	*out = (str){begin, (size_t)(s->at - begin)};
	return true;
}

/* Recursive: max_depth bounds it, as it bounds every nesting. */
bool jscan_skip(jscan *s)
{
	if (!is_value_due(s)) {
		return false;
	}
	jscan_string string;
	str number;
	bool is_integer;
	switch (jscan_peek(s)) {
	case JSCAN_NONE:
		return jscan_fail(s, "expected a value");
	case JSCAN_NULL:
		return scan_literal(s, STR("null")) && end_value(s);
	case JSCAN_BOOL:
		return scan_literal(s, *s->at == 't' ? STR("true") : STR("false")) && end_value(s);
	case JSCAN_NUMBER:
		return scan_number(s, &number, &is_integer) && end_value(s);
	case JSCAN_STRING:
		return jscan_scan_string(s, &string) && end_value(s);
	case JSCAN_ARRAY:
		if (!begin_container(s)) {
			return false;
		}
		while (jscan_next_element(s)) {
			jscan_skip(s);
		}
		return s->problem == NULL;
	case JSCAN_OBJECT:
		if (!begin_container(s)) {
			return false;
		}
		while (next_key(s, &string)) {
			jscan_skip(s);
		}
		return s->problem == NULL;
	}
	return false;
}

bool jscan_raw(jscan *s, str *out)
{
	jscan_peek(s); /* steps over white space */
	const char *begin = s->at;
	if (!jscan_skip(s)) {
		return false;
	}
	*out = (str){begin, (size_t)(s->at - begin)};
	return true;
}

bool jscan_null(jscan *s)
{
	return jscan_peek(s) == JSCAN_NULL && jscan_skip(s);
}

bool jscan_bool(jscan *s, bool *out)
{
	if (!begin_value(s, JSCAN_BOOL, "expected true or false")) {
		return false;
	}
	bool value = *s->at == 't';
	if (!scan_literal(s, value ? STR("true") : STR("false"))) {
		return false;
	}
	*out = value;
	return end_value(s);
}

/* The digits of an integer, still unconverted. */
static bool scan_integer(jscan *s, str *digits)
{
	bool is_integer = true;
	if (!begin_value(s, JSCAN_NUMBER, "expected a number") || !scan_number(s, digits, &is_integer)) {
		return false;
	}
	if (!is_integer) {
		s->at = digits->ptr;
		return jscan_fail(s, "expected a whole number");
	}
	return true;
}

static bool fail_range(jscan *s, str digits)
{
	s->at = digits.ptr;
	return jscan_fail(s, "number out of range");
}

bool jscan_u64(jscan *s, uint64_t max, uint64_t *out)
{
	str digits;
	return scan_integer(s, &digits) && (str_parse_u64(digits, max, out) || fail_range(s, digits)) && end_value(s);
}

bool jscan_i64(jscan *s, int64_t min, int64_t max, int64_t *out)
{
	str digits;
	return scan_integer(s, &digits) && (str_parse_i64(digits, min, max, out) || fail_range(s, digits)) && end_value(s);
}

bool jscan_string_raw(jscan *s, jscan_string *out)
{
	return begin_value(s, JSCAN_STRING, "expected a string") && jscan_scan_string(s, out) && end_value(s);
}

bool jscan_text(jscan *s, arena *a, str *out)
{
	jscan_string found;
	if (!jscan_string_raw(s, &found)) {
		return false;
	}
	return jscan_string_decode(a, found, out) || jscan_fail(s, out_of_memory);
}
