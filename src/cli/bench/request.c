#include "cli/bench/request.h"

void request_render(const request *r, buf *out)
{
	buf_printf(out, "%s %.*s HTTP/1.1\r\nHost: %.*s\r\n", r->method, STR_ARG(r->path), STR_ARG(r->authority));
	if (r->api_key.ptr != NULL) {
		buf_printf(out, "X-API-Key: %.*s\r\n", STR_ARG(r->api_key));
	}
	if (r->accept != NULL) {
		buf_printf(out, "Accept: %s\r\n", r->accept);
	}
	if (r->content_type != NULL || r->body.ptr != NULL) {
		buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
				   r->content_type != NULL ? r->content_type : "application/json", r->body.len);
	}
	buf_append_str(out, STR("\r\n"));
	if (r->body.ptr != NULL) {
		buf_append_str(out, r->body);
	}
}
