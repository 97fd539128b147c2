#include "log/engine.h"

#include <string.h>

#include "log/private.h"

static bool start_lanes(log_engine *engine, err *e)
{
	size_t count = engine->options.lanes > 0 ? engine->options.lanes : 1;
	engine->lanes = calloc(2 * count, sizeof *engine->lanes);
	if (engine->lanes == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < 2 * count; i++) {
		bool relaxed = i >= count;
		engine->lanes[i] = lane_new(engine, (uint32_t)(i % count), relaxed, e);
		if (engine->lanes[i] == NULL) {
			return false;
		}
		engine->lane_count = i + 1;
	}
	return true;
}

bool log_engine_new(const log_engine_options *options, log_engine **out, err *e)
{
	log_engine *engine = calloc(1, sizeof *engine);
	if (engine == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	engine->options = *options;
	engine->database_url = strndup(options->database_url.ptr, options->database_url.len);
	engine->topics = shared_map_new(&TOPICS_KNOWN);
	engine->wakes = wake_registry_new(engine);
	engine->tails = tail_registry_new(engine);
	engine->routes = route_clerk_new(engine);
	engine->leases = lease_registry_new(engine);
	if (engine->database_url == NULL || engine->topics == NULL || engine->wakes == NULL || engine->tails == NULL ||
		engine->routes == NULL || engine->leases == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto fail;
	}
	engine->options.database_url = str_from_c(engine->database_url);
	engine->link = notify_link_new(engine, e);
	if (engine->link == NULL || !start_lanes(engine, e)) {
		goto fail;
	}
	if (options->janitor) {
		engine->janitor = janitor_new(engine, e);
		if (engine->janitor == NULL) {
			goto fail;
		}
	}
	*out = engine;
	return true;
fail:
	log_engine_stop(engine, 0);
	log_engine_free(engine);
	return false;
}

void log_engine_stop(log_engine *engine, int64_t deadline_ms)
{
	janitor_free(engine->janitor);
	engine->janitor = NULL;
	for (size_t i = 0; i < engine->lane_count; i++) {
		lane_stop(engine->lanes[i], deadline_ms);
	}
	if (engine->leases != NULL) {
		lease_registry_stop(engine->leases);
	}
	if (engine->routes != NULL) {
		route_clerk_stop(engine->routes);
	}
	if (engine->link != NULL) {
		notify_link_stop_polling(engine->link);
	}
	if (engine->tails != NULL) {
		tail_registry_stop(engine->tails);
	}
}

void log_engine_free(log_engine *engine)
{
	if (engine == NULL) {
		return;
	}
	for (size_t i = 0; i < engine->lane_count; i++) {
		lane_free(engine->lanes[i]);
	}
	free(engine->lanes);
	/* The listener's thread wakes watchers, and feeds among them. */
	notify_link_free(engine->link);
	tail_registry_free(engine->tails);
	lease_registry_free(engine->leases);
	route_clerk_free(engine->routes);
	wake_registry_free(engine->wakes);
	shared_map_free(engine->topics);
	free(engine->database_url);
	free(engine);
}

bool log_engine_is_ready(log_engine *engine)
{
	return db_pool_is_ready(engine->options.pool) && notify_link_is_up(engine->link);
}

void log_engine_writer_stats(log_engine *engine, log_writer_stats *out)
{
	*out = (log_writer_stats){0};
	for (size_t i = 0; i < engine->lane_count; i++) {
		lane_add_stats(engine->lanes[i], out);
	}
}

timer *log_engine_timer(log_engine *engine)
{
	return engine->options.timer;
}

bool log_engine_submit(log_engine *engine, log_job job, err *e)
{
	return db_pool_submit(engine->options.pool, (db_job){job.run, job.refuse, job.context}, e);
}

void log_engine_on_append(log_engine *engine, log_on_append *on_append, void *context)
{
	engine->on_append_context = context;
	engine->on_append = on_append;
}
