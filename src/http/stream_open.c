#include "http/engine.h"
#include "http/head.h"
#include "http/server_impl.h"

#include <stdlib.h>

static http_stream *refuse(http_exchange *x, err_code code, const char *message)
{
	err e;
	err_set(&e, code, "%s", message);
	http_send_error(x, &e);
	return NULL;
}

http_stream *http_stream_open(http_exchange *x, const http_stream_options *options)
{
	http_server *server = x->server;
	if (options->place != NULL) {
		*options->place = NULL;
	}
	engine *e = server->engine;
	if (x->method == HTTP_HEAD) {
		exchange_reply_header(x, "Content-Type", options->content_type);
		http_send(x, 200, NULL);
		return NULL;
	}
	if (atomic_load_explicit(&server->is_stopping, memory_order_relaxed)) {
		return refuse(x, ERR_SHUTTING_DOWN, "the server is shutting down; connect again");
	}
	if (!engine_reserve(e)) {
		metric_add(server->stats.refused[REFUSED_STREAMS], 1);
		return refuse(x, ERR_THROTTLED, "the server has as many open streams as it may; try again later");
	}
	buf head;
	buf_init(&head, HEAD_BYTES_MAX);
	bool is_bare = x->transport->frames_bodies;
	bool is_chunked = !x->is_http_1_0 && !is_bare;
	x->status = 200;
	exchange_reply_header(x, "Content-Type", options->content_type);
	reply_add_common_headers(x);
	if (!is_bare) {
		head_write(x, is_chunked ? HEAD_CHUNKED : HEAD_TO_CLOSE, &head);
	}
	int fd = head.failed ? -1 : x->transport->detach(x);
	if (fd < 0) {
		buf_dispose(&head);
		engine_unreserve(e);
		metric_add(server->stats.refused[REFUSED_DESCRIPTORS], 1);
		x->reply_header_count = 0;
		return refuse(x, ERR_UNAVAILABLE, "the server has no descriptors left; try again later");
	}
	size_t head_bytes = 0;
	char *bytes = buf_detach(&head, &head_bytes);
	http_stream *s = engine_open(e, fd, bytes, head_bytes, is_chunked, options);
	exchange_end_turn(x, ENDING_DETACHED);
	return s;
}
