/* The case that empties a queue: workers that claim jobs and acknowledge them, over and over. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jscan.h"
#include "cli/bench/cases.h"
#include "cli/bench/producer.h"

enum {
	WORKERS = 50,
	FILL_RECORDS = 200,
	FILL_VARIANTS = 16,
	FILL_CONNECTIONS = 4,
	FILL_PATIENCE_MS = 600 * 1000,
	REQUEST_MAX = 65536,
	JOBS_A_SECOND_MOST = 40000, /* so many are made for each second that is measured */
	JSON_DEPTH = 32,
};

typedef struct worker {
	buf request;
	buf body;
	uint64_t *seqs; /* claimed, to be acknowledged */
	uint32_t count;
	bool acknowledges;
	int64_t sent_ns;
} worker;

typedef struct crew {
	const gateway *gateway;
	const gateway_topic *topic;
	uint32_t batch;
	worker workers[WORKERS];
	uint8_t *states; /* by seq: claimed, acknowledged */
	uint64_t jobs;
	uint64_t acknowledged;
	latency claims;
} crew;

enum { STATE_NEW, STATE_CLAIMED, STATE_DONE };

static void write_claim(crew *c, worker *w, uint32_t number)
{
	buf_printf(&w->body, "{\"node\":\"worker-%u\",\"max\":%u}", number, c->batch);
	gateway_render_queue(c->gateway, c->topic, "claim", buf_str(&w->body), &w->request);
}

static void write_ack(crew *c, worker *w, uint32_t number)
{
	buf_printf(&w->body, "{\"node\":\"worker-%u\",\"seqs\":[", number);
	for (uint32_t i = 0; i < w->count; i++) {
		buf_printf(&w->body, i > 0 ? ",%llu" : "%llu", (unsigned long long)w->seqs[i]);
	}
	buf_append_str(&w->body, STR("]}"));
	gateway_render_queue(c->gateway, c->topic, "ack", buf_str(&w->body), &w->request);
}

static str next_request(void *context, uint32_t connection)
{
	crew *c = context;
	worker *w = &c->workers[connection];
	if (!w->acknowledges && c->acknowledged == c->jobs) {
		return STR_NONE;
	}
	buf_clear(&w->body);
	buf_clear(&w->request);
	if (w->acknowledges) {
		write_ack(c, w, connection);
	} else {
		write_claim(c, w, connection);
	}
	w->sent_ns = latency_now_ns();
	return w->request.failed || w->body.failed ? STR_NONE : buf_str(&w->request);
}

static bool wrong(const char *what, str body, err *e)
{
	return err_set(e, ERR_INTERNAL, "%s: %.*s", what, STR_ARG(str_take(body, 200)));
}

/* The member's number, of an answer's object. */
static bool find_number(str body, const char *name, uint64_t *out)
{
	jscan s;
	str key;
	bool found = false;
	jscan_init(&s, body, JSON_DEPTH);
	jscan_begin_object(&s);
	while (jscan_next_member(&s, &key)) {
		if (str_equal(key, str_from_c(name))) {
			found = jscan_u64(&s, UINT64_MAX, out);
		} else {
			jscan_skip(&s);
		}
	}
	return found && jscan_end(&s);
}

/* One claimed job: nobody may have had it before. */
static bool take_job(crew *c, worker *w, jscan *s)
{
	str key;
	uint64_t seq = 0;
	jscan_begin_object(s);
	while (jscan_next_member(s, &key)) {
		if (str_equal(key, STR("$seq"))) {
			jscan_u64(s, UINT64_MAX, &seq);
		} else {
			jscan_skip(s);
		}
	}
	if (seq == 0 || seq > c->jobs || c->states[seq] != STATE_NEW || w->count == c->batch) {
		return false;
	}
	c->states[seq] = STATE_CLAIMED;
	w->seqs[w->count++] = seq;
	return true;
}

static bool take_claimed(crew *c, worker *w, str body, err *e)
{
	jscan s;
	str key;
	bool ok = true;
	w->count = 0;
	jscan_init(&s, body, JSON_DEPTH);
	jscan_begin_object(&s);
	while (ok && jscan_next_member(&s, &key)) {
		if (str_equal(key, STR("claimed"))) {
			jscan_begin_array(&s);
			while (ok && jscan_next_element(&s)) {
				ok = take_job(c, w, &s);
			}
		} else {
			jscan_skip(&s);
		}
	}
	return (ok && jscan_end(&s)) || wrong("a claim gave a job that was not free", body, e);
}

static bool take_reply(void *context, uint32_t connection, str body, uint32_t *records, err *e)
{
	crew *c = context;
	worker *w = &c->workers[connection];
	uint64_t acked = 0;
	*records = 0;
	if (!w->acknowledges) {
		latency_add(&c->claims, latency_now_ns() - w->sent_ns);
		if (!take_claimed(c, w, body, e)) {
			return false;
		}
		w->acknowledges = w->count > 0;
		return true;
	}
	if (!find_number(body, "acked", &acked) || acked != w->count) {
		return wrong("an acknowledgement did not count", body, e);
	}
	for (uint32_t i = 0; i < w->count; i++) {
		c->states[w->seqs[i]] = STATE_DONE;
	}
	c->acknowledged += w->count;
	*records = w->count;
	w->acknowledges = false;
	return true;
}

static void crew_free(crew *c)
{
	for (uint32_t i = 0; c != NULL && i < WORKERS; i++) {
		buf_dispose(&c->workers[i].request);
		buf_dispose(&c->workers[i].body);
		free(c->workers[i].seqs);
	}
	if (c != NULL) {
		free(c->states);
		free(c);
	}
}

static crew *crew_new(const bench *b, const bench_log *l, uint32_t batch)
{
	crew *c = calloc(1, sizeof *c);
	bool ok = c != NULL;
	if (ok) {
		c->gateway = b->gateway;
		c->topic = &l->topic;
		c->batch = batch;
		c->jobs = (uint64_t)l->ledger.end_offset;
		c->states = calloc(c->jobs + 1, 1);
		ok = c->states != NULL;
	}
	for (uint32_t i = 0; i < WORKERS && ok; i++) {
		buf_init(&c->workers[i].request, REQUEST_MAX);
		buf_init(&c->workers[i].body, REQUEST_MAX);
		c->workers[i].seqs = calloc(batch, sizeof *c->workers[i].seqs);
		ok = c->workers[i].seqs != NULL;
	}
	if (!ok) {
		crew_free(c);
		return NULL;
	}
	return c;
}

/* Jobs for as long as the measurement may last. */
static bool fill(bench *b, bench_log **out, err *e)
{
	bool ok = false;
	bench_log *l = NULL;
	load_result result;
	uint64_t seconds = b->options->seconds + b->options->warmup_ms / 1000 + 1;
	uint64_t requests = seconds * JOBS_A_SECOND_MOST / FILL_RECORDS;
	producer *p = malloc(sizeof *p);
	if (p == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (bench_queue_new(b, "queue", FILL_RECORDS, FILL_VARIANTS, &l, e)) {
		bench_progress("  producing %llu jobs", (unsigned long long)requests * FILL_RECORDS);
		producer_init(p, l->payload, &l->ledger, requests);
		load_options options = {.address = gateway_address(b->gateway),
								.sources = &b->sources,
								.connections = FILL_CONNECTIONS,
								.measure_ms = FILL_PATIENCE_MS,
								.client = producer_client(p)};
		ok = load_run(&options, &result, e) && ledger_settle(&l->ledger, e);
	}
	free(p);
	if (!ok) {
		bench_log_free(l);
		return false;
	}
	*out = l;
	return true;
}

static bool measure(bench *b, uint32_t batch, err *e)
{
	bool ok = false;
	bench_log *l = NULL;
	crew *c = NULL;
	load_result result;
	if (!fill(b, &l, e)) {
		goto out;
	}
	c = crew_new(b, l, batch);
	if (c == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	bench_progress("  %d workers, %u jobs a claim, for %u s", WORKERS, batch, b->options->seconds);
	load_options options = bench_load_options(b, &(bench_lanes){.connections = WORKERS});
	options.client = (load_client){.context = c, .next = next_request, .reply = take_reply};
	if (!load_run(&options, &result, e)) {
		goto out;
	}
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "queue");
	snprintf(row->what, sizeof row->what, "claim %u and acknowledge, %d workers, durable", batch, WORKERS);
	snprintf(row->unit, sizeof row->unit, "jobs/s");
	row->figure = bench_rate(result.records, result.elapsed_ns);
	snprintf(row->detail, sizeof row->detail, "claim: p50 %.0f, p99 %.0f µs, n %llu",
			 (double)latency_percentile(&c->claims, 0.5) / 1e3, (double)latency_percentile(&c->claims, 0.99) / 1e3,
			 (unsigned long long)c->claims.count);
	row->verified = c->acknowledged;
	bench_note_usage(row, &result);
	ok = true;
out:
	crew_free(c);
	bench_log_free(l);
	return ok;
}

bool case_queue(bench *b, err *e)
{
	return measure(b, 1, e) && measure(b, 10, e);
}
