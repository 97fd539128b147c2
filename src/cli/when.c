#include "cli/when.h"

#include <time.h>

enum { SECOND_MS = 1000, MOST = 1000000 };

static const struct {
	const char *name;
	int64_t ms;
} UNITS[] = {
	{"ms", 1},
	{"s", SECOND_MS},
	{"m", (int64_t)60 * SECOND_MS},
	{"h", (int64_t)3600 * SECOND_MS},
	{"d", (int64_t)86400 * SECOND_MS},
	{"w", (int64_t)7 * 86400 * SECOND_MS},
	{"y", (int64_t)365 * 86400 * SECOND_MS},
};

/* 0: there is no such unit. */
static int64_t unit_ms(str name)
{
	for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
		if (str_equal(name, str_from_c(UNITS[i].name))) {
			return UNITS[i].ms;
		}
	}
	return 0;
}

bool when_parse_duration(str text, int64_t *out_ms, err *e)
{
	uint64_t number = 0;
	size_t digits = 0;
	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
		digits++;
	}
	int64_t unit = unit_ms(str_skip(text, digits));
	if (str_equal(text, STR("0"))) {
		*out_ms = 0;
		return true;
	}
	if (unit == 0 || !str_parse_u64(str_take(text, digits), MOST, &number) || number == 0) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "`%.*s` is no duration: write a number and one of ms, s, m, h, d, w, y, as in 30d",
					   STR_ARG(str_take(text, 40)));
	}
	*out_ms = (int64_t)number * unit;
	return true;
}

void when_append_time(buf *out, int64_t epoch_ms)
{
	struct tm parts;
	char text[32];
	time_t seconds = (time_t)(epoch_ms / SECOND_MS);
	if (epoch_ms == 0 || gmtime_r(&seconds, &parts) == NULL ||
		strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts) == 0) {
		buf_append_byte(out, '-');
		return;
	}
	buf_append_str(out, str_from_c(text));
}

void when_append_timestamp(buf *out, int64_t epoch_ms)
{
	struct tm parts;
	char text[40];
	time_t seconds = (time_t)(epoch_ms / SECOND_MS);
	if (epoch_ms < 0 || gmtime_r(&seconds, &parts) == NULL ||
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
		buf_append_str(out, STR("NA"));
		return;
	}
	buf_printf(out, "%s.%03dZ", text, (int)(epoch_ms % SECOND_MS));
}
