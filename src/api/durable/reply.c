#include "api/durable/reply.h"

#include "api/durable/durable.h"

static const char EXPOSED[] =
	"Stream-Next-Offset, Stream-Cursor, Stream-Up-To-Date, Stream-Closed, Stream-TTL, Stream-Expires-At, "
	"Stream-SSE-Data-Encoding, Producer-Epoch, Producer-Seq, Producer-Expected-Seq, Producer-Received-Seq, ETag, "
	"Content-Type, Content-Encoding, Location, Retry-After";

static const char ALLOWED[] =
	"content-type, authorization, x-api-key, if-none-match, last-event-id, Stream-Seq, Stream-TTL, Stream-Expires-At, "
	"Stream-Closed, Stream-Forked-From, Stream-Fork-Offset, Stream-Fork-Sub-Offset, Producer-Id, Producer-Epoch, "
	"Producer-Seq";

static const char METHODS[] = "GET, HEAD, POST, PUT, DELETE, OPTIONS";

void durable_reply_text(http_exchange *x, str name, str value)
{
	if (!http_reply_header(x, name, value)) {
		SLOG(api_of(x)->slog, SLOG_WARN, "durable", "no room for a reply header", F_STR("header", name),
			 F_STR("id", http_request_id(x)));
	}
}

void durable_reply_number(http_exchange *x, str name, int64_t value)
{
	char digits[24];
	buf b = {.ptr = digits, .capacity = sizeof digits, .max_bytes = sizeof digits};
	buf_append_i64(&b, value);
	durable_reply_text(x, name, buf_str(&b));
}

void durable_reply_offset(http_exchange *x, durable_offset offset)
{
	char token[DURABLE_OFFSET_SIZE];
	durable_reply_text(x, STR("Stream-Next-Offset"), durable_offset_print(offset, token));
}

void durable_reply_true(http_exchange *x, str name)
{
	durable_reply_text(x, name, STR("true"));
}

void durable_decorate(http_exchange *x)
{
	if (!http_reply_has_header(x, STR("Cache-Control"))) {
		durable_reply_text(x, STR("Cache-Control"), STR("no-store"));
	}
	durable_reply_text(x, STR("Cross-Origin-Resource-Policy"), STR("cross-origin"));
	if (api_of(x)->config->cors_origin.len > 0) {
		durable_reply_text(x, STR("Access-Control-Expose-Headers"), str_from_c(EXPOSED));
	}
}

void durable_options(http_exchange *x)
{
	durable_reply_text(x, STR("Allow"), str_from_c(METHODS));
	if (api_of(x)->config->cors_origin.len > 0) {
		durable_reply_text(x, STR("Access-Control-Allow-Methods"), str_from_c(METHODS));
		durable_reply_text(x, STR("Access-Control-Allow-Headers"), str_from_c(ALLOWED));
		durable_reply_text(x, STR("Access-Control-Max-Age"), STR("86400"));
	}
	http_send(x, 204, NULL);
}

void durable_finish(api_operation *op, const durable_stream *s, int status)
{
	durable_stream_unref(s);
	log_topic_unref(op->topic);
	op->topic = NULL;
	http_send(op->x, status, NULL);
}

durable_path_limits durable_limits(const http_exchange *x)
{
	const config *c = api_of(x)->config;
	return (durable_path_limits){(size_t)c->durable_path_bytes, (size_t)c->durable_path_segments};
}

/* The first of a list: what the proxy nearest to the client wrote. */
static str first_of(str list)
{
	str item;
	str rest;
	str_split(list, ',', &item, &rest);
	return str_trim(item);
}

bool durable_base_url(const http_exchange *x, buf *out)
{
	const config *c = api_of(x)->config;
	str configured = c->public_url;
	str scheme = http_request_is_secure(x) ? STR("https") : STR("http");
	str host = http_request_header(x, STR("Host"));
	if (c->trust_forwarded) {
		str forwarded_host = first_of(http_request_header(x, STR("X-Forwarded-Host")));
		str forwarded_scheme = first_of(http_request_header(x, STR("X-Forwarded-Proto")));
		host = forwarded_host.len > 0 ? forwarded_host : host;
		if (forwarded_scheme.len > 0) {
			scheme = str_equal_ignore_case(forwarded_scheme, STR("https")) ? STR("https") : STR("http");
		}
	}
	if (configured.len > 0) {
		while (str_ends_with(configured, STR("/"))) {
			configured.len--;
		}
		buf_append_str(out, configured);
	} else if (host.len > 0) {
		buf_append_str(out, scheme);
		buf_append_str(out, STR("://"));
		buf_append_str(out, host);
	}
	return out->len > 0 && !out->failed;
}
