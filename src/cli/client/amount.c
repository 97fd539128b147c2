#include "cli/client/amount.h"

#include <string.h>
#include <strings.h>

#include "cli/when.h"

enum { SHOWN_MAX = 40 };

bool amount_integer(const char *option, const char *text, int64_t least, int64_t most, int64_t *out, err *e)
{
	if (text == NULL || str_parse_i64(str_from_c(text), least, most, out)) {
		return true;
	}
	return err_set(e, ERR_INVALID_REQUEST, "--%s is a whole number from %lld to %lld, not `%.40s`", option,
				   (long long)least, (long long)most, text);
}

static const struct {
	const char *name;
	int64_t bytes;
} UNITS[] = {
	{"k", 1000},       {"m", 1000000},    {"g", 1000000000}, {"t", 1000000000000},
	{"ki", 1LL << 10}, {"mi", 1LL << 20}, {"gi", 1LL << 30}, {"ti", 1LL << 40},
};

static int64_t find_unit(str name)
{
	if (name.len > 0 && (name.ptr[name.len - 1] == 'B' || name.ptr[name.len - 1] == 'b')) {
		name.len--;
	}
	for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
		if (str_equal_ignore_case(name, str_from_c(UNITS[i].name))) {
			return UNITS[i].bytes;
		}
	}
	return name.len == 0 ? 1 : 0;
}

bool amount_bytes(const char *option, const char *text, int64_t *out, err *e)
{
	static const uint64_t most = 1000000000000000;
	uint64_t whole = 0;
	uint64_t tenths = 0;
	if (text == NULL) {
		return true;
	}
	str number = str_from_c(text);
	size_t digits = strspn(text, "0123456789.");
	int64_t unit = find_unit(str_skip(number, digits));
	str fraction;
	bool has_fraction = str_split(str_take(number, digits), '.', &number, &fraction);
	if (unit == 0 || !str_parse_u64(number, most / (uint64_t)unit, &whole) ||
		(has_fraction && (unit == 1 || !str_parse_u64(fraction, 9, &tenths) || fraction.len != 1))) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "--%s is a number of bytes such as 4096, 10M, 1.5GB or 10MiB, not `%.40s`", option, text);
	}
	*out = (int64_t)whole * unit + (int64_t)tenths * unit / 10;
	return true;
}

bool amount_duration_ms(const char *option, const char *text, int64_t *out, err *e)
{
	if (text == NULL || when_parse_duration(str_from_c(text), out, e)) {
		return true;
	}
	return err_set(e, ERR_INVALID_REQUEST,
				   "--%s is a number and one of ms, s, m, h, d, w, y, as in 150ms or 7d, not `%.40s`", option, text);
}

void amount_append_bytes(buf *out, int64_t bytes)
{
	static const char units[] = "kMGT";
	double shown = (double)bytes;
	size_t unit = 0;
	if (bytes < 1000) {
		buf_printf(out, "%lld B", (long long)bytes);
		return;
	}
	for (shown /= 1000; shown >= 1000 && units[unit + 1] != '\0'; unit++) {
		shown /= 1000;
	}
	buf_printf(out, "%.1f %cB", shown, units[unit]);
}

void amount_append_duration(buf *out, int64_t ms)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
	size_t i = 0;
	if (ms == 0) {
		buf_append_byte(out, '-');
		return;
	}
	while (ms % units[i].ms != 0) {
		i++;
	}
	buf_printf(out, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
}

bool amount_compression(const char *text, tg_compression *out, err *e)
{
	static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"}; /* in the order of tg_compression */
	if (text == NULL) {
		return true;
	}
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcasecmp(text, names[i]) == 0) {
			*out = (tg_compression)i;
			return true;
		}
	}
	return err_set(e, ERR_INVALID_REQUEST, "--compression is none, gzip, snappy, lz4 or zstd, not `%.40s`", text);
}

/* Without the marks between words, and without regard to case: at-most-once is AtMostOnce. */
static bool is_word(const char *text, const char *word)
{
	char plain[SHOWN_MAX];
	size_t len = 0;
	for (; *text != '\0' && len + 1 < sizeof plain; text++) {
		if (*text != '-' && *text != '_') {
			plain[len++] = *text;
		}
	}
	plain[len] = '\0';
	return strcasecmp(plain, word) == 0;
}

bool amount_isolation(const char *text, tg_isolation *out, err *e)
{
	if (text == NULL) {
		return true;
	}
	bool is_committed = is_word(text, "readcommitted");
	if (!is_committed && !is_word(text, "readuncommitted")) {
		return err_set(e, ERR_INVALID_REQUEST, "--isolation is read_committed or read_uncommitted, not `%.40s`", text);
	}
	*out = is_committed ? TG_READ_COMMITTED : TG_READ_UNCOMMITTED;
	return true;
}

bool amount_delivery(const char *text, tg_delivery *out, err *e)
{
	if (text == NULL) {
		return true;
	}
	bool is_most = is_word(text, "atmostonce");
	if (!is_most && !is_word(text, "atleastonce")) {
		return err_set(e, ERR_INVALID_REQUEST, "--delivery-semantic is at-least-once or at-most-once, not `%.40s`",
					   text);
	}
	*out = is_most ? TG_AT_MOST_ONCE : TG_AT_LEAST_ONCE;
	return true;
}
