#include "base/jwrite.h"

#include "base/swar.h"

#include <string.h>

static void write_escape(buf *out, char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[6] = {'\\', 'u', '0', '0', '0', '0'};
	size_t len = 2;
	switch (c) {
	case '"':
	case '\\':
		text[1] = c;
		break;
	case '\b':
		text[1] = 'b';
		break;
	case '\f':
		text[1] = 'f';
		break;
	case '\n':
		text[1] = 'n';
		break;
	case '\r':
		text[1] = 'r';
		break;
	case '\t':
		text[1] = 't';
		break;
	default:
		text[4] = hex[(unsigned char)c >> 4];
		text[5] = hex[(unsigned char)c & 15];
		len = 6;
	}
	buf_append(out, text, len);
}

void jwrite_string(buf *out, str s)
{
	size_t before = out->len;
	/* Room for the usual case, a string without escapes, in one step. */
	if (s.len > SIZE_MAX - 2 || !buf_reserve(out, s.len + 2)) {
		out->failed = true;
		return;
	}
	buf_append_byte(out, '"');
	const char *at = s.len > 0 ? s.ptr : "";
	const char *end = at + s.len;
	while (at < end) {
		const char *plain_end = swar_json_plain_end(at, end);
		buf_append(out, at, (size_t)(plain_end - at));
		at = plain_end;
		if (at < end) {
			write_escape(out, *at++);
		}
	}
	buf_append_byte(out, '"');
	if (out->failed) {
		out->len = before;
	}
}

void jwrite_key(buf *out, const char *key)
{
	size_t len = strlen(key);
	if (buf_reserve(out, len + 3)) {
		buf_append_byte(out, '"');
		buf_append(out, key, len);
		buf_append(out, "\":", 2);
	}
}

void jwrite_bool(buf *out, bool value)
{
	buf_append_str(out, value ? STR("true") : STR("false"));
}
