/*
 * bench/load_window: what is counted of a load, whatever carries it: warm-up, then the window, then the replies that are still
 * on their way.
 *
 * Owns     nothing.
 * Threads  one at a time.
 * Units    nanoseconds on the monotonic clock.
 * Errors   ERR_INTERNAL a status other than 2xx; ERR_TIMEOUT no reply at all for LOAD_TIMEOUT_MS; what the client's `reply`
 *          reports.
 */
#ifndef TIDEGATE_CLI_BENCH_LOAD_WINDOW_H
#define TIDEGATE_CLI_BENCH_LOAD_WINDOW_H

#include <sys/epoll.h>

#include "cli/bench/load.h"

typedef struct load_window {
	const load_options *options;
	load_result *result;
	uint32_t waiting; /* lanes that wait for a reply */
	bool is_measuring;
	bool is_over; /* nothing new is sent */
	int64_t begin_ns;
	int64_t window_ns; /* its begin */
	int64_t heard_ns;  /* the last complete reply */
	usage before;
} load_window;

/* Warm-up begins. */
void load_window_begin(load_window *w, const load_options *options, load_result *result);
/* The next request of a lane, which waits for its reply from now on; ptr NULL = it has no more, or the window is over. */
str load_window_next(load_window *w, uint32_t lane);
/* A complete reply. */
bool load_window_take(load_window *w, uint32_t lane, int status, str body, int64_t sent_ns, err *e) MUST_CHECK;
/* The loop, until nobody waits any more: `start` sends the first requests, `act` follows the events of an epoll set, whose
 * errors it finds by reading. False, with *e filled, when one of them says so. */
typedef struct load_carrier {
	void *context;
	int epoll;
	bool (*start)(void *context, err *e);
	bool (*act)(void *context, const struct epoll_event *event, err *e);
} load_carrier;
bool load_window_run(load_window *w, const load_carrier *carrier, err *e) MUST_CHECK;

#endif
