/*
 * GET /v0/metrics: Prometheus text, or one JSON object where Accept asks for JSON. Totals and topics are those of the
 * caller's tenant that its key may see; the log writer is this worker's.
 */
#include "api/gate.h"
#include "api/operation.h"
#include "api/topics/hub.h"
#include "api/topics/state_text.h"
#include "api/topics/topics.h"
#include "api/topics/wire.h"
#include "base/clock.h"
#include "db/conn.h"
#include "log/lease.h"
#include "sql/totals.h"

enum { TOPICS_MAX = 1000, CLASSES = 4 };

static const char *const class_names[CLASSES] = {"ephemeral", "memory", "disk", "fsync"};

typedef struct numbers {
	int64_t by_class[CLASSES];
	int64_t queues;
	int64_t records;
	int64_t bytes;
	int64_t routers;
	int64_t leases;
	int64_t sessions;
	int64_t streams;
	int64_t uptime_ms;
	bool is_ready;
	log_writer_stats writer;
} numbers;

static bool read_numbers(api_operation *op, log_conn *conn, numbers *n, err *e)
{
	db_params p;
	db_result *r = NULL;
	api *a = api_of(op->x);
	db_params_init(&p);
	db_param_i64(&p, gate_principal(op->x)->tenant_id);
	if (!db_run(conn, &SQL_TOTALS_READ, &p, &r, e)) {
		return false;
	}
	for (int i = 0; i < CLASSES; i++) {
		n->by_class[i] = db_i64(r, 0, i);
	}
	n->queues = db_i64(r, 0, 4);
	n->records = db_i64(r, 0, 5);
	n->bytes = db_i64(r, 0, 6);
	n->routers = db_i64(r, 0, 7);
	n->leases = db_i64(r, 0, 8);
	db_result_free(r);
	n->streams = live_slots_count(a->topics->slots);
	n->uptime_ms = clock_now_ms() - a->started_ms;
	n->is_ready = log_engine_is_ready(a->log);
	log_engine_writer_stats(a->log, &n->writer);
	return watch_session_count(conn, gate_principal(op->x)->tenant_id, a->config->topics_watch_session_ttl_ms,
							   &n->sessions, e);
}

static int64_t topics_of(const numbers *n)
{
	return n->by_class[0] + n->by_class[1] + n->by_class[2] + n->by_class[3];
}

static uint64_t durable_groups(const numbers *n)
{
	uint64_t count = 0;
	for (size_t i = 0; i < METRIC_BUCKETS; i++) {
		count += n->writer.durable_groups[i];
	}
	return count;
}

/* ---- JSON ---- */

static void write_member(buf *out, const char *name, int64_t value)
{
	buf_printf(out, "\"%s\":%lld,", name, (long long)value);
}

static void write_json(http_exchange *x, const numbers *n)
{
	buf *out = http_reply_body(x);
	uint64_t durable = durable_groups(n);
	buf_append_byte(out, '{');
	write_member(out, "topics", topics_of(n));
	write_member(out, "topics_ephemeral", n->by_class[0]);
	write_member(out, "topics_memory", n->by_class[1]);
	write_member(out, "topics_disk", n->by_class[2]);
	write_member(out, "topics_fsync", n->by_class[3]);
	write_member(out, "routers", n->routers);
	write_member(out, "records_live", n->records);
	write_member(out, "bytes_live", n->bytes);
	write_member(out, "queue_topics", n->queues);
	write_member(out, "queue_leases_in_flight", n->leases);
	write_member(out, "sse_connections", n->streams);
	write_member(out, "watch_sessions", n->sessions);
	buf_append_str(out, n->is_ready ? STR("\"ready\":true,\"replay_progress\":1,")
									: STR("\"ready\":false,\"replay_progress\":0,"));
	write_member(out, "uptime_ms", n->uptime_ms);
	buf_append_str(out, STR("\"wal\":{"));
	write_member(out, "fsyncs", (int64_t)durable);
	write_member(out, "frames", (int64_t)n->writer.operations);
	write_member(out, "batches", (int64_t)n->writer.groups);
	write_member(out, "bytes_written", (int64_t)n->writer.bytes);
	write_member(out, "rotations", 0);
	write_member(out, "queue_depth", (int64_t)n->writer.queued);
	write_member(out, "queue_depth_peak", (int64_t)n->writer.queued_peak);
	write_member(out, "submit_full_total", (int64_t)n->writer.throttled);
	buf_append_str(out, STR("\"read_only\":false,"));
	write_member(out, "fsync_count", (int64_t)durable);
	buf_printf(out, "\"fsync_micros_total\":%llu},", (unsigned long long)n->writer.durable_us);
	wire_write_performance(out, x);
	buf_append_byte(out, '}');
}

/* ---- text ---- */

static void write_type(buf *out, const char *name, const char *type)
{
	buf_printf(out, "# TYPE topics_%s %s\n", name, type);
}

static void write_series(buf *out, const char *name, const char *type, int64_t value)
{
	write_type(out, name, type);
	buf_printf(out, "topics_%s %lld\n", name, (long long)value);
}

static void write_classes(buf *out, const numbers *n)
{
	write_type(out, "topics_by_class", "gauge");
	for (int i = 0; i < CLASSES; i++) {
		buf_printf(out, "topics_topics_by_class{class=\"%s\"} %lld\n", class_names[i], (long long)n->by_class[i]);
	}
}

static void write_latency(buf *out, const numbers *n)
{
	uint64_t count = 0;
	write_type(out, "wal_fsync_latency_us", "histogram");
	for (size_t i = 0; i + 1 < METRIC_BUCKETS; i++) {
		count += n->writer.durable_groups[i];
		buf_printf(out, "topics_wal_fsync_latency_us_bucket{le=\"%llu\"} %llu\n", 1ULL << i, (unsigned long long)count);
	}
	count += n->writer.durable_groups[METRIC_BUCKETS - 1];
	buf_printf(out, "topics_wal_fsync_latency_us_bucket{le=\"+Inf\"} %llu\n", (unsigned long long)count);
	buf_printf(out, "topics_wal_fsync_latency_us_sum %llu\n", (unsigned long long)n->writer.durable_us);
	buf_printf(out, "topics_wal_fsync_latency_us_count %llu\n", (unsigned long long)count);
}

static void write_totals(buf *out, const numbers *n)
{
	write_series(out, "topics", "gauge", topics_of(n));
	write_classes(out, n);
	write_series(out, "routers", "gauge", n->routers);
	write_series(out, "records_live", "gauge", n->records);
	write_series(out, "bytes_live", "gauge", n->bytes);
	write_series(out, "queue_topics", "gauge", n->queues);
	write_series(out, "queue_leases_in_flight", "gauge", n->leases);
	write_series(out, "sse_connections", "gauge", n->streams);
	write_series(out, "watch_sessions", "gauge", n->sessions);
	write_series(out, "ready", "gauge", n->is_ready);
	write_series(out, "recovery_progress", "gauge", n->is_ready);
	write_series(out, "uptime_ms", "gauge", n->uptime_ms);
	write_series(out, "wal_frames_total", "counter", (int64_t)n->writer.operations);
	write_series(out, "wal_batches_total", "counter", (int64_t)n->writer.groups);
	write_series(out, "wal_fsyncs_total", "counter", (int64_t)durable_groups(n));
	write_series(out, "wal_bytes_written_total", "counter", (int64_t)n->writer.bytes);
	write_series(out, "wal_rotations_total", "counter", 0); /* Postgres's own affair */
	write_series(out, "wal_queue_depth", "gauge", (int64_t)n->writer.queued);
	write_series(out, "wal_queue_depth_peak", "gauge", (int64_t)n->writer.queued_peak);
	write_series(out, "wal_submit_full_total", "counter", (int64_t)n->writer.throttled);
	write_series(out, "wal_read_only", "gauge", 0);
	write_latency(out, n);
}

static void write_label(buf *out, str name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (c == '\\' || c == '"') {
			buf_append_byte(out, '\\');
		}
		buf_append_str(out, c == '\n' ? STR("\\n") : (str){&name.ptr[i], 1});
	}
}

/* The topics shown, and what they hold, in the same order. */
typedef struct shown {
	const log_topic *topics[TOPICS_MAX];
	log_state *states;
	log_lease_counts queues[TOPICS_MAX]; /* of those that are */
	size_t count;
	bool is_truncated;
} shown;

typedef int64_t value_of(const log_state *s);

static int64_t head_seq(const log_state *s)
{
	return s->end_offset;
}

static int64_t earliest_seq(const log_state *s)
{
	return s->start_offset + 1;
}

static int64_t records_live(const log_state *s)
{
	return s->records;
}

static int64_t bytes_live(const log_state *s)
{
	return s->bytes;
}

static void write_topic_series(buf *out, const char *name, const shown *s, value_of *value)
{
	write_type(out, name, "gauge");
	for (size_t i = 0; i < s->count; i++) {
		buf_printf(out, "topics_%s{topic=\"", name);
		write_label(out, s->topics[i]->name);
		buf_printf(out, "\"} %lld\n", (long long)value(&s->states[i]));
	}
}

static void write_queue_series(buf *out, const char *name, const shown *s, bool in_flight)
{
	write_type(out, name, "gauge");
	for (size_t i = 0; i < s->count; i++) {
		if (s->topics[i]->config.kind == LOG_KIND_QUEUE) {
			buf_printf(out, "topics_%s{topic=\"", name);
			write_label(out, s->topics[i]->name);
			buf_printf(out, "\"} %lld\n", (long long)(in_flight ? s->queues[i].in_flight : s->queues[i].ready));
		}
	}
}

static void write_topics(buf *out, const shown *s)
{
	write_series(out, "topic_metrics_truncated", "gauge", s->is_truncated);
	write_topic_series(out, "topic_head_seq", s, head_seq);
	write_topic_series(out, "topic_earliest_seq", s, earliest_seq);
	write_topic_series(out, "topic_records_live", s, records_live);
	write_topic_series(out, "topic_bytes_live", s, bytes_live);
	write_queue_series(out, "topic_queue_ready", s, false);
	write_queue_series(out, "topic_queue_in_flight", s, true);
}

static bool count_queues(api_operation *op, log_conn *conn, shown *s, err *e)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->topics[i]->config.kind == LOG_KIND_QUEUE &&
			!log_lease_describe(api_of(op->x)->log, conn, s->topics[i], STR_NONE, 0, &s->queues[i], e) &&
			e->code != ERR_TOPIC_NOT_FOUND) {
			return false;
		}
	}
	return true;
}

/* Keeps those that the key may see and that still are. */
static bool match_states(api_operation *op, log_conn *conn, const log_topic *const *topics, size_t count, shown *s,
						 err *e)
{
	arena *a = http_arena(op->x);
	const log_topic *visible[TOPICS_MAX];
	int64_t ids[TOPICS_MAX];
	size_t visible_count = 0;
	size_t found = 0;
	for (size_t i = 0; i < count && visible_count < TOPICS_MAX; i++) {
		if (auth_principal_allows_name(gate_principal(op->x), topics[i]->name)) {
			ids[visible_count] = topics[i]->topic_id;
			visible[visible_count++] = topics[i];
		}
	}
	if (!log_state_read(api_of(op->x)->log, conn, ids, visible_count, a, &s->states, &found, e)) {
		return false;
	}
	for (size_t i = 0; i < visible_count && s->count < found; i++) {
		if (s->states[s->count].topic_id == visible[i]->topic_id) {
			s->topics[s->count++] = visible[i];
		}
	}
	return count_queues(op, conn, s, e);
}

static bool add_topics(api_operation *op, log_conn *conn, err *e)
{
	const log_topic **topics = NULL;
	size_t count = 0;
	shown *s = arena_alloc_zero(http_arena(op->x), sizeof *s);
	if (s == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	if (!log_topic_list(api_of(op->x)->log, conn, gate_principal(op->x)->tenant_id, STR(""), STR(""), TOPICS_MAX + 1,
						http_arena(op->x), &topics, &count, e)) {
		return false;
	}
	s->is_truncated = count > TOPICS_MAX;
	bool ok = match_states(op, conn, topics, count, s, e);
	if (ok) {
		write_topics(http_reply_body(op->x), s);
	}
	for (size_t i = 0; i < count; i++) {
		log_topic_unref(topics[i]);
	}
	return ok;
}

/* ---- the handler ---- */

static bool wants_json(const http_exchange *x)
{
	size_t at;
	return str_find(http_request_header(x, STR("Accept")), STR("application/json"), &at);
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	numbers n = {0};
	if (!read_numbers(op, conn, &n, e)) {
		return false;
	}
	if (wants_json(op->x)) {
		write_json(op->x, &n);
		return true;
	}
	write_totals(http_reply_body(op->x), &n);
	return add_topics(op, conn, e);
}

static void reply(api_operation *op)
{
	http_send(op->x, 200, wants_json(op->x) ? "application/json" : "text/plain; version=0.0.4");
}

void topics_metrics(http_exchange *x)
{
	api_operation *op = api_operation_new(x, sizeof *op, run);
	if (op != NULL) {
		api_run_then(op, reply);
	}
}
