/*
 * bench/watchers: many event streams of one topic or stream, held by one thread, and the time that a record takes to reach
 * them.
 *
 * Every watcher must be sent every record once and in order.
 *
 * Owns     its sockets.
 * Threads  one at a time.
 * Errors   those of bench/peer; ERR_INTERNAL a stream was refused or ended, or an offset is not the expected one;
 * ERR_TIMEOUT a record did not reach all watchers.
 */
#ifndef TIDEGATE_CLI_BENCH_WATCHERS_H
#define TIDEGATE_CLI_BENCH_WATCHERS_H

#include "cli/bench/latency.h"
#include "cli/bench/peer.h"
#include "cli/bench/usage.h"

enum { WATCHERS_TIMEOUT_MS = 20000, WATCHERS_WARMUP_ROUNDS = 5, WATCHERS_LEAST_ROUNDS = 20 };

/* How a dialect tells of a record. */
typedef struct watch_dialect {
	/* Whether a line belongs to a record's event, once an event; the record's offset, or WATCH_UNNUMBERED. */
	bool (*is_event)(str line, int64_t *offset);
	/* The acknowledgement of the record that was produced last, with its offset, or WATCH_UNNUMBERED. */
	bool (*check_reply)(const peer *p, int64_t *offset, err *e);
} watch_dialect;

enum { WATCH_UNNUMBERED = -1 };

typedef struct watchers watchers;

/* When one record was produced: from two moments between which it was committed, to each watcher having the event. */
typedef struct watch_times {
	latency from_sent;         /* from before the produce request was sent: at most this long after the commit */
	latency from_acknowledged; /* from its reply: at least this long; an event before the reply counts 0 */
	latency last_from_sent;    /* to the last of the watchers */
} watch_times;

/* None yet; at most `capacity`. Records are produced at `address`; the first one has the offset 0. */
bool watchers_new(const peer_address *address, const watch_dialect *dialect, uint32_t capacity, watchers **out,
				  err *e) MUST_CHECK;
/* Opens more streams, at a server of its own choice, with a request that begins at the next offset, and waits until all
 * were accepted. */
bool watchers_add(watchers *all, const peer_address *address, str request, uint32_t count, err *e) MUST_CHECK;
void watchers_close(watchers *all); /* accepts NULL */
/* Takes what comes (heartbeats) for that long. */
bool watchers_idle(watchers *all, int64_t ms, err *e) MUST_CHECK;
/* Produces one record, waits until its acknowledgement and all events are there; adds to *times. */
bool watchers_publish(watchers *all, str request, watch_times *times, err *e) MUST_CHECK;

typedef struct watch_window {
	/* One call of watchers_publish(). */
	bool (*publish)(void *context, watchers *all, watch_times *times, err *e);
	void *context;
	const usage_sources *sources;
	int64_t measure_ms;
	/* out */
	usage spent;
	double seconds;
} watch_window;

/* Publishes one record after the other: some that do not count, then for that long, and at least so many. */
bool watchers_measure(watchers *all, watch_window *window, watch_times *times, err *e) MUST_CHECK;

#endif
