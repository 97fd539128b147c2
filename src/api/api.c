#include "api/api.h"

#include "api/probe.h"
#include "api/pump.h"
#include "api/streaming/streaming.h"
#include "api/topics/topics.h"
#include "api/topics/touch.h"
#include "base/clock.h"

bool api_init(api *a, err *e)
{
	a->pumps = pump_set_new(a->metrics);
	a->touched = touch_book_new();
	a->started_ms = clock_now_ms();
	atomic_init(&a->keyless, 0);
	atomic_init(&a->is_stopping, false);
	return (a->pumps != NULL && a->touched != NULL) || err_set(e, ERR_NO_MEMORY, "no memory to start with");
}

void api_stop_waiting(api *a)
{
	atomic_store(&a->is_stopping, true);
	pump_set_kick(a->pumps);
}

void api_dispose(api *a)
{
	pump_set_free(a->pumps);
	touch_book_free(a->touched);
	a->pumps = NULL;
	a->touched = NULL;
}

api *api_of(const http_exchange *x)
{
	return http_app(x);
}

/* ---- dialects ---- */

/* Every dialect that can be asked for by name. */
static const http_dialect *const choices[] = {&streaming_dialect, &topics_dialect};

enum { CHOICE_COUNT = sizeof choices / sizeof choices[0] };

static const http_dialect *find_dialect(str name)
{
	for (size_t i = 0; i < CHOICE_COUNT; i++) {
		if (str_equal(name, str_from_c(choices[i]->name))) {
			return choices[i];
		}
	}
	return NULL;
}

static void add_dialect(const http_dialect *d, const http_dialect *out[API_DIALECTS_MAX], size_t *count)
{
	for (size_t i = 0; i < *count; i++) {
		if (out[i] == d) {
			return;
		}
	}
	out[(*count)++] = d;
}

bool api_dialects(str names, const http_dialect *out[API_DIALECTS_MAX], size_t *count, err *e)
{
	_Static_assert((int)CHOICE_COUNT < (int)API_DIALECTS_MAX, "room for every dialect and the probes");
	size_t found = 0;
	add_dialect(&probe_dialect, out, &found);
	str rest = names;
	for (bool has_more = true; has_more;) {
		str name;
		has_more = str_split(rest, ',', &name, &rest);
		name = str_trim(name);
		if (str_equal(name, STR("all"))) {
			for (size_t i = 0; i < CHOICE_COUNT; i++) {
				add_dialect(choices[i], out, &found);
			}
			continue;
		}
		const http_dialect *d = find_dialect(name);
		if (d == NULL) {
			return err_set(e, ERR_INVALID_REQUEST, "dialects: \"%.*s\" is not one of: all, streaming, topics",
						   STR_ARG(name));
		}
		add_dialect(d, out, &found);
	}
	*count = found;
	return true;
}
