/*
 * api/streaming/delivery: pages of the log as the answer of a consume, in one of two forms.
 *
 *   JSON      {"messages":[…],"gaps":[…], …}, gaps only when there are any, then what tells where the pages end
 *   packets   messages and gaps as they come, then a page end, or the lease as an event
 *
 * Owns     nothing; gaps are kept in the arena until the messages are written.
 * Threads  one at a time. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_STREAMING_DELIVERY_H
#define TIDEGATE_API_STREAMING_DELIVERY_H

#include "base/arena.h"
#include "base/buf.h"
#include "log/group.h"

typedef struct delivery_gap {
	struct delivery_gap *next;
	int32_t partition;
	log_gap gap;
} delivery_gap;

typedef struct delivery {
	buf *out;
	arena *arena;
	delivery_gap *first_gap; /* JSON: those to be written behind the messages */
	delivery_gap **last_gap;
	bool is_packets;
	bool is_empty; /* neither messages nor gaps */
	size_t count;  /* messages */
} delivery;

void delivery_begin(delivery *d, buf *out, arena *a, bool is_packets);
/* Walks the page to its end. */
void delivery_add_page(delivery *d, int32_t partition, log_page *page);
/* One of these ends the answer: of one partition read from an offset, where to go on; of a group, what it leased. */
void delivery_end_read(delivery *d, int32_t partition, int64_t next, const log_page *page);
void delivery_end_take(delivery *d, str consumer_id, const log_group_take *take);

#endif
