#include "http/request.h"

#include "base/clock.h"
#include "http/server_impl.h"
#include "http/target.h"

#include <string.h>

enum { ECHO_HEADERS_MAX = 1024 };

bool request_refuse(http_exchange *x, const err *e)
{
	/* Before the answer: whoever reads it may count on the room. */
	exchange_drop_body(x);
	exchange_start_turn(x);
	http_send_error(x, e);
	return false;
}

static bool refuse_malformed(http_exchange *x, const char *message)
{
	err e;
	err_set(&e, ERR_INVALID_REQUEST, "%s", message);
	x->is_broken = true;
	metric_add(x->server->stats.refused[REFUSED_MALFORMED], 1);
	return request_refuse(x, &e);
}

/* ---- headers ---- */

static http_method parse_method(str text)
{
	static const struct {
		str name;
		http_method method;
	} names[] = {
		{{"GET", 3}, HTTP_GET},         {{"POST", 4}, HTTP_POST}, {{"PUT", 3}, HTTP_PUT},
		{{"DELETE", 6}, HTTP_DELETE},   {{"HEAD", 4}, HTTP_HEAD}, {{"PATCH", 5}, HTTP_PATCH},
		{{"OPTIONS", 7}, HTTP_OPTIONS},
	};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (str_equal(text, names[i].name)) {
			return names[i].method;
		}
	}
	return HTTP_OTHER;
}

/* RFC 9110's token: no blank before the colon, which would hide a Content-Length from one of two parsers. */
static bool is_token(str name)
{
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];
		if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL) {
			return false;
		}
	}
	return name.len > 0;
}

static bool is_sane_id(str id)
{
	for (size_t i = 0; i < id.len; i++) {
		if (id.ptr[i] <= ' ' || id.ptr[i] > '~') {
			return false;
		}
	}
	return id.ptr != NULL && id.len > 0 && id.len < REQUEST_ID_MAX;
}

static void choose_id(http_exchange *x, str sent)
{
	if (is_sane_id(sent)) {
		memcpy(x->id_text, sent.ptr, sent.len);
		x->id_text[sent.len] = '\0';
		x->id = (str){x->id_text, sent.len};
	} else {
		x->id = (str){x->id_text, server_make_request_id(x->server, x->id_text)};
	}
}

/* True when Accept-Encoding names gzip without q=0. */
static bool takes_gzip(str header)
{
	str rest = header;
	while (rest.len > 0) {
		str item;
		str coding;
		str parameters;
		str_split(rest, ',', &item, &rest);
		str_split(item, ';', &coding, &parameters);
		if (str_equal_ignore_case(str_trim(coding), STR("gzip"))) {
			str q = str_trim(parameters);
			return !str_equal(q, STR("q=0")) && !str_starts_with(q, STR("q=0.0"));
		}
	}
	return false;
}

typedef struct framing {
	size_t lengths;
	size_t codings;
	size_t hosts;
	str length;
	str coding;
	str id;
	str content_encoding;
	size_t content_encodings;
} framing;

static void note_header(http_exchange *x, str name, str value, framing *f)
{
	switch (name.len) {
	case 4:
		f->hosts += str_equal_ignore_case(name, STR("Host"));
		break;
	case 12:
		if (str_equal_ignore_case(name, STR("X-Request-Id"))) {
			f->id = value;
		} else if (x->media_type.ptr == NULL && str_equal_ignore_case(name, STR("Content-Type"))) {
			str parameters;
			str_split(value, ';', &x->media_type, &parameters);
			x->media_type = str_trim(x->media_type);
		}
		break;
	case 14:
		if (str_equal_ignore_case(name, STR("Content-Length"))) {
			f->lengths++;
			f->length = value;
		}
		break;
	case 15:
		if (str_equal_ignore_case(name, STR("Accept-Encoding"))) {
			x->wants_gzip = takes_gzip(value);
		}
		break;
	case 16:
		if (str_equal_ignore_case(name, STR("Content-Encoding"))) {
			f->content_encodings++;
			f->content_encoding = value;
		}
		break;
	case 17:
		if (str_equal_ignore_case(name, STR("Transfer-Encoding"))) {
			f->codings++;
			f->coding = value;
		}
		break;
	default:
		break;
	}
}

/* Anything about a message's length that two parsers could read differently is refused. */
static const char *judge_framing(http_exchange *x, const framing *f)
{
	if (f->codings > 0 && f->lengths > 0) {
		return "a request must not have both Content-Length and Transfer-Encoding";
	}
	if (f->codings > 1 || (f->codings == 1 && !str_equal_ignore_case(str_trim(f->coding), STR("chunked")))) {
		return "the only Transfer-Encoding taken is chunked";
	}
	if (f->codings > 0 && x->is_http_1_0) {
		return "HTTP/1.0 has no Transfer-Encoding; send a Content-Length";
	}
	if (f->lengths > 1) {
		return "a request must have one Content-Length";
	}
	x->has_length = f->lengths == 1;
	if (x->has_length && !str_parse_u64(str_trim(f->length), UINT64_MAX, &x->content_length)) {
		return "Content-Length must be a number of bytes";
	}
	x->has_body = f->codings > 0 || x->content_length > 0 || x->has_open_body;
	if (f->hosts != 1 && !x->is_http_1_0) {
		return "a request must have one Host header";
	}
	return NULL;
}

static bool fail_out_of_room(http_exchange *x)
{
	err e;
	err_set(&e, ERR_HEADERS_TOO_LARGE, "the request has too many headers or too long a target");
	x->is_broken = true;
	return request_refuse(x, &e);
}

bool request_begin(http_exchange *x)
{
	framing f = {.lengths = 0};
	const char *problem = NULL;
	x->started_us = clock_now_us();
	stats_begin_request(x);
	x->method = parse_method(x->method_text);
	for (size_t i = 0; i < x->header_count; i++) {
		if (!is_token(x->headers[i].name)) {
			problem = "a header name has a blank or another character that is not allowed there";
		}
		note_header(x, x->headers[i].name, x->headers[i].value, &f);
	}
	choose_id(x, f.id);
	/* Until its length is understood, anything may follow. */
	x->has_body = f.codings > 0 || f.lengths > 0 || x->has_open_body;
	if (problem == NULL) {
		problem = judge_framing(x, &f);
	}
	bool has_target = target_split(x->target, &x->path, &x->query);
	if (problem == NULL && !has_target) {
		problem = "the request target must be a path that begins with '/', without blanks, control characters or '#'";
	}
	/* Also for a request that is refused: the dialect of its path writes the error. */
	if (!table_find(x->server->table, x->method, x->path, x->arena, &x->match)) {
		return fail_out_of_room(x);
	}
	if (problem != NULL) {
		return refuse_malformed(x, problem);
	}
	x->encoding = f.content_encodings > 1 ? CONTENT_UNKNOWN : content_encoding_parse(f.content_encoding);
	return true;
}

/* ---- gate ---- */

static bool is_plain_options(const http_exchange *x)
{
	if (x->match.dialect != NULL && x->match.dialect->is_strict) {
		return false;
	}
	return x->match.entry == NULL && x->method == HTTP_OPTIONS &&
		   (x->match.allowed != 0 || str_equal(x->path, STR("*")));
}

bool request_is_gated(const http_exchange *x)
{
	if (x->server->options.gate == NULL || is_plain_options(x)) {
		return false;
	}
	return x->match.entry != NULL || (x->match.dialect != NULL && x->match.dialect->gate_unknown);
}

/* ---- no route ---- */

static void write_allowed(uint32_t allowed, buf *out)
{
	static const struct {
		const char *name;
		uint32_t bits; /* any of them */
	} methods[] = {
		{"GET", 1U << HTTP_GET},     {"HEAD", 1U << HTTP_HEAD | 1U << HTTP_GET},
		{"POST", 1U << HTTP_POST},   {"PUT", 1U << HTTP_PUT},
		{"PATCH", 1U << HTTP_PATCH}, {"DELETE", 1U << HTTP_DELETE},
	};
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if ((allowed & methods[i].bits) != 0) {
			buf_printf(out, "%s, ", methods[i].name);
		}
	}
	buf_printf(out, "OPTIONS");
}

static void send_options(http_exchange *x, str allowed)
{
	str wanted = http_request_header(x, STR("Access-Control-Request-Headers"));
	exchange_start_turn(x);
	http_reply_header(x, STR("Allow"), allowed);
	if (x->server->cors_origin != NULL) {
		http_reply_header(x, STR("Access-Control-Allow-Methods"), allowed);
		if (wanted.len > 0 && wanted.len <= ECHO_HEADERS_MAX) {
			http_reply_header(x, STR("Access-Control-Allow-Headers"), wanted);
		}
		exchange_reply_header(x, "Access-Control-Max-Age", "86400");
	}
	http_send(x, 204, NULL);
}

static bool answer_unrouted(http_exchange *x)
{
	err e;
	buf allowed;
	if (x->match.allowed == 0 && !is_plain_options(x)) {
		err_set(&e, ERR_NOT_FOUND, "there is nothing at this path");
		return request_refuse(x, &e);
	}
	buf_init(&allowed, 64);
	write_allowed(x->match.allowed, &allowed);
	if (is_plain_options(x)) {
		send_options(x, buf_str(&allowed));
	} else {
		err_set(&e, ERR_METHOD_NOT_ALLOWED, "this path takes %.*s", STR_ARG(buf_str(&allowed)));
		exchange_start_turn(x);
		http_reply_header(x, STR("Allow"), buf_str(&allowed));
		http_send_error(x, &e);
	}
	buf_dispose(&allowed);
	return false;
}

/* ---- body ---- */

static bool refuse_body(http_exchange *x, err_code code, const char *message)
{
	err e;
	err_set(&e, code, "%s", message);
	metric_add(x->server->stats.refused[REFUSED_BODY], 1);
	return request_refuse(x, &e);
}

static bool refuse_too_large(http_exchange *x)
{
	err e;
	const http_route *route = x->match.entry->route;
	if (route->check_head != NULL && !route->check_head(x, &e)) {
		return request_refuse(x, &e);
	}
	err_set(&e, ERR_PAYLOAD_TOO_LARGE, "the body is larger than the %llu bytes allowed here; send it in parts",
			(unsigned long long)x->body_limit);
	if (x->caller_limit != NULL && x->body_limit == x->caller_body_limit) {
		err_detail(&e, "{\"limit\":\"%s\",\"max\":%llu}", x->caller_limit, (unsigned long long)x->body_limit);
	} else {
		err_detail(&e, "{\"max\":%llu}", (unsigned long long)x->body_limit);
	}
	metric_add(x->server->stats.refused[REFUSED_BODY], 1);
	return request_refuse(x, &e);
}

static bool refuse_over_budget(http_exchange *x)
{
	err e;
	err_set(&e, ERR_UNAVAILABLE, "the server holds as many request bodies as it may; try again shortly");
	metric_add(x->server->stats.refused[REFUSED_BUDGET], 1);
	return request_refuse(x, &e);
}

bool request_accept(http_exchange *x)
{
	if (x->match.entry == NULL) {
		return answer_unrouted(x);
	}
	const http_route *route = x->match.entry->route;
	x->body_limit = x->server->options.max_body_bytes;
	if (route->max_body_bytes > 0 && route->max_body_bytes < x->body_limit) {
		x->body_limit = route->max_body_bytes;
	}
	if (x->caller_limit != NULL && x->caller_body_limit < x->body_limit) {
		x->body_limit = x->caller_body_limit;
	}
	x->is_body_kept = route->body != HTTP_BODY_NONE;
	if (!x->has_body) {
		return true;
	}
	if (x->has_length && x->content_length > x->body_limit) {
		return refuse_too_large(x);
	}
	if (!x->is_body_kept || x->encoding == CONTENT_IDENTITY) {
		/* One spare byte, see content_feed(). */
		buf_init(&x->body, (size_t)x->body_limit + 1);
		return true;
	}
	if (x->encoding == CONTENT_UNKNOWN) {
		exchange_reply_header(x, "Accept-Encoding", CONTENT_ENCODINGS);
		return refuse_body(x, ERR_UNSUPPORTED_MEDIA_TYPE,
						   "this Content-Encoding is not taken; send one of " CONTENT_ENCODINGS " or none");
	}
	buf_init(&x->body, (size_t)x->body_limit + 1);
	x->decoder = content_new(x->encoding);
	return x->decoder != NULL || refuse_over_budget(x);
}

/* Adds what the body grew by to the server's account. */
static bool account(http_exchange *x)
{
	http_server *server = x->server;
	uint64_t grown = x->body.len - x->buffered;
	uint64_t before = atomic_fetch_add_explicit(&server->buffered_bytes, grown, memory_order_relaxed);
	x->buffered += grown;
	return before + grown <= server->options.max_buffered_bytes;
}

static bool take_decoded(http_exchange *x, str piece)
{
	/* Never further than the budget reaches, however small the piece is that expands. */
	uint64_t used = atomic_load_explicit(&x->server->buffered_bytes, memory_order_relaxed);
	uint64_t budget = x->server->options.max_buffered_bytes;
	uint64_t most = x->body.len + (budget > used ? budget - used : 0);
	bool is_budget_short = most < x->body_limit;
	switch (content_feed(x->decoder, piece, is_budget_short ? most : x->body_limit, &x->body)) {
	case CONTENT_OK:
		return account(x) || refuse_over_budget(x);
	case CONTENT_TOO_LARGE:
		return is_budget_short ? refuse_over_budget(x) : refuse_too_large(x);
	case CONTENT_NO_MEMORY:
		return refuse_over_budget(x);
	case CONTENT_CORRUPT:
		break;
	}
	return refuse_body(x, ERR_INVALID_REQUEST, "the body is not what its Content-Encoding says");
}

bool request_take_body(http_exchange *x, str piece)
{
	x->body_received += piece.len;
	if (x->decoder != NULL) {
		return take_decoded(x, piece);
	}
	if (x->body_received > x->body_limit) {
		return refuse_too_large(x);
	}
	if (!x->is_body_kept) {
		return true;
	}
	if (x->body.ptr == NULL && x->has_length) {
		buf_reserve(&x->body, (size_t)x->content_length);
	}
	buf_append(&x->body, piece.ptr, piece.len);
	return (!x->body.failed && account(x)) || refuse_over_budget(x);
}

bool request_end_body(http_exchange *x)
{
	if (x->decoder == NULL) {
		return true;
	}
	content_result result = content_finish(x->decoder);
	content_free(x->decoder);
	x->decoder = NULL;
	return result == CONTENT_OK ||
		   refuse_body(x, ERR_INVALID_REQUEST, "the body ends before its Content-Encoding does");
}
