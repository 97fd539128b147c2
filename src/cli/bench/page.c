#include "cli/bench/page.h"

#include <inttypes.h>
#include <string.h>

/* Finds one member again and again, first at the distance at which it was found the last time. */
typedef struct finder {
	str name; /* with quotes and colon */
	size_t distance;
} finder;

/* *at is the place behind the member's name; the search starts at `from`. */
static bool find(finder *f, str body, size_t from, size_t *at)
{
	size_t guess = from + f->distance;
	if (guess + f->name.len <= body.len && memcmp(body.ptr + guess, f->name.ptr, f->name.len) == 0) {
		*at = guess + f->name.len;
		return true;
	}
	if (from >= body.len) {
		return false;
	}
	const char *found = memmem(body.ptr + from, body.len - from, f->name.ptr, f->name.len);
	if (found == NULL) {
		return false;
	}
	f->distance = (size_t)(found - (body.ptr + from));
	*at = (size_t)(found - body.ptr) + f->name.len;
	return true;
}

static bool take_number(str body, size_t *at, int64_t *out)
{
	size_t i = *at;
	int64_t value = 0;
	while (i < body.len && body.ptr[i] == ' ') {
		i++;
	}
	size_t first = i;
	while (i < body.len && i - first < 18 && body.ptr[i] >= '0' && body.ptr[i] <= '9') {
		value = value * 10 + (body.ptr[i] - '0');
		i++;
	}
	if (i == first) {
		return false;
	}
	*at = i;
	*out = value;
	return true;
}

static finder offset_finder(void)
{
	return (finder){STR("\"offset\":"), 0};
}

bool page_find_number(str text, str name, int64_t *out)
{
	finder f = {name, 0};
	size_t at = 0;
	return find(&f, text, 0, &at) && take_number(text, &at, out);
}

bool page_find_offset(str text, int64_t *offset)
{
	return page_find_number(text, offset_finder().name, offset);
}

bool page_check_results(str body, uint32_t count, int64_t *base_offset, err *e)
{
	finder offsets = offset_finder();
	size_t at = 0;
	int64_t first = 0;
	uint32_t seen = 0;
	while (find(&offsets, body, at, &at)) {
		int64_t offset = 0;
		if (!take_number(body, &at, &offset)) {
			return err_set(e, ERR_INTERNAL, "an offset is no number: %.*s", STR_ARG(str_take(body, 120)));
		}
		if (seen == 0) {
			first = offset;
		} else if (offset != first + seen) {
			return err_set(e, ERR_INTERNAL, "offset %" PRId64 " follows %" PRId64 " in one acknowledgement", offset,
						   first + seen - 1);
		}
		seen++;
	}
	if (seen != count) {
		return err_set(e, ERR_INTERNAL, "%u records were sent and %u acknowledged: %.*s", count, seen,
					   STR_ARG(str_take(body, 120)));
	}
	*base_offset = first;
	return true;
}

page_expectation page_expect(const ledger *l, const payload *p, int64_t offset)
{
	return (page_expectation){l, p, ledger_seek(l, offset), offset, false};
}

/* The value that starts at `at` is the expected one and ends there. */
static bool value_matches(str body, size_t at, str value)
{
	return at + value.len < body.len && memcmp(body.ptr + at, value.ptr, value.len) == 0 &&
		   body.ptr[at + value.len] == '"';
}

bool page_check_messages(str body, page_expectation *x, uint32_t *count, err *e)
{
	finder offsets = offset_finder();
	finder values = {STR("\"value\":\""), 0};
	size_t at = 0;
	uint32_t seen = 0;
	while (find(&offsets, body, at, &at)) {
		int64_t offset = 0;
		if (!take_number(body, &at, &offset) || offset != x->next_offset) {
			return err_set(e, ERR_INTERNAL, "the reader expected offset %" PRId64 " and was given %" PRId64,
						   x->next_offset, offset);
		}
		if (offset >= x->ledger->end_offset && x->log_grows) {
			break;
		}
		if (offset >= x->ledger->end_offset) {
			return err_set(e, ERR_INTERNAL, "the reader was given offset %" PRId64 ", which nobody produced", offset);
		}
		str value = payload_value(x->payload, x->ledger->entries[x->cursor.entry].variant, x->cursor.record);
		if (!find(&values, body, at, &at) || !value_matches(body, at, value)) {
			return err_set(e, ERR_INTERNAL, "the record at offset %" PRId64 " is not the one that was sent", offset);
		}
		at += value.len;
		ledger_step(x->ledger, &x->cursor);
		x->next_offset++;
		seen++;
	}
	*count = seen;
	return true;
}
