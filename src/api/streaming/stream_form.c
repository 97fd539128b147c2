#include "api/streaming/stream_form.h"

#include "api/accept.h"
#include "api/streaming/encode.h"
#include "api/streaming/packet.h"
#include "api/streaming/position.h"

enum { EVENT_BYTES_MAX = 64 << 10 };

/* What every event's object ends with. */
static void end_event(buf *out, str position)
{
	if (position.len > 0) {
		buf_append_str(out, STR(",\"cursor\":\""));
		buf_append_str(out, position);
		buf_append_byte(out, '"');
	}
	buf_append_byte(out, '}');
}

/* {"event":…}, as lines and packets have it. */
static void write_event(buf *out, const char *event, str position, str members)
{
	buf_append_str(out, STR("{\"event\":\""));
	buf_append_str(out, str_from_c(event));
	buf_append_str(out, STR("\","));
	buf_append_str(out, members);
	end_event(out, position);
}

/* ---- server-sent events ---- */

static void sse_record(buf *out, const log_topic *t, const log_record *r, const log_position *after)
{
	buf_append_str(out, STR("id: "));
	position_write(out, t, after);
	buf_append_str(out, STR("\ndata: {"));
	encode_record(out, r);
	buf_append_str(out, STR("}\n\n"));
}

static void sse_gap(buf *out, const log_topic *t, int32_t partition, const log_gap *gap, const log_position *after)
{
	buf_append_str(out, STR("id: "));
	position_write(out, t, after);
	buf_append_str(out, STR("\nevent: gap\ndata: {"));
	encode_gap(out, partition, gap);
	buf_append_str(out, STR("}\n\n"));
}

static void sse_leased(buf *out, const log_record *r)
{
	buf_append_str(out, STR("data: {"));
	encode_record(out, r);
	buf_append_str(out, STR("}\n\n"));
}

static void sse_event(buf *out, const char *event, str position, str members)
{
	if (position.len > 0) {
		buf_append_str(out, STR("id: "));
		buf_append_str(out, position);
		buf_append_byte(out, '\n');
	}
	buf_append_str(out, STR("event: "));
	buf_append_str(out, str_from_c(event));
	buf_append_str(out, STR("\ndata: {"));
	buf_append_str(out, members);
	end_event(out, position);
	buf_append_str(out, STR("\n\n"));
}

static void sse_leased_gap(buf *out, int32_t partition, const log_gap *gap)
{
	buf_append_str(out, STR("event: gap\ndata: {"));
	encode_gap(out, partition, gap);
	buf_append_str(out, STR("}\n\n"));
}

static const log_format sse_format = {.name = "streaming-sse", .write_record = sse_record, .write_gap = sse_gap};

const stream_form stream_form_sse = {
	.content_type = "text/event-stream",
	.format = &sse_format,
	.opening = {"retry: 2000\n\n", 13},
	.heartbeat = {": hb\n\n", 6},
	.write_leased = sse_leased,
	.write_leased_gap = sse_leased_gap,
	.write_event = sse_event,
};

/* ---- lines ---- */

static void write_cursor(buf *out, const log_topic *t, const log_position *after)
{
	buf_append_str(out, STR(",\"cursor\":\""));
	position_write(out, t, after);
	buf_append_str(out, STR("\"}\n"));
}

static void line_record(buf *out, const log_topic *t, const log_record *r, const log_position *after)
{
	buf_append_byte(out, '{');
	encode_record(out, r);
	write_cursor(out, t, after);
}

static void line_gap(buf *out, const log_topic *t, int32_t partition, const log_gap *gap, const log_position *after)
{
	buf_append_str(out, STR("{\"event\":\"gap\","));
	encode_gap(out, partition, gap);
	write_cursor(out, t, after);
}

static void line_leased(buf *out, const log_record *r)
{
	buf_append_byte(out, '{');
	encode_record(out, r);
	buf_append_str(out, STR("}\n"));
}

static void line_leased_gap(buf *out, int32_t partition, const log_gap *gap)
{
	buf_append_str(out, STR("{\"event\":\"gap\","));
	encode_gap(out, partition, gap);
	buf_append_str(out, STR("}\n"));
}

static void line_event(buf *out, const char *event, str position, str members)
{
	write_event(out, event, position, members);
	buf_append_byte(out, '\n');
}

static const log_format line_format = {.name = "streaming-lines", .write_record = line_record, .write_gap = line_gap};

const stream_form stream_form_lines = {
	.content_type = "application/x-ndjson",
	.format = &line_format,
	.opening = {"", 0},
	.heartbeat = {"\n", 1},
	.write_leased = line_leased,
	.write_leased_gap = line_leased_gap,
	.write_event = line_event,
};

/* ---- packets ---- */

static void packet_record(buf *out, const log_topic *t, const log_record *r, const log_position *after)
{
	(void)t;
	(void)after;
	packet_write_record(out, r);
}

static void packet_gap(buf *out, const log_topic *t, int32_t partition, const log_gap *gap, const log_position *after)
{
	(void)t;
	(void)after;
	packet_write_gap(out, partition, gap);
}

static void packet_caught_up(buf *out, const log_topic *t, const log_position *at)
{
	(void)t;
	packet_write_caught_up(out, at);
}

static void packet_event(buf *out, const char *event, str position, str members)
{
	buf json;
	buf_init(&json, EVENT_BYTES_MAX);
	write_event(&json, event, position, members);
	if (json.failed) {
		out->failed = true;
	} else {
		packet_write_event(out, buf_str(&json));
	}
	buf_dispose(&json);
}

static const log_format packet_format = {
	.name = "streaming-packets",
	.write_record = packet_record,
	.write_gap = packet_gap,
	.write_caught_up = packet_caught_up,
};

const stream_form stream_form_packets = {
	.content_type = PACKET_MEDIA_TYPE,
	.format = &packet_format,
	.opening = {"", 0},
	.heartbeat = {"\0\0\0\1\4", 5},
	.write_leased = packet_write_record,
	.write_leased_gap = packet_write_gap,
	.write_event = packet_event,
};

/* ---- Accept ---- */

const stream_form *stream_form_choose(str accept)
{
	static const stream_form *const forms[] = {&stream_form_sse, &stream_form_lines, &stream_form_packets};
	const stream_form *best = str_trim(accept).len == 0 ? &stream_form_sse : NULL;
	accept_fitness most = ACCEPT_NOT;
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		accept_fitness fit = accept_fit(accept, str_from_c(forms[i]->content_type));
		if (fit > most) {
			most = fit;
			best = forms[i];
		}
	}
	return best;
}
