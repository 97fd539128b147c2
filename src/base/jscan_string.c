#include "base/jscan_impl.h"
#include "base/swar.h"

#include <string.h>

/* Four hex digits at p, all before end; negative when they are not. */
static int32_t read_hex4(const char *p, const char *end)
{
	if (end - p < 4) {
		return -1;
	}
	int32_t value = 0;
	for (int i = 0; i < 4; i++) {
		char c = p[i];
		if (c >= '0' && c <= '9') {
			value = value * 16 + (c - '0');
		} else if (c >= 'a' && c <= 'f') {
			value = value * 16 + (c - 'a' + 10);
		} else if (c >= 'A' && c <= 'F') {
			value = value * 16 + (c - 'A' + 10);
		} else {
			return -1;
		}
	}
	return value;
}

/* The byte that a backslash and c stand for; NUL when there is none (or it is \u). */
static char simple_escape(char c)
{
	switch (c) {
	case '"':
	case '\\':
	case '/':
		return c;
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	default:
		return '\0';
	}
}

bool jscan_scan_string(jscan *s, jscan_string *out)
{
	const char *begin = ++s->at;
	bool has_escapes = false;
	for (;;) {
		s->at = swar_json_plain_end(s->at, s->end);
		if (s->at == s->end) {
			return jscan_fail(s, "unfinished string");
		}
		if (*s->at == '"') {
			break;
		}
		if (*s->at != '\\') {
			return jscan_fail(s, "control character in a string");
		}
		has_escapes = true;
		if (s->end - s->at >= 2 && simple_escape(s->at[1]) != '\0') {
			s->at += 2;
		} else if (s->end - s->at >= 2 && s->at[1] == 'u' && read_hex4(s->at + 2, s->end) >= 0) {
			s->at += 6;
		} else {
			return jscan_fail(s, "wrong escape in a string");
		}
	}
	*out = (jscan_string){{begin, (size_t)(s->at - begin)}, has_escapes};
	s->at++;
	return true;
}

/* The code point of the \u escape at *at (a valid one), which is stepped over, as is the second half of a pair. */
static int32_t decode_unicode_escape(const char **at, const char *end)
{
	int32_t unit = read_hex4(*at + 2, end);
	*at += 6;
	if (unit < 0xD800 || unit > 0xDFFF) {
		return unit;
	}
	bool has_next = unit <= 0xDBFF && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u';
	int32_t low = has_next ? read_hex4(*at + 2, end) : -1;
	if (low < 0xDC00 || low > 0xDFFF) {
		return 0xFFFD;
	}
	*at += 6;
	return 0x10000 + (unit - 0xD800) * 0x400 + (low - 0xDC00);
}

static size_t encode_utf8(int32_t point, char out[4])
{
	size_t length = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
	for (size_t i = length - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (point & 0x3F));
		point >>= 6;
	}
	out[0] = (char)(lead[length] | point);
	return length;
}

bool jscan_decode(str raw, char *out, size_t capacity, size_t *out_len)
{
	const char *at = raw.ptr;
	const char *end = raw.ptr + raw.len;
	size_t len = 0;
	while (at < end) {
		const char *piece = at;
		char escaped[4];
		size_t piece_len = (size_t)(swar_json_plain_end(at, end) - at);
		if (piece_len > 0) {
			at += piece_len;
		} else {
			piece = escaped;
			if (at[1] == 'u') {
				piece_len = encode_utf8(decode_unicode_escape(&at, end), escaped);
			} else {
				escaped[0] = simple_escape(at[1]);
				piece_len = 1;
				at += 2;
			}
		}
		if (piece_len > capacity - len) {
			return false;
		}
		memcpy(out + len, piece, piece_len);
		len += piece_len;
	}
	*out_len = len;
	return true;
}

bool jscan_string_decode(arena *a, jscan_string in, str *out)
{
	if (!in.has_escapes) {
		*out = in.raw;
		return true;
	}
	char *bytes = arena_alloc(a, in.raw.len);
	size_t len;
	if (bytes == NULL || !jscan_decode(in.raw, bytes, in.raw.len, &len)) {
		return false;
	}
	*out = (str){bytes, len};
	return true;
}

void jscan_compact(str raw, buf *out)
{
	jscan s = {.at = raw.ptr, .start = raw.ptr, .end = str_skip(raw, raw.len).ptr};
	while (s.at < s.end) {
		const char *begin = s.at;
		jscan_string string;
		while (s.at < s.end && !jscan_is_space(*s.at)) {
			/* Only a string's own white space counts; jscan_scan_string() advances also when it fails. */
			if (*s.at == '"') {
				jscan_scan_string(&s, &string);
			} else {
				s.at++;
			}
		}
		buf_append(out, begin, (size_t)(s.at - begin));
		while (s.at < s.end && jscan_is_space(*s.at)) {
			s.at++;
		}
	}
}

static bool has_space(str raw)
{
	return memchr(raw.ptr, ' ', raw.len) != NULL || memchr(raw.ptr, '\n', raw.len) != NULL ||
		   memchr(raw.ptr, '\t', raw.len) != NULL || memchr(raw.ptr, '\r', raw.len) != NULL;
}

bool jscan_compact_view(arena *a, str raw, str *out)
{
	if (!has_space(raw)) {
		*out = raw;
		return true;
	}
	char *bytes = arena_alloc(a, raw.len);
	if (bytes == NULL) {
		return false;
	}
	/* The result is never longer than the text, so this buffer never grows and never frees. */
	buf result = {.ptr = bytes, .capacity = raw.len, .max_bytes = raw.len};
	jscan_compact(raw, &result);
	*out = buf_str(&result);
	return true;
}
