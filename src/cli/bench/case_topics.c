/* The cases of the topics dialect: writes of one record and of a hundred, reads of several sizes, and watch streams. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jscan.h"
#include "cli/bench/cases.h"
#include "cli/bench/page.h"
#include "cli/bench/watchers.h"

enum {
	WRITERS = 16,
	WRITE_RECORDS = 100,
	BODY_MAX = 1 << 20,
	FILL_MS = 1000,
	READ_RECORDS_MAX = 1000,
	JSON_DEPTH = 32,
};

typedef struct topics_load {
	buf request;
	bool reads;
	uint64_t records; /* of each request */
	uint64_t written; /* records acknowledged */
} topics_load;

static bool wrong(const char *what, str body, err *e)
{
	return err_set(e, ERR_INTERNAL, "%s: %.*s", what, STR_ARG(str_take(body, 200)));
}

/* The member's number, or the elements of the member's array. */
static bool find_number(str body, const char *name, uint64_t *out)
{
	jscan s;
	str key;
	bool found = false;
	jscan_init(&s, body, JSON_DEPTH);
	jscan_begin_object(&s);
	while (jscan_next_member(&s, &key)) {
		if (!str_equal(key, str_from_c(name))) {
			jscan_skip(&s);
		} else if (jscan_peek(&s) == JSCAN_ARRAY) {
			found = jscan_begin_array(&s);
			for (*out = 0; jscan_next_element(&s); (*out)++) {
				jscan_skip(&s);
			}
		} else {
			found = jscan_u64(&s, UINT64_MAX, out);
		}
	}
	return found && jscan_end(&s);
}

static str next_request(void *context, uint32_t connection)
{
	const topics_load *l = context;
	(void)connection;
	return buf_str(&l->request);
}

static bool take_reply(void *context, uint32_t connection, str body, uint32_t *records, err *e)
{
	topics_load *l = context;
	uint64_t count = 0;
	(void)connection;
	if (!find_number(body, l->reads ? "records" : "count", &count) || count != l->records) {
		return wrong("another number of records than was asked for", body, e);
	}
	l->written += l->reads ? 0 : count;
	*records = (uint32_t)count;
	return true;
}

static void render_write(const bench *b, const bench_log *l, topics_load *load)
{
	buf body;
	buf_init(&body, BODY_MAX);
	buf_append_str(&body, STR("{\"records\":["));
	for (uint32_t i = 0; i < load->records; i++) {
		buf_append_str(&body, i > 0 ? STR(",{\"data\":\"") : STR("{\"data\":\""));
		buf_append_str(&body, payload_value(l->payload, 0, i));
		buf_append_str(&body, STR("\"}"));
	}
	buf_append_str(&body, STR("]}"));
	gateway_render_write(b->gateway, &l->topic, buf_str(&body), &load->request);
	load->request.failed = load->request.failed || body.failed;
	buf_dispose(&body);
}

static void render_diff(const bench *b, const bench_log *l, uint64_t from_seq, uint64_t limit, topics_load *load)
{
	char body[80];
	snprintf(body, sizeof body, "{\"from_seq\":%llu,\"limit\":%llu}", (unsigned long long)from_seq,
			 (unsigned long long)limit);
	gateway_render_queue(b->gateway, &l->topic, "diff", str_from_c(body), &load->request);
}

static bool run_load(bench *b, topics_load *load, uint32_t connections, const char *what, err *e)
{
	load_result result;
	bench_progress("  %s, for %u s", what, b->options->seconds);
	load_options options = {.address = gateway_address(b->gateway),
							.sources = &b->sources,
							.connections = connections,
							.warmup_ms = b->options->warmup_ms,
							.measure_ms = (int64_t)b->options->seconds * 1000,
							.client = {.context = load, .next = next_request, .reply = take_reply}};
	if (load->request.failed) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (!load_run(&options, &result, e)) {
		return false;
	}
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "topics");
	snprintf(row->what, sizeof row->what, "%s: p50", what);
	snprintf(row->unit, sizeof row->unit, "µs");
	row->figure = (double)latency_percentile(&result.latency, 0.5) / 1e3;
	snprintf(row->detail, sizeof row->detail, "p99 %.0f µs, n %llu, %.0f records/s",
			 (double)latency_percentile(&result.latency, 0.99) / 1e3, (unsigned long long)result.latency.count,
			 bench_rate(result.records, result.elapsed_ns));
	bench_note_usage(row, &result);
	return true;
}

static bool measure_writes(bench *b, uint32_t records, uint32_t writers, const char *durability, err *e)
{
	bench_log *l = NULL;
	topics_load load = {.records = records};
	char what[80];
	uint64_t head = 0;
	bool ok = false;
	buf_init(&load.request, BODY_MAX);
	snprintf(what, sizeof what, "write, %u × %u B per request, %u writer%s, %s", records, b->options->value_bytes,
			 writers, writers == 1 ? "" : "s", durability);
	if (!bench_log_new(b, "topics", records, 1, &l, e) ||
		!gateway_topic_set_class(b->gateway, &l->topic, durability, e)) {
		goto out;
	}
	render_write(b, l, &load);
	if (!run_load(b, &load, writers, what, e) || !gateway_topic_head(b->gateway, &l->topic, &head, e)) {
		goto out;
	}
	ok = head == load.written || err_set(e, ERR_INTERNAL, "%llu records were acknowledged, the topic's head is %llu",
										 (unsigned long long)load.written, (unsigned long long)head);
out:
	buf_dispose(&load.request);
	bench_log_free(l);
	return ok;
}

/* Records for the reads. */
static bool fill(bench *b, const bench_log *l, uint64_t *written, err *e)
{
	topics_load load = {.records = WRITE_RECORDS};
	load_result result;
	buf_init(&load.request, BODY_MAX);
	render_write(b, l, &load);
	load_options options = {.address = gateway_address(b->gateway),
							.sources = &b->sources,
							.connections = 1,
							.measure_ms = FILL_MS,
							.client = {.context = &load, .next = next_request, .reply = take_reply}};
	bool ok = !load.request.failed && load_run(&options, &result, e);
	buf_dispose(&load.request);
	*written = load.written;
	return ok && (load.written >= READ_RECORDS_MAX || wrong("too few records to read were written", STR(""), e));
}

static bool measure_diff(bench *b, const bench_log *l, uint64_t from_seq, uint64_t limit, uint64_t records,
						 const char *what, err *e)
{
	topics_load load = {.reads = true, .records = records};
	buf_init(&load.request, BODY_MAX);
	render_diff(b, l, from_seq, limit, &load);
	bool ok = run_load(b, &load, 1, what, e);
	buf_dispose(&load.request);
	return ok;
}

static bool measure_diffs(bench *b, err *e)
{
	static const uint64_t LIMITS[] = {1, 256, READ_RECORDS_MAX};
	bench_log *l = NULL;
	uint64_t head = 0;
	bool ok = bench_log_new(b, "topics", WRITE_RECORDS, 1, &l, e) && fill(b, l, &head, e);
	for (size_t i = 0; i < sizeof LIMITS / sizeof LIMITS[0] && ok; i++) {
		char what[80];
		snprintf(what, sizeof what, "diff, limit %llu, 1 connection", (unsigned long long)LIMITS[i]);
		ok = measure_diff(b, l, 0, LIMITS[i], LIMITS[i], what, e);
	}
	ok = ok && measure_diff(b, l, head - 1, READ_RECORDS_MAX, 1, "diff of the last record, 1 connection", e);
	bench_log_free(l);
	return ok;
}

/* ---- watch streams: every watcher gets every record, in order ---- */

static bool is_event(str line, int64_t *offset)
{
	int64_t seq = 0;
	if (!str_starts_with(line, STR("data:")) || !page_find_number(line, STR("\"$seq\":"), &seq)) {
		return false;
	}
	*offset = seq - 1;
	return true;
}

static bool check_reply(const peer *p, int64_t *offset, err *e)
{
	int64_t seq = 0;
	if (peer_status(p) != 200 || !page_find_number(peer_body(p), STR("\"first_seq\":"), &seq)) {
		return gateway_refused("a write", peer_status(p), peer_body(p), e);
	}
	*offset = seq - 1;
	return true;
}

static const watch_dialect WATCH = {is_event, check_reply};

/* Each stream has a session of its own: a session has one stream. */
static bool add_watchers(const bench *b, const bench_log *l, watchers *w, uint32_t count, err *e)
{
	bool ok = true;
	buf request;
	buf_init(&request, BODY_MAX);
	for (uint32_t i = 0; i < count && ok; i++) {
		buf_clear(&request);
		ok = gateway_open_session(b->gateway, &l->topic, &request, e) &&
			 watchers_add(w, gateway_address(b->gateway), buf_str(&request), 1, e);
	}
	buf_dispose(&request);
	return ok;
}

static bool publish(void *context, watchers *w, watch_times *times, err *e)
{
	topics_load *load = context;
	load->written++;
	return watchers_publish(w, buf_str(&load->request), times, e);
}

static void add_watch_row(bench *b, uint32_t count, const watch_times *times, const watch_window *window)
{
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "topics");
	snprintf(row->what, sizeof row->what, "write sent to event of /v0/watch, %u watcher%s, fsync: p50", count,
			 count == 1 ? "" : "s");
	snprintf(row->unit, sizeof row->unit, "ms");
	row->figure = (double)latency_percentile(&times->from_sent, 0.5) / 1e6;
	snprintf(row->detail, sizeof row->detail,
			 "p99 %.3f ms, last watcher p50 %.3f ms; from acknowledged: p50 %.3f ms, n %llu",
			 (double)latency_percentile(&times->from_sent, 0.99) / 1e6,
			 (double)latency_percentile(&times->last_from_sent, 0.5) / 1e6,
			 (double)latency_percentile(&times->from_acknowledged, 0.5) / 1e6,
			 (unsigned long long)times->last_from_sent.count);
	row->verified = times->last_from_sent.count;
	row->seconds = window->seconds;
	row->spent = window->spent;
}

static bool measure_watch(bench *b, uint32_t count, watch_times *times, err *e)
{
	bench_log *l = NULL;
	watchers *w = NULL;
	topics_load load = {.records = 1};
	bool ok = false;
	bench_progress("  %u watchers of /v0/watch, for %u s", count, b->options->seconds);
	buf_init(&load.request, BODY_MAX);
	if (!bench_allow_files(count, e) || !bench_log_new(b, "topics", 1, 1, &l, e)) {
		goto out;
	}
	render_write(b, l, &load);
	if (load.request.failed) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	watch_window window = {.publish = publish,
						   .context = &load,
						   .sources = &b->sources,
						   .measure_ms = (int64_t)b->options->seconds * 1000};
	if (!watchers_new(gateway_address(b->gateway), &WATCH, count, &w, e) || !add_watchers(b, l, w, count, e) ||
		!watchers_measure(w, &window, times, e)) {
		goto out;
	}
	add_watch_row(b, count, times, &window);
	ok = true;
out:
	watchers_close(w);
	buf_dispose(&load.request);
	bench_log_free(l);
	return ok;
}

static bool measure_watches(bench *b, err *e)
{
	watch_times *times = calloc(1, sizeof *times);
	if (times == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	bool ok = measure_watch(b, 1, times, e) && measure_watch(b, 100, times, e) && measure_watch(b, 1000, times, e);
	free(times);
	return ok;
}

bool case_topics(bench *b, err *e)
{
	return measure_writes(b, 1, 1, "fsync", e) && measure_writes(b, 1, 1, "disk", e) &&
		   measure_writes(b, WRITE_RECORDS, WRITERS, "fsync", e) &&
		   measure_writes(b, WRITE_RECORDS, WRITERS, "disk", e) && measure_diffs(b, e) && measure_watches(b, e);
}
