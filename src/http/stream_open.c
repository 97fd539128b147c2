#include "http/server_impl.h"
#include "http/stream_impl.h"

#include <stdlib.h>

static http_stream *refuse(http_exchange *x, err_code code, const char *message)
{
	err e;
	err_set(&e, code, "%s", message);
	http_send_error(x, &e);
	return NULL;
}

http_stream *stream_open_as(http_exchange *x, int status, head_framing framing, const http_stream_options *options)
{
	http_server *server = x->server;
	engine *e = server->engine;
	if (options->place != NULL) {
		*options->place = NULL;
	}
	if (atomic_load_explicit(&server->is_stopping, memory_order_relaxed)) {
		return refuse(x, ERR_SHUTTING_DOWN, "the server is shutting down; connect again");
	}
	if (!engine_reserve(e)) {
		metric_add(server->stats.refused[REFUSED_STREAMS], 1);
		return refuse(x, ERR_THROTTLED, "the server has as many open streams as it may; try again later");
	}
	err refused;
	void *hold = NULL;
	if (server->options.hold_stream != NULL && !server->options.hold_stream(x, &hold, &refused)) {
		engine_unreserve(e);
		x->reply_header_count = 0;
		http_send_error(x, &refused);
		return NULL;
	}
	buf head;
	buf_init(&head, HEAD_BYTES_MAX);
	bool is_bare = x->transport->frames_bodies;
	x->status = status;
	if (options->content_type != NULL) {
		exchange_reply_header(x, "Content-Type", options->content_type);
	}
	reply_add_common_headers(x);
	if (!is_bare) {
		head_write(x, framing, &head);
	}
	int fd = head.failed ? -1 : x->transport->detach(x);
	if (fd < 0) {
		buf_dispose(&head);
		engine_release(e, hold);
		engine_unreserve(e);
		metric_add(server->stats.refused[REFUSED_DESCRIPTORS], 1);
		x->reply_header_count = 0;
		return refuse(x, ERR_UNAVAILABLE, "the server has no descriptors left; try again later");
	}
	size_t head_bytes = 0;
	char *bytes = buf_detach(&head, &head_bytes);
	http_stream *s = engine_open(e, fd, bytes, head_bytes, framing == HEAD_CHUNKED && !is_bare, options, hold,
								 x->transport->peer(x)->tls);
	exchange_end_turn(x, ENDING_DETACHED);
	return s;
}

http_stream *http_stream_open(http_exchange *x, const http_stream_options *options)
{
	if (x->method == HTTP_HEAD) {
		if (options->place != NULL) {
			*options->place = NULL;
		}
		exchange_reply_header(x, "Content-Type", options->content_type);
		http_send(x, 200, NULL);
		return NULL;
	}
	return stream_open_as(x, 200, x->is_http_1_0 ? HEAD_TO_CLOSE : HEAD_CHUNKED, options);
}
