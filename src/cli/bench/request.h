/*
 * bench/request: renders HTTP/1.1 requests.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_CLI_BENCH_REQUEST_H
#define TIDEGATE_CLI_BENCH_REQUEST_H

#include "base/buf.h"

typedef struct request {
	const char *method;
	str authority; /* Host */
	str path;
	str api_key; /* ptr NULL = none */
	const char *accept;
	const char *content_type; /* NULL = application/json, when there is a body */
	str body;                 /* ptr NULL = none */
} request;

void request_render(const request *r, buf *out);

#endif
