#include "api/envelope.h"

#include "base/jwrite.h"
#include "base/text.h"

void envelope_write_members(buf *out, const err *e)
{
	str message = str_from_c(e->message);
	jwrite_key(out, "code");
	jwrite_string(out, str_from_c(err_wire_code(e->code)));
	buf_append_byte(out, ',');
	jwrite_key(out, "message");
	jwrite_string(out, message.len > 0 && text_is_utf8(message) ? message : STR("the request failed"));
	if (e->detail[0] != '\0') {
		buf_append_byte(out, ',');
		jwrite_key(out, "detail");
		buf_append_str(out, str_from_c(e->detail));
	}
}

const char *envelope_write(http_exchange *x, const err *e)
{
	buf *out = http_reply_body(x);
	buf_append_str(out, STR("{\"error\":{"));
	envelope_write_members(out, e);
	buf_append_str(out, STR("}}"));
	return "application/json";
}
