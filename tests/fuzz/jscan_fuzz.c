/*
 * base/jscan against jansson: both accept the same texts and read the same values out of them.
 *
 * Where they are known to differ, and rightly: jansson refuses numbers that no double holds, keys with a NUL and lone
 * surrogates; a scanner that only slices has no reason to. All else counts as a finding.
 */
#include "fuzz.h"

#include "base/jscan.h"
#include "base/jwrite.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

enum { DEPTH = 200, MEMORY = 64 << 20 };

static const char lone_surrogate[] = "invalid Unicode '"; /* "invalid Unicode escape" is another, a real one */

static json_t *read_value(jscan *s, arena *a, bool *is_partial);

static json_t *read_number(jscan *s)
{
	str raw;
	jscan look = *s;
	int64_t whole;
	if (jscan_i64(&look, INT64_MIN, INT64_MAX, &whole)) {
		*s = look;
		return json_integer(whole);
	}
	if (!jscan_raw(s, &raw)) {
		return NULL;
	}
	char *text = strndup(raw.ptr, raw.len);
	char *end;
	FUZZ_CHECK(text != NULL);
	double value = strtod(text, &end);
	FUZZ_CHECK((size_t)(end - text) == raw.len);
	free(text);
	return json_real(value); /* NULL when it is infinite */
}

static json_t *read_array(jscan *s, arena *a, bool *is_partial)
{
	json_t *array = json_array();
	jscan_begin_array(s);
	while (jscan_next_element(s)) {
		json_array_append_new(array, read_value(s, a, is_partial));
	}
	return array;
}

static json_t *read_object(jscan *s, arena *a, bool *is_partial)
{
	json_t *object = json_object();
	str key;
	jscan_begin_object(s);
	while (jscan_next_member(s, &key)) {
		str name;
		FUZZ_CHECK(arena_copy_str(a, key, &name));
		if (name.ptr == NULL) {
			jscan_skip(s); /* too long a key to be decoded */
			*is_partial = true;
		} else {
			json_object_setn_new_nocheck(object, name.ptr, name.len, read_value(s, a, is_partial));
		}
	}
	return object;
}

/* What the pull reader makes of a text, as a jansson tree; NULL on an error, partial when a key could not be read. */
static json_t *read_value(jscan *s, arena *a, bool *is_partial)
{
	str text;
	bool truth = false;
	switch (jscan_peek(s)) {
	case JSCAN_NONE:
		jscan_skip(s);
		return NULL;
	case JSCAN_NULL:
		return jscan_null(s) ? json_null() : NULL;
	case JSCAN_BOOL:
		return jscan_bool(s, &truth) ? json_boolean(truth) : NULL;
	case JSCAN_NUMBER:
		return read_number(s);
	case JSCAN_STRING:
		return jscan_text(s, a, &text) ? json_stringn_nocheck(text.ptr, text.len) : NULL;
	case JSCAN_ARRAY:
		return read_array(s, a, is_partial);
	case JSCAN_OBJECT:
		return read_object(s, a, is_partial);
	}
	return NULL;
}

static bool is_accepted(str text, uint32_t depth)
{
	jscan s;
	str raw;
	jscan_init(&s, text, depth);
	bool is_read = jscan_raw(&s, &raw);
	if (!is_read || !jscan_end(&s)) {
		err e;
		FUZZ_CHECK(jscan_failed(&s) && s.problem_offset <= text.len && !jscan_err(&s, &e) &&
				   e.code == ERR_INVALID_REQUEST);
		return false;
	}
	FUZZ_CHECK(!jscan_failed(&s));
	FUZZ_CHECK(raw.ptr >= text.ptr && raw.ptr + raw.len <= text.ptr + text.len);
	return true;
}

/* The compact text is as valid, means the same, and has no white space left to remove. */
static void check_compact(str text, const json_t *expected)
{
	buf once;
	buf twice;
	buf_init(&once, text.len);
	buf_init(&twice, text.len);
	jscan_compact(text, &once);
	FUZZ_CHECK(!once.failed);
	jscan_compact(buf_str(&once), &twice);
	FUZZ_CHECK(str_equal(buf_str(&once), buf_str(&twice)));
	json_t *tree = json_loadb(once.ptr, once.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	FUZZ_CHECK(tree != NULL && json_equal(tree, expected));
	json_decref(tree);
	buf_dispose(&once);
	buf_dispose(&twice);
}

/* jwrite_string and jscan are each other's inverse. */
static void check_write(str text, arena *a)
{
	jscan s;
	str back;
	buf b;
	if (text.len > 4096) {
		return;
	}
	buf_init(&b, 6 * text.len + 2);
	jwrite_string(&b, text);
	FUZZ_CHECK(!b.failed);
	jscan_init(&s, buf_str(&b), 0);
	if (!jscan_failed(&s)) { /* valid UTF-8 */
		FUZZ_CHECK(jscan_text(&s, a, &back) && jscan_end(&s) && str_equal(back, text));
	}
	buf_dispose(&b);
}

static bool is_known_difference(const json_error_t *error)
{
	enum json_error_code code = json_error_code(error);
	return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
		   strncmp(error->text, lone_surrogate, sizeof lone_surrogate - 1) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str text = {(const char *)data, size};
	if (size > 0 && memchr(data, '\0', size) != NULL) {
		FUZZ_CHECK(!is_accepted(text, DEPTH)); /* jansson at times steps over a NUL; no JSON text has one */
		return 0;
	}
	json_error_t error;
	json_t *expected = json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	arena *a = arena_new(MEMORY);
	FUZZ_CHECK(a != NULL);
	check_write(text, a);

	bool accepted = is_accepted(text, 2048); /* jansson's own limit */
	if (expected != NULL) {
		FUZZ_CHECK(accepted);
		check_compact(text, expected);
	} else {
		FUZZ_CHECK(!accepted || is_known_difference(&error));
	}

	jscan s;
	jscan_init(&s, text, DEPTH);
	bool is_partial = false;
	json_t *found = read_value(&s, a, &is_partial);
	bool was_read = jscan_end(&s);
	FUZZ_CHECK(was_read == is_accepted(text, DEPTH));
	if (was_read && expected != NULL && !is_partial) {
		FUZZ_CHECK(found != NULL && json_equal(found, expected));
	}
	json_decref(found);
	json_decref(expected);
	arena_free(a);
	return 0;
}
