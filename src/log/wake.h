/*
 * log/wake: who wants to know that a topic has new records.
 *
 * Sources  this worker's own commits (from memory, at once), NOTIFY from other workers, and a slow poll of the watched
 *          heads. A wake-up is a hint: the woken one reads the log to see what is there. Register first, then read.
 *
 * Owns     the watch belongs to the caller, from log_watch_start() to log_watch_stop().
 * Threads  start, stop: any, but not from inside an on_wake. on_wake: any thread, must not block, may come while start
 *          has not returned, never after stop returned. Two calls never overlap.
 */
#ifndef TIDEGATE_LOG_WAKE_H
#define TIDEGATE_LOG_WAKE_H

#include "log/topic.h"

typedef struct log_watch log_watch;

/* partition: one, or LOG_ALL_PARTITIONS. NULL when memory is out. on_wake is also called when the topic was deleted. */
log_watch *log_watch_start(log_engine *engine, int64_t topic_id, int32_t partition, void (*on_wake)(void *context),
						   void *context);
void log_watch_stop(log_watch *w); /* accepts NULL */

/* Wakes who watches, here and at other workers, though nothing was appended: something a dialect keeps beside the records has
 * changed. */
void log_wake(log_engine *engine, int64_t topic_id, int32_t partition);

#endif
