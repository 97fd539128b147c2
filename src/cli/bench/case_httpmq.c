/* The httpmq dialect: publishing, publish to subscriber, fetch and acknowledge. */
#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"
#include "base/text.h"
#include "cli/bench/cases.h"
#include "cli/bench/request.h"
#include "cli/bench/watchers.h"

enum {
	NAME_MAX = 32,
	PATH_MAX_BYTES = 128,
	REQUEST_MAX = 1 << 20,
	CALL_TIMEOUT_MS = 60000,
	WARMUP_ROUNDS = 5,
	LEAST_ROUNDS = 20,
	ACK_CONNECTIONS = 16,
	ACK_MESSAGES = 100, /* that one fetch takes, and as many acknowledgements follow */
	SUBSCRIBER_WINDOW = 1000000,
};

/* A stream of this case, which takes the subject of its own name. */
typedef struct subject {
	const bench *bench;
	char name[NAME_MAX];
	buf publish; /* a request */
} subject;

static double microseconds(const latency *l, double share)
{
	return (double)latency_percentile(l, share) / 1e3;
}

static void render(const bench *b, const char *method, const char *path, str body, buf *out)
{
	request r = {.method = method,
				 .authority = str_from_c(gateway_address(b->gateway)->authority),
				 .path = str_from_c(path),
				 .api_key = b->options->api_key,
				 .body = body};
	request_render(&r, out);
}

/* One call over a connection of its own. *answer, if wanted, is copied. */
static bool call(const bench *b, const char *method, const char *path, str body, buf *answer, err *e)
{
	peer p;
	buf text;
	peer_init(&p);
	buf_init(&text, REQUEST_MAX);
	render(b, method, path, body, &text);
	bool ok = peer_open(&p, gateway_address(b->gateway), e) && peer_call(&p, buf_str(&text), CALL_TIMEOUT_MS, e) &&
			  (peer_status(&p) == 200 || gateway_refused(path, peer_status(&p), peer_body(&p), e));
	if (ok && answer != NULL) {
		buf_append_str(answer, peer_body(&p));
	}
	buf_dispose(&text);
	peer_dispose(&p);
	return ok;
}

/* ---- the stream ---- */

static void render_publish(subject *s)
{
	char path[PATH_MAX_BYTES];
	buf value;
	buf body;
	buf_init(&value, REQUEST_MAX);
	buf_init(&body, REQUEST_MAX);
	for (uint32_t i = 0; i < s->bench->options->value_bytes; i++) {
		buf_append_byte(&value, (char)('a' + i % 26));
	}
	text_base64_encode(&body, buf_str(&value));
	snprintf(path, sizeof path, "/v1/data/subject/%s", s->name);
	render(s->bench, "POST", path, buf_str(&body), &s->publish);
	buf_dispose(&value);
	buf_dispose(&body);
}

static bool subject_open(subject *s, const bench *b, err *e)
{
	char body[PATH_MAX_BYTES];
	s->bench = b;
	buf_init(&s->publish, REQUEST_MAX);
	snprintf(s->name, sizeof s->name, "bench%016llx", (unsigned long long)id_random_u64());
	snprintf(body, sizeof body, "{\"name\":\"%s\"}", s->name);
	render_publish(s);
	return call(b, "POST", "/v1/admin/stream", str_from_c(body), NULL, e);
}

static bool subject_close(subject *s, err *e)
{
	char path[PATH_MAX_BYTES];
	snprintf(path, sizeof path, "/v1/admin/stream/%s", s->name);
	bool ok = call(s->bench, "DELETE", path, STR_NONE, NULL, e);
	buf_dispose(&s->publish);
	return ok;
}

static bool create_consumer(const subject *s, const char *mode, int max_inflight, err *e)
{
	char path[PATH_MAX_BYTES];
	char body[PATH_MAX_BYTES];
	snprintf(path, sizeof path, "/v1/admin/stream/%s/consumer", s->name);
	snprintf(body, sizeof body, "{\"name\":\"c\",\"mode\":\"%s\",\"max_inflight\":%d}", mode, max_inflight);
	return call(s->bench, "POST", path, str_from_c(body), NULL, e);
}

/* A number by its name, wherever it is: names of this dialect's answers do not repeat. */
static bool find_number(str text, str name, int64_t *out)
{
	size_t at = 0;
	if (!str_find(text, name, &at)) {
		return false;
	}
	str rest = str_skip(text, at + name.len);
	size_t digits = 0;
	while (digits < rest.len && rest.ptr[digits] >= '0' && rest.ptr[digits] <= '9') {
		digits++;
	}
	return str_parse_i64(str_take(rest, digits), 0, INT64_MAX, out);
}

/* A number that the stream, or its consumer, shows. */
static bool check_shown(const subject *s, const char *rest, str name, uint64_t wanted, err *e)
{
	char path[PATH_MAX_BYTES];
	buf shown;
	int64_t number = -1;
	buf_init(&shown, REQUEST_MAX);
	snprintf(path, sizeof path, "/v1/admin/stream/%s%s", s->name, rest);
	bool ok = call(s->bench, "GET", path, STR_NONE, &shown, e);
	ok = ok && ((find_number(buf_str(&shown), name, &number) && (uint64_t)number == wanted) ||
				err_set(e, ERR_INTERNAL, "%.*s %lld where %llu were acknowledged", STR_ARG(name), (long long)number,
						(unsigned long long)wanted));
	buf_dispose(&shown);
	return ok;
}

static report_row *add_row(const bench *b, const char *name, const char *unit, double figure)
{
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "%s", name);
	snprintf(row->unit, sizeof row->unit, "%s", unit);
	row->figure = figure;
	return row;
}

/* ---- publishing ---- */

typedef struct publisher {
	str request;
	uint64_t acknowledged;
} publisher;

static str next_publish(void *context, uint32_t connection)
{
	(void)connection;
	return ((const publisher *)context)->request;
}

static bool take_publish(void *context, uint32_t connection, str body, uint32_t *records, err *e)
{
	(void)connection;
	(void)body;
	(void)e;
	((publisher *)context)->acknowledged++;
	*records = 1;
	return true;
}

/* Over HTTP/2 the figure of HTTP/1.1 is the baseline. */
static void add_publish_row(const bench *b, const bench_lanes *lanes, const load_result *result, uint64_t verified,
							double *http1)
{
	double rate = bench_rate(result->requests, result->elapsed_ns);
	bool is_http2 = lanes->streams > 0;
	uint32_t count = is_http2 ? lanes->streams : lanes->connections;
	report_row *row = add_row(b, is_http2 ? "httpmq-http2" : "httpmq", "messages/s", rate);
	snprintf(row->what, sizeof row->what, "httpmq: publish 1 message, %u %s%s", count,
			 is_http2 ? "stream" : "connection", count == 1 ? "" : "s");
	snprintf(row->detail, sizeof row->detail, "p50 %.0f, p99 %.0f µs", microseconds(&result->latency, 0.5),
			 microseconds(&result->latency, 0.99));
	row->verified = verified;
	bench_note_usage(row, result);
	if (is_http2) {
		row->baseline = *http1;
		snprintf(row->baseline_what, sizeof row->baseline_what, "HTTP/1.1");
		row->ratio_at_least = count == BENCH_RATE_CONNECTIONS ? 1 : 0;
	} else {
		*http1 = rate;
	}
}

static bool measure_publish(bench *b, const bench_lanes *lanes, double *http1, err *e)
{
	subject s;
	load_result result;
	load_options options = bench_load_options(b, lanes);
	bench_settle(b);
	bench_progress("  publishing over %u connection%s of HTTP/%s for %u s", lanes->connections,
				   lanes->connections == 1 ? "" : "s", lanes->streams > 0 ? "2" : "1.1", b->options->seconds);
	if (!subject_open(&s, b, e)) {
		return false;
	}
	publisher p = {.request = buf_str(&s.publish)};
	options.client = (load_client){&p, next_publish, take_publish};
	bool ok = load_run(&options, &result, e) && check_shown(&s, "", STR("\"messages\":"), p.acknowledged, e);
	if (ok) {
		add_publish_row(b, lanes, &result, p.acknowledged, http1);
	}
	return subject_close(&s, e) && ok;
}

/* ---- publish to subscriber ---- */

static bool is_delivery(str line, int64_t *offset)
{
	*offset = WATCH_UNNUMBERED;
	return str_find(line, STR("\"b64_msg\":"), &(size_t){0});
}

static bool check_reply(const peer *p, int64_t *offset, err *e)
{
	*offset = WATCH_UNNUMBERED;
	return peer_status(p) == 200 || gateway_refused("a publish", peer_status(p), peer_body(p), e);
}

static const watch_dialect LINES = {is_delivery, check_reply};

static bool publish_rounds(const subject *s, watchers *w, watch_times *times, report_row *row, err *e)
{
	int64_t window_ns = (int64_t)s->bench->options->seconds * 1000000000;
	for (int i = 0; i < WARMUP_ROUNDS; i++) {
		if (!watchers_publish(w, buf_str(&s->publish), times, e)) {
			return false;
		}
	}
	*times = (watch_times){0};
	usage before = usage_now(&s->bench->sources);
	int64_t begin_ns = latency_now_ns();
	int64_t now_ns = begin_ns;
	for (int i = 0; i < LEAST_ROUNDS || now_ns - begin_ns < window_ns; i++) {
		if (!watchers_publish(w, buf_str(&s->publish), times, e)) {
			return false;
		}
		now_ns = latency_now_ns();
	}
	usage after = usage_now(&s->bench->sources);
	row->spent = usage_between(&before, &after);
	row->seconds = (double)(now_ns - begin_ns) / 1e9;
	return true;
}

static bool measure_delivery(bench *b, err *e)
{
	subject s;
	char path[PATH_MAX_BYTES];
	buf subscribe;
	watchers *w = NULL;
	report_row measured = {0};
	watch_times *times = calloc(1, sizeof *times);
	bench_settle(b);
	bench_progress("  publish to subscriber for %u s", b->options->seconds);
	buf_init(&subscribe, REQUEST_MAX);
	bool ok = times != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
	if (!ok || !subject_open(&s, b, e)) {
		free(times);
		return false;
	}
	snprintf(path, sizeof path, "/v1/data/stream/%s/consumer/c?subject_name=%s", s.name, s.name);
	render(b, "GET", path, STR_NONE, &subscribe);
	ok = create_consumer(&s, "push", SUBSCRIBER_WINDOW, e) &&
		 watchers_new(gateway_address(b->gateway), &LINES, 1, &w, e) &&
		 watchers_add(w, gateway_address(b->gateway), buf_str(&subscribe), 1, e) &&
		 publish_rounds(&s, w, times, &measured, e);
	watchers_close(w);
	if (ok) {
		report_row *row = add_row(b, "httpmq-deliver", "ms", microseconds(&times->from_sent, 0.5) / 1e3);
		snprintf(row->what, sizeof row->what, "httpmq: publish sent to delivery, 1 subscriber: p50");
		snprintf(row->detail, sizeof row->detail, "p99 %.3f ms, n %llu", microseconds(&times->from_sent, 0.99) / 1e3,
				 (unsigned long long)times->from_sent.count);
		row->verified = times->from_sent.count;
		row->seconds = measured.seconds;
		row->spent = measured.spent;
	}
	free(times);
	buf_dispose(&subscribe);
	return subject_close(&s, e) && ok;
}

/* ---- fetch and acknowledge ---- */

typedef struct worker {
	buf request;
	int64_t sequences[ACK_MESSAGES]; /* fetched, to be acknowledged */
	uint32_t count;
	bool fetches;
} worker;

typedef struct crew {
	const subject *subject;
	worker workers[ACK_CONNECTIONS];
	uint64_t left; /* messages that nobody has fetched */
	uint64_t acknowledged;
} crew;

static str next_step(void *context, uint32_t connection)
{
	crew *c = context;
	worker *w = &c->workers[connection];
	char path[PATH_MAX_BYTES];
	char body[PATH_MAX_BYTES];
	w->fetches = w->count == 0;
	if (w->fetches && c->left == 0) {
		return STR_NONE;
	}
	if (w->fetches) {
		snprintf(body, sizeof body, "{\"batch\":%d}", ACK_MESSAGES);
	} else {
		snprintf(body, sizeof body, "{\"stream\":%lld,\"consumer\":1}", (long long)w->sequences[--w->count]);
	}
	snprintf(path, sizeof path, "/v1/data/stream/%s/consumer/c/%s", c->subject->name, w->fetches ? "fetch" : "ack");
	buf_clear(&w->request);
	render(c->subject->bench, "POST", path, str_from_c(body), &w->request);
	return buf_str(&w->request);
}

static bool take_step(void *context, uint32_t connection, str body, uint32_t *records, err *e)
{
	crew *c = context;
	worker *w = &c->workers[connection];
	const str mark = STR("\"sequence\":{\"stream\":");
	size_t at = 0;
	*records = 0;
	if (!w->fetches) {
		*records = 1;
		c->acknowledged++;
		return true;
	}
	while (w->count < ACK_MESSAGES && str_find(body, mark, &at)) {
		body = str_skip(body, at);
		if (!find_number(body, mark, &w->sequences[w->count++])) {
			return err_set(e, ERR_INTERNAL, "a fetched message without a sequence");
		}
		body = str_skip(body, mark.len);
	}
	c->left = w->count == 0 ? 0 : c->left;
	return true;
}

/* More messages than can be acknowledged in time. */
static bool fill(const subject *s, uint64_t messages, err *e)
{
	enum { AT_ONCE = 1000 };
	char path[PATH_MAX_BYTES];
	buf body;
	buf_init(&body, REQUEST_MAX);
	buf_append_str(&body, STR("{\"messages\":["));
	for (int i = 0; i < AT_ONCE; i++) {
		buf_printf(&body, "%s{\"subject\":\"%s\",\"b64_msg\":\"aGVsbG8=\"}", i > 0 ? "," : "", s->name);
	}
	buf_append_str(&body, STR("]}"));
	snprintf(path, sizeof path, "/v1/data/stream/%s/batch", s->name);
	bool ok = !body.failed;
	for (uint64_t i = 0; ok && i < messages; i += AT_ONCE) {
		ok = call(s->bench, "POST", path, buf_str(&body), NULL, e);
	}
	buf_dispose(&body);
	return ok;
}

static bool measure_acks(bench *b, err *e)
{
	enum { ACKS_A_SECOND_MOST = 20000 };
	subject s;
	load_result result;
	uint64_t messages = (uint64_t)ACKS_A_SECOND_MOST * (b->options->seconds + 1);
	crew *c = calloc(1, sizeof *c);
	bench_settle(b);
	bench_progress("  fetching and acknowledging over %d connections for %u s", ACK_CONNECTIONS, b->options->seconds);
	if (c == NULL || !subject_open(&s, b, e)) {
		bool ok = c != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
		free(c);
		return ok && false;
	}
	c->subject = &s;
	c->left = messages;
	for (int i = 0; i < ACK_CONNECTIONS; i++) {
		buf_init(&c->workers[i].request, REQUEST_MAX);
	}
	load_options options = bench_load_options(b, &(bench_lanes){.connections = ACK_CONNECTIONS});
	options.client = (load_client){c, next_step, take_step};
	bool ok =
		fill(&s, messages, e) && create_consumer(&s, "pull", SUBSCRIBER_WINDOW, e) && load_run(&options, &result, e);
	uint64_t unacknowledged = 0;
	for (int i = 0; i < ACK_CONNECTIONS; i++) {
		unacknowledged += c->workers[i].count;
		buf_dispose(&c->workers[i].request);
	}
	ok = ok && check_shown(&s, "/consumer/c", STR("\"num_ack_pending\":"), unacknowledged, e);
	if (ok) {
		report_row *row = add_row(b, "httpmq-ack", "acks/s", bench_rate(result.records, result.elapsed_ns));
		snprintf(row->what, sizeof row->what, "httpmq: acknowledge 1 message a request, %d connections",
				 ACK_CONNECTIONS);
		snprintf(row->detail, sizeof row->detail, "p50 %.0f, p99 %.0f µs, a fetch of %d for each %d included",
				 microseconds(&result.latency, 0.5), microseconds(&result.latency, 0.99), ACK_MESSAGES, ACK_MESSAGES);
		row->verified = c->acknowledged;
		bench_note_usage(row, &result);
	}
	free(c);
	return subject_close(&s, e) && ok;
}

bool case_httpmq(bench *b, err *e)
{
	static const uint32_t COUNTS[] = {1, 16, BENCH_RATE_CONNECTIONS};
	double http1 = 0;
	for (size_t i = 0; i < sizeof COUNTS / sizeof COUNTS[0]; i++) {
		const bench_lanes over_http1 = {.connections = COUNTS[i]};
		const bench_lanes over_http2 = {.connections = 1, .streams = COUNTS[i]};
		if (!measure_publish(b, &over_http1, &http1, e) || !measure_publish(b, &over_http2, &http1, e)) {
			return false;
		}
	}
	return measure_delivery(b, e) && measure_acks(b, e);
}
