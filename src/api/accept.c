#include "api/accept.h"

/* Whether a parameter says q=0: this type is not wanted. */
static bool is_excluded(str parameters)
{
	str parameter;
	for (str rest = parameters; rest.ptr != NULL;) {
		str_split(rest, ';', &parameter, &rest);
		str value;
		str name;
		str_split(str_trim(parameter), '=', &name, &value);
		if (!str_equal_ignore_case(str_trim(name), STR("q")) || value.ptr == NULL) {
			continue;
		}
		bool is_zero = value.len > 0;
		for (size_t i = 0; i < value.len; i++) {
			is_zero = is_zero && (value.ptr[i] == '0' || value.ptr[i] == '.' || value.ptr[i] == ' ');
		}
		return is_zero;
	}
	return false;
}

static accept_fitness fit_range(str range, str type)
{
	str top;
	str name;
	str_split(type, '/', &top, &name);
	if (str_equal_ignore_case(range, type)) {
		return ACCEPT_NAMED;
	}
	if (str_equal(range, STR("*/*"))) {
		return ACCEPT_ANY;
	}
	bool is_top = str_ends_with(range, STR("/*")) && str_equal_ignore_case(str_take(range, range.len - 2), top);
	return is_top ? ACCEPT_TOP : ACCEPT_NOT;
}

accept_fitness accept_fit(str accept, str type)
{
	accept_fitness best = ACCEPT_NOT;
	accept_fitness excluded = ACCEPT_NOT;
	str entry;
	for (str rest = accept; rest.ptr != NULL;) {
		str range;
		str parameters;
		str_split(rest, ',', &entry, &rest);
		str_split(entry, ';', &range, &parameters);
		accept_fitness fit = fit_range(str_trim(range), type);
		if (is_excluded(parameters)) {
			excluded = fit > excluded ? fit : excluded;
		} else if (fit > best) {
			best = fit;
		}
	}
	return best > excluded ? best : ACCEPT_NOT;
}
