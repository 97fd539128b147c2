#include "clock.h"

#include <limits.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t tgi_clock_now_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

int64_t tgi_clock_timestamp_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int64_t tgi_clock_deadline_ms(int64_t timeout_ms)
{
	int64_t now_ms = tgi_clock_now_ms();
	return timeout_ms < 0 || timeout_ms > CLOCK_NEVER - 1 - now_ms ? CLOCK_NEVER : now_ms + timeout_ms;
}

int tgi_clock_left_ms(int64_t deadline_ms)
{
	if (deadline_ms == CLOCK_NEVER) {
		return -1;
	}
	int64_t left_ms = deadline_ms - tgi_clock_now_ms();
	return left_ms < 0 ? 0 : left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

bool tgi_clock_condition_init(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;
	if (pthread_condattr_init(&attributes) != 0) {
		return false;
	}
	bool is_done =
		pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 && pthread_cond_init(condition, &attributes) == 0;
	pthread_condattr_destroy(&attributes);
	return is_done;
}

bool tgi_clock_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline_ms)
{
	if (deadline_ms == CLOCK_NEVER) {
		pthread_cond_wait(condition, lock);
		return true;
	}
	struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000), .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
	if (tgi_clock_now_ms() >= deadline_ms) {
		return false;
	}
	pthread_cond_timedwait(condition, lock, &until);
	return true; /* whoever asks again after the deadline is told so */
}
