#include "api/durable/subscription/pattern.h"

#include "base/buf.h"
#include "base/text.h"

static const str CONTROL_SPACE = {"__ds", 4};

static str strip_slashes(str text)
{
	while (text.len > 0 && text.ptr[0] == '/') {
		text = str_skip(text, 1);
	}
	while (text.len > 0 && text.ptr[text.len - 1] == '/') {
		text.len--;
	}
	return text;
}

/* What both a path and a pattern consist of. */
static bool check_segments(str text, const char *what, err *e)
{
	size_t count = 0;
	str rest = text;
	if (text.len == 0 || text.len > SUBSCRIPTION_PATTERN_MAX || !text_is_utf8(text)) {
		return err_set(e, ERR_INVALID_REQUEST, "%s must be 1 to %d bytes of UTF-8, like events/abc", what,
					   SUBSCRIPTION_PATTERN_MAX);
	}
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) {
			return err_set(e, ERR_INVALID_REQUEST, "%s must not hold control characters", what);
		}
	}
	for (bool has_more = true; has_more;) {
		str segment;
		has_more = str_split(rest, '/', &segment, &rest);
		if (segment.len == 0 || str_equal(segment, STR(".")) || str_equal(segment, STR("..")) ||
			++count > SUBSCRIPTION_SEGMENTS_MAX) {
			return err_set(e, ERR_INVALID_REQUEST, "%s must have 1 to %d segments, none of them empty, '.' or '..'",
						   what, SUBSCRIPTION_SEGMENTS_MAX);
		}
		if (count == 1 && str_equal(segment, CONTROL_SPACE)) {
			return err_set(e, ERR_INVALID_REQUEST, "%s must not begin with __ds: no stream does", what);
		}
	}
	return true;
}

bool subscription_path_read(str text, str *out, err *e)
{
	str path = strip_slashes(text);
	if (!check_segments(path, "a stream's path", e)) {
		return false;
	}
	*out = path;
	return true;
}

static bool is_wild(str segment)
{
	return str_equal(segment, STR("*")) || str_equal(segment, STR("**"));
}

/* Everything in ASCII that may mean something to a regular expression is escaped. */
static void append_literal(buf *out, str segment)
{
	for (size_t i = 0; i < segment.len; i++) {
		char c = segment.ptr[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
						(unsigned char)c >= 0x80;
		if (!is_plain) {
			buf_append_byte(out, '\\');
		}
		buf_append_byte(out, c);
	}
}

static void append_segment(buf *out, str segment)
{
	if (str_equal(segment, STR("**"))) {
		buf_append_str(out, STR("(/[^/]+)*"));
	} else if (str_equal(segment, STR("*"))) {
		buf_append_str(out, STR("/[^/]+"));
	} else {
		buf_append_byte(out, '/');
		append_literal(out, segment);
	}
}

bool subscription_pattern_read(str text, arena *a, subscription_pattern *out, err *e)
{
	subscription_pattern p = {.text = strip_slashes(text)};
	str rest = p.text;
	size_t head_bytes = 0;
	bool is_literal = true;
	bool goes_on = false; /* a segment that cannot be left out follows the head */
	buf regex;
	if (!check_segments(p.text, "pattern", e)) {
		return false;
	}
	buf_init(&regex, 16 * SUBSCRIPTION_PATTERN_MAX);
	buf_append_byte(&regex, '^');
	for (bool has_more = true; has_more;) {
		str segment;
		has_more = str_split(rest, '/', &segment, &rest);
		append_segment(&regex, segment);
		is_literal = is_literal && !is_wild(segment);
		if (is_literal) {
			head_bytes = (size_t)(segment.ptr + segment.len - p.text.ptr);
		}
		goes_on = goes_on || (!is_literal && !str_equal(segment, STR("**")));
	}
	buf_append_byte(&regex, '$');
	/* Where only double stars follow, a path may end with the head. */
	p.head = str_take(p.text, head_bytes > 0 && goes_on ? head_bytes + 1 : head_bytes);
	bool ok = !regex.failed && arena_copy_str(a, buf_str(&regex), &p.regex);
	buf_dispose(&regex);
	if (!ok) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	*out = p;
	return true;
}
