#include "api/streaming/stream_form.h"

#include "api/streaming/encode.h"
#include "api/streaming/position.h"

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

static const log_format sse_format = {.name = "streaming-sse", .write_record = sse_record, .write_gap = sse_gap};

const stream_form stream_form_sse = {
	.content_type = "text/event-stream",
	.format = &sse_format,
	.opening = "retry: 2000\n\n",
	.heartbeat = ": hb\n\n",
	.is_sse = true,
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

static const log_format line_format = {.name = "streaming-lines", .write_record = line_record, .write_gap = line_gap};

const stream_form stream_form_lines = {
	.content_type = "application/x-ndjson",
	.format = &line_format,
	.opening = "",
	.heartbeat = "\n",
	.is_sse = false,
};

/* ---- both ---- */

void stream_form_write_leased(const stream_form *f, buf *out, const log_record *r)
{
	buf_append_str(out, f->is_sse ? STR("data: {") : STR("{"));
	encode_record(out, r);
	buf_append_str(out, f->is_sse ? STR("}\n\n") : STR("}\n"));
}

void stream_form_write_event(const stream_form *f, buf *out, const char *event, str position, str members)
{
	if (f->is_sse) {
		if (position.len > 0) {
			buf_append_str(out, STR("id: "));
			buf_append_str(out, position);
			buf_append_byte(out, '\n');
		}
		buf_append_str(out, STR("event: "));
		buf_append_str(out, str_from_c(event));
		buf_append_str(out, STR("\ndata: {"));
	} else {
		buf_append_str(out, STR("{\"event\":\""));
		buf_append_str(out, str_from_c(event));
		buf_append_str(out, STR("\","));
	}
	buf_append_str(out, members);
	if (position.len > 0) {
		buf_append_str(out, STR(",\"cursor\":\""));
		buf_append_str(out, position);
		buf_append_byte(out, '"');
	}
	buf_append_str(out, f->is_sse ? STR("}\n\n") : STR("}\n"));
}

/* ---- Accept ---- */

/* Whether a parameter says q=0: this type is not wanted. */
static bool is_excluded(str parameters)
{
	str parameter;
	for (str rest = parameters; rest.ptr != NULL;) {
		str_split(rest, ';', &parameter, &rest);
		str value;
		str name;
		str_split(str_trim(parameter), '=', &name, &value);
		if (!str_equal_ignore_case(str_trim(name), STR("q")) || value.ptr == NULL) {
			continue;
		}
		bool is_zero = value.len > 0;
		for (size_t i = 0; i < value.len; i++) {
			is_zero = is_zero && (value.ptr[i] == '0' || value.ptr[i] == '.' || value.ptr[i] == ' ');
		}
		return is_zero;
	}
	return false;
}

/* How well an Accept fits a media type: 3 named, 2 its top-level type, 1 anything, 0 excluded or not mentioned. */
static int fitness(str accept, str type, str top)
{
	int best = 0;
	int excluded = 0;
	str entry;
	for (str rest = accept; rest.ptr != NULL;) {
		str range;
		str parameters;
		str_split(rest, ',', &entry, &rest);
		str_split(entry, ';', &range, &parameters);
		range = str_trim(range);
		int fit = str_equal_ignore_case(range, type)  ? 3
				  : str_equal_ignore_case(range, top) ? 2
				  : str_equal(range, STR("*/*"))      ? 1
													  : 0;
		if (fit > 0 && is_excluded(parameters)) {
			excluded = fit > excluded ? fit : excluded;
		} else if (fit > best) {
			best = fit;
		}
	}
	return best > excluded ? best : 0;
}

const stream_form *stream_form_choose(str accept)
{
	if (str_trim(accept).len == 0) {
		return &stream_form_sse;
	}
	int sse = fitness(accept, STR("text/event-stream"), STR("text/*"));
	int lines = fitness(accept, STR("application/x-ndjson"), STR("application/*"));
	if (sse == 0 && lines == 0) {
		return NULL;
	}
	return sse >= lines ? &stream_form_sse : &stream_form_lines;
}
