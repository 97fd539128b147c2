/*
 * bench/load: a closed loop of lanes: each sends its next request as soon as its reply is complete. A lane is a keep-alive
 * connection, or one of the streams of an HTTP/2 connection. What is sent and what a reply must look like is the client's
 * business.
 *
 * Warm-up comes first and is not measured. Replies that are complete within the window count; after it, what is under
 * way is awaited and checked, not counted.
 *
 * Owns     its connections. Requests are borrowed from `next` until their reply.
 * Threads  the caller's, which it occupies.
 * Errors   those of bench/peer; ERR_INTERNAL a status other than 2xx; what the client's `reply` reports.
 */
#ifndef TIDEGATE_CLI_BENCH_LOAD_H
#define TIDEGATE_CLI_BENCH_LOAD_H

#include "cli/bench/latency.h"
#include "cli/bench/peer.h"
#include "cli/bench/usage.h"

enum { LOAD_LANES_MAX = 1024, LOAD_TIMEOUT_MS = 30000 };

typedef struct load_client {
	void *context;
	/* The next request of a lane, as HTTP/1.1 writes it; ptr NULL = it has no more. */
	str (*next)(void *context, uint32_t lane);
	/* Checks a reply; *records is what it is worth. False stops the run. */
	bool (*reply)(void *context, uint32_t lane, str body, uint32_t *records, err *e);
} load_client;

typedef struct load_options {
	const peer_address *address;
	const usage_sources *sources;
	uint32_t connections;
	uint32_t streams; /* of each connection, over HTTP/2; 0 = HTTP/1.1 */
	int64_t warmup_ms;
	int64_t measure_ms;
	load_client client;
} load_options;

typedef struct load_result {
	uint64_t requests; /* in the window, as all that follows */
	uint64_t records;
	int64_t elapsed_ns;
	usage spent;
	latency latency; /* from before the request was sent until its reply was read */
} load_result;

bool load_run(const load_options *options, load_result *out, err *e) MUST_CHECK;

#endif
