#include "http/h2_impl.h"

#include "http/server_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	OUTBOUND_ACKS_MAX = 1000, /* answers to pings and settings that wait to be sent */
	RESETS_BURST = 1000,
	RESETS_PER_SECOND = 100,
	CONTINUATIONS_MAX = 8,
	IDLE_FRAMES_BURST = 10000, /* and one more each millisecond */
	IDLE_FRAMES_EARNED = 2,    /* by each frame of a request or a reply: windows have to be opened for them */
	FRAME_TYPES_KNOWN = 10,    /* by RFC 9113 */
	FRAME_TYPES = 256,
};

static h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- floods ---- */

static void earn(h2_conn *c, int64_t frames)
{
	int64_t left = c->idle_frames_left + frames;
	c->idle_frames_left = left < IDLE_FRAMES_BURST ? left : IDLE_FRAMES_BURST;
}

/* Pings, settings, priorities, windows, empty DATA, frames of a type that nobody knows: each is cheap, and costs its sender
 * even less. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *f, void *context)
{
	h2_conn *c = context;
	const int64_t now_ms = c->worker->now_ms;
	if (f->type == NGHTTP2_HEADERS || (f->type == NGHTTP2_DATA && f->length > 0)) {
		earn(c, IDLE_FRAMES_EARNED);
		return 0;
	}
	earn(c, now_ms - c->earned_ms);
	c->earned_ms = now_ms;
	if (--c->idle_frames_left < 0) {
		metric_add(c->worker->owner->server->stats.refused[REFUSED_MALFORMED], 1);
		return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
	}
	return 0;
}

/* A frame of another type is passed over; nghttp2 shows it to on_begin_frame only when somebody asks for its like. */
static int pass_over(nghttp2_session *session, void **payload, const nghttp2_frame_hd *f, void *context)
{
	(void)session;
	(void)payload;
	(void)f;
	(void)context;
	return NGHTTP2_ERR_CANCEL;
}

/* ---- requests and replies ---- */

static bool is_request(const nghttp2_frame *f)
{
	return f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *f, void *context)
{
	h2_conn *c = context;
	if (!is_request(f)) {
		return 0;
	}
	/* Streams that were reset while the application works on them count too: or resetting would be a way round the
	 * limit. */
	h2_stream *s = c->stream_count < 2 * (size_t)H2_STREAMS_MAX ? h2_stream_new(c, f->hd.stream_id) : NULL;
	if (s == NULL) {
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	nghttp2_session_set_stream_user_data(session, f->hd.stream_id, s);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
					 const uint8_t *value, size_t value_len, uint8_t flags, void *context)
{
	(void)flags;
	(void)context;
	h2_stream *s = is_request(f) ? stream_of(session, f->hd.stream_id) : NULL;
	if (s != NULL) {
		h2_stream_take_header(s, (str){(const char *)name, name_len}, (str){(const char *)value, value_len});
	}
	return 0;
}

static int on_frame_received(nghttp2_session *session, const nghttp2_frame *f, void *context)
{
	(void)context;
	bool has_end = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) {
		return 0;
	}
	h2_stream *s = stream_of(session, f->hd.stream_id);
	if (s == NULL) {
		return 0;
	}
	if (is_request(f)) {
		s->has_all = has_end;
		h2_stream_begin(s);
	} else if (has_end) {
		h2_stream_end_body(s);
	}
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *context)
{
	(void)flags;
	(void)context;
	h2_stream *s = stream_of(session, id);
	if (s != NULL) {
		h2_stream_take_body(s, (str){(const char *)data, len});
	} else {
		nghttp2_session_consume(session, id, len);
	}
	return 0;
}

/* A reply that came before the end of the request. A reset right behind it would make some clients (curl 7) forget the
 * reply: they get a moment to read it and stop by themselves. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *f, void *context)
{
	if (f->hd.type == NGHTTP2_DATA) {
		earn(context, IDLE_FRAMES_EARNED);
	}
	bool is_last =
		(f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0 && (f->hd.type == NGHTTP2_HEADERS || f->hd.type == NGHTTP2_DATA);
	h2_stream *s = is_last ? stream_of(session, f->hd.stream_id) : NULL;
	if (s != NULL) {
		s->has_replied = true;
		s->since_ms = s->conn->worker->now_ms;
	}
	return 0;
}

static int on_stream_closed(nghttp2_session *session, int32_t id, uint32_t error_code, void *context)
{
	(void)error_code;
	(void)context;
	h2_stream *s = stream_of(session, id);
	if (s != NULL) {
		nghttp2_session_set_stream_user_data(session, id, NULL);
		h2_stream_close(s);
	}
	return 0;
}

/* ---- life ---- */

bool h2_session_prepare(h2_worker *w)
{
	if (nghttp2_session_callbacks_new(&w->callbacks) != 0 || nghttp2_option_new(&w->option) != 0) {
		return false;
	}
	nghttp2_session_callbacks *on = w->callbacks;
	nghttp2_session_callbacks_set_on_begin_frame_callback(on, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(on, on_begin_headers);
	nghttp2_session_callbacks_set_unpack_extension_callback(on, pass_over);
	nghttp2_session_callbacks_set_on_header_callback(on, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(on, on_frame_received);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(on, on_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(on, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(on, on_stream_closed);
	/* The windows open as the application takes what came. */
	nghttp2_option_set_no_auto_window_update(w->option, 1);
	nghttp2_option_set_max_outbound_ack(w->option, OUTBOUND_ACKS_MAX);
	nghttp2_option_set_stream_reset_rate_limit(w->option, RESETS_BURST, RESETS_PER_SECOND);
	nghttp2_option_set_max_continuations(w->option, CONTINUATIONS_MAX);
	for (int type = FRAME_TYPES_KNOWN; type < FRAME_TYPES; type++) {
		nghttp2_option_set_user_recv_extension_type(w->option, (uint8_t)type);
	}
	return true;
}

bool h2_session_open(h2_conn *c)
{
	const uint32_t header_bytes = c->worker->owner->server->options.max_header_bytes;
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW_BYTES},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, header_bytes},
	};
	c->idle_frames_left = IDLE_FRAMES_BURST;
	c->earned_ms = c->worker->now_ms;
	return nghttp2_session_server_new2(&c->session, c->worker->callbacks, c, c->worker->option) == 0 &&
		   nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof settings[0]) ==
			   0 &&
		   nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, H2_WINDOW_BYTES) == 0;
}

void h2_session_end(h2_conn *c, uint32_t error_code)
{
	if (!c->is_ending) {
		c->is_ending = true;
		nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(c->session),
							  error_code, NULL, 0);
		h2_mark_dirty(c);
	}
}

/* ---- the socket ---- */

bool h2_session_receive(h2_conn *c)
{
	h2_worker *w = c->worker;
	ssize_t got = recv(c->fd, w->input, sizeof w->input, MSG_DONTWAIT);
	if (got <= 0) {
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	}
	ssize_t taken = nghttp2_session_mem_recv(c->session, (const uint8_t *)w->input, (size_t)got);
	if (taken < 0) {
		metric_add(w->owner->server->stats.refused[REFUSED_MALFORMED], 1);
		return false;
	}
	h2_mark_dirty(c);
	return true;
}

static bool keep_rest(h2_conn *c, const char *bytes, size_t len)
{
	c->rest = malloc(len);
	if (c->rest == NULL) {
		return false;
	}
	memcpy(c->rest, bytes, len);
	c->rest_at = 0;
	c->rest_bytes = len;
	c->sent_ms = c->worker->now_ms;
	return true;
}

/* -1: the socket is dead. Otherwise what it took. */
static ssize_t write_some(h2_conn *c, const char *bytes, size_t len)
{
	ssize_t sent;
	do {
		sent = send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 && errno == EAGAIN ? 0 : sent;
}

static bool send_rest(h2_conn *c)
{
	ssize_t sent = write_some(c, c->rest + c->rest_at, c->rest_bytes - c->rest_at);
	if (sent < 0) {
		return false;
	}
	c->rest_at += (size_t)sent;
	c->sent_ms = sent > 0 ? c->worker->now_ms : c->sent_ms;
	if (c->rest_at == c->rest_bytes) {
		free(c->rest);
		c->rest = NULL;
	}
	return true;
}

/* Gathers frames until the buffer may not hold another one. */
static ssize_t gather(h2_conn *c)
{
	h2_worker *w = c->worker;
	size_t len = 0;
	const size_t frame_most = 16 * 1024 + 9;
	while (sizeof w->output - len >= frame_most) {
		const uint8_t *bytes = NULL;
		ssize_t count = nghttp2_session_mem_send(c->session, &bytes);
		if (count < 0) {
			return -1;
		}
		if (count == 0) {
			break;
		}
		if ((size_t)count > sizeof w->output - len) {
			return -1; /* frames are at most frame_most: the peer may not raise that without our doing */
		}
		memcpy(w->output + len, bytes, (size_t)count);
		len += (size_t)count;
	}
	return (ssize_t)len;
}

bool h2_session_send(h2_conn *c)
{
	if (c->rest != NULL && !send_rest(c)) {
		return false;
	}
	while (c->rest == NULL) {
		ssize_t len = gather(c);
		if (len <= 0) {
			return len == 0;
		}
		ssize_t sent = write_some(c, c->worker->output, (size_t)len);
		if (sent < 0 || (sent < len && !keep_rest(c, c->worker->output + sent, (size_t)(len - sent)))) {
			return false;
		}
	}
	return true;
}
