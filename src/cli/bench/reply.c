#include "cli/bench/reply.h"

#include <string.h>

size_t reply_head_bytes(str text, size_t searched)
{
	size_t at = 0;
	size_t from = searched > 3 ? searched - 3 : 0;
	if (!str_find(str_skip(text, from), STR("\r\n\r\n"), &at)) {
		return 0;
	}
	return from + at + 4;
}

static bool parse_status(str line, int *status)
{
	uint64_t number = 0;
	/* HTTP/1.1 200 OK */
	if (line.len < 12 || !str_starts_with(line, STR("HTTP/1.")) || line.ptr[8] != ' ' ||
		!str_parse_u64(str_take(str_skip(line, 9), 3), 999, &number)) {
		return false;
	}
	*status = (int)number;
	return number >= 200;
}

static bool parse_field(str name, str value, reply_head *head)
{
	if (str_equal_ignore_case(name, STR("content-length"))) {
		head->has_length = true;
		return str_parse_u64(value, INT64_MAX, &head->length);
	}
	if (str_equal_ignore_case(name, STR("transfer-encoding"))) {
		head->is_chunked = true;
		return str_equal_ignore_case(value, STR("chunked"));
	}
	if (str_equal_ignore_case(name, STR("connection"))) {
		head->closes = str_equal_ignore_case(value, STR("close"));
	}
	return true;
}

bool reply_head_parse(str text, reply_head *out)
{
	reply_head head = {0};
	str line, rest, name, value;
	str_split(text, '\n', &line, &rest);
	if (!parse_status(line, &head.status)) {
		return false;
	}
	while (rest.len > 0) {
		str_split(rest, '\n', &line, &rest);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
			line.len--;
		}
		if (line.len == 0) {
			break;
		}
		if (!str_split(line, ':', &name, &value) || !parse_field(name, str_trim(value), &head)) {
			return false;
		}
	}
	*out = head;
	return true;
}

void reply_init(reply *r)
{
	memset(r, 0, sizeof *r);
	chunk_init(&r->chunks);
}

static reply_event take_head(reply *r, str text)
{
	size_t head_bytes = reply_head_bytes(text, r->searched);
	if (head_bytes == 0) {
		r->searched = text.len;
		return text.len > REPLY_HEAD_MAX ? REPLY_BROKEN : REPLY_MORE;
	}
	if (!reply_head_parse(str_take(text, head_bytes), &r->head)) {
		return REPLY_BROKEN;
	}
	bool is_empty = r->head.status == 204 || r->head.status == 304;
	if (!r->head.is_chunked && !r->head.has_length && !is_empty) {
		return REPLY_BROKEN;
	}
	if (is_empty) {
		r->head.length = 0;
		r->head.is_chunked = false;
	}
	r->has_head = true;
	r->body_start = head_bytes;
	r->used = head_bytes;
	return REPLY_DONE;
}

static reply_event take_chunks(reply *r, char *bytes, size_t len)
{
	for (;;) {
		str rest = {bytes + r->used, len - r->used};
		str piece = STR_NONE;
		chunk_event event = chunk_next(&r->chunks, &rest, &piece);
		r->used = len - rest.len;
		switch (event) {
		case CHUNK_MORE:
			return REPLY_MORE;
		case CHUNK_END:
			return r->used == len ? REPLY_DONE : REPLY_BROKEN;
		case CHUNK_BROKEN:
			return REPLY_BROKEN;
		case CHUNK_PIECE:
			memmove(bytes + r->body_start + r->body_len, piece.ptr, piece.len);
			r->body_len += piece.len;
			break;
		}
	}
}

reply_event reply_feed(reply *r, char *bytes, size_t len)
{
	if (!r->has_head) {
		reply_event event = take_head(r, (str){bytes, len});
		if (event != REPLY_DONE) {
			return event;
		}
	}
	if (r->head.is_chunked) {
		return take_chunks(r, bytes, len);
	}
	r->used = len;
	r->body_len = len - r->body_start;
	if (r->body_len < r->head.length) {
		return REPLY_MORE;
	}
	/* One request is on its way at a time: nothing may follow its reply. */
	return r->body_len == r->head.length ? REPLY_DONE : REPLY_BROKEN;
}

str reply_body(const reply *r, const char *bytes)
{
	return (str){bytes + r->body_start, r->body_len};
}

size_t reply_missing(const reply *r, size_t len)
{
	if (!r->has_head) {
		return 0;
	}
	if (r->head.is_chunked) {
		return r->chunks.state == CHUNK_DATA ? r->chunks.left : 0;
	}
	return r->body_start + r->head.length - len;
}
