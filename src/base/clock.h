/*
 * base/clock: the two clocks. Threads: any.
 *
 * clock_now_ms   monotonic, for deadlines and durations.
 * clock_wall_ms  since the Unix epoch, for logs only: record times come from the database.
 */
#ifndef TIDEGATE_BASE_CLOCK_H
#define TIDEGATE_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void);
int64_t clock_now_us(void);
int64_t clock_wall_ms(void);

#endif
