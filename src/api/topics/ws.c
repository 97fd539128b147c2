/*
 * GET /v0/ws: subscriptions and writes over one WebSocket.
 *
 * Commands are carried out one after the other: the next one waits until the answer to this one is in the queue of what
 * goes out, and while one is at work no more is read from the client. So a client that does not read is not read from.
 *
 * Two parties hold a connection: the WebSocket until on_closed, its opener until it is through; and each command at work.
 * Callbacks of the log pass the set (its lock), then the socket.
 */
#include "api/gate.h"
#include "api/topics/hub.h"
#include "api/topics/topics.h"
#include "api/topics/ws_command.h"
#include "api/topics/ws_run.h"
#include "auth/watch.h"
#include "base/jwrite.h"
#include "http/websocket.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	MESSAGE_BYTES_MAX = 16 << 20,
	SMALL_BYTES_MAX = 16 << 10,
	PING_MS = 15000,
};

/* What came, in order. Bounded by what one read of the socket holds, or one message. */
typedef struct message {
	struct message *next;
	bool is_binary;
	str text;
	char bytes[];
} message;

typedef struct ws {
	api *api;
	live_slot *slot;
	const auth_principal *principal;
	websocket *socket;
	watch_set *set;
	auth_watch *credential;
	atomic_size_t references;
	pthread_mutex_t lock; /* guards what follows */
	message *first;
	message *last;
	bool is_busy;  /* a command is at work, or its answer waits */
	frame *answer; /* waits for room */
	bool is_open;  /* the opener is through: on_closed cleans up */
	bool is_closed;
} ws;

static void drop_messages(ws *w)
{
	while (w->first != NULL) {
		message *m = w->first;
		w->first = m->next;
		free(m);
	}
	w->last = NULL;
}

static void unref(ws *w)
{
	if (atomic_fetch_sub_explicit(&w->references, 1, memory_order_acq_rel) == 1) {
		drop_messages(w);
		frame_unref(w->answer);
		websocket_unref(w->socket);
		watch_set_free(w->set);
		auth_principal_unref(w->principal);
		pthread_mutex_destroy(&w->lock);
		free(w);
	}
}

/* ---- ending ---- */

static frame *error_frame(const char *code, const char *text)
{
	buf out;
	buf_init(&out, SMALL_BYTES_MAX);
	ws_write_error(&out, STR("null"), code, text);
	frame *f = out.failed ? NULL : frame_new(buf_str(&out));
	buf_dispose(&out);
	return f;
}

static void close_with(ws *w, websocket_code how, const char *code, const char *text)
{
	frame *last = error_frame(code, text);
	websocket_close(w->socket, how, str_from_c(code), last);
	frame_unref(last);
}

static void on_shutdown(void *context)
{
	close_with(context, WEBSOCKET_GOING_AWAY, "server_shutting_down",
			   "the server stops; connect again and go on from the last seq");
}

static void on_expire(void *context)
{
	close_with(context, WEBSOCKET_POLICY, "unauthorized", "the key has expired; connect again with a valid one");
}

static void on_credential_end(void *context, const err *e)
{
	close_with(context, WEBSOCKET_POLICY, "unauthorized", e->message);
}

/* ---- called by the set ---- */

static http_push send_message(void *context, watch_set *set, frame *f)
{
	const ws *w = context;
	(void)set;
	return websocket_send(w->socket, f);
}

static void on_failed(void *context, str topic, const err *e)
{
	ws *w = context;
	(void)topic;
	if (e->code == ERR_SHUTTING_DOWN) {
		on_shutdown(w);
	} else {
		close_with(w, WEBSOCKET_INTERNAL, err_wire_code(e->code), e->message);
	}
}

/* ---- commands ---- */

/* False: there is no room for it; on_drain goes on. What was subscribed begins behind the answer. Takes the frame. */
static bool deliver(ws *w, frame *answer)
{
	if (answer == NULL) {
		close_with(w, WEBSOCKET_INTERNAL, "no_memory", "the server has no memory left for the answer");
		return true;
	}
	pthread_mutex_lock(&w->lock);
	bool has_room = websocket_send(w->socket, answer) != HTTP_PUSH_FULL;
	w->answer = has_room ? NULL : answer;
	pthread_mutex_unlock(&w->lock);
	if (has_room) {
		frame_unref(answer);
		watch_set_start(w->set);
	}
	return has_room;
}

/* The next message, or NULL: then nothing is at work, and more is read. */
static message *next_message(ws *w)
{
	pthread_mutex_lock(&w->lock);
	message *m = w->is_closed ? NULL : w->first;
	if (m != NULL) {
		w->first = m->next;
		w->last = w->first == NULL ? NULL : w->last;
	} else {
		w->is_busy = false;
		websocket_pause(w->socket, false);
	}
	pthread_mutex_unlock(&w->lock);
	return m;
}

static void work(ws *w);

/* A command that took its time. */
static void finish(void *context, frame *answer)
{
	ws *w = context;
	if (deliver(w, answer)) {
		work(w);
	}
	unref(w);
}

static void work(ws *w)
{
	for (message *m; (m = next_message(w)) != NULL;) {
		frame *answer = NULL;
		const ws_run_request request = {.api = w->api,
										.principal = w->principal,
										.set = w->set,
										.text = m->text,
										.memory = m,
										.is_binary = m->is_binary,
										.done = finish,
										.context = w};
		atomic_fetch_add_explicit(&w->references, 1, memory_order_relaxed);
		if (!ws_run(&request, &answer)) {
			return;
		}
		bool goes_on = deliver(w, answer);
		unref(w);
		if (!goes_on) {
			return;
		}
	}
}

static void take_message(ws *w, str text, bool is_binary)
{
	message *m = malloc(sizeof *m + text.len);
	if (m == NULL) {
		close_with(w, WEBSOCKET_INTERNAL, "no_memory", "the server has no memory left for this message");
		return;
	}
	if (text.len > 0) {
		memcpy(m->bytes, text.ptr, text.len);
	}
	*m = (message){.is_binary = is_binary, .text = {m->bytes, text.len}};
	pthread_mutex_lock(&w->lock);
	if (w->last != NULL) {
		w->last->next = m;
	} else {
		w->first = m;
	}
	w->last = m;
	bool starts = !w->is_busy;
	w->is_busy = true;
	websocket_pause(w->socket, true);
	pthread_mutex_unlock(&w->lock);
	if (starts) {
		work(w);
	}
}

/* ---- called by the socket ---- */

static void on_text(void *context, str text)
{
	take_message(context, text, false);
}

static void on_binary(void *context)
{
	take_message(context, STR(""), true);
}

static void on_drain(void *context)
{
	ws *w = context;
	pthread_mutex_lock(&w->lock);
	frame *answer = w->answer;
	w->answer = NULL;
	pthread_mutex_unlock(&w->lock);
	if (answer == NULL || deliver(w, answer)) {
		watch_set_resume(w->set);
		if (answer != NULL) {
			work(w);
		}
	}
}

static void clean_up(ws *w)
{
	auth_watch_stop(w->credential);
	watch_set_close(w->set);
	live_slots_give_back(w->api->topics->slots, w->slot);
	unref(w);
}

static void on_closed(void *context, http_stream_end_reason reason)
{
	ws *w = context;
	(void)reason;
	pthread_mutex_lock(&w->lock);
	w->is_closed = true;
	bool is_mine = w->is_open;
	pthread_mutex_unlock(&w->lock);
	if (is_mine) {
		clean_up(w);
	}
}

/* ---- opening ---- */

/* With two references: the socket's and the opener's. NULL when memory is out. */
static ws *ws_new(const http_exchange *x)
{
	ws *w = calloc(1, sizeof *w);
	if (w == NULL) {
		return NULL;
	}
	const watch_sink sink = {.send = send_message, .on_failed = on_failed, .context = w};
	w->api = api_of(x);
	w->principal = auth_principal_ref(gate_principal(x));
	w->set = watch_set_new(w->api, WATCH_MESSAGES, sink);
	pthread_mutex_init(&w->lock, NULL);
	atomic_init(&w->references, 2);
	if (w->principal == NULL || w->set == NULL) {
		unref(w);
		unref(w);
		return NULL;
	}
	return w;
}

/* The connection is open: hands over to on_closed. */
static void start(ws *w)
{
	w->credential = auth_watch_start(w->api->auth, w->principal, on_credential_end, w);
	if (w->credential == NULL) {
		close_with(w, WEBSOCKET_INTERNAL, "no_memory", "the server has no memory left for this connection");
	}
	pthread_mutex_lock(&w->lock);
	w->is_open = true;
	bool is_late = w->is_closed;
	pthread_mutex_unlock(&w->lock);
	if (is_late) {
		clean_up(w);
	}
	unref(w);
}

static void open_socket(http_exchange *x, ws *w)
{
	const config *c = w->api->config;
	live_slot *slot = w->slot;
	live_slots *slots = w->api->topics->slots;
	const websocket_options options = {
		.max_message_bytes =
			c->max_body_bytes < MESSAGE_BYTES_MAX ? (size_t)c->max_body_bytes : (size_t)MESSAGE_BYTES_MAX,
		.ping_ms = PING_MS,
		.stall_ms = (uint32_t)c->stream_stall_ms,
		.max_age_ms = gate_credential_ms(x),
		.place = &w->socket,
		.context = w,
		.on_text = on_text,
		.on_binary = on_binary,
		.on_drain = on_drain,
		.on_expire = on_expire,
		.on_shutdown = on_shutdown,
		.on_closed = on_closed,
	};
	if (websocket_open(x, &options) != NULL) {
		start(w);
		return;
	}
	live_slots_give_back(slots, slot);
	watch_set_close(w->set);
	unref(w); /* the socket's: it never was */
	unref(w);
}

void topics_ws(http_exchange *x)
{
	err e;
	live_slot *slot = NULL;
	live_slots *slots = api_of(x)->topics->slots;
	if (!live_slots_take(slots, gate_principal(x), &slot, &e)) {
		http_send_error(x, &e);
		return;
	}
	ws *w = ws_new(x);
	if (w == NULL) {
		live_slots_give_back(slots, slot);
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another connection; try again later");
		http_send_error(x, &e);
		return;
	}
	w->slot = slot;
	open_socket(x, w);
}
