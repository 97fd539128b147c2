/*
 * clock: the two clocks, and waiting by the monotonic one.
 *
 * Threads  any. Units: milliseconds; deadlines are monotonic and absolute.
 */
#ifndef TG_CLOCK_H
#define TG_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NEVER INT64_MAX

int64_t tgi_clock_now_ms(void);                    /* monotonic */
int64_t tgi_clock_timestamp_ms(void);              /* since 1970 */
int64_t tgi_clock_deadline_ms(int64_t timeout_ms); /* negative: CLOCK_NEVER */
/* From now to the deadline, as poll wants it: at least 0, -1 for CLOCK_NEVER. */
int tgi_clock_left_ms(int64_t deadline_ms);
bool tgi_clock_condition_init(pthread_cond_t *condition);
/* False: the deadline has passed. The lock is held. */
bool tgi_clock_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ms);

#endif
