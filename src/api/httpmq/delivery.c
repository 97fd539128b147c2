#include "api/httpmq/delivery.h"

#include "api/httpmq/wire.h"
#include "base/text.h"

void delivery_write(buf *out, const take_message *m)
{
	buf_append_str(out, STR("\"sequence\":{\"stream\":"));
	buf_append_i64(out, m->delivery.sequence);
	buf_append_str(out, STR(",\"consumer\":"));
	buf_append_i64(out, m->delivery.consumer_sequence);
	buf_append_str(out, STR("},\"b64_msg\":\""));
	text_base64_encode(out, m->value);
	buf_append_byte(out, '"');
}

void delivery_write_details(buf *out, const take_message *m)
{
	buf_append_str(out, STR(",\"timestamp\":"));
	httpmq_write_time(out, m->timestamp_ms);
	buf_append_str(out, STR(",\"deliveries\":"));
	buf_append_i64(out, m->sends);
	if (m->headers.len > 0) {
		buf_append_str(out, STR(",\"headers\":"));
		httpmq_write_json(out, m->headers);
	}
}
