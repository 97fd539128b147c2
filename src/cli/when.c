#include "cli/when.h"

#include <time.h>

enum { SECOND_MS = 1000, MOST = 1000000 };

static int64_t unit_ms(char unit)
{
	switch (unit) {
	case 's':
		return SECOND_MS;
	case 'm':
		return (int64_t)60 * SECOND_MS;
	case 'h':
		return (int64_t)3600 * SECOND_MS;
	case 'd':
		return (int64_t)86400 * SECOND_MS;
	case 'w':
		return (int64_t)7 * 86400 * SECOND_MS;
	case 'y':
		return (int64_t)365 * 86400 * SECOND_MS;
	default:
		return 0;
	}
}

bool when_parse_duration(str text, int64_t *out_ms, err *e)
{
	uint64_t number = 0;
	int64_t unit = text.len > 0 ? unit_ms(text.ptr[text.len - 1]) : 0;
	if (str_equal(text, STR("0"))) {
		*out_ms = 0;
		return true;
	}
	if (unit == 0 || !str_parse_u64(str_take(text, text.len - 1), MOST, &number) || number == 0) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "`%.*s` is no duration: write a number and one of s, m, h, d, w, y, as in 30d",
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
