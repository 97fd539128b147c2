#include "api/durable/path.h"

#include "base/text.h"

static bool has_control_characters(str path)
{
	for (size_t i = 0; i < path.len; i++) {
		unsigned char c = (unsigned char)path.ptr[i];
		/* C0, DEL, and C1 as UTF-8 writes it. */
		if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < path.len && (unsigned char)path.ptr[i + 1] < 0xa0)) {
			return true;
		}
	}
	return false;
}

bool durable_path_check(str path, durable_path_limits limits, err *e)
{
	size_t segments = 0;
	str rest = path;
	if (path.len == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "name a stream after " DURABLE_PREFIX);
	}
	if (path.len > limits.bytes) {
		return err_set(e, ERR_INVALID_REQUEST, "a stream's path has at most %zu bytes", limits.bytes);
	}
	if (!text_is_utf8(path) || has_control_characters(path)) {
		return err_set(e, ERR_INVALID_REQUEST, "a stream's path is UTF-8 without control characters");
	}
	for (bool has_more = true; has_more; segments++) {
		str segment;
		has_more = str_split(rest, '/', &segment, &rest);
		if (segment.len == 0 || str_equal(segment, STR(".")) || str_equal(segment, STR(".."))) {
			return err_set(e, ERR_INVALID_REQUEST, "the segments of a stream's path are not empty, \".\" or \"..\"");
		}
		if (segments == 0 && str_equal(segment, STR("__ds"))) {
			return err_set(e, ERR_NOT_FOUND, "there is nothing at this path of the control space");
		}
	}
	if (segments > limits.segments) {
		return err_set(e, ERR_INVALID_REQUEST, "a stream's path has at most %zu segments", limits.segments);
	}
	return true;
}

bool durable_path_decode(arena *a, str raw, durable_path_limits limits, str *out, err *e)
{
	bool is_clean = true;
	str path;
	if (!text_percent_decode(a, raw, false, &path, &is_clean)) {
		return err_set(e, ERR_NO_MEMORY, "out of memory; try again");
	}
	if (!is_clean) {
		return err_set(e, ERR_INVALID_REQUEST, "a '%%' in a stream's path is followed by two hexadecimal digits");
	}
	if (!durable_path_check(path, limits, e)) {
		return false;
	}
	*out = path;
	return true;
}
