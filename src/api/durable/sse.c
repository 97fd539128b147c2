#include "api/durable/sse.h"

#include "api/durable/cursor.h"
#include "api/durable/read.h"
#include "base/text.h"

#include <string.h>

static const char CONTROL[] = "event: control\ndata:{";
static const char CURSOR[] = "\"streamCursor\":\"";

/* ---- control ---- */

void durable_sse_write_control(buf *out, const durable_control *c)
{
	char token[DURABLE_OFFSET_SIZE];
	buf_append_str(out, str_from_c(CONTROL));
	buf_append_str(out, STR("\"streamNextOffset\":\""));
	buf_append_str(out, durable_offset_print(c->next, token));
	buf_append_byte(out, '"');
	if (!c->is_closed) {
		buf_append_str(out, STR(",\"streamCursor\":\""));
		buf_append_i64(out, c->cursor);
		buf_append_byte(out, '"');
	}
	if (c->is_up_to_date) {
		buf_append_str(out, STR(",\"upToDate\":true"));
	}
	if (c->is_closed) {
		buf_append_str(out, STR(",\"streamClosed\":true"));
	}
	buf_append_str(out, STR("}\n\n"));
}

/* Between two messages: the next one begins there. */
static void write_control_before(buf *out, const log_record *r)
{
	durable_control c = {.next = {r->offset, r->end_byte - (int64_t)r->value.len}, .cursor = durable_cursor_now()};
	durable_sse_write_control(out, &c);
}

static void write_control_at(buf *out, const log_topic *t, const log_frame_end *end)
{
	durable_control c = {.next = {end->after->offsets[0], end->byte},
						 .cursor = durable_cursor_now(),
						 .is_up_to_date = end->is_at_end,
						 .is_closed = end->is_closed};
	(void)t;
	durable_sse_write_control(out, &c);
}

/* ---- data ---- */

static void begin_data(buf *out)
{
	buf_append_str(out, STR("event: data\ndata:"));
}

static void end_data(buf *out)
{
	buf_append_str(out, STR("\n\n"));
}

/* A reader takes one blank behind the colon for a separator: a line that begins with one needs another. */
static void write_line(buf *out, const char *begin, const char *end, bool is_new)
{
	if (is_new && begin < end && *begin == ' ') {
		buf_append_byte(out, ' ');
	}
	buf_append(out, begin, (size_t)(end - begin));
}

/* One line and what follows it; CR, LF and both together end one. is_new: the first one begins here, too. */
static void write_lines(buf *out, str text, bool is_new)
{
	if (text.len == 0) {
		return;
	}
	const char *begin = text.ptr;
	const char *end = text.ptr + text.len;
	for (const char *at = begin; at < end; at++) {
		if (*at != '\r' && *at != '\n') {
			continue;
		}
		write_line(out, begin, at, is_new);
		buf_append_str(out, STR("\ndata:"));
		if (*at == '\r' && at + 1 < end && at[1] == '\n') {
			at++;
		}
		begin = at + 1;
		is_new = true;
	}
	write_line(out, begin, end, is_new);
}

/* Whether what was written last is the beginning of a UTF-8 character. It cannot be taken for one: what stands before
 * the payload is ASCII. */
static bool ends_inside_character(const buf *out)
{
	for (size_t back = 1; back <= 3 && back <= out->len; back++) {
		unsigned char byte = (unsigned char)out->ptr[out->len - back];
		if ((byte & 0xC0) != 0x80) {
			size_t wanted = byte >= 0xF0 && byte <= 0xF4 ? 4 : byte >= 0xE0 && byte <= 0xEF ? 3 : byte >= 0xC2 ? 2 : 1;
			return byte <= 0xF4 && back < wanted;
		}
	}
	return false;
}

static bool is_whole(const buf *out)
{
	return !ends_inside_character(out);
}

static void text_record(buf *out, const log_topic *t, const log_record *r, const log_position *after)
{
	(void)t;
	(void)after;
	bool is_joined = out->len > 0 && ends_inside_character(out);
	if (out->len > 0 && !is_joined) {
		end_data(out);
		write_control_before(out, r);
	}
	if (!is_joined) {
		begin_data(out);
	}
	write_lines(out, r->value, !is_joined);
}

static void base64_record(buf *out, const log_topic *t, const log_record *r, const log_position *after)
{
	(void)t;
	(void)after;
	if (out->len > 0) {
		end_data(out);
		write_control_before(out, r);
	}
	begin_data(out);
	text_base64_encode(out, r->value);
}

static void write_end(buf *out, const log_topic *t, const log_frame_end *end)
{
	end_data(out);
	write_control_at(out, t, end);
}

static void json_record(buf *out, const log_topic *t, const log_record *r, const log_position *after)
{
	static const durable_stream JSON = {.media = DURABLE_MEDIA_JSON};
	(void)t;
	(void)after;
	if (out->len == 0) {
		begin_data(out);
		buf_append_byte(out, '[');
	} else {
		buf_append_byte(out, ',');
	}
	if (memchr(r->value.ptr, '\n', r->value.len) == NULL && memchr(r->value.ptr, '\r', r->value.len) == NULL) {
		durable_write_message(out, &JSON, r->value);
		return;
	}
	buf shown;
	buf_init(&shown, out->max_bytes);
	durable_write_message(&shown, &JSON, r->value);
	write_lines(out, buf_str(&shown), false);
	out->failed = out->failed || shown.failed;
	buf_dispose(&shown);
}

static void json_end(buf *out, const log_topic *t, const log_frame_end *end)
{
	buf_append_byte(out, ']');
	write_end(out, t, end);
}

/* ---- formats ---- */

/* A softly deleted stream is closed, too: that is no end of the stream but of its readers. */
static bool check_closed(log_engine *engine, log_conn *conn, const log_topic *t, err *e)
{
	durable_state state;
	(void)engine;
	if (!durable_state_get(conn, t->topic_id, &state, e)) {
		return false;
	}
	return durable_state_check(&state, e) || err_set(e, ERR_TOPIC_NOT_FOUND, "the stream was deleted");
}

static const log_format text_format = {.name = "durable-text",
									   .write_record = text_record,
									   .write_end = write_end,
									   .write_closed = write_control_at,
									   .is_whole = is_whole,
									   .check_closed = check_closed};
static const log_format base64_format = {.name = "durable-base64",
										 .write_record = base64_record,
										 .write_end = write_end,
										 .write_closed = write_control_at,
										 .check_closed = check_closed};
static const log_format json_format = {.name = "durable-json",
									   .write_record = json_record,
									   .write_end = json_end,
									   .write_closed = write_control_at,
									   .check_closed = check_closed};

const log_format *durable_sse_format(durable_media media)
{
	switch (media) {
	case DURABLE_MEDIA_JSON:
		return &json_format;
	case DURABLE_MEDIA_TEXT:
		return &text_format;
	case DURABLE_MEDIA_BYTES:
		break;
	}
	return &base64_format;
}

bool durable_sse_is_base64(durable_media media)
{
	return media == DURABLE_MEDIA_BYTES;
}

/* ---- another cursor ---- */

/* The object of the next control event, behind its brace; NULL: there is none. No line of payload begins so, but one may
 * go on so. */
static const char *find_control(const char *at, const char *end)
{
	const char *found;
	while (at < end && (found = memmem(at, (size_t)(end - at), CONTROL, sizeof CONTROL - 1)) != NULL) {
		at = found + sizeof CONTROL - 1;
		if (found[-1] == '\n') {
			return at;
		}
	}
	return NULL;
}

/* Behind the opening quote of the next cursor; NULL: there is none. */
static const char *find_cursor(const char *at, const char *end)
{
	const char *control;
	while ((control = find_control(at, end)) != NULL) {
		const char *line_end = memchr(control, '\n', (size_t)(end - control));
		const char *cursor =
			line_end != NULL ? memmem(control, (size_t)(line_end - control), CURSOR, sizeof CURSOR - 1) : NULL;
		if (cursor != NULL) {
			return cursor + sizeof CURSOR - 1;
		}
		at = control;
	}
	return NULL;
}

static int64_t cursor_at(const char *digits, const char *end)
{
	int64_t cursor = 0;
	const char *quote = memchr(digits, '"', (size_t)(end - digits));
	str text = {digits, quote != NULL ? (size_t)(quote - digits) : 0};
	return str_parse_i64(text, 0, INT64_MAX, &cursor) ? cursor : 0;
}

static void rewrite(buf *out, str payload, int64_t cursor)
{
	const char *at = payload.ptr;
	const char *end = payload.ptr + payload.len;
	for (const char *digits = NULL; (digits = find_cursor(at, end)) != NULL;) {
		const char *quote = memchr(digits, '"', (size_t)(end - digits));
		buf_append(out, at, (size_t)(digits - at));
		buf_append_i64(out, cursor);
		at = quote != NULL ? quote : end;
	}
	buf_append(out, at, (size_t)(end - at));
}

frame *durable_sse_with_cursor(frame *f, int64_t least)
{
	str payload = frame_payload(f);
	const char *first = find_cursor(payload.ptr, payload.ptr + payload.len);
	if (first == NULL || cursor_at(first, payload.ptr + payload.len) >= least) {
		return frame_ref(f);
	}
	buf out;
	buf_init(&out, payload.len * 2 + 64);
	rewrite(&out, payload, least);
	frame *own = out.failed ? NULL : frame_new(buf_str(&out));
	buf_dispose(&out);
	return own;
}
