#include "http/target.h"

#include "base/text.h"

#include <string.h>

static bool is_sane(str target)
{
	for (size_t i = 0; i < target.len; i++) {
		unsigned char c = (unsigned char)target.ptr[i];
		if (c <= ' ' || c == 0x7f || c == '#') {
			return false;
		}
	}
	return target.len > 0;
}

/* Drops `http://authority`; an absolute target without a path means "/". */
static bool drop_authority(str target, str *rest)
{
	static const str schemes[] = {{"http://", 7}, {"https://", 8}};
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t skip = schemes[i].len;
		if (target.len > skip && str_equal_ignore_case(str_take(target, skip), schemes[i])) {
			while (skip < target.len && target.ptr[skip] != '/' && target.ptr[skip] != '?') {
				skip++;
			}
			*rest = str_skip(target, skip);
			return true;
		}
	}
	return false;
}

bool target_split(str target, str *path, str *query)
{
	str rest = target;
	if (!is_sane(target)) {
		return false;
	}
	bool is_absolute = target.ptr[0] != '/' && !str_equal(target, STR("*"));
	if (is_absolute && !drop_authority(target, &rest)) {
		return false;
	}
	str head = STR_NONE;
	str tail = STR_NONE;
	/* "a?" has a query, an empty one; "a" has none. */
	str_split(rest, '?', &head, &tail);
	*path = head.len > 0 ? head : STR("/");
	*query = tail;
	return true;
}

static bool form_decode(arena *a, str raw, str *out)
{
	bool is_clean;
	return text_percent_decode(a, raw, true, out, &is_clean);
}

size_t target_query_find(arena *a, str query, str name, str *value)
{
	size_t count = 0;
	str rest = query;
	while (rest.len > 0) {
		str pair;
		str raw_name;
		str raw_value;
		str found;
		str_split(rest, '&', &pair, &rest);
		str_split(pair, '=', &raw_name, &raw_value);
		if (raw_name.len < name.len || !form_decode(a, raw_name, &found) || !str_equal(found, name)) {
			continue;
		}
		if (count == 0 && value != NULL) {
			if (!form_decode(a, raw_value, &found)) {
				continue;
			}
			*value = found.ptr != NULL ? found : STR("");
		}
		count++;
	}
	return count;
}
