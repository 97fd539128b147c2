#include "base/text.h"

#include "base/swar.h"

#include <string.h>

static bool is_between(char byte, unsigned char low, unsigned char high)
{
	return (unsigned char)byte >= low && (unsigned char)byte <= high;
}

size_t text_utf8_length(str s)
{
	if (s.len == 0) {
		return 0;
	}
	const char *p = s.ptr;
	unsigned char first = (unsigned char)p[0];
	if (first < 0x80) {
		return 1;
	}
	/* The second byte's range is what rules out overlongs, surrogates and values past U+10FFFF. */
	if (first >= 0xC2 && first <= 0xDF) {
		return s.len >= 2 && is_between(p[1], 0x80, 0xBF) ? 2 : 0;
	}
	if (first >= 0xE0 && first <= 0xEF) {
		unsigned char low = first == 0xE0 ? 0xA0 : 0x80;
		unsigned char high = first == 0xED ? 0x9F : 0xBF;
		return s.len >= 3 && is_between(p[1], low, high) && is_between(p[2], 0x80, 0xBF) ? 3 : 0;
	}
	if (first >= 0xF0 && first <= 0xF4) {
		unsigned char low = first == 0xF0 ? 0x90 : 0x80;
		unsigned char high = first == 0xF4 ? 0x8F : 0xBF;
		return s.len >= 4 && is_between(p[1], low, high) && is_between(p[2], 0x80, 0xBF) && is_between(p[3], 0x80, 0xBF)
				   ? 4
				   : 0;
	}
	return 0;
}

size_t text_utf8_valid(str s)
{
	size_t at = 0;
	while (at < s.len) {
		while (s.len - at >= 8 && (swar_load(s.ptr + at) & SWAR_HIGHS) == 0) {
			at += 8;
		}
		while (at < s.len && (unsigned char)s.ptr[at] < 0x80) {
			at++;
		}
		/* Stay here for a whole run of other characters. */
		while (at < s.len && (unsigned char)s.ptr[at] >= 0x80) {
			size_t length = text_utf8_length((str){s.ptr + at, s.len - at});
			if (length == 0) {
				return at;
			}
			at += length;
		}
	}
	return at;
}

bool text_is_utf8(str s)
{
	return text_utf8_valid(s) == s.len;
}

/* 0 to 15, or -1. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return -1;
}

/* The byte written as two hex digits at p, or -1. */
static int hex_byte(const char *p)
{
	int high = hex_value(p[0]);
	int low = hex_value(p[1]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool text_percent_decode(arena *a, str s, bool plus_is_space, str *out, bool *clean)
{
	bool has_escape = s.len > 0 && memchr(s.ptr, '%', s.len) != NULL;
	bool has_plus = plus_is_space && s.len > 0 && memchr(s.ptr, '+', s.len) != NULL;
	if (!has_escape && !has_plus) {
		*out = s;
		*clean = true;
		return true;
	}
	char *bytes = arena_alloc(a, s.len);
	if (bytes == NULL) {
		return false;
	}
	size_t len = 0;
	bool is_clean = true;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (c == '%') {
			int value = s.len - i > 2 ? hex_byte(s.ptr + i + 1) : -1;
			if (value < 0) {
				is_clean = false;
			} else {
				c = (char)value;
				i += 2;
			}
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		bytes[len++] = c;
	}
	*out = (str){bytes, len};
	*clean = is_clean;
	return true;
}

static const char standard_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void base64_encode(buf *out, str bytes, const char *alphabet, bool is_padded)
{
	if (bytes.len == 0) {
		return; /* the buffer may have no memory yet */
	}
	size_t tail = bytes.len % 3;
	size_t tail_chars = tail == 0 ? 0 : is_padded ? 4 : tail + 1;
	if (bytes.len / 3 > (SIZE_MAX - 4) / 4 || !buf_reserve(out, bytes.len / 3 * 4 + tail_chars)) {
		out->failed = true;
		return;
	}
	char *to = out->ptr + out->len;
	size_t at = 0;
	for (; bytes.len - at >= 3; at += 3) {
		uint32_t group = (uint32_t)(unsigned char)bytes.ptr[at] << 16 |
						 (uint32_t)(unsigned char)bytes.ptr[at + 1] << 8 | (unsigned char)bytes.ptr[at + 2];
		*to++ = alphabet[group >> 18];
		*to++ = alphabet[group >> 12 & 63];
		*to++ = alphabet[group >> 6 & 63];
		*to++ = alphabet[group & 63];
	}
	if (tail > 0) {
		uint32_t group = (uint32_t)(unsigned char)bytes.ptr[at] << 16;
		if (tail == 2) {
			group |= (uint32_t)(unsigned char)bytes.ptr[at + 1] << 8;
		}
		char last[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63], '=', '='};
		if (tail == 2) {
			last[2] = alphabet[group >> 6 & 63];
		}
		memcpy(to, last, tail_chars);
	}
	out->len += bytes.len / 3 * 4 + tail_chars;
}

/* Of both alphabets; -1 for a foreign byte. A caller refuses the other alphabet's two characters beforehand. */
static int base64_value(char c)
{
	static const int8_t values[128] = {
		-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
		-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 62, -1, 62, -1, 63, 52, 53, 54, 55,
		56, 57, 58, 59, 60, 61, -1, -1, -1, -1, -1, -1, -1, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12,
		13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, -1, -1, -1, -1, 63, -1, 26, 27, 28, 29, 30, 31, 32,
		33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, -1, -1, -1, -1, -1,
	};
	return (unsigned char)c < 128 ? values[(unsigned char)c] : -1;
}

/* Up to 4 characters as one number of 6 bits each; negative when one is foreign. */
static int32_t base64_group(const char *from, size_t count)
{
	int32_t group = 0;
	for (size_t i = 0; i < count; i++) {
		int value = base64_value(from[i]);
		if (value < 0) {
			return -1;
		}
		group = group * 64 + value;
	}
	return group;
}

/* `text` has no padding. */
static bool base64_decode(arena *a, str text, char foreign_62, char foreign_63, str *out)
{
	size_t tail = text.len % 4;
	if (tail == 1 || (text.len > 0 && (memchr(text.ptr, foreign_62, text.len) != NULL ||
									   memchr(text.ptr, foreign_63, text.len) != NULL))) {
		return false;
	}
	char *bytes = arena_alloc(a, text.len / 4 * 3 + tail);
	if (bytes == NULL) {
		return false;
	}
	char *to = bytes;
	size_t at = 0;
	for (; text.len - at >= 4; at += 4) {
		int32_t group = base64_group(text.ptr + at, 4);
		if (group < 0) {
			return false;
		}
		*to++ = (char)(group >> 16);
		*to++ = (char)(group >> 8 & 255);
		*to++ = (char)(group & 255);
	}
	if (tail > 0) {
		int32_t group = base64_group(text.ptr + at, tail);
		int32_t unused_bits = tail == 2 ? 15 : 3;
		if (group < 0 || (group & unused_bits) != 0) {
			return false;
		}
		if (tail == 2) {
			*to++ = (char)(group >> 4);
		} else {
			*to++ = (char)(group >> 10);
			*to++ = (char)(group >> 2 & 255);
		}
	}
	*out = (str){bytes, (size_t)(to - bytes)};
	return true;
}

void text_base64_encode(buf *out, str bytes)
{
	base64_encode(out, bytes, standard_alphabet, true);
}

bool text_base64_decode(arena *a, str encoded, str *out)
{
	if (encoded.len % 4 != 0) {
		return false;
	}
	/* At most two; a third one stays and is a foreign byte. */
	str text = encoded;
	for (int i = 0; i < 2 && str_ends_with(text, STR("=")); i++) {
		text.len--;
	}
	return base64_decode(a, text, '-', '_', out);
}

void text_base64url_encode(buf *out, str bytes)
{
	base64_encode(out, bytes, url_alphabet, false);
}

bool text_base64url_decode(arena *a, str encoded, str *out)
{
	return base64_decode(a, encoded, '+', '/', out);
}

void text_hex_encode(buf *out, str bytes)
{
	static const char digits[] = "0123456789abcdef";
	if (bytes.len > SIZE_MAX / 2 || !buf_reserve(out, bytes.len * 2)) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < bytes.len; i++) {
		out->ptr[out->len++] = digits[(unsigned char)bytes.ptr[i] >> 4];
		out->ptr[out->len++] = digits[(unsigned char)bytes.ptr[i] & 15];
	}
}

bool text_hex_decode(arena *a, str encoded, str *out)
{
	char *bytes = encoded.len % 2 == 0 ? arena_alloc(a, encoded.len / 2) : NULL;
	if (bytes == NULL) {
		return false;
	}
	for (size_t i = 0; i < encoded.len; i += 2) {
		int value = hex_byte(encoded.ptr + i);
		if (value < 0) {
			return false;
		}
		bytes[i / 2] = (char)value;
	}
	*out = (str){bytes, encoded.len / 2};
	return true;
}
