#include "base/str.h"

#include <string.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

str str_from_c(const char *text)
{
	return text != NULL ? (str){text, strlen(text)} : STR_NONE;
}

/* memcmp must not see NULL, which an empty view may be. */
static bool same_bytes(const char *a, const char *b, size_t len)
{
	return len == 0 || memcmp(a, b, len) == 0;
}

bool str_equal(str a, str b)
{
	return a.len == b.len && same_bytes(a.ptr, b.ptr, a.len);
}

bool str_equal_ignore_case(str a, str b)
{
	if (a.len != b.len) {
		return false;
	}
	for (size_t i = 0; i < a.len; i++) {
		if (lower(a.ptr[i]) != lower(b.ptr[i])) {
			return false;
		}
	}
	return true;
}

bool str_starts_with(str s, str prefix)
{
	return s.len >= prefix.len && same_bytes(s.ptr, prefix.ptr, prefix.len);
}

bool str_ends_with(str s, str suffix)
{
	return s.len >= suffix.len && str_equal(str_skip(s, s.len - suffix.len), suffix);
}

int str_compare(str a, str b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

str str_trim(str s)
{
	while (s.len > 0 && is_blank(s.ptr[0])) {
		s = str_skip(s, 1);
	}
	while (s.len > 0 && is_blank(s.ptr[s.len - 1])) {
		s.len--;
	}
	return s;
}

str str_skip(str s, size_t n)
{
	if (n == 0) {
		return s;
	}
	if (n > s.len) {
		n = s.len;
	}
	return s.ptr != NULL ? (str){s.ptr + n, s.len - n} : STR_NONE;
}

str str_take(str s, size_t n)
{
	return (str){s.ptr, n < s.len ? n : s.len};
}

bool str_split(str s, char stop, str *head, str *tail)
{
	const char *found = s.len > 0 ? memchr(s.ptr, stop, s.len) : NULL;
	if (found == NULL) {
		*head = s;
		*tail = STR_NONE;
		return false;
	}
	size_t at = (size_t)(found - s.ptr);
	*head = str_take(s, at);
	*tail = str_skip(s, at + 1);
	return true;
}

bool str_find(str s, str needle, size_t *at)
{
	if (needle.len == 0) {
		*at = 0;
		return true;
	}
	const char *found = s.len > 0 ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
	if (found == NULL) {
		return false;
	}
	*at = (size_t)(found - s.ptr);
	return true;
}

bool str_parse_u64(str s, uint64_t max, uint64_t *out)
{
	if (s.len == 0) {
		return false;
	}
	uint64_t value = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9') {
			return false;
		}
		uint64_t digit = (uint64_t)(s.ptr[i] - '0');
		if (digit > max || value > (max - digit) / 10) {
			return false;
		}
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

bool str_parse_i64(str s, int64_t min, int64_t max, int64_t *out)
{
	bool is_negative = s.len > 0 && s.ptr[0] == '-';
	uint64_t magnitude;
	uint64_t limit = is_negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
	if (!str_parse_u64(is_negative ? str_skip(s, 1) : s, limit, &magnitude)) {
		return false;
	}
	int64_t value = (int64_t)magnitude;
	if (is_negative) {
		/* -(m - 1) - 1 reaches INT64_MIN without passing INT64_MAX. */
		value = magnitude == 0 ? 0 : -(int64_t)(magnitude - 1) - 1;
	}
	if (value < min || value > max) {
		return false;
	}
	*out = value;
	return true;
}

bool str_parse_bool(str s, bool *out)
{
	if (str_equal(s, STR("true")) || str_equal(s, STR("1"))) {
		*out = true;
		return true;
	}
	if (str_equal(s, STR("false")) || str_equal(s, STR("0"))) {
		*out = false;
		return true;
	}
	return false;
}
