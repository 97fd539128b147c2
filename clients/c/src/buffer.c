#include "buffer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 256 };

void tgi_buffer_dispose(buffer *b)
{
	free(b->ptr);
	*b = (buffer){0};
}

void tgi_buffer_clear(buffer *b)
{
	b->len = 0;
	b->failed = false;
}

bool tgi_buffer_reserve(buffer *b, size_t more)
{
	if (b->failed || more > BUFFER_BYTES_MAX - b->len) {
		b->failed = true;
		return false;
	}
	if (b->len + more <= b->capacity) {
		return true;
	}
	size_t wanted = b->capacity < FIRST_BYTES ? FIRST_BYTES : b->capacity * 2;
	wanted = wanted < b->len + more ? b->len + more : wanted;
	char *grown = realloc(b->ptr, wanted);
	if (grown == NULL) {
		b->failed = true;
		return false;
	}
	b->ptr = grown;
	b->capacity = wanted;
	return true;
}

void tgi_buffer_append(buffer *b, const void *bytes, size_t len)
{
	if (len > 0 && tgi_buffer_reserve(b, len)) {
		memcpy(b->ptr + b->len, bytes, len);
		b->len += len;
	}
}

void tgi_buffer_text(buffer *b, const char *text)
{
	tgi_buffer_append(b, text, strlen(text));
}

void tgi_buffer_integer(buffer *b, int64_t value)
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%lld", (long long)value);
	tgi_buffer_append(b, digits, (size_t)len);
}

/* ---- JSON ---- */

static bool needs_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

void tgi_buffer_json_string(buffer *b, const void *utf8, size_t len)
{
	const char *text = utf8;
	size_t plain_from = 0;
	tgi_buffer_append(b, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (needs_escape(c)) {
			char escape[8];
			int count = snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
			tgi_buffer_append(b, text + plain_from, i - plain_from);
			tgi_buffer_append(b, escape, (size_t)count);
			plain_from = i + 1;
		}
	}
	if (plain_from < len) {
		tgi_buffer_append(b, text + plain_from, len - plain_from);
	}
	tgi_buffer_append(b, "\"", 1);
}

/* ---- UTF-8 ---- */

/* Bytes of the character that begins here, 0 = none does. */
static size_t character(const unsigned char *at, size_t left)
{
	size_t len = at[0] < 0xC2 ? 0 : at[0] < 0xE0 ? 2 : at[0] < 0xF0 ? 3 : at[0] < 0xF5 ? 4 : 0;
	if (len == 0 || len > left) {
		return 0;
	}
	for (size_t i = 1; i < len; i++) {
		if ((at[i] & 0xC0) != 0x80) {
			return 0;
		}
	}
	bool is_bad = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) || /* overlong, surrogates */
				  (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F);   /* overlong, beyond */
	return is_bad ? 0 : len;
}

bool tgi_buffer_is_text(const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	for (size_t i = 0; i < len;) {
		size_t step = at[i] < 0x80 ? 1 : character(at + i, len - i);
		if (step == 0) {
			return false;
		}
		i += step;
	}
	return true;
}

/* ---- addresses ---- */

void tgi_buffer_url_segment(buffer *b, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool is_plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
						c == '_' || c == '~' || c == '.';
		if (is_plain) {
			tgi_buffer_append(b, text, 1);
		} else {
			char escape[8];
			int count = snprintf(escape, sizeof escape, "%%%02X", (unsigned)c);
			tgi_buffer_append(b, escape, (size_t)count);
		}
	}
}
