#include "retry.h"

enum { RECONNECT_FIRST_MS = 1000, RECONNECT_MAX_MS = 30000 };

static int64_t capped(int64_t delay_ms, int64_t max_ms)
{
	return delay_ms < max_ms ? delay_ms : max_ms;
}

int64_t tgi_retry_delay_ms(const tg_retry_policy *policy, uint32_t retry)
{
	int64_t max_ms = policy->max_delay_ms;
	int64_t delay_ms = capped(policy->initial_delay_ms, max_ms);
	int64_t before_ms = 0;
	/* The bound keeps both products and sums in range: once at the cap, nothing changes. */
	for (uint32_t i = 0; i < retry && delay_ms > 0 && delay_ms < max_ms && policy->strategy != TG_RETRY_FIXED; i++) {
		int64_t next_ms;
		if (policy->strategy == TG_RETRY_FIBONACCI) {
			next_ms = delay_ms + before_ms;
			before_ms = delay_ms;
		} else if (policy->initial_delay_ms <= 1) {
			break; /* 1, 1, 1 … */
		} else {
			next_ms = delay_ms > max_ms / policy->initial_delay_ms ? max_ms : delay_ms * policy->initial_delay_ms;
		}
		delay_ms = capped(next_ms, max_ms);
	}
	return delay_ms;
}

int64_t tgi_retry_reconnect_delay_ms(uint32_t retry)
{
	double delay_ms = RECONNECT_FIRST_MS;
	for (uint32_t i = 0; i < retry && delay_ms < RECONNECT_MAX_MS; i++) {
		delay_ms *= 1.1;
	}
	return capped((int64_t)delay_ms, RECONNECT_MAX_MS);
}
