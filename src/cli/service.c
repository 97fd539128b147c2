#include "cli/service.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "api/api.h"
#include "api/gate.h"
#include "auth/auth.h"
#include "auth/guard.h"
#include "auth/jwt.h"
#include "auth/listed.h"
#include "base/clock.h"
#include "base/timer.h"
#include "db/migrate.h"
#include "db/pool.h"
#include "http/server.h"

enum { LISTEN_MAX = 32, PATH_BYTES_MAX = 4096, TIMERS_MAX = 200000, DATABASE_WAIT_MS = 500, KEEP_INTERVAL_MS = 1000 };

typedef struct service {
	const service_options *options;
	const config *config;
	slog *log;
	metric_registry *metrics;
	timer *timer;
	db_pool *pool;
	auth_jwt *jwt;
	auth_listed *listed;
	auth *auth;
	log_engine *engine;
	api api;
	http_server *http;
	str listen[LISTEN_MAX]; /* those with TLS last */
	size_t listen_count;
	size_t tls_listen_count; /* of them */
	const http_dialect *dialects[API_DIALECTS_MAX];
	size_t dialect_count;
} service;

/* ---- signals ---- */

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

void service_block_signals(void)
{
	sigset_t set;
	stop_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Waits for a signal to stop, at most timeout_ms (negative: for ever). */
static bool stop_was_asked(int64_t timeout_ms)
{
	sigset_t set;
	stop_signals(&set);
	for (;;) {
		struct timespec wait = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
		int n = timeout_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &wait);
		if (n > 0) {
			return true;
		}
		if (errno == EAGAIN) {
			return false;
		}
	}
}

/* ---- parts ---- */

slog *service_log(const config *c)
{
	slog_level level = SLOG_INFO;
	slog_format format = SLOG_TEXT;
	/* The configuration has checked both words. */
	(void)slog_level_parse(c->log_level, &level);
	(void)slog_format_parse(c->log_format, &format);
	return slog_new(STDERR_FILENO, level, format);
}

static db_conn_options conn_options(const config *c, const char *role, slog *log)
{
	return (db_conn_options){
		.url = c->database_url, .role = role, .timeout_ms = (uint32_t)c->database_timeout_ms, .log = log};
}

bool service_migrate(const config *c, slog *log, int *applied, err *e)
{
	db_conn_options options = conn_options(c, "migrate", log);
	db_conn *conn = db_conn_new(&options);
	if (conn == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	bool ok = db_migrate(conn, log, applied, e);
	db_conn_free(conn);
	return ok;
}

static bool check_schema(const config *c, slog *log, err *e)
{
	db_conn_options options = conn_options(c, "migrate", log);
	db_conn *conn = db_conn_new(&options);
	if (conn == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	bool ok = db_conn_ensure(conn, e) && db_schema_is_current(conn, e);
	db_conn_free(conn);
	return ok;
}

/* What the caller wants to see to now and then. */
static bool keep(service *s, err *e)
{
	return s->options->keep == NULL || s->options->keep(s->options->context, e);
}

/* False with ERR_SHUTTING_DOWN when a stop was asked for while waiting. */
static bool prepare_schema(service *s, err *e)
{
	const config *c = s->config;
	for (;;) {
		int applied = 0;
		if (c->migrate_on_start ? service_migrate(c, s->log, &applied, e) : check_schema(c, s->log, e)) {
			return true;
		}
		if (e->code != ERR_UNAVAILABLE && e->code != ERR_TIMEOUT) {
			return false;
		}
		slog_err(s->log, SLOG_WARN, "service", "waiting for the database", e);
		if (stop_was_asked(DATABASE_WAIT_MS)) {
			return err_set(e, ERR_SHUTTING_DOWN, "stopped while waiting for the database");
		}
		if (!keep(s, e)) {
			return false;
		}
	}
}

static bool split_listen(service *s, const char *setting, str rest, err *e)
{
	for (bool has_more = rest.len > 0; has_more;) {
		str address;
		has_more = str_split(rest, ',', &address, &rest);
		address = str_trim(address);
		if (address.len == 0 || s->listen_count == LISTEN_MAX) {
			return err_set(e, ERR_INVALID_REQUEST,
						   "%s: give addresses like 127.0.0.1:5470, comma-separated; at most %d in all", setting,
						   LISTEN_MAX);
		}
		s->listen[s->listen_count++] = address;
	}
	return true;
}

static bool choose_listeners(service *s, err *e)
{
	const config *c = s->config;
	if (!split_listen(s, "listen", c->listen, e)) {
		return false;
	}
	size_t plain_count = s->listen_count;
	if (!split_listen(s, "tls_listen", c->tls_listen, e)) {
		return false;
	}
	s->tls_listen_count = s->listen_count - plain_count;
	bool has_both_files = c->tls_certificate_file.len > 0 && c->tls_key_file.len > 0;
	bool has_a_file = c->tls_certificate_file.len > 0 || c->tls_key_file.len > 0;
	if (s->listen_count == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "nothing to serve on: give listen or tls_listen an address");
	}
	if (s->tls_listen_count > 0 && !has_both_files) {
		return err_set(e, ERR_INVALID_REQUEST, "tls_listen needs tls_certificate_file and tls_key_file");
	}
	if (s->tls_listen_count == 0 && has_a_file) {
		return err_set(
			e, ERR_INVALID_REQUEST,
			"tls_certificate_file and tls_key_file are for tls_listen, which is empty: no address would have TLS");
	}
	return true;
}

static bool start_database(service *s, err *e)
{
	const config *c = s->config;
	db_pool_options pool = {.conn = conn_options(c, "reader", s->log),
							.threads = (uint32_t)c->readers,
							.max_queue = (uint32_t)c->reader_queue,
							.metrics = s->metrics};
	if (c->database_url.len == 0) {
		return err_set(
			e, ERR_INVALID_REQUEST,
			"database_url is not set: give TIDEGATE_DATABASE_URL, or run `tidegate dev` for a Postgres of its own");
	}
	return prepare_schema(s, e) && db_pool_new(&pool, &s->pool, e);
}

static bool start_tokens(service *s, err *e)
{
	const config *c = s->config;
	const auth_jwt_options options = {.key_files = c->jwt_keys,
									  .issuer = c->jwt_issuer,
									  .audience = c->jwt_audience,
									  .tenant_claim = c->jwt_tenant_claim,
									  .scopes_claim = c->jwt_scopes_claim,
									  .prefixes_claim = c->jwt_prefixes_claim,
									  .default_tenant = c->jwt_default_tenant,
									  .leeway_s = (uint32_t)c->jwt_leeway_s,
									  .log = s->log};
	return c->jwt_keys.len == 0 || auth_jwt_new(&options, &s->jwt, e);
}

/* What the configuration says of limits; topics and bodies have settings of the server's own. */
static limit_set read_limits(const config *c)
{
	return (limit_set){.most = {
						   [LIMIT_OF_TENANT] = {[LIMIT_REQUESTS_PER_SECOND] = c->limit_requests_per_second,
												[LIMIT_BYTES_PER_SECOND] = c->limit_bytes_per_second,
												[LIMIT_RECORDS_PER_SECOND] = c->limit_records_per_second,
												[LIMIT_REQUESTS_IN_FLIGHT] = c->limit_requests_in_flight,
												[LIMIT_STREAMS] = c->limit_streams,
												[LIMIT_STORED_BYTES] = c->limit_stored_bytes},
						   [LIMIT_OF_KEY] = {[LIMIT_REQUESTS_PER_SECOND] = c->limit_requests_per_second_per_key,
											 [LIMIT_BYTES_PER_SECOND] = c->limit_bytes_per_second_per_key,
											 [LIMIT_RECORDS_PER_SECOND] = c->limit_records_per_second_per_key,
											 [LIMIT_REQUESTS_IN_FLIGHT] = c->limit_requests_in_flight_per_key,
											 [LIMIT_STREAMS] = c->limit_streams_per_key},
					   }};
}

static bool start_auth(service *s, err *e)
{
	const config *c = s->config;
	err unknown;
	const limit_set limits = read_limits(c);
	if (!start_tokens(s, e) || (c->api_keys.len > 0 && !auth_listed_new(c->api_keys, &s->listed, e))) {
		return false;
	}
	auth_options options = {.pool = s->pool,
							.cache_ms = (uint32_t)c->credential_cache_ms,
							.jwt = s->jwt,
							.listed = s->listed,
							.limits = &limits,
							.log = s->log,
							.metrics = s->metrics};
	if (!auth_mode_parse(c->auth, &options.mode)) {
		return err_set(e, ERR_INVALID_REQUEST, "auth is auto, required or off");
	}
	if (!auth_new(&options, &s->auth, e)) {
		return false;
	}
	if (!auth_start(s->auth, &unknown)) {
		slog_err(s->log, SLOG_WARN, "service", "cannot tell yet whether API keys exist", &unknown);
	}
	return auth_guard_listen(s->listen, s->listen_count, auth_is_required(s->auth), c->allow_public_without_auth, e);
}

static void hear_auth(void *context, str payload)
{
	auth_on_notify(context, payload);
}

static void hear_watch(void *context, str payload)
{
	api_on_watch_notify(context, payload);
}

static void hear_httpmq(void *context, str payload)
{
	api_on_httpmq_notify(context, payload);
}

static bool start_engine(service *s, err *e)
{
	const config *c = s->config;
	log_engine_options options = {.database_url = c->database_url,
								  .pool = s->pool,
								  .lanes = (uint32_t)c->lanes,
								  .lane_connections = (uint32_t)c->lane_connections,
								  .lane_queue_bytes = (uint64_t)c->lane_queue_bytes,
								  .database_timeout_ms = (uint32_t)c->database_timeout_ms,
								  .poll_interval_ms = (uint32_t)c->poll_interval_ms,
								  .janitor_interval_ms = (uint32_t)c->janitor_interval_ms,
								  .janitor = c->janitor,
								  .duty = api_duty,
								  .duty_context = &s->api,
								  .max_topics = c->max_topics,
								  .max_total_bytes = c->max_total_bytes,
								  .max_routers = c->max_routers,
								  .max_subscriptions = (uint32_t)c->max_subscriptions,
								  .channels = {{AUTH_CHANNEL, hear_auth, s->auth},
											   {API_WATCH_CHANNEL, hear_watch, &s->api},
											   {API_HTTPMQ_CHANNEL, hear_httpmq, &s->api}},
								  .timer = s->timer,
								  .log = s->log,
								  .metrics = s->metrics};
	return log_engine_new(&options, &s->engine, e);
}

/* As many descriptors as the limits of the configuration may need. */
static void raise_descriptor_limit(service *s)
{
	struct rlimit limit;
	/* With TLS a connection has a pair of sockets besides the client's. */
	int64_t per_connection = s->tls_listen_count > 0 ? 3 : 1;
	rlim_t wanted = (rlim_t)(per_connection * s->config->max_connections + s->config->max_streams + 256);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
		return;
	}
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) {
		SLOG(s->log, SLOG_DEBUG, "service",
			 "fewer open files are allowed than max_connections and max_streams may need",
			 F_INT("allowed", limit.rlim_cur), F_INT("wanted", wanted));
	}
}

static bool start_http(service *s, err *e)
{
	const config *c = s->config;
	size_t plain_count = s->listen_count - s->tls_listen_count;
	http_server_options options = {.listen = s->listen,
								   .listen_count = plain_count,
								   .tls_listen = s->listen + plain_count,
								   .tls_listen_count = s->tls_listen_count,
								   .tls_certificate_file = c->tls_certificate_file,
								   .tls_key_file = c->tls_key_file,
								   .threads = (uint32_t)c->http_threads,
								   .stream_threads = (uint32_t)c->stream_threads,
								   .max_connections = (uint32_t)c->max_connections,
								   .max_streams = (uint32_t)c->max_streams,
								   .header_timeout_ms = (uint32_t)c->header_timeout_ms,
								   .idle_timeout_ms = (uint32_t)c->idle_timeout_ms,
								   .body_timeout_ms = (uint32_t)c->body_timeout_ms,
								   .max_header_bytes = (uint32_t)c->max_header_bytes,
								   .max_body_bytes = (uint64_t)c->max_body_bytes,
								   .max_buffered_bytes = (uint64_t)c->max_buffered_bytes,
								   .stream_queue_bytes = (uint64_t)c->stream_queue_bytes,
								   .cors_origin = c->cors_origin,
								   .compress_replies = c->compress_replies,
								   .dialects = s->dialects,
								   .dialect_count = s->dialect_count,
								   .gate = gate_request,
								   .hold_stream = gate_hold_stream,
								   .release_stream = gate_release_stream,
								   .app = &s->api,
								   .log = s->log,
								   .metrics = s->metrics};
	s->api.log = s->engine;
	s->api.auth = s->auth;
	s->api.config = c;
	s->api.slog = s->log;
	s->api.metrics = s->metrics;
	if (!api_init(&s->api, e)) {
		return false;
	}
	raise_descriptor_limit(s);
	s->http = http_server_new(&options, e);
	return s->http != NULL && http_server_start(s->http, e);
}

/* ---- ready ---- */

static str host_of(str address)
{
	size_t at = address.len;
	while (at > 0 && address.ptr[at - 1] != ':') {
		at--;
	}
	return at > 1 ? str_take(address, at - 1) : STR("0.0.0.0");
}

static bool write_port_file(const service *s, const uint16_t *ports, err *e)
{
	char path[PATH_BYTES_MAX];
	char temporary[PATH_BYTES_MAX];
	int n = snprintf(path, sizeof path, "%.*s", STR_ARG(s->config->port_file));
	int m = snprintf(temporary, sizeof temporary, "%.*s.new", STR_ARG(s->config->port_file));
	bool fits = n > 0 && n < PATH_BYTES_MAX && m < PATH_BYTES_MAX;
	FILE *file = fits ? fopen(temporary, "we") : NULL;
	bool ok = file != NULL;
	for (size_t i = 0; ok && i < s->listen_count; i++) {
		ok = fprintf(file, "%.*s:%u\n", STR_ARG(host_of(s->listen[i])), (unsigned)ports[i]) > 0;
	}
	if (file != NULL && fclose(file) != 0) {
		ok = false;
	}
	if (!ok || rename(temporary, path) != 0) {
		return err_set(e, ERR_UNAVAILABLE, "cannot write the port file %.*s", STR_ARG(s->config->port_file));
	}
	return true;
}

static bool announce(service *s, err *e)
{
	uint16_t ports[LISTEN_MAX];
	for (size_t i = 0; i < s->listen_count; i++) {
		ports[i] = http_server_port(s->http, i);
		bool is_tls = i >= s->listen_count - s->tls_listen_count;
		SLOG(s->log, SLOG_INFO, "service", "listening", F_STR("host", host_of(s->listen[i])), F_INT("port", ports[i]),
			 F_STR("scheme", is_tls ? STR("https") : STR("http")));
	}
	if (!auth_is_required(s->auth)) {
		SLOG(s->log, SLOG_INFO, "service", "development mode: no credential is asked for",
			 F_STR("auth", s->config->auth));
	}
	if (s->config->port_file.len > 0 && !write_port_file(s, ports, e)) {
		return false;
	}
	if (s->options->on_ready != NULL) {
		s->options->on_ready(s->options->context, ports, s->listen_count);
	}
	return true;
}

/* ---- stop ---- */

/* In reverse; every part may be missing. */
static bool stop(service *s)
{
	int64_t deadline_ms = clock_now_ms() + s->config->shutdown_timeout_ms;
	bool all_done = true;
	if (s->http != NULL) {
		SLOG(s->log, SLOG_INFO, "service", "stopping: finishing what was accepted",
			 F_INT("timeout_ms", s->config->shutdown_timeout_ms));
		api_stop_waiting(&s->api);
		all_done = http_server_stop(s->http, deadline_ms);
	}
	if (s->engine != NULL) {
		log_engine_stop(s->engine, deadline_ms);
	}
	/* Readers use timers, and timers hand work to readers: neither is freed before both stand still. */
	if (s->pool != NULL) {
		db_pool_stop(s->pool);
	}
	timer_free(s->timer);
	http_server_free(s->http);
	log_engine_free(s->engine);
	/* Its listener may speak to the API up to here. */
	if (s->api.log != NULL) {
		api_dispose(&s->api);
	}
	db_pool_free(s->pool);
	auth_free(s->auth);
	auth_jwt_free(s->jwt);
	auth_listed_free(s->listed);
	SLOG(s->log, SLOG_INFO, "service", all_done ? "stopped" : "stopped; some connections had to be cut",
		 F_INT("pid", getpid()));
	if (s->metrics != NULL) {
		metric_registry_free(s->metrics);
	}
	slog_free(s->log);
	return all_done;
}

bool service_run(const service_options *options, err *e)
{
	service s = {.options = options, .config = options->config};
	bool ok = false;
	s.log = service_log(s.config);
	s.metrics = metric_registry_new();
	s.timer = timer_new(TIMERS_MAX);
	if (s.log == NULL || s.metrics == NULL || s.timer == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	ok = choose_listeners(&s, e) && api_dialects(s.config->dialects, s.dialects, &s.dialect_count, e) &&
		 start_database(&s, e) && start_auth(&s, e) && start_engine(&s, e) && start_http(&s, e) && announce(&s, e);
	if (ok) {
		while (ok && !stop_was_asked(s.options->keep != NULL ? KEEP_INTERVAL_MS : -1)) {
			ok = keep(&s, e);
		}
	} else if (e->code == ERR_SHUTTING_DOWN) {
		ok = true;
	}
out:
	if (!stop(&s) && ok) {
		ok = err_set(e, ERR_TIMEOUT, "some connections were cut at the end of shutdown_timeout_ms");
	}
	return ok;
}
