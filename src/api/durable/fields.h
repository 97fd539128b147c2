/*
 * api/durable/fields: the request headers of the protocol, judged one by one.
 *
 * A header that holds one value and is sent twice is refused. One that is present but empty is not the same as an absent
 * one, except Content-Type and Stream-Closed.
 *
 * Owns     nothing: texts live as long as the request.
 * Threads  any.
 * Errors   ERR_INVALID_REQUEST; ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_DURABLE_FIELDS_H
#define TIDEGATE_API_DURABLE_FIELDS_H

#include "api/durable/offset.h"
#include "http/exchange.h"
#include "log/append.h"

enum { DURABLE_SEQ_BYTES_MAX = 1024 };

/* The longest TTL whose end can be told for as long as clocks count in milliseconds. */
#define DURABLE_TTL_S_MAX INT64_C(9000000000000000)

/* The one line of a header; ptr NULL when absent. */
bool durable_field(const http_exchange *x, const char *name, str *out, err *e) MUST_CHECK;
/* `Stream-Closed: true`, in any letter case. */
bool durable_field_closed(const http_exchange *x, bool *out, err *e) MUST_CHECK;
/* Content-Type as it was given; ptr NULL when absent, empty or malformed. */
bool durable_field_content_type(const http_exchange *x, str *out, err *e) MUST_CHECK;
/* Producer-Id, Producer-Epoch, Producer-Seq: all, or none (id.ptr NULL). */
bool durable_field_producer(const http_exchange *x, log_producer *out, err *e) MUST_CHECK;
/* Stream-Seq; ptr NULL when absent. */
bool durable_field_seq(const http_exchange *x, str *out, err *e) MUST_CHECK;

typedef struct durable_expiry {
	bool has_ttl;
	bool has_instant;
	int64_t ttl_s;
	int64_t expires_ms;
} durable_expiry;
/* Stream-TTL or Stream-Expires-At. */
bool durable_field_expiry(const http_exchange *x, durable_expiry *out, err *e) MUST_CHECK;

typedef struct durable_fork_request {
	str source; /* the path as it was sent, ptr NULL: no fork is asked for */
	bool has_offset;
	durable_offset offset;
	int64_t sub_offset; /* 0: none */
} durable_fork_request;
/* Stream-Forked-From, Stream-Fork-Offset, Stream-Fork-Sub-Offset. */
bool durable_field_fork(const http_exchange *x, durable_fork_request *out, err *e) MUST_CHECK;

#endif
