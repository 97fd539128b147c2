#include "http/exchange_impl.h"
#include "http/server_impl.h"
#include "http/target.h"

#include "base/clock.h"

#include <string.h>
#include <strings.h>

/* ---- life ---- */

static void clear(http_exchange *x)
{
	const size_t from = offsetof(http_exchange, turn);
	memset((char *)x + from, 0, offsetof(http_exchange, inline_headers) - from);
	x->headers = x->inline_headers;
	buf_init(&x->reply, (size_t)x->server->options.max_reply_bytes);
}

bool exchange_init(http_exchange *x, http_server *server, const http_transport *transport, void *link)
{
	x->server = server;
	x->transport = transport;
	x->link = link;
	x->arena = arena_new((size_t)server->options.max_arena_bytes);
	clear(x);
	return x->arena != NULL;
}

void exchange_drop_body(http_exchange *x)
{
	if (x->buffered > 0) {
		atomic_fetch_sub_explicit(&x->server->buffered_bytes, x->buffered, memory_order_relaxed);
		x->buffered = 0;
	}
	content_free(x->decoder);
	x->decoder = NULL;
	buf_dispose(&x->body);
}

static void tell_end(http_exchange *x)
{
	void (*on_end)(void *context, uint64_t bytes) = x->on_end;
	x->on_end = NULL;
	if (on_end != NULL) {
		on_end(x->on_end_context, (x->is_body_kept ? x->body.len : x->body_received) + x->reply.len);
	}
}

void exchange_reset(http_exchange *x)
{
	tell_end(x);
	if (x->has_begun) {
		stats_end_request(x);
	}
	exchange_drop_body(x);
	buf_dispose(&x->reply);
	arena_reset(x->arena);
	clear(x);
}

void exchange_dispose(http_exchange *x)
{
	exchange_reset(x);
	arena_free(x->arena);
	x->arena = NULL;
}

/* ---- turns ---- */

void exchange_start_turn(http_exchange *x)
{
	x->ending = ENDING_NONE;
	atomic_fetch_add_explicit(&x->server->turns, 1, memory_order_relaxed);
	atomic_store_explicit(&x->turn, TURN_RUNNING, memory_order_relaxed);
}

void exchange_end_turn(http_exchange *x, turn_ending ending)
{
	http_server *server = x->server;
	const http_transport *transport = x->transport;
	if (ending != ENDING_ADMITTED) {
		tell_end(x);
	}
	x->ending = ending;
	if (atomic_exchange_explicit(&x->turn, TURN_ENDED, memory_order_acq_rel) == TURN_WAITING) {
		transport->resume(x);
	}
	/* Last: http_server_stop() takes the transport apart once this is 0. */
	atomic_fetch_sub_explicit(&server->turns, 1, memory_order_release);
}

bool exchange_suspend(http_exchange *x)
{
	int expected = TURN_RUNNING;
	return atomic_compare_exchange_strong_explicit(&x->turn, &expected, TURN_WAITING, memory_order_acq_rel,
												   memory_order_acquire);
}

bool exchange_turn_has_ended(const http_exchange *x)
{
	return atomic_load_explicit(&x->turn, memory_order_acquire) == TURN_ENDED;
}

void http_admit(http_exchange *x)
{
	exchange_end_turn(x, ENDING_ADMITTED);
}

/* ---- the request ---- */

bool exchange_add_header(http_exchange *x, str name, str value)
{
	if (x->header_count >= HEADERS_MAX) {
		return false;
	}
	if (x->header_count == HEADERS_INLINE && x->headers == x->inline_headers) {
		header_line *more = arena_alloc_array(x->arena, HEADERS_MAX, sizeof *more);
		if (more == NULL) {
			return false;
		}
		memcpy(more, x->inline_headers, sizeof x->inline_headers);
		x->headers = more;
	}
	x->headers[x->header_count++] = (header_line){name, value};
	return true;
}

http_method http_request_method(const http_exchange *x)
{
	return x->method;
}

str http_request_raw_path(const http_exchange *x)
{
	return x->path;
}

str http_request_raw_query(const http_exchange *x)
{
	return x->query;
}

str http_request_param(const http_exchange *x, size_t index)
{
	return index < x->match.param_count ? x->match.params[index] : STR_NONE;
}

str http_request_header(const http_exchange *x, str name)
{
	for (size_t i = 0; i < x->header_count; i++) {
		if (x->headers[i].name.len == name.len && strncasecmp(x->headers[i].name.ptr, name.ptr, name.len) == 0) {
			return x->headers[i].value;
		}
	}
	return STR_NONE;
}

size_t http_request_header_count(const http_exchange *x, str name)
{
	size_t count = 0;
	for (size_t i = 0; i < x->header_count; i++) {
		count += str_equal_ignore_case(x->headers[i].name, name);
	}
	return count;
}

bool http_request_header_at(const http_exchange *x, size_t index, str *name, str *value)
{
	if (index >= x->header_count) {
		return false;
	}
	*name = x->headers[index].name;
	*value = x->headers[index].value;
	return true;
}

bool http_request_query(const http_exchange *x, str name, str *value)
{
	return target_query_find(x->arena, x->query, name, value) > 0;
}

size_t http_request_query_count(const http_exchange *x, str name)
{
	return target_query_find(x->arena, x->query, name, NULL);
}

str http_request_body(const http_exchange *x)
{
	return x->is_body_kept ? buf_str(&x->body) : STR_NONE;
}

str http_request_media_type(const http_exchange *x)
{
	return x->media_type;
}

str http_request_peer(const http_exchange *x)
{
	char *text = arena_alloc(x->arena, PEER_TEXT_MAX);
	if (text == NULL) {
		return STR_NONE;
	}
	peer_format(x->transport->peer(x), text);
	return str_from_c(text);
}

bool http_request_is_secure(const http_exchange *x)
{
	return x->transport->peer(x)->tls != NULL;
}

str http_request_id(const http_exchange *x)
{
	return x->id;
}

const http_route *http_request_route(const http_exchange *x)
{
	return x->match.entry != NULL ? x->match.entry->route : NULL;
}

const http_dialect *http_request_dialect(const http_exchange *x)
{
	return x->match.dialect;
}

bool http_request_path_exists(const http_exchange *x)
{
	return x->match.allowed != 0;
}

arena *http_arena(http_exchange *x)
{
	return x->arena;
}

void *http_app(const http_exchange *x)
{
	return x->server->options.app;
}

int64_t http_started_us(const http_exchange *x)
{
	return x->started_us;
}

void http_set_principal(http_exchange *x, const void *principal)
{
	x->principal = principal;
}

void http_on_end(http_exchange *x, void (*on_end)(void *context, uint64_t bytes), void *context)
{
	x->on_end = on_end;
	x->on_end_context = context;
}

void http_limit_body(http_exchange *x, uint64_t max_bytes, const char *limit)
{
	x->caller_body_limit = max_bytes;
	x->caller_limit = limit;
}

const void *http_principal(const http_exchange *x)
{
	return x->principal;
}

bool http_peer_is_gone(http_exchange *x)
{
	return x->transport->peer_is_gone(x);
}
