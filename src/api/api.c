#include "api/api.h"

#include "api/admin/admin.h"
#include "api/durable/durable.h"
#include "api/durable/keep.h"
#include "api/durable/stream.h"
#include "api/durable/subscription/subscriptions.h"
#include "api/httpmq/ack_desk.h"
#include "api/httpmq/catalog.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/members.h"
#include "api/probe.h"
#include "api/pump.h"
#include "api/streaming/streaming.h"
#include "api/topics/hub.h"
#include "api/topics/topics.h"
#include "api/topics/touch.h"
#include "base/clock.h"

bool api_init(api *a, err *e)
{
	a->pumps = pump_set_new(a->metrics);
	a->durable = shared_map_new(&DURABLE_STREAMS_KNOWN);
	a->durable_keeper = durable_keeper_new();
	a->touched = touch_book_new();
	a->started_ms = clock_now_ms();
	atomic_init(&a->keyless, 0);
	atomic_init(&a->is_stopping, false);
	a->httpmq = httpmq_catalog_new();
	a->httpmq_acks = httpmq_ack_desk_new(a->log);
	a->httpmq_members = httpmq_members_new(a);
	a->topics = topics_hub_new(a);
	if (a->pumps == NULL || a->durable == NULL || a->durable_keeper == NULL || a->touched == NULL ||
		a->topics == NULL || a->httpmq == NULL || a->httpmq_acks == NULL || a->httpmq_members == NULL) {
		return err_set(e, ERR_NO_MEMORY, "no memory to start with");
	}
	if (!clerk_new(a, &a->clerk, e)) {
		return false;
	}
	atomic_store(&a->is_ready, true);
	return true;
}

void api_stop_waiting(api *a)
{
	atomic_store(&a->is_stopping, true);
	pump_set_kick(a->pumps);
	clerk_stop(a->clerk);
}

void api_dispose(api *a)
{
	topics_hub *hub = a->topics;
	a->topics = NULL;
	topics_hub_free(hub);
	shared_map *catalog = a->httpmq;
	a->httpmq = NULL;
	shared_map_free(catalog);
	httpmq_ack_desk_free(a->httpmq_acks);
	a->httpmq_acks = NULL;
	clerk_free(a->clerk);
	pump_set_free(a->pumps);
	httpmq_members_free(a->httpmq_members);
	a->httpmq_members = NULL;
	durable_keeper_free(a->durable_keeper);
	shared_map_free(a->durable);
	touch_book_free(a->touched);
	a->pumps = NULL;
	a->durable_keeper = NULL;
	a->durable = NULL;
	a->touched = NULL;
	a->clerk = NULL;
}

bool api_duty(void *context, log_engine *engine, log_conn *conn, bool *more, err *e)
{
	api *a = context;
	return durable_sweep(engine, conn, more, e) && (!atomic_load(&a->is_ready) || clerk_duty(a->clerk, conn, e));
}

void api_on_watch_notify(api *a, str payload)
{
	if (a->topics != NULL) {
		watch_keeper_hear(a->topics->keeper, payload);
	}
}

void api_on_httpmq_notify(api *a, str payload)
{
	if (a->httpmq != NULL) {
		httpmq_catalog_hear(a->httpmq, payload);
	}
}

api *api_of(const http_exchange *x)
{
	return http_app(x);
}

/* ---- dialects ---- */

/* Every dialect that can be asked for by name. */
static const http_dialect *const choices[] = {&streaming_dialect, &topics_dialect,   &durable_dialect,
											  &httpmq_management, &httpmq_dataplane, &admin_dialect};

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

/* Durable streams come with their control space, which has errors of a form of its own. */
static void add_companions(const http_dialect *out[API_DIALECTS_MAX], size_t *count)
{
	for (size_t i = 0; i < *count; i++) {
		if (out[i] == &durable_dialect) {
			add_dialect(&subscription_dialect, out, count);
			return;
		}
	}
}

bool api_dialects(str names, const http_dialect *out[API_DIALECTS_MAX], size_t *count, err *e)
{
	_Static_assert((int)CHOICE_COUNT + 1 < (int)API_DIALECTS_MAX, "room for every dialect, a companion and the probes");
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
		if (str_equal(name, STR("httpmq"))) {
			add_dialect(&httpmq_management, out, &found);
			add_dialect(&httpmq_dataplane, out, &found);
			continue;
		}
		const http_dialect *d = find_dialect(name);
		if (d == NULL) {
			return err_set(
				e, ERR_INVALID_REQUEST,
				"dialects: \"%.*s\" is not one of: all, streaming, topics, durable, httpmq, httpmq-management, "
				"httpmq-dataplane, admin",
				STR_ARG(name));
		}
		add_dialect(d, out, &found);
	}
	add_companions(out, &found);
	*count = found;
	return true;
}
