#include "base/clock.h"
#include "base/id.h"
#include "http/acceptor.h"
#include "http/engine.h"
#include "http/h1.h"
#include "http/h2.h"
#include "http/server_impl.h"
#include "http/tls.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	TICK_MS_MAX = 1000,
	TICK_MS_MIN = 10,
	POLL_MS = 2,             /* while stopping */
	LINGER_AT_STOP_MS = 250, /* for clients to close streams that have ended */
	CUT_MS = 1000,           /* for on_closed of streams that were cut */
	LATE_REPLY_MS = 5000,    /* for the application, in free */
};

/* ---- what the parts call ---- */

size_t server_make_request_id(http_server *s, char *text)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t number = atomic_fetch_add_explicit(&s->request_ids, 1, memory_order_relaxed);
	char *at = text;
	memcpy(at, s->id_prefix, ID_PREFIX_BYTES);
	at += ID_PREFIX_BYTES;
	*at++ = '-';
	int shift = 60;
	while (shift > 0 && (number >> shift & 15) == 0) {
		shift -= 4;
	}
	for (; shift >= 0; shift -= 4) {
		*at++ = digits[number >> shift & 15];
	}
	*at = '\0';
	return (size_t)(at - text);
}

bool server_connection_opened(http_server *s)
{
	metric_add(s->stats.connections, 1);
	return atomic_fetch_add_explicit(&s->connections, 1, memory_order_relaxed) < (long)s->options.max_connections;
}

void server_connection_closed(http_server *s)
{
	metric_add(s->stats.connections, -1);
	atomic_fetch_sub_explicit(&s->connections, 1, memory_order_relaxed);
}

static void on_socket_closed(void *context)
{
	server_connection_closed(context);
}

/* ---- protocols ---- */

void server_take(http_server *s, protocol spoken, int fd, peer from)
{
	switch (spoken) {
	case PROTOCOL_TLS:
		tls_take(s->tls, fd, from);
		break;
	case PROTOCOL_HTTP2:
		h2_take(s->h2, fd, from);
		break;
	case PROTOCOL_HTTP1:
	case PROTOCOL_UNDECIDED:
		h1_take(s->h1, fd, from);
		break;
	}
}

static void tick(http_server *s, int64_t now_ms)
{
	h1_sweep(s->h1, now_ms);
	if (s->tls != NULL) {
		tls_look_at_files(s->tls, now_ms);
	}
}

/* ---- life ---- */

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value > 0 ? value : fallback;
}

static uint64_t or_default_64(uint64_t value, uint64_t fallback)
{
	return value > 0 ? value : fallback;
}

static void fill_in_defaults(http_server_options *o)
{
	const uint64_t kib = 1024;
	const uint64_t mib = kib * kib;
	o->threads = or_default(o->threads, 2);
	o->stream_threads = or_default(o->stream_threads, 1);
	o->max_connections = or_default(o->max_connections, 20000);
	o->max_streams = or_default(o->max_streams, 20000);
	o->header_timeout_ms = or_default(o->header_timeout_ms, 10000);
	o->idle_timeout_ms = or_default(o->idle_timeout_ms, 75000);
	o->body_timeout_ms = or_default(o->body_timeout_ms, 30000);
	o->min_body_rate = or_default(o->min_body_rate, 1024);
	o->max_header_bytes = or_default(o->max_header_bytes, 16 * (uint32_t)kib);
	o->max_body_bytes = or_default_64(o->max_body_bytes, 64 * mib);
	o->max_reply_bytes = or_default_64(o->max_reply_bytes, 128 * mib);
	o->max_arena_bytes = or_default_64(o->max_arena_bytes, 128 * mib);
	o->max_buffered_bytes = or_default_64(o->max_buffered_bytes, 1024 * mib);
	o->stream_queue_bytes = or_default_64(o->stream_queue_bytes, 256 * kib);
}

/* A quarter of the shortest deadline: what it may be late by. */
static uint32_t tick_ms(const http_server_options *o)
{
	uint32_t shortest = o->header_timeout_ms < o->idle_timeout_ms ? o->header_timeout_ms : o->idle_timeout_ms;
	shortest = o->body_timeout_ms < shortest ? o->body_timeout_ms : shortest;
	uint32_t period = shortest / 4;
	return period > TICK_MS_MAX ? TICK_MS_MAX : period < TICK_MS_MIN ? TICK_MS_MIN : period;
}

static bool prepare(http_server *s, err *e)
{
	http_server_options *o = &s->options;
	fill_in_defaults(o);
	if (o->metrics == NULL) {
		s->own_metrics = metric_registry_new();
		o->metrics = s->own_metrics;
	}
	if (o->cors_origin.len > 0) {
		s->cors_origin = strndup(o->cors_origin.ptr, o->cors_origin.len);
	}
	if (o->metrics == NULL || (o->cors_origin.len > 0 && s->cors_origin == NULL)) {
		return err_set(e, ERR_NO_MEMORY, "out of memory starting the HTTP server");
	}
	buf prefix;
	buf_init(&prefix, ID_PREFIX_BYTES);
	id_append_base64url(&prefix, ID_RANDOM_BYTES);
	if (prefix.failed) {
		return err_set(e, ERR_NO_MEMORY, "out of memory starting the HTTP server");
	}
	memcpy(s->id_prefix, prefix.ptr, ID_PREFIX_BYTES);
	buf_dispose(&prefix);
	if (!table_new(o->dialects, o->dialect_count, &s->table, e)) {
		return false;
	}
	if (!stats_init(&s->stats, o->metrics, s->table)) {
		return err_set(e, ERR_NO_MEMORY, "out of memory starting the HTTP server");
	}
	return h1_new(s, &s->h1, e) && h2_new(s, &s->h2, e) && (o->tls_listen_count == 0 || tls_new(s, &s->tls, e));
}

static void dispose(http_server *s)
{
	acceptor_free(s->acceptor);
	tls_free(s->tls);
	h1_free(s->h1);
	h2_free(s->h2);
	engine_free(s->engine);
	table_free(s->table);
	stats_dispose(&s->stats);
	metric_registry_free(s->own_metrics);
	free(s->cors_origin);
	free(s);
}

http_server *http_server_new(const http_server_options *options, err *e)
{
	http_server *s = calloc(1, sizeof *s);
	if (s == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory starting the HTTP server");
		return NULL;
	}
	s->options = *options;
	if (!prepare(s, e)) {
		dispose(s);
		return NULL;
	}
	return s;
}

static bool start_parts(http_server *s, err *e)
{
	const http_server_options *o = &s->options;
	const acceptor_options accepting = {
		.server = s,
		.tick = tick,
		.tick_ms = tick_ms(o),
	};
	const engine_options streaming = {
		.threads = o->stream_threads,
		.max_streams = o->max_streams,
		.queue_bytes = o->stream_queue_bytes,
		.open_streams = s->stats.streams,
		.bytes_out = s->stats.bytes_out,
		.on_socket_closed = on_socket_closed,
		.release = o->release_stream,
		.context = s,
	};
	if (!acceptor_new(&accepting, &s->acceptor, e)) {
		return false;
	}
	for (size_t i = 0; i < o->listen_count; i++) {
		if (!acceptor_listen(s->acceptor, o->listen[i], false, e)) {
			return false;
		}
	}
	for (size_t i = 0; i < o->tls_listen_count; i++) {
		if (!acceptor_listen(s->acceptor, o->tls_listen[i], true, e)) {
			return false;
		}
	}
	return engine_new(&streaming, &s->engine, e) && h1_start(s->h1, e) && h2_start(s->h2, e) &&
		   (s->tls == NULL || tls_start(s->tls, e)) && acceptor_start(s->acceptor, e);
}

static void stop_parts(http_server *s)
{
	if (s->acceptor != NULL) {
		acceptor_stop(s->acceptor);
	}
	tls_stop(s->tls);
	h1_stop(s->h1);
	h2_stop(s->h2);
	if (s->engine != NULL) {
		engine_stop(s->engine);
	}
	s->is_stopped = true;
}

bool http_server_start(http_server *s, err *e)
{
	sigset_t all;
	sigset_t before;
	/* Signals are the main thread's business. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	s->is_started = start_parts(s, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!s->is_started) {
		stop_parts(s);
	}
	return s->is_started;
}

uint16_t http_server_port(const http_server *s, size_t index)
{
	return s->acceptor != NULL ? acceptor_port(s->acceptor, index) : 0;
}

static void pause_ms(int64_t ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

static bool is_held(const http_server *s)
{
	return atomic_load_explicit(&s->turns, memory_order_acquire) > 0;
}

static bool is_quiet(const http_server *s)
{
	return !is_held(s) && h1_connection_count(s->h1) == 0 && h2_connection_count(s->h2) == 0 &&
		   engine_stream_count(s->engine) == 0 && tls_unsent_count(s->tls) == 0;
}

bool http_server_stop(http_server *s, int64_t deadline_ms)
{
	if (!s->is_started || s->is_stopped) {
		return true;
	}
	atomic_store_explicit(&s->is_stopping, true, memory_order_relaxed);
	acceptor_close(s->acceptor);
	tls_begin_shutdown(s->tls);
	engine_begin_shutdown(s->engine);
	h2_begin_shutdown(s->h2);
	while (!is_quiet(s) && clock_now_ms() < deadline_ms) {
		h1_cut(s->h1, false);
		pause_ms(POLL_MS);
	}
	bool is_clean = is_quiet(s);
	int64_t linger_until_ms = clock_now_ms() + LINGER_AT_STOP_MS;
	while (is_clean && engine_socket_count(s->engine) + tls_connection_count(s->tls) > 0 &&
		   clock_now_ms() < linger_until_ms && clock_now_ms() < deadline_ms) {
		pause_ms(POLL_MS);
	}
	if (!is_clean) {
		h1_cut(s->h1, true);
		h2_cut(s->h2);
		engine_cut(s->engine);
		int64_t cut_until_ms = clock_now_ms() + CUT_MS;
		while (engine_stream_count(s->engine) > 0 && clock_now_ms() < cut_until_ms) {
			pause_ms(POLL_MS);
		}
	}
	if (!is_held(s)) {
		stop_parts(s);
	}
	return is_clean;
}

void http_server_free(http_server *s)
{
	if (s == NULL) {
		return;
	}
	int64_t until_ms = clock_now_ms() + LATE_REPLY_MS;
	while (is_held(s) && clock_now_ms() < until_ms) {
		pause_ms(POLL_MS);
	}
	if (is_held(s)) {
		/* A bug of the application. Freeing what it may still reply to would make it a crash. */
		SLOG(s->options.log, SLOG_ERROR, "http", "requests were never replied to; their memory is left alone",
			 F_INT("requests", atomic_load(&s->turns)));
		return;
	}
	if (s->is_started && !s->is_stopped) {
		stop_parts(s);
	}
	dispose(s);
}
