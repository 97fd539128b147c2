#include "log/log_fixture.h"

#include <check.h>
#include <semaphore.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/clock.h"

enum { WAIT_MS = 30000 };

void fixture_open_as(log_fixture *f, const char *url, const fixture_options *o)
{
	err e;
	uint32_t timeout_ms = o->timeout_ms != 0 ? o->timeout_ms : WAIT_MS;
	memset(f, 0, sizeof *f);
	if (url != NULL) {
		snprintf(f->url, sizeof f->url, "%s", url);
	} else {
		db_fixture_create_migrated(f->url);
	}
	f->metrics = metric_registry_new();
	f->log = slog_new(2, SLOG_ERROR, SLOG_TEXT);
	f->timer = timer_new(1000);
	f->arena = arena_new(256 << 20);
	db_conn_options conn = {.url = str_from_c(f->url), .role = "test", .timeout_ms = 30000, .log = f->log};
	f->conn = db_conn_new(&conn);
	conn.role = "reader";
	conn.timeout_ms = timeout_ms;
	db_pool_options pool = {.conn = conn, .threads = 3, .max_queue = 10000, .metrics = f->metrics};
	db_fixture_must(db_pool_new(&pool, &f->pool, &e), &e, "pool");
	if (url == NULL) {
		/* Tenants 2 to 9, beside the first. */
		fixture_sql(
			f, "INSERT INTO tidegate.tenant (name, created_ms) SELECT 'tenant ' || i, 0 FROM generate_series(2, 9) i");
	}
	log_engine_options options = {.database_url = str_from_c(f->url),
								  .pool = f->pool,
								  .lanes = 2,
								  .lane_connections = o->lane_connections != 0 ? o->lane_connections : 2,
								  .lane_queue_bytes = 128 << 20,
								  .database_timeout_ms = timeout_ms,
								  .poll_interval_ms = o->poll_interval_ms != 0 ? o->poll_interval_ms : 200,
								  .janitor_interval_ms = 50,
								  .janitor = o->janitor,
								  .max_topics = o->max_topics,
								  .max_subscriptions = 10000,
								  .channels = {o->channel},
								  .timer = f->timer,
								  .log = f->log,
								  .metrics = f->metrics};
	db_fixture_must(log_engine_new(&options, &f->engine, &e), &e, "engine");
}

void fixture_open_on(log_fixture *f, const char *url)
{
	fixture_open_as(f, url, &(fixture_options){0});
}

void fixture_open(log_fixture *f)
{
	fixture_open_as(f, NULL, &(fixture_options){0});
}

void fixture_close(log_fixture *f)
{
	log_engine_stop(f->engine, 0);
	timer_free(f->timer);
	db_pool_free(f->pool);
	log_engine_free(f->engine);
	db_conn_free(f->conn);
	arena_free(f->arena);
	slog_free(f->log);
	metric_registry_free(f->metrics);
}

const log_topic *fixture_topic_with(log_fixture *f, const char *name, int32_t partitions, log_topic_config config)
{
	err e;
	const log_topic *t = NULL;
	bool created = false;
	log_topic_spec spec = {.tenant_id = 1,
						   .name = str_from_c(name),
						   .origin = LOG_STREAMING,
						   .partitions = partitions,
						   .replication_factor = 1,
						   .config = config};
	db_fixture_must(log_topic_create(f->engine, f->conn, &spec, &t, &created, &e), &e, "create topic");
	return t;
}

const log_topic *fixture_topic(log_fixture *f, const char *name, int32_t partitions)
{
	return fixture_topic_with(f, name, partitions, log_topic_config_default(LOG_FSYNC));
}

const log_topic *fixture_cached_topic(log_fixture *f, int64_t tenant_id, str name)
{
	err e;
	const log_topic *cached = NULL;
	for (int i = 0; i < 100 && cached == NULL; i++) {
		const log_topic *found = NULL;
		db_fixture_must(log_topic_find(f->engine, f->conn, tenant_id, name, &found, &e), &e, "find");
		log_topic_unref(found);
		cached = log_topic_cached(f->engine, tenant_id, name);
	}
	ck_assert_ptr_nonnull(cached);
	return cached;
}

void fixture_wait_for_lock(log_fixture *f)
{
	int64_t until_ms = clock_now_ms() + WAIT_MS;
	while (db_fixture_i64(f->url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
								  "wait_event_type = 'Lock'") == 0) {
		ck_assert_int_lt(clock_now_ms(), until_ms);
		usleep(1000);
	}
}

static void post(log_append *op)
{
	sem_post(op->context);
}

void fixture_append(log_fixture *f, log_append *op)
{
	err e;
	sem_t done;
	sem_init(&done, 0, 0);
	op->done = post;
	op->context = &done;
	db_fixture_must(log_append_submit(f->engine, op, &e), &e, "submit");
	while (sem_wait(&done) != 0) {
	}
	sem_destroy(&done);
}

int64_t fixture_append_texts(log_fixture *f, const log_topic *t, int32_t partition, const char *prefix, uint32_t count,
							 err *error)
{
	arena *a = arena_new(64 << 20);
	str *values = arena_alloc_array(a, count, sizeof *values);
	for (uint32_t i = 0; i < count; i++) {
		char text[64];
		int n = snprintf(text, sizeof text, "%s%u", prefix, i);
		ck_assert(arena_copy_str(a, (str){text, (size_t)n}, &values[i]));
	}
	log_append op = {.topic = t, .partition = partition, .columns = {.count = count, .values = values}, .arena = a};
	fixture_append(f, &op);
	if (error != NULL) {
		*error = op.error;
	}
	int64_t base = op.error.code == ERR_NONE ? op.results[0].base_offset : -1;
	arena_free(a);
	return base;
}

const char *fixture_read(log_fixture *f, const log_topic *t, int32_t partition, int64_t from, uint32_t max_records)
{
	err e;
	log_page *page = NULL;
	log_record r;
	log_gap gap;
	buf out;
	log_read_request q = {
		.topic = t, .partition = partition, .from = from, .max_records = max_records, .max_bytes = 1 << 20};
	db_fixture_must(log_read(f->engine, f->conn, &q, &page, &e), &e, "read");
	buf_init(&out, 8 << 20);
	if (log_page_gap(page, &gap)) {
		buf_printf(&out, "[%lld-%lld)", (long long)gap.from, (long long)gap.to);
	}
	while (log_page_next(page, &r)) {
		if (out.len > 0 && out.ptr[out.len - 1] != ')') {
			buf_append_byte(&out, ',');
		}
		buf_append_str(&out, r.value);
	}
	log_page_free(page);
	char *text = arena_copy_c(f->arena, buf_str(&out));
	buf_dispose(&out);
	return text;
}

const char *fixture_page(log_fixture *f, const log_read_request *q)
{
	err e;
	log_page *page = NULL;
	log_record r;
	log_gap gap;
	buf out;
	bool is_first = true;
	db_fixture_must(log_read(f->engine, f->conn, q, &page, &e), &e, "read");
	buf_init(&out, 8 << 20);
	if (log_page_gap(page, &gap)) {
		buf_printf(&out, "[%lld-%lld%s%s%s)", (long long)gap.from, (long long)gap.to, gap.by_cap ? "c" : "",
				   gap.by_ttl ? "t" : "", gap.by_source ? "s" : "");
	}
	while (log_page_next(page, &r)) {
		buf_printf(&out, "%s%lld:%.*s", is_first ? "" : ",", (long long)r.offset, STR_ARG(r.value));
		is_first = false;
	}
	buf_printf(&out, "|%lld", (long long)log_page_position(page));
	log_page_free(page);
	char *text = arena_copy_c(f->arena, buf_str(&out));
	ck_assert_ptr_nonnull(text);
	buf_dispose(&out);
	return text;
}

int64_t fixture_i64(log_fixture *f, int place, const char *sql, const log_topic *t)
{
	err e;
	db_params p;
	db_result *r = NULL;
	char name[32];
	snprintf(name, sizeof name, "fixture_%d", place);
	const db_query question = {name, SQL_QUERY_COUNT + place, 1, sql};
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	db_fixture_must(db_run(f->conn, &question, &p, &r, &e), &e, sql);
	ck_assert_int_eq(db_rows(r), 1);
	ck_assert_uint_eq(db_str(r, 0, 0).len, sizeof(int64_t));
	int64_t answer = db_i64(r, 0, 0);
	db_result_free(r);
	return answer;
}

void fixture_sql(log_fixture *f, const char *format, ...)
{
	char sql[4096];
	err e;
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(sql, sizeof sql, format, arguments);
	va_end(arguments);
	ck_assert(n > 0 && (size_t)n < sizeof sql);
	db_fixture_must(db_run_script(f->conn, sql, &e), &e, sql);
}
