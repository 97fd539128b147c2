/*
 * bench/h2_load: the loop of bench/load over cleartext HTTP/2 with prior knowledge: many streams on few connections.
 *
 * A lane is a stream at a time: lanes 0 to streams - 1 are the first connection's, and so on. Requests are translated from
 * HTTP/1.1 one by one; that is a part of the generator's time.
 *
 * Owns     its connections.
 * Threads  the caller's, which it occupies.
 * Limits   H2_LOAD_HEADERS_MAX headers of a request with H2_LOAD_NAME_MAX bytes of names in all, PEER_REPLY_MAX bytes of a reply.
 * Errors   those of bench/load; ERR_INTERNAL also a request that cannot be translated, and a stream that was reset.
 */
#ifndef TIDEGATE_CLI_BENCH_H2_LOAD_H
#define TIDEGATE_CLI_BENCH_H2_LOAD_H

#include "cli/bench/load.h"

enum { H2_LOAD_HEADERS_MAX = 16, H2_LOAD_NAME_MAX = 512 };

bool h2_load_run(const load_options *options, load_result *out, err *e) MUST_CHECK;

#endif
