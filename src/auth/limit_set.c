#include "auth/limit_set.h"

static const char *const NAMES[LIMIT_SCOPES][LIMIT_KINDS] = {
	{
#define NAME_OF_TENANT(name, text) text,
		LIMIT_TABLE(NAME_OF_TENANT)
#undef NAME_OF_TENANT
	},
	{
#define NAME_OF_KEY(name, text) text "_per_key",
		LIMIT_RATES(NAME_OF_KEY) LIMIT_COUNTS(NAME_OF_KEY)
#undef NAME_OF_KEY
	},
};

limit_set limit_set_none(void)
{
	limit_set set;
	for (int scope = 0; scope < LIMIT_SCOPES; scope++) {
		for (int kind = 0; kind < LIMIT_KINDS; kind++) {
			set.most[scope][kind] = LIMIT_UNSET;
		}
	}
	return set;
}

const char *limit_name(limit_kind kind, limit_scope scope)
{
	return NAMES[scope][kind];
}

bool limit_find(str name, limit_kind *kind, limit_scope *scope)
{
	for (int s = 0; s < LIMIT_SCOPES; s++) {
		for (int k = 0; k < LIMIT_KINDS; k++) {
			if (NAMES[s][k] != NULL && str_equal(name, str_from_c(NAMES[s][k]))) {
				*scope = (limit_scope)s;
				*kind = (limit_kind)k;
				return true;
			}
		}
	}
	return false;
}

static bool parse_most(str text, int64_t *out)
{
	uint64_t number;
	if (str_equal(text, STR("server"))) {
		*out = LIMIT_SERVER;
		return true;
	}
	if (!str_parse_u64(text, (uint64_t)LIMIT_MOST_MAX, &number)) {
		return false;
	}
	*out = (int64_t)number;
	return true;
}

/* One "name=most" into the set. */
static bool parse_one(str text, limit_set *set, err *e)
{
	str name;
	str most;
	limit_kind kind;
	limit_scope scope;
	bool has_value = str_split(text, '=', &name, &most);
	name = str_trim(name);
	if (!limit_find(name, &kind, &scope)) {
		return err_set(e, ERR_INVALID_REQUEST, "there is no limit \"%.*s\"; docs/limits.md lists them",
					   STR_ARG(str_take(name, LIMIT_NAME_MAX)));
	}
	return (has_value && parse_most(str_trim(most), &set->most[scope][kind])) ||
		   err_set(e, ERR_INVALID_REQUEST, "%s is a number from 0 to %lld, 0 for no limit, or \"server\"",
				   limit_name(kind, scope), (long long)LIMIT_MOST_MAX);
}

bool limit_set_parse(str text, limit_set *out, err *e)
{
	limit_set set = limit_set_none();
	str rest = str_trim(text);
	for (bool has_more = rest.len > 0; has_more;) {
		str one;
		has_more = str_split(rest, ',', &one, &rest);
		if (!parse_one(one, &set, e)) {
			return false;
		}
	}
	*out = set;
	return true;
}

limit_set limit_set_read(str text)
{
	limit_set set = limit_set_none();
	str rest = text;
	err ignored;
	for (bool has_more = rest.len > 0; has_more;) {
		str one;
		has_more = str_split(rest, ',', &one, &rest);
		(void)parse_one(one, &set, &ignored);
	}
	return set;
}

void limit_set_print(const limit_set *set, buf *out)
{
	const char *before = "";
	for (int scope = 0; scope < LIMIT_SCOPES; scope++) {
		for (int kind = 0; kind < LIMIT_KINDS; kind++) {
			int64_t most = set->most[scope][kind];
			if (NAMES[scope][kind] == NULL || most == LIMIT_UNSET) {
				continue;
			}
			buf_printf(out, "%s%s=", before, NAMES[scope][kind]);
			if (most == LIMIT_SERVER) {
				buf_append_str(out, STR("server"));
			} else {
				buf_printf(out, "%lld", (long long)most);
			}
			before = ",";
		}
	}
}
