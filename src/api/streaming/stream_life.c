#include "api/streaming/stream_life.h"

#include "api/envelope.h"

void stream_add_headers(http_exchange *x)
{
	http_reply_header(x, STR("Cache-Control"), STR("no-store"));
	http_reply_header(x, STR("X-Accel-Buffering"), STR("no"));
}

frame *stream_last_frame(const stream_form *form, const char *reason, const err *e, str position)
{
	buf members;
	buf out;
	buf_init(&members, STREAM_LAST_FRAME_BYTES_MAX);
	buf_init(&out, STREAM_LAST_FRAME_BYTES_MAX);
	if (e != NULL) {
		envelope_write_members(&members, e);
	} else {
		buf_printf(&members, "\"reason\":\"%s\"", reason);
	}
	form->write_event(&out, e != NULL ? "error" : "end", position, buf_str(&members));
	frame *f = members.failed || out.failed ? NULL : frame_new(buf_str(&out));
	buf_dispose(&members);
	buf_dispose(&out);
	return f;
}
