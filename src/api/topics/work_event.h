/*
 * api/topics/work_event: the events of a work stream.
 *
 * Threads  any. Frames: one reference for the caller; NULL when memory is out. Errors: buf.failed.
 */
#ifndef TIDEGATE_API_TOPICS_WORK_EVENT_H
#define TIDEGATE_API_TOPICS_WORK_EVENT_H

#include "base/frame.h"
#include "log/lease.h"

/* id: 5, event: job, data: {"topic":"q","$seq":5,…} */
void work_event_job(buf *out, str topic, const log_lease_job *job);
/* event: error, data: {"code":409,"error":"…","topic":"q"}; a topic that is gone is a conflict here. */
frame *work_event_error(const err *e, str topic);
/* The same with the code "server_shutting_down". */
frame *work_event_shutdown(void);

#endif
