#include "api/httpmq/subject.h"

#include "api/httpmq/httpmq.h"
#include "base/text.h"

#include <string.h>

enum { UUID_TEXT = 36 };

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_uuid(str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (is_dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
			return false;
		}
	}
	return name.len == UUID_TEXT;
}

bool httpmq_name_is_valid(str name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (!is_alphanumeric(name.ptr[i])) {
			return is_uuid(name);
		}
	}
	return name.len > 0;
}

static bool has_empty_token(str subject)
{
	str token;
	for (bool has_more = true; has_more;) {
		has_more = str_split(subject, '.', &token, &subject);
		if (token.len == 0) {
			return true;
		}
	}
	return false;
}

bool httpmq_subject_is_valid(str subject)
{
	static const char REFUSED[] = " \t\r\n>`~!@#$%^&()_+=[]{}\\|;:'\",</?";
	for (size_t i = 0; i < subject.len; i++) {
		/* The terminating NUL is refused, too. */
		if (memchr(REFUSED, subject.ptr[i], sizeof REFUSED) != NULL) {
			return false;
		}
	}
	return subject.len <= HTTPMQ_SUBJECT_MAX && !has_empty_token(subject) && text_is_utf8(subject);
}

static bool is_any(str token)
{
	return token.len == 1 && token.ptr[0] == '*';
}

static bool is_rest(str token)
{
	return token.len == 1 && token.ptr[0] == '>';
}

static bool has_token(str subject, bool (*is)(str token))
{
	str token;
	for (bool has_more = true; has_more;) {
		has_more = str_split(subject, '.', &token, &subject);
		if (is(token)) {
			return true;
		}
	}
	return false;
}

bool httpmq_subject_has_wildcard(str subject)
{
	return has_token(subject, is_any);
}

/* Every subject that `narrow` (a subject, or a pattern) stands for is matched by `wide`. */
static bool covers(str wide, str narrow)
{
	str a;
	str b;
	for (;;) {
		bool wide_has_more = str_split(wide, '.', &a, &wide);
		bool narrow_has_more = str_split(narrow, '.', &b, &narrow);
		if (is_rest(a) && !wide_has_more) {
			return b.len > 0;
		}
		if (is_rest(b) || (!is_any(a) && !str_equal(a, b)) || b.len == 0) {
			return false;
		}
		if (!wide_has_more || !narrow_has_more) {
			return wide_has_more == narrow_has_more;
		}
	}
}

bool httpmq_subject_matches(str pattern, str subject)
{
	return covers(pattern, subject);
}

bool httpmq_subject_overlaps(str a, str b)
{
	str left;
	str right;
	for (;;) {
		bool a_has_more = str_split(a, '.', &left, &a);
		bool b_has_more = str_split(b, '.', &right, &b);
		if (!is_any(left) && !is_any(right) && !str_equal(left, right)) {
			return false;
		}
		if (!a_has_more || !b_has_more) {
			return a_has_more == b_has_more;
		}
	}
}

bool httpmq_filter_fits(str filter, str pattern)
{
	bool has_wildcard = has_token(filter, is_any) || has_token(filter, is_rest);
	return covers(pattern, filter) || (has_wildcard && covers(filter, pattern));
}

/* As encode(…, 'escape') writes it, each mark with a backslash before it. */
static void append_literal(buf *out, char c)
{
	unsigned char byte = (unsigned char)c;
	if (byte == 0 || byte >= 0x80) {
		buf_printf(out, "\\\\%03o", byte);
	} else if (c == '\\') {
		buf_append_str(out, STR("\\\\\\\\"));
	} else {
		buf_append_str(out, is_alphanumeric(c) ? STR("") : STR("\\"));
		buf_append_byte(out, c);
	}
}

void httpmq_filter_regex(buf *out, str filter)
{
	str token;
	buf_append_byte(out, '^');
	for (bool has_more = true; has_more;) {
		has_more = str_split(filter, '.', &token, &filter);
		if (is_any(token)) {
			buf_append_str(out, STR("[^.]+"));
		} else if (is_rest(token) && !has_more) {
			buf_append_str(out, STR(".+"));
		} else {
			for (size_t i = 0; i < token.len; i++) {
				append_literal(out, token.ptr[i]);
			}
		}
		if (has_more) {
			buf_append_str(out, STR("\\."));
		}
	}
	buf_append_byte(out, '$');
}
