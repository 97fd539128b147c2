/*
 * http/websocket_input: bytes of a client's frames to messages, and the control frames that answer them.
 *
 * Owns     its parser's state. Threads: one at a time.
 * Limits   max_message_bytes of one message, over all its fragments; wslay frees what it holds of a larger one.
 */
#ifndef TIDEGATE_HTTP_WEBSOCKET_INPUT_H
#define TIDEGATE_HTTP_WEBSOCKET_INPUT_H

#include "base/buf.h"

typedef struct websocket_input websocket_input;

typedef struct websocket_sink {
	void (*on_text)(void *context, str text);
	void (*on_binary)(void *context);
	void *context;
} websocket_sink;

websocket_input *websocket_input_new(size_t max_message_bytes, websocket_sink sink); /* NULL when memory is out */
void websocket_input_free(websocket_input *in);                                      /* accepts NULL */
/* Takes all of `bytes`. Control frames to be sent (pongs, the close frame) are appended to `answer`. False: the
 * connection is over once `answer` is sent. */
bool websocket_input_take(websocket_input *in, str bytes, buf *answer);

#endif
