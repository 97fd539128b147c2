/*
 * retry: how long to wait before another try.
 *
 * Threads  any. Units: milliseconds.
 */
#ifndef TG_RETRY_H
#define TG_RETRY_H

#include "tidegate.h"

/* Before retry number `retry`, from 0, by a producer's policy. */
int64_t tgi_retry_delay_ms(const tg_retry_policy *policy, uint32_t retry);
/* Before reconnection number `retry`, from 0, of a stream: 1 s, a tenth longer each time, at most 30 s. */
int64_t tgi_retry_reconnect_delay_ms(uint32_t retry);

#endif
