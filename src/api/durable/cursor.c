#include "api/durable/cursor.h"

#include "base/clock.h"

#define EPOCH_S INT64_C(1728432000)

int64_t durable_cursor_now(void)
{
	int64_t since_s = clock_wall_ms() / 1000 - EPOCH_S;
	return since_s > 0 ? since_s / DURABLE_CURSOR_INTERVAL_S : 0;
}

int64_t durable_cursor_answer(str requested, int64_t now, uint64_t random)
{
	int64_t cursor;
	if (!str_parse_i64(requested, 0, INT64_MAX - DURABLE_CURSOR_JUMP_MAX_S, &cursor) || cursor < now) {
		return now;
	}
	int64_t jump_s = 1 + (int64_t)(random % DURABLE_CURSOR_JUMP_MAX_S);
	return cursor + (jump_s + DURABLE_CURSOR_INTERVAL_S - 1) / DURABLE_CURSOR_INTERVAL_S;
}
