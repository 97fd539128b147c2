/*
 * api/streaming/delivery: pages of the log as the answer of a consume:
 * {"messages":[…],"gaps":[…],"lease":{…}}, the last two only when there are any.
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
	delivery_gap *first_gap;
	delivery_gap **last_gap;
	size_t count; /* messages */
} delivery;

void delivery_begin(delivery *d, buf *out, arena *a);
/* Walks the page to its end. */
void delivery_add_page(delivery *d, int32_t partition, log_page *page);
/* Messages and gaps are complete; the object is still open. */
void delivery_end(delivery *d);
/* Neither message nor gap. */
bool delivery_is_empty(const delivery *d);
/* ,"lease":{"consumer_id":…,"deadline":…,"partitions":[{"partition","from_offset","next_offset"}]} */
void delivery_write_lease(buf *out, str consumer_id, const log_group_take *take);

#endif
