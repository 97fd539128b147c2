/*
 * base/jscan: a validating pull scanner for JSON (RFC 8259) that slices its input and builds no tree.
 *
 *   jscan s;
 *   jscan_init(&s, body, 64);
 *   jscan_begin_object(&s);
 *   str key;
 *   while (jscan_next_member(&s, &key)) {
 *       if (str_equal(key, STR("wait_ms"))) { jscan_u64(&s, 60000, &wait_ms); }
 *       else { jscan_skip(&s); }
 *   }
 *   if (!jscan_end(&s)) … s.problem says what and where …
 *
 * Errors are sticky: after the first one every call does nothing and returns false, so a reader checks once.
 * Everything that is stepped over is validated: skip() and raw() accept exactly what a strict parser accepts.
 *
 * Owns     nothing; slices point into the text. Strings with escapes are decoded into the caller's arena.
 * Threads  one at a time.
 * Limits   max_depth of nesting. Texts must be valid UTF-8; the scanner checks it (text_is_utf8) at init.
 *          Duplicate keys are delivered each time; the caller's last assignment wins.
 */
#ifndef TIDEGATE_BASE_JSCAN_H
#define TIDEGATE_BASE_JSCAN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { JSCAN_KEY_MAX = 255 };

typedef enum jscan_type {
	JSCAN_NONE, /* end of text, or an error */
	JSCAN_NULL,
	JSCAN_BOOL,
	JSCAN_NUMBER,
	JSCAN_STRING,
	JSCAN_ARRAY,
	JSCAN_OBJECT
} jscan_type;

typedef struct jscan {
	const char *at; /* next byte */
	const char *start;
	const char *end;
	const char *problem; /* NULL, or what is wrong (a literal) */
	size_t problem_offset;
	uint32_t depth;
	uint32_t max_depth;
	bool is_first;                /* no member or element of the innermost container was read yet */
	bool wants_value;             /* the next thing to read is a value */
	char key_text[JSCAN_KEY_MAX]; /* a key whose escapes were decoded */
} jscan;

/* A string as found: the text between the quotes, and whether it has escapes to decode. */
typedef struct jscan_string {
	str raw;
	bool has_escapes;
} jscan_string;

void jscan_init(jscan *s, str text, uint32_t max_depth);
bool jscan_failed(const jscan *s);
/* Marks the text as wrong at the current place; `problem` is a literal. Returns false. */
bool jscan_fail(jscan *s, const char *problem);
/* True when the whole text was read and nothing but white space follows. */
bool jscan_end(jscan *s);
/* Fills *e from the problem as ERR_INVALID_REQUEST ("JSON: … at byte N"), or as ERR_NO_MEMORY when an arena was full;
 * returns false. */
bool jscan_err(const jscan *s, err *e);

/* What comes next, without consuming it. */
jscan_type jscan_peek(jscan *s);

bool jscan_begin_object(jscan *s);
/* The next member's key, decoded if it has escapes (then *key is valid only until the next call and keys longer than
 * 255 bytes decode to STR_NONE); false at the closing brace (consumed) or on an error. */
bool jscan_next_member(jscan *s, str *key);
bool jscan_begin_array(jscan *s);
bool jscan_next_element(jscan *s); /* false at the closing bracket (consumed) or on an error */

bool jscan_skip(jscan *s);          /* any value */
bool jscan_raw(jscan *s, str *out); /* any value, as its own text without surrounding white space */
bool jscan_null(jscan *s);          /* consumes a null if one is next; false (no error) otherwise */
bool jscan_bool(jscan *s, bool *out);
bool jscan_u64(jscan *s, uint64_t max, uint64_t *out); /* integers only: no fraction, exponent or sign */
bool jscan_i64(jscan *s, int64_t min, int64_t max, int64_t *out);
bool jscan_string_raw(jscan *s, jscan_string *out);
/* Decodes escapes. A lone surrogate escape has no bytes of its own in UTF-8: it becomes U+FFFD. */
bool jscan_text(jscan *s, arena *a, str *out);
bool jscan_string_decode(arena *a, jscan_string in, str *out); /* false: arena full */

/* `raw` is valid JSON text: appends it without insignificant white space. */
void jscan_compact(str raw, buf *out);
/* The same as a view: `raw` itself when it has no white space at all, else a copy in the arena. False: arena full. */
bool jscan_compact_view(arena *a, str raw, str *out);

#endif
