#include "http/websocket.h"

#include "base/sha1.h"
#include "base/text.h"
#include "http/stream_impl.h"
#include "http/websocket_input.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPCODE_TEXT = 0x1,
	OPCODE_CLOSE = 0x8,
	OPCODE_PING = 0x9,
	FINAL = 0x80,
	LENGTH_16_BITS = 126,
	LENGTH_64_BITS = 127,
	ANSWER_BYTES_MAX = 64 * 1024, /* control frames that one read of the socket can ask for */
	KEY_BYTES = 24,
	ACCEPT_BYTES_MAX = 64
};

struct websocket {
	http_stream *stream;
	websocket_options options;
	websocket_input *input; /* the stream's thread */
	atomic_size_t references;
};

/* ---- frames ---- */

size_t websocket_write_head(char out[WEBSOCKET_HEAD_MAX], unsigned opcode, size_t bytes)
{
	size_t length_bytes = bytes < LENGTH_16_BITS ? 0 : bytes <= UINT16_MAX ? 2 : 8;
	size_t first = length_bytes == 0 ? bytes : length_bytes == 2 ? (size_t)LENGTH_16_BITS : (size_t)LENGTH_64_BITS;
	out[0] = (char)(FINAL | opcode);
	out[1] = (char)first;
	for (size_t i = 0; i < length_bytes; i++) {
		out[2 + i] = (char)((uint64_t)bytes >> (8 * (length_bytes - 1 - i)));
	}
	return 2 + length_bytes;
}

static frame *head_frame(unsigned opcode, size_t bytes)
{
	char head[WEBSOCKET_HEAD_MAX];
	size_t len = websocket_write_head(head, opcode, bytes);
	return frame_new((str){head, len});
}

void websocket_write_accept(buf *out, str key)
{
	unsigned char digest[SHA1_BYTES];
	char text[KEY_BYTES + 36];
	str suffix = STR("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
	str head = str_take(key, KEY_BYTES);
	memcpy(text, head.ptr, head.len);
	memcpy(text + head.len, suffix.ptr, suffix.len);
	sha1((str){text, head.len + suffix.len}, digest);
	text_base64_encode(out, (str){(const char *)digest, sizeof digest});
}

/* ---- life ---- */

void websocket_unref(websocket *w)
{
	if (w != NULL && atomic_fetch_sub_explicit(&w->references, 1, memory_order_acq_rel) == 1) {
		http_stream_unref(w->stream);
		websocket_input_free(w->input);
		free(w);
	}
}

/* ---- callbacks of the stream ---- */

static void on_text(void *context, str text)
{
	const websocket *w = context;
	w->options.on_text(w->options.context, text);
}

static void on_binary(void *context)
{
	const websocket *w = context;
	w->options.on_binary(w->options.context);
}

static void on_input(void *context, str bytes)
{
	websocket *w = context;
	buf answer;
	buf_init(&answer, ANSWER_BYTES_MAX);
	bool goes_on = websocket_input_take(w->input, bytes, &answer);
	frame *reply = frame_new(buf_str(&answer));
	if (!goes_on) {
		http_stream_end(w->stream, reply);
	} else if (reply != NULL) {
		/* A pong for which there is no room is left out: the client gets its messages instead. */
		(void)http_stream_push(w->stream, reply);
	}
	frame_unref(reply);
	buf_dispose(&answer);
}

static void on_drain(void *context)
{
	const websocket *w = context;
	w->options.on_drain(w->options.context);
}

static void on_expire(void *context)
{
	const websocket *w = context;
	if (w->options.on_expire != NULL) {
		w->options.on_expire(w->options.context);
	}
}

static void on_shutdown(void *context)
{
	const websocket *w = context;
	w->options.on_shutdown(w->options.context);
}

static void on_closed(void *context, http_stream_end_reason reason)
{
	websocket *w = context;
	w->options.on_closed(w->options.context, reason);
	websocket_unref(w);
}

/* ---- opening ---- */

/* A list of words, as in `Connection: keep-alive, Upgrade`. */
static bool has_word(str list, str word)
{
	str item;
	bool has_more = list.ptr != NULL;
	while (has_more) {
		has_more = str_split(list, ',', &item, &list);
		if (str_equal_ignore_case(str_trim(item), word)) {
			return true;
		}
	}
	return false;
}

static bool check_handshake(http_exchange *x, str *key, err *e)
{
	str decoded;
	*key = http_request_header(x, STR("Sec-WebSocket-Key"));
	bool is_upgrade = x->method == HTTP_GET && !x->is_http_1_0 &&
					  has_word(http_request_header(x, STR("Connection")), STR("upgrade")) &&
					  has_word(http_request_header(x, STR("Upgrade")), STR("websocket"));
	if (!is_upgrade) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "this path is a WebSocket: connect with a WebSocket client, over HTTP/1.1");
	}
	if (!str_equal(http_request_header(x, STR("Sec-WebSocket-Version")), STR("13"))) {
		(void)http_reply_header(x, STR("Sec-WebSocket-Version"), STR("13"));
		return err_set(e, ERR_INVALID_REQUEST, "Sec-WebSocket-Version must be 13");
	}
	if (key->len != KEY_BYTES || !text_base64_decode(http_arena(x), *key, &decoded) || decoded.len != 16) {
		return err_set(e, ERR_INVALID_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64");
	}
	return true;
}

static websocket *refuse(http_exchange *x, const err *e)
{
	http_send_error(x, e);
	return NULL;
}

static bool add_headers(http_exchange *x, str key)
{
	buf accept;
	buf_init(&accept, ACCEPT_BYTES_MAX);
	websocket_write_accept(&accept, key);
	bool ok = !accept.failed && http_reply_header(x, STR("Upgrade"), STR("websocket")) &&
			  http_reply_header(x, STR("Sec-WebSocket-Accept"), buf_str(&accept));
	buf_dispose(&accept);
	return ok;
}

/* With two references. */
static websocket *websocket_new(const websocket_options *options)
{
	websocket *w = calloc(1, sizeof *w);
	if (w == NULL) {
		return NULL;
	}
	w->options = *options;
	atomic_init(&w->references, 2);
	w->input = websocket_input_new(options->max_message_bytes, (websocket_sink){on_text, on_binary, w});
	if (w->input == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

websocket *websocket_open(http_exchange *x, const websocket_options *options)
{
	err e;
	str key;
	if (!check_handshake(x, &key, &e)) {
		return refuse(x, &e);
	}
	websocket *w = websocket_new(options);
	frame *ping = options->ping_ms > 0 ? head_frame(OPCODE_PING, 0) : NULL;
	if (w == NULL || !add_headers(x, key)) {
		frame_unref(ping);
		websocket_unref(w);
		websocket_unref(w);
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another connection; try again later");
		return refuse(x, &e);
	}
	http_stream_options stream = {
		.heartbeat = ping,
		.heartbeat_ms = options->ping_ms,
		.stall_ms = options->stall_ms,
		.max_age_ms = options->max_age_ms,
		.place = &w->stream,
		.context = w,
		.on_drain = on_drain,
		.on_expire = on_expire,
		.on_shutdown = on_shutdown,
		.on_input = on_input,
		.on_closed = on_closed,
	};
	if (options->place != NULL) {
		*options->place = w;
	}
	bool is_open = stream_open_as(x, 101, HEAD_UPGRADE, &stream) != NULL;
	frame_unref(ping);
	if (!is_open) {
		if (options->place != NULL) {
			*options->place = NULL;
		}
		websocket_unref(w); /* the stream's: it never was */
		websocket_unref(w);
		return NULL;
	}
	return w;
}

/* ---- sending ---- */

http_push websocket_send(websocket *w, frame *text)
{
	frame *parts[] = {head_frame(OPCODE_TEXT, frame_payload(text).len), text};
	if (parts[0] == NULL) {
		return HTTP_PUSH_CLOSED;
	}
	http_push pushed = http_stream_push_all(w->stream, parts, 2);
	frame_unref(parts[0]);
	return pushed;
}

void websocket_pause(websocket *w, bool is_paused)
{
	http_stream_pause_input(w->stream, is_paused);
}

void websocket_close(websocket *w, websocket_code code, str reason, frame *last)
{
	char head[WEBSOCKET_HEAD_MAX];
	str said = str_take(reason, WEBSOCKET_REASON_MAX);
	buf out;
	buf_init(&out, last != NULL ? frame_payload(last).len + ANSWER_BYTES_MAX : ANSWER_BYTES_MAX);
	if (last != NULL) {
		buf_append(&out, head, websocket_write_head(head, OPCODE_TEXT, frame_payload(last).len));
		buf_append_str(&out, frame_payload(last));
	}
	buf_append(&out, head, websocket_write_head(head, OPCODE_CLOSE, 2 + said.len));
	buf_append_byte(&out, (char)(code >> 8));
	buf_append_byte(&out, (char)(code & 0xff));
	buf_append_str(&out, said);
	frame *end = out.failed ? NULL : frame_new(buf_str(&out));
	http_stream_end(w->stream, end);
	frame_unref(end);
	buf_dispose(&out);
}
