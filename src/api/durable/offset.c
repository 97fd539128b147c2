#include "api/durable/offset.h"

enum { HALF = 16 };

static bool parse_half(str digits, int64_t *out)
{
	uint64_t value = 0;
	for (size_t i = 0; i < digits.len; i++) {
		char c = digits.ptr[i];
		if (c >= '0' && c <= '9') {
			value = value << 4 | (uint64_t)(c - '0');
		} else if (c >= 'a' && c <= 'f') {
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		} else {
			return false;
		}
	}
	*out = value > INT64_MAX ? INT64_MAX : (int64_t)value;
	return true;
}

bool durable_offset_parse(str text, durable_offset *out)
{
	durable_offset found;
	if (text.len != DURABLE_OFFSET_LEN || text.ptr[HALF] != '_' || !parse_half(str_take(text, HALF), &found.count) ||
		!parse_half(str_skip(text, HALF + 1), &found.bytes)) {
		return false;
	}
	*out = found;
	return true;
}

static void print_half(int64_t value, char *out)
{
	static const char DIGITS[] = "0123456789abcdef";
	for (int i = 0; i < HALF; i++) {
		out[i] = DIGITS[(uint64_t)value >> (60 - 4 * i) & 15];
	}
}

str durable_offset_print(durable_offset offset, char out[DURABLE_OFFSET_SIZE])
{
	print_half(offset.count, out);
	out[HALF] = '_';
	print_half(offset.bytes, out + HALF + 1);
	out[DURABLE_OFFSET_LEN] = '\0';
	return (str){out, DURABLE_OFFSET_LEN};
}

int durable_offset_compare(durable_offset a, durable_offset b)
{
	if (a.count != b.count) {
		return a.count < b.count ? -1 : 1;
	}
	return a.bytes < b.bytes ? -1 : a.bytes > b.bytes ? 1 : 0;
}

bool durable_from_parse(str text, durable_from *out, err *e)
{
	durable_from from = {.text = text};
	if (str_equal(text, STR("-1"))) {
		from.kind = DURABLE_FROM_START;
	} else if (str_equal(text, STR("now"))) {
		from.kind = DURABLE_FROM_NOW;
	} else if (durable_offset_parse(text, &from.offset)) {
		from.kind = DURABLE_FROM_TOKEN;
	} else {
		return err_set(e, ERR_INVALID_REQUEST,
					   "offset must be -1, now, or a token that this server gave as Stream-Next-Offset");
	}
	*out = from;
	return true;
}
