#include "api/topics/wire.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/* ---- requests ---- */

bool wire_check_json(const http_exchange *x, err *e)
{
	static const str wanted = {"application/json", sizeof "application/json" - 1};
	str type = http_request_header(x, STR("Content-Type"));
	if (type.len >= wanted.len && str_equal_ignore_case(str_take(type, wanted.len), wanted)) {
		return true;
	}
	return err_set(e, ERR_UNSUPPORTED_MEDIA_TYPE, "send the body as JSON with Content-Type: application/json");
}

bool wire_begin(body *b, http_exchange *x, err *e)
{
	return wire_check_json(x, e) && body_begin_text(b, http_request_body(x), http_arena(x), e);
}

bool wire_is_empty(const http_exchange *x)
{
	return http_request_body(x).len == 0 && http_request_header(x, STR("Content-Type")).len == 0;
}

bool wire_query_switch(const http_exchange *x, const char *name, bool otherwise)
{
	str text;
	bool value = otherwise;
	if (http_request_query(x, str_from_c(name), &text) && !str_parse_bool(text, &value)) {
		value = otherwise;
	}
	return value;
}

void wire_read_u32(body *b, const char *name, int64_t most, int64_t *out)
{
	int64_t value = 0;
	body_integer(b, name, 0, UINT32_MAX, &value);
	*out = value < most ? value : most;
}

void wire_read_u64(body *b, const char *name, int64_t most, int64_t *out)
{
	int64_t value = 0;
	body_unsigned(b, name, &value);
	*out = value < most ? value : most;
}

/* ---- pages of lists ---- */

bool wire_decode_cursor(arena *a, str cursor, str *after, err *e)
{
	if (cursor.len == 0) {
		*after = STR("");
		return true;
	}
	if (text_base64url_decode(a, cursor, after) && after->len > 0 && text_is_utf8(*after) &&
		memchr(after->ptr, '\0', after->len) == NULL) {
		return true;
	}
	return err_set(e, ERR_INVALID_REQUEST, "cursor must be the next_cursor of an earlier answer, or be left out");
}

bool wire_read_page(http_exchange *x, wire_page *out, err *e)
{
	str text;
	uint64_t size = WIRE_PAGE_DEFAULT;
	if (http_request_query(x, STR("page_size"), &text) && !str_parse_u64(text, UINT64_MAX, &size)) {
		size = WIRE_PAGE_DEFAULT;
	}
	out->size = size < 1 ? 1 : size > WIRE_PAGE_MAX ? WIRE_PAGE_MAX : (uint32_t)size;
	str cursor = STR_NONE;
	if (!http_request_query(x, STR("cursor"), &cursor)) {
		cursor = STR_NONE;
	}
	return wire_decode_cursor(http_arena(x), cursor, &out->after, e);
}

void wire_write_cursor(buf *out, str last)
{
	buf_append_str(out, STR(",\"next_cursor\":\""));
	text_base64url_encode(out, last);
	buf_append_byte(out, '"');
}

/* ---- answers ---- */

void wire_write_ms(buf *out, int64_t microseconds)
{
	buf_printf(out, "%" PRId64 ".%03d", microseconds / 1000, (int)(microseconds % 1000));
}

void wire_open_performance(buf *out, const http_exchange *x)
{
	int64_t took_us = clock_now_us() - http_started_us(x);
	buf_append_str(out, STR("\"performance\":{\"server_total_ms\":"));
	wire_write_ms(out, took_us > 0 ? took_us : 0);
}

void wire_write_performance(buf *out, const http_exchange *x)
{
	wire_open_performance(out, x);
	buf_append_byte(out, '}');
}
