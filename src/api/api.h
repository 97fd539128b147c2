/*
 * api/api: what every handler can reach, through http_app(). One per process.
 *
 * Life     the owner fills the first five members, then api_init(); serves; api_stop_waiting() when the process is
 *          asked to stop, before http_server_stop(); api_dispose() after http_server_stop() and before the engine is
 *          freed.
 * Owns     only what api_init() makes; the five are borrowed.
 * Threads  init, dispose: the main thread. Everything else: any.
 */
#ifndef TIDEGATE_API_API_H
#define TIDEGATE_API_API_H

#include "base/metric.h"
#include "base/slog.h"
#include "config/config.h"
#include "http/exchange.h"
#include "log/engine.h"

#include <stdatomic.h>

struct auth;
struct shared_map;
struct pump_set;
struct touch_book;
struct topics_hub;
struct httpmq_ack_desk;

/* The channel whose payloads belong to api_on_watch_notify(). */
#define API_WATCH_CHANNEL "tidegate_watch"
/* Those of this one to api_on_httpmq_notify(). */
#define API_HTTPMQ_CHANNEL "tidegate_httpmq"

enum {
	API_JSON_DEPTH = 128,    /* nesting of a request body */
	API_WAITERS_MAX = 20000, /* long polls and group streams that wait at one time; beyond, 429 */
	API_ID_BYTES_MAX = 256,  /* idempotency keys, producer ids */
	API_DIALECTS_MAX = 8,
};

typedef struct api {
	log_engine *log;
	struct auth *auth;
	const config *config;
	slog *slog;
	metric_registry *metrics;
	/* api_init() makes the rest */
	struct pump_set *pumps;     /* whoever waits for new records */
	struct shared_map *durable; /* DURABLE_STREAMS_KNOWN */
	struct durable_keeper *durable_keeper;
	struct clerk *clerk;                   /* sees to their subscriptions */
	_Atomic(struct topics_hub *) topics;   /* what the live connections of the topics dialect share */
	_Atomic(struct shared_map *) httpmq;   /* which stream captures a subject */
	struct httpmq_ack_desk *httpmq_acks;   /* that wait */
	struct httpmq_members *httpmq_members; /* of delivery groups, served here */
	struct touch_book *touched;            /* when topics were last read */
	int64_t started_ms;                    /* clock_now_ms() when it began */
	atomic_uint_least32_t keyless;         /* round robin of records without a key: the next one's number */
	atomic_bool is_stopping;
	atomic_bool is_ready; /* api_init() is done */
} api;

bool api_init(api *a, err *e) MUST_CHECK;
/* Long polls answer with what there is, group streams end: a stop need not wait for them. */
void api_stop_waiting(api *a);
void api_dispose(api *a); /* accepts one that was not initialised, if zeroed */
/* log_engine_options.duty: the background work of the dialects. The context is the api, perhaps not initialised yet. */
bool api_duty(void *context, log_engine *engine, log_conn *conn, bool *more, err *e) MUST_CHECK;

/* A notification of API_WATCH_CHANNEL; on the listener's thread, also before api_init(). */
void api_on_watch_notify(api *a, str payload);
/* The same of API_HTTPMQ_CHANNEL. */
void api_on_httpmq_notify(api *a, str payload);

api *api_of(const http_exchange *x);

/* The dialects that `names` asks for ("all", or comma-separated names) and the probes, which are always served. */
bool api_dialects(str names, const http_dialect *out[API_DIALECTS_MAX], size_t *count, err *e) MUST_CHECK;

#endif
