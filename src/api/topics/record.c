#include "api/topics/record.h"

#include <string.h>

#include "api/api.h"
#include "base/jscan.h"
#include "base/jwrite.h"
#include "base/text.h"

static bool is_json(str value)
{
	jscan s;
	jscan_init(&s, value, API_JSON_DEPTH);
	return jscan_skip(&s) && jscan_end(&s);
}

static bool has_space(str text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
			return true;
		}
	}
	return false;
}

void record_write_data(buf *out, str value)
{
	buf_append_str(out, STR("\"data\":"));
	if (!is_json(value)) {
		buf_append_str(out, STR("{\"$base64\":\""));
		text_base64_encode(out, value);
		buf_append_str(out, STR("\"}"));
	} else if (has_space(value)) {
		jscan_compact(value, out);
	} else {
		buf_append_str(out, value);
	}
}

void record_write_meta(buf *out, const log_record *r)
{
	if (r->meta.ptr != NULL) {
		buf_append_str(out, STR(",\"meta\":"));
		buf_append_str(out, r->meta);
	}
}

/* Other dialects may store bytes that are no text: those are not shown. */
static void write_text(buf *out, const char *member, str text)
{
	if (text.ptr != NULL && text_is_utf8(text)) {
		buf_append_byte(out, ',');
		jwrite_key(out, member);
		jwrite_string(out, text);
	}
}

void record_write_tag(buf *out, const log_record *r)
{
	write_text(out, "$tag", r->tag);
}

void record_write_node(buf *out, const log_record *r)
{
	write_text(out, "$node", r->node);
}

void record_write(buf *out, const log_record *r, record_view view)
{
	buf_append_str(out, STR("{\"$seq\":"));
	buf_append_i64(out, r->offset + 1);
	buf_append_str(out, STR(",\"$ts\":"));
	buf_append_i64(out, r->committed_ms);
	if (view.has_node) {
		record_write_node(out, r);
	}
	if (view.has_tag) {
		record_write_tag(out, r);
	}
	if (view.has_data) {
		buf_append_byte(out, ',');
		record_write_data(out, r->value);
	}
	if (view.has_meta) {
		record_write_meta(out, r);
	}
	buf_append_byte(out, '}');
}

uint64_t record_payload_bytes(const log_record *r)
{
	return r->value.len + r->meta.len;
}
