/*
 * api/topics/queue: what claims and work streams have in common: jobs as JSON, and what is said of topics that are no
 * queues.
 *
 * Threads  any. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_TOPICS_QUEUE_H
#define TIDEGATE_API_TOPICS_QUEUE_H

#include "log/lease.h"

/* "$seq":1,"lease_id":"lease_1f","deadline":2,"$ts":3,"$tag":"t","deliveries":1,"data":…,"meta":{…}: without braces. */
void queue_write_job(buf *out, const log_lease_job *job);
/* "queue":{"ready":1,"in_flight":2,"dead_lettered":0}, for the topic's state. */
void queue_write_state(buf *out, const log_lease_counts *counts);
/* ERR_NOT_A_QUEUE with the detail {"topic":…}. Returns false. */
bool queue_refuse_log(err *e, str topic);

#endif
