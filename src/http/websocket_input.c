#include "http/websocket_input.h"

#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

struct websocket_input {
	wslay_event_context_ptr events;
	websocket_sink sink;
	str rest;    /* not yet taken by wslay */
	buf *answer; /* during a take */
	bool is_binary;
};

static ssize_t give(wslay_event_context_ptr events, uint8_t *out, size_t len, int flags, void *context)
{
	websocket_input *in = context;
	(void)flags;
	if (in->rest.len == 0) {
		wslay_event_set_error(events, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	size_t count = len < in->rest.len ? len : in->rest.len;
	memcpy(out, in->rest.ptr, count);
	in->rest = str_skip(in->rest, count);
	return (ssize_t)count;
}

static ssize_t take_answer(wslay_event_context_ptr events, const uint8_t *bytes, size_t len, int flags, void *context)
{
	const websocket_input *in = context;
	(void)flags;
	buf_append(in->answer, bytes, len);
	if (in->answer->failed) {
		wslay_event_set_error(events, WSLAY_ERR_CALLBACK_FAILURE);
		return -1;
	}
	return (ssize_t)len;
}

static void on_message(wslay_event_context_ptr events, const struct wslay_event_on_msg_recv_arg *message, void *context)
{
	const websocket_input *in = context;
	(void)events;
	if (message->opcode == WSLAY_TEXT_FRAME) {
		in->sink.on_text(in->sink.context, (str){(const char *)message->msg, message->msg_length});
	} else if (message->opcode == WSLAY_BINARY_FRAME) {
		in->sink.on_binary(in->sink.context);
	}
}

websocket_input *websocket_input_new(size_t max_message_bytes, websocket_sink sink)
{
	static const struct wslay_event_callbacks callbacks = {
		.recv_callback = give, .send_callback = take_answer, .on_msg_recv_callback = on_message};
	websocket_input *in = calloc(1, sizeof *in);
	if (in == NULL || wslay_event_context_server_init(&in->events, &callbacks, in) != 0) {
		free(in);
		return NULL;
	}
	in->sink = sink;
	wslay_event_config_set_max_recv_msg_length(in->events, max_message_bytes);
	return in;
}

void websocket_input_free(websocket_input *in)
{
	if (in != NULL) {
		wslay_event_context_free(in->events);
		free(in);
	}
}

bool websocket_input_take(websocket_input *in, str bytes, buf *answer)
{
	in->rest = bytes;
	in->answer = answer;
	bool ok = wslay_event_recv(in->events) == 0;
	/* After a violation of the protocol the close frame with its code is queued. */
	while (ok && wslay_event_want_write(in->events)) {
		ok = wslay_event_send(in->events) == 0;
	}
	in->answer = NULL;
	in->rest = STR_NONE;
	return ok && !wslay_event_get_close_sent(in->events);
}
