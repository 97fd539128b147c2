#include "api/streaming/header_text.h"

/* What comes next is not what belongs there: is it at least JSON? */
static header_text_result refuse(jscan *s)
{
	jscan_skip(s);
	return jscan_failed(s) ? HEADER_TEXT_BROKEN : HEADER_TEXT_WRONG;
}

/* One [name, value]. */
static header_text_result read_pair(jscan *s)
{
	int texts = 0;
	if (jscan_peek(s) != JSCAN_ARRAY) {
		return refuse(s);
	}
	jscan_begin_array(s);
	while (jscan_next_element(s)) {
		jscan_string text;
		if (jscan_peek(s) != JSCAN_STRING || ++texts > 2) {
			return refuse(s);
		}
		jscan_string_raw(s, &text);
	}
	return jscan_failed(s) ? HEADER_TEXT_BROKEN : texts == 2 ? HEADER_TEXT_OK : HEADER_TEXT_WRONG;
}

header_text_result header_text_read(jscan *s, arena *a, str *out)
{
	bool is_empty = true;
	*out = STR_NONE;
	if (jscan_null(s)) {
		return HEADER_TEXT_OK;
	}
	if (jscan_peek(s) != JSCAN_ARRAY) {
		return refuse(s);
	}
	const char *begin = s->at;
	jscan_begin_array(s);
	while (jscan_next_element(s)) {
		header_text_result pair = read_pair(s);
		if (pair != HEADER_TEXT_OK) {
			return pair;
		}
		is_empty = false;
	}
	if (jscan_failed(s)) {
		return HEADER_TEXT_BROKEN;
	}
	return is_empty || jscan_compact_view(a, (str){begin, (size_t)(s->at - begin)}, out) ? HEADER_TEXT_OK
																						 : HEADER_TEXT_NO_MEMORY;
}
