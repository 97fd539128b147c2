/*
 * http/head: status line and headers of an HTTP/1.1 reply, for replies that do not go through libmicrohttpd.
 */
#ifndef TIDEGATE_HTTP_HEAD_H
#define TIDEGATE_HTTP_HEAD_H

#include "http/exchange_impl.h"

typedef enum head_framing {
	HEAD_CHUNKED,  /* Transfer-Encoding: chunked */
	HEAD_LENGTH,   /* Content-Length of x->reply */
	HEAD_TO_CLOSE, /* neither: the body ends with the connection (HTTP/1.0) */
	HEAD_UPGRADE,  /* 101: what follows is another protocol */
} head_framing;

enum { HEAD_BYTES_MAX = 64 * 1024 };

/* Appends the head of x's reply, with Date and Connection. */
void head_write(const http_exchange *x, head_framing framing, buf *out);
const char *head_reason(int status);

#endif
