#include "cli/client/bytes.h"

#include <string.h>

#include "base/jscan.h"
#include "base/text.h"

enum { DUMP_ROW_BYTES = 16, JSON_DEPTH_MAX = 128 };

bool bytes_are_text(str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c == 0x7F || (c < 0x20 && strchr("\t\n\r\f\b\033", c) == NULL) || c == 0) {
			return false;
		}
	}
	return text_is_utf8(s);
}

void bytes_append_lossy(buf *out, str s)
{
	while (s.len > 0) {
		size_t good = text_utf8_valid(s);
		buf_append_str(out, str_take(s, good));
		s = str_skip(s, good);
		if (s.len > 0) {
			buf_append_str(out, STR("\xEF\xBF\xBD"));
			s = str_skip(s, 1);
		}
	}
}

void bytes_append_dump(buf *out, str s)
{
	for (size_t at = 0; at < s.len; at += DUMP_ROW_BYTES) {
		str row = str_take(str_skip(s, at), DUMP_ROW_BYTES);
		buf_printf(out, "%s%08zx ", at > 0 ? "\n" : "", at);
		for (size_t i = 0; i < DUMP_ROW_BYTES; i++) {
			buf_append_str(out, i % 8 == 0 ? STR(" ") : STR_NONE);
			if (i < row.len) {
				buf_printf(out, "%02x ", (unsigned char)row.ptr[i]);
			} else {
				buf_append_str(out, STR("   "));
			}
		}
		buf_append_str(out, STR(" |"));
		for (size_t i = 0; i < row.len; i++) {
			buf_append_byte(out, row.ptr[i] >= 0x20 && row.ptr[i] < 0x7F ? row.ptr[i] : '.');
		}
		buf_append_byte(out, '|');
	}
}

static void append_line(buf *out, size_t depth)
{
	buf_append_byte(out, '\n');
	for (size_t i = 0; i < depth; i++) {
		buf_append_str(out, STR("  "));
	}
}

/* JSON without white space, indented: each name, text and number stays as it was written. */
static void append_indented(buf *out, str json)
{
	size_t depth = 0;
	bool is_text = false;
	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i];
		if (is_text) {
			buf_append_byte(out, c);
			if (c == '\\') {
				buf_append_byte(out, json.ptr[++i]);
			}
			is_text = c != '"';
		} else if ((c == '{' || c == '[') && (json.ptr[i + 1] == '}' || json.ptr[i + 1] == ']')) {
			buf_append_byte(out, c);
			buf_append_byte(out, json.ptr[++i]);
		} else if (c == '{' || c == '[') {
			buf_append_byte(out, c);
			append_line(out, ++depth);
		} else if (c == '}' || c == ']') {
			append_line(out, --depth);
			buf_append_byte(out, c);
		} else {
			buf_append_byte(out, c);
			if (c == ',') {
				append_line(out, depth);
			} else if (c == ':') {
				buf_append_byte(out, ' ');
			}
			is_text = c == '"';
		}
	}
}

bool bytes_append_json(buf *out, str s)
{
	jscan scan;
	buf compact;
	jscan_init(&scan, s, JSON_DEPTH_MAX);
	if (!jscan_skip(&scan) || !jscan_end(&scan)) {
		return false;
	}
	buf_init(&compact, s.len);
	jscan_compact(s, &compact);
	append_indented(out, buf_str(&compact));
	out->failed = out->failed || compact.failed;
	buf_dispose(&compact);
	return true;
}
