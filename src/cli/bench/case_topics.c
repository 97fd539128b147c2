/* The cases of the topics dialect: writes of a hundred records from sixteen writers, and reads of several sizes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jscan.h"
#include "cli/bench/cases.h"

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
	uint64_t written; /* records acknowledged */
	uint64_t limit;   /* of a diff; 0 = this writes */
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
	if (!find_number(body, l->limit > 0 ? "records" : "count", &count) ||
		count != (l->limit > 0 ? l->limit : WRITE_RECORDS)) {
		return wrong("another number of records than was asked for", body, e);
	}
	l->written += l->limit > 0 ? 0 : count;
	*records = (uint32_t)count;
	return true;
}

static void render_write(const bench *b, const bench_log *l, topics_load *load)
{
	buf body;
	buf_init(&body, BODY_MAX);
	buf_append_str(&body, STR("{\"records\":["));
	for (uint32_t i = 0; i < WRITE_RECORDS; i++) {
		buf_append_str(&body, i > 0 ? STR(",{\"data\":\"") : STR("{\"data\":\""));
		buf_append_str(&body, payload_value(l->payload, 0, i));
		buf_append_str(&body, STR("\"}"));
	}
	buf_append_str(&body, STR("]}"));
	gateway_render_write(b->gateway, &l->topic, buf_str(&body), &load->request);
	load->request.failed = load->request.failed || body.failed;
	buf_dispose(&body);
}

static void render_diff(const bench *b, const bench_log *l, topics_load *load)
{
	char body[64];
	snprintf(body, sizeof body, "{\"from_seq\":0,\"limit\":%llu}", (unsigned long long)load->limit);
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

static bool measure_writes(bench *b, const char *durability, err *e)
{
	bench_log *l = NULL;
	topics_load load = {.written = 0};
	char what[80];
	uint64_t head = 0;
	bool ok = false;
	buf_init(&load.request, BODY_MAX);
	snprintf(what, sizeof what, "write, %d × %u B per request, %d writers, %s", WRITE_RECORDS, b->options->value_bytes,
			 WRITERS, durability);
	if (!bench_log_new(b, "topics", WRITE_RECORDS, 1, &l, e) ||
		!gateway_topic_set_class(b->gateway, &l->topic, durability, e)) {
		goto out;
	}
	render_write(b, l, &load);
	if (!run_load(b, &load, WRITERS, what, e) || !gateway_topic_head(b->gateway, &l->topic, &head, e)) {
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
static bool fill(bench *b, const bench_log *l, err *e)
{
	topics_load load = {.written = 0};
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
	return ok && (load.written >= READ_RECORDS_MAX || wrong("too few records to read were written", STR(""), e));
}

static bool measure_diffs(bench *b, err *e)
{
	static const uint64_t LIMITS[] = {1, 256, READ_RECORDS_MAX};
	bench_log *l = NULL;
	bool ok = bench_log_new(b, "topics", WRITE_RECORDS, 1, &l, e) && fill(b, l, e);
	for (size_t i = 0; i < sizeof LIMITS / sizeof LIMITS[0] && ok; i++) {
		topics_load load = {.limit = LIMITS[i]};
		char what[80];
		buf_init(&load.request, BODY_MAX);
		snprintf(what, sizeof what, "diff, limit %llu, 1 connection", (unsigned long long)LIMITS[i]);
		render_diff(b, l, &load);
		ok = run_load(b, &load, 1, what, e);
		buf_dispose(&load.request);
	}
	bench_log_free(l);
	return ok;
}

bool case_topics(bench *b, err *e)
{
	return measure_writes(b, "fsync", e) && measure_writes(b, "disk", e) && measure_diffs(b, e);
}
