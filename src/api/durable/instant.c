#include "api/durable/instant.h"

#include <inttypes.h>

enum { SECOND_MS = 1000, MINUTE_S = 60, HOUR_S = 3600, DAY_S = 86400, DATE_TIME_LEN = 19 };

/* Days since 1970-01-01 in the proleptic Gregorian calendar; March is taken as a year's first month, so that the leap
 * day is its last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t day_of_era = z - era * 146097;
	int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t shifted = (5 * day_of_year + 2) / 153;
	*day = day_of_year - (153 * shifted + 2) / 5 + 1;
	*month = shifted < 10 ? shifted + 3 : shifted - 9;
	*year = year_of_era + era * 400 + (*month <= 2);
}

/* Exactly `width` digits. */
static bool take_number(str *rest, size_t width, int64_t most, int64_t *out)
{
	uint64_t value;
	if (rest->len < width || !str_parse_u64(str_take(*rest, width), (uint64_t)most, &value)) {
		return false;
	}
	*out = (int64_t)value;
	*rest = str_skip(*rest, width);
	return true;
}

/* One of two characters: date and time may be parted by 't', zero offset may be 'z'. */
static bool take_mark(str *rest, char mark, char other)
{
	if (rest->len == 0 || (rest->ptr[0] != mark && rest->ptr[0] != other)) {
		return false;
	}
	*rest = str_skip(*rest, 1);
	return true;
}

static int64_t days_in(int64_t year, int64_t month)
{
	static const int64_t DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return DAYS[month - 1] + (month == 2 && is_leap);
}

static bool take_fraction(str *rest, int64_t *ms)
{
	int64_t scale = 100;
	size_t digits = 0;
	*ms = 0;
	if (!take_mark(rest, '.', '.')) {
		return true;
	}
	for (; digits < rest->len && rest->ptr[digits] >= '0' && rest->ptr[digits] <= '9'; digits++, scale /= 10) {
		*ms += (rest->ptr[digits] - '0') * scale;
	}
	*rest = str_skip(*rest, digits);
	return digits > 0;
}

static bool take_zone(str *rest, int64_t *offset_s)
{
	int64_t hours;
	int64_t minutes;
	*offset_s = 0;
	if (take_mark(rest, 'Z', 'z')) {
		return true;
	}
	bool is_west = rest->len > 0 && rest->ptr[0] == '-';
	if (!take_mark(rest, '+', '-') || !take_number(rest, 2, 23, &hours) || !take_mark(rest, ':', ':') ||
		!take_number(rest, 2, 59, &minutes)) {
		return false;
	}
	*offset_s = (hours * HOUR_S + minutes * MINUTE_S) * (is_west ? -1 : 1);
	return true;
}

bool durable_instant_parse(str text, int64_t *ms)
{
	str rest = text;
	int64_t year, month, day, hour, minute, second, fraction, zone;
	bool ok = take_number(&rest, 4, 9999, &year) && take_mark(&rest, '-', '-') && take_number(&rest, 2, 12, &month) &&
			  take_mark(&rest, '-', '-') && take_number(&rest, 2, 31, &day) && take_mark(&rest, 'T', 't') &&
			  take_number(&rest, 2, 23, &hour) && take_mark(&rest, ':', ':') && take_number(&rest, 2, 59, &minute) &&
			  take_mark(&rest, ':', ':') && take_number(&rest, 2, 60, &second) && take_fraction(&rest, &fraction) &&
			  take_zone(&rest, &zone) && rest.len == 0;
	if (!ok || month < 1 || day < 1 || day > days_in(year, month)) {
		return false;
	}
	*ms =
		(days_of(year, month, day) * DAY_S + hour * HOUR_S + minute * MINUTE_S + second - zone) * SECOND_MS + fraction;
	return true;
}

void durable_instant_print(buf *out, int64_t ms)
{
	int64_t year, month, day;
	int64_t seconds = ms >= 0 ? ms / SECOND_MS : -((SECOND_MS - 1 - ms) / SECOND_MS);
	int64_t days = seconds >= 0 ? seconds / DAY_S : -((DAY_S - 1 - seconds) / DAY_S);
	int64_t rest = seconds - days * DAY_S;
	int64_t fraction = ms - seconds * SECOND_MS;
	date_of(days, &year, &month, &day);
	buf_printf(out, "%04" PRId64 "-%02" PRId64 "-%02" PRId64 "T%02" PRId64 ":%02" PRId64 ":%02" PRId64, year, month,
			   day, rest / HOUR_S, rest % HOUR_S / MINUTE_S, rest % MINUTE_S);
	if (fraction > 0) {
		buf_printf(out, ".%03" PRId64, fraction);
	}
	buf_append_byte(out, 'Z');
}
