#include "http/head.h"

#include <time.h>

const char *head_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{101, "Switching Protocols"},
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{503, "Service Unavailable"},
	};
	for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
		if (reasons[i].status == status) {
			return reasons[i].reason;
		}
	}
	return "Status";
}

void head_write(const http_exchange *x, head_framing framing, buf *out)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
										 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t now = time(NULL);
	struct tm at = {.tm_mday = 1};
	gmtime_r(&now, &at);
	buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", x->status, head_reason(x->status),
			   days[at.tm_wday], at.tm_mday, months[at.tm_mon], at.tm_year + 1900, at.tm_hour, at.tm_min, at.tm_sec);
	for (size_t i = 0; i < x->reply_header_count; i++) {
		buf_append_str(out, str_from_c(x->reply_headers[i].name));
		buf_append(out, ": ", 2);
		buf_append_str(out, str_from_c(x->reply_headers[i].value));
		buf_append(out, "\r\n", 2);
	}
	switch (framing) {
	case HEAD_CHUNKED:
		buf_append_str(out, STR("Transfer-Encoding: chunked\r\n"));
		break;
	case HEAD_LENGTH:
		if (x->status != 204 && x->status != 304) {
			buf_printf(out, "Content-Length: %zu\r\n", x->reply.len);
		}
		break;
	case HEAD_TO_CLOSE:
	case HEAD_UPGRADE:
		break;
	}
	buf_append_str(out,
				   framing == HEAD_UPGRADE ? STR("Connection: Upgrade\r\n\r\n") : STR("Connection: close\r\n\r\n"));
}
