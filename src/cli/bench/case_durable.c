/* Durable streams, measured in the same way at two servers: the one under test and, if there is one, another of the same
 * protocol. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench/cases.h"
#include "cli/bench/site.h"
#include "cli/bench/watchers.h"

enum { MESSAGES = 100000, MESSAGES_AT_ONCE = 1000, MEASURES = 5, TEXT_MAX = 32768 };

/* What is measured at each server. */
typedef struct measured {
	bool is_there;
	double figure;
	char detail[112];
	uint64_t verified;
	double seconds;
	usage spent;
} measured;

typedef struct subject {
	bench *bench;
	site site;
	bool is_peer;
	char text[TEXT_MAX + 1]; /* a message */
	size_t text_bytes;
} subject;

static double microseconds(const latency *l, double share)
{
	return (double)latency_percentile(l, share) / 1e3;
}

/* ---- appends ---- */

typedef struct appender {
	str request;
	uint64_t acknowledged;
} appender;

static str next_append(void *context, uint32_t connection)
{
	const appender *a = context;
	(void)connection;
	return a->request;
}

static bool take_append(void *context, uint32_t connection, str body, uint32_t *records, err *e)
{
	appender *a = context;
	(void)connection;
	(void)body;
	(void)e;
	a->acknowledged++;
	*records = 1;
	return true;
}

/* The stream is the message, as often as it was acknowledged. Pages need not end where a message does. */
static bool verify_copies(const subject *s, const site_stream *stream, uint64_t copies, err *e)
{
	site_reader r;
	uint64_t at = 0;
	bool ok = site_reader_open(&r, stream, e);
	while (ok && !r.is_done) {
		str page;
		ok = site_reader_next(&r, &page, e);
		for (size_t i = 0; ok && i < page.len; i++, at++) {
			ok = page.ptr[i] == s->text[at % s->text_bytes] ||
				 err_set(e, ERR_INTERNAL, "byte %llu of the stream is not the one that was sent",
						 (unsigned long long)at);
		}
	}
	site_reader_close(&r);
	return ok && (at == copies * s->text_bytes ||
				  err_set(e, ERR_INTERNAL, "%llu messages were acknowledged, and %llu bytes of %zu each are there",
						  (unsigned long long)copies, (unsigned long long)at, s->text_bytes));
}

static bool measure_append(subject *s, uint32_t connections, measured *out, err *e)
{
	site_stream stream;
	load_result result;
	appender a = {.acknowledged = 0};
	buf request;
	usage_sources none = {0};
	buf_init(&request, SITE_REQUEST_MAX);
	if (!site_create(&s->site, "append", "text/plain", &stream, e)) {
		return false;
	}
	bench_progress("  appending over %u connection%s for %u s%s", connections, connections == 1 ? "" : "s",
				   s->bench->options->seconds, s->is_peer ? " to the other server" : "");
	site_render_append(&stream, (str){s->text, s->text_bytes}, &request);
	a.request = buf_str(&request);
	load_options options = {.address = &s->site.address,
							.sources = s->is_peer ? &none : &s->bench->sources,
							.connections = connections,
							.warmup_ms = s->bench->options->warmup_ms,
							.measure_ms = (int64_t)s->bench->options->seconds * 1000,
							.client = {&a, next_append, take_append}};
	bool ok = !request.failed && load_run(&options, &result, e) && verify_copies(s, &stream, a.acknowledged, e) &&
			  site_delete(&stream, e);
	buf_dispose(&request);
	if (ok) {
		out->figure = bench_rate(result.requests, result.elapsed_ns);
		out->verified = a.acknowledged;
		out->seconds = (double)result.elapsed_ns / 1e9;
		out->spent = result.spent;
		snprintf(out->detail, sizeof out->detail, "p50 %.0f, p99 %.0f µs", microseconds(&result.latency, 0.5),
				 microseconds(&result.latency, 0.99));
	}
	return ok;
}

static bool append_1(subject *s, measured *out, err *e)
{
	return measure_append(s, 1, out, e);
}

static bool append_16(subject *s, measured *out, err *e)
{
	return measure_append(s, 16, out, e);
}

/* ---- reading ---- */

static bool fill(const subject *s, const site_stream *stream, err *e)
{
	peer p;
	buf body;
	buf request;
	bool ok = false;
	peer_init(&p);
	buf_init(&body, (size_t)MESSAGES_AT_ONCE * (TEXT_MAX + 4));
	buf_init(&request, (size_t)MESSAGES_AT_ONCE * (TEXT_MAX + 4) + SITE_REQUEST_MAX);
	for (int i = 0; i < MESSAGES_AT_ONCE; i++) {
		buf_append_str(&body, i == 0 ? STR("[\"") : STR("\",\""));
		buf_append(&body, s->text, s->text_bytes);
	}
	buf_append_str(&body, STR("\"]"));
	site_render_append(stream, buf_str(&body), &request);
	if (body.failed || request.failed) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	ok = peer_open(&p, &stream->site->address, e);
	for (int i = 0; ok && i < MESSAGES / MESSAGES_AT_ONCE; i++) {
		ok = peer_call(&p, buf_str(&request), SITE_TIMEOUT_MS, e) &&
			 (peer_status(&p) / 100 == 2 || gateway_refused("an append", peer_status(&p), peer_body(&p), e));
	}
out:
	peer_dispose(&p);
	buf_dispose(&body);
	buf_dispose(&request);
	return ok;
}

/* How many messages an array of them holds, by its length. */
static uint64_t count_messages(const subject *s, str page)
{
	return page.len > 2 ? (page.len - 1) / (s->text_bytes + 3) : 0;
}

static bool read_once(const subject *s, site_reader *r, err *e)
{
	uint64_t messages = 0;
	site_reader_rewind(r);
	while (!r->is_done) {
		str page;
		if (!site_reader_next(r, &page, e)) {
			return false;
		}
		messages += count_messages(s, page);
	}
	return messages == MESSAGES || err_set(e, ERR_INTERNAL, "%llu messages were read where %d had been appended",
										   (unsigned long long)messages, MESSAGES);
}

static bool measure_read(subject *s, measured *out, err *e)
{
	site_stream stream;
	site_reader r;
	uint64_t passes = 0;
	int64_t window_ns = (int64_t)s->bench->options->seconds * 1000000000;
	if (!site_create(&s->site, "read", "application/json", &stream, e) || !fill(s, &stream, e)) {
		return false;
	}
	bench_progress("  reading %d messages for %u s%s", MESSAGES, s->bench->options->seconds,
				   s->is_peer ? " from the other server" : "");
	bool ok = site_reader_open(&r, &stream, e) && read_once(s, &r, e);
	usage before = usage_now(&s->bench->sources);
	int64_t begin_ns = latency_now_ns();
	int64_t now_ns = begin_ns;
	while (ok && now_ns - begin_ns < window_ns) {
		ok = read_once(s, &r, e);
		now_ns = latency_now_ns();
		passes++;
	}
	usage after = usage_now(&s->bench->sources);
	site_reader_close(&r);
	ok = ok && site_delete(&stream, e);
	if (ok) {
		out->figure = bench_rate(passes * MESSAGES, now_ns - begin_ns);
		out->verified = MESSAGES;
		out->seconds = (double)(now_ns - begin_ns) / 1e9;
		out->spent = usage_between(&before, &after);
		snprintf(out->detail, sizeof out->detail, "%d messages in %.0f ms", MESSAGES,
				 (double)(now_ns - begin_ns) / 1e6 / (double)passes);
	}
	return ok;
}

/* ---- event streams ---- */

static bool is_event(str line, int64_t *offset)
{
	*offset = WATCH_UNNUMBERED;
	return str_equal(line, STR("event: data"));
}

static bool check_reply(const peer *p, int64_t *offset, err *e)
{
	*offset = WATCH_UNNUMBERED;
	return peer_status(p) / 100 == 2 || gateway_refused("an append", peer_status(p), peer_body(p), e);
}

static const watch_dialect DURABLE = {is_event, check_reply};

static bool publish(void *context, watchers *w, watch_times *times, err *e)
{
	const buf *request = context;
	return watchers_publish(w, buf_str(request), times, e);
}

static bool measure_events(subject *s, uint32_t count, measured *out, err *e)
{
	site_stream stream;
	watchers *w = NULL;
	bool ok = false;
	buf watch;
	buf append;
	buf_init(&watch, SITE_REQUEST_MAX);
	buf_init(&append, SITE_REQUEST_MAX);
	watch_times *times = calloc(1, sizeof *times);
	bench_progress("  %u event stream%s for %u s%s", count, count == 1 ? "" : "s", s->bench->options->seconds,
				   s->is_peer ? " at the other server" : "");
	if (times == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!bench_allow_files(count, e) || !site_create(&s->site, "events", "text/plain", &stream, e)) {
		goto out;
	}
	site_render_watch(&stream, &watch);
	site_render_append(&stream, (str){s->text, s->text_bytes}, &append);
	watch_window window = {.publish = publish,
						   .context = &append,
						   .sources = &s->bench->sources,
						   .measure_ms = (int64_t)s->bench->options->seconds * 1000};
	ok = watchers_new(&s->site.address, &DURABLE, count, &w, e) &&
		 watchers_add(w, &s->site.address, buf_str(&watch), count, e) && watchers_measure(w, &window, times, e);
	watchers_close(w);
	out->spent = window.spent;
	out->seconds = window.seconds;
	ok = ok && site_delete(&stream, e);
	if (ok) {
		out->figure = microseconds(&times->from_sent, 0.5) / 1e3;
		out->verified = times->last_from_sent.count;
		snprintf(out->detail, sizeof out->detail, "p99 %.3f ms, last reader p50 %.3f ms, n %llu",
				 microseconds(&times->from_sent, 0.99) / 1e3, microseconds(&times->last_from_sent, 0.5) / 1e3,
				 (unsigned long long)times->last_from_sent.count);
	}
out:
	free(times);
	buf_dispose(&watch);
	buf_dispose(&append);
	return ok;
}

static bool events_1(subject *s, measured *out, err *e)
{
	return measure_events(s, 1, out, e);
}

static bool events_1000(subject *s, measured *out, err *e)
{
	return measure_events(s, 1000, out, e);
}

/* ---- the case ---- */

typedef struct measure {
	const char *name;
	const char *what;
	const char *unit;
	bool (*run)(subject *s, measured *out, err *e);
	double ratio_at_least;
} measure;

static const measure MEASURES_LIST[MEASURES] = {
	{"durable-append-1", "durable streams: append, 1 connection", "appends/s", append_1, 0},
	{"durable-append-16", "durable streams: append, 16 connections", "appends/s", append_16, 10},
	{"durable-read", "durable streams: read from the start, JSON", "messages/s", measure_read, 0},
	{"durable-sse-1", "durable streams: append sent to event, 1 reader: p50", "ms", events_1, 0},
	{"durable-sse-1000", "durable streams: append sent to event, 1000 readers: p50", "ms", events_1000, 0},
};

static void add_row(bench *b, const measure *m, const measured *ours, const measured *peers)
{
	report_row *row = report_add(b->report);
	snprintf(row->name, sizeof row->name, "%s", m->name);
	snprintf(row->what, sizeof row->what, "%s", m->what);
	snprintf(row->unit, sizeof row->unit, "%s", m->unit);
	row->figure = ours->figure;
	if (peers->is_there) {
		row->baseline = peers->figure;
		row->ratio_at_least = m->ratio_at_least;
		snprintf(row->baseline_what, sizeof row->baseline_what, "the server at --peer-url");
	}
	snprintf(row->detail, sizeof row->detail, "%s%s%s", ours->detail, peers->is_there ? "; the other: " : "",
			 peers->is_there ? peers->detail : "");
	row->verified = ours->verified;
	row->seconds = ours->seconds;
	row->spent = ours->spent;
}

/* A message of words, without what JSON escapes. */
static void write_text(subject *s)
{
	static const char WORDS[] = "order created for customer with items and total ";
	s->text_bytes = s->bench->options->value_bytes < TEXT_MAX ? s->bench->options->value_bytes : TEXT_MAX;
	for (size_t i = 0; i < s->text_bytes; i++) {
		s->text[i] = WORDS[i % (sizeof WORDS - 1)];
	}
}

static bool measure_both(bench *b, subject *ours, subject *other, err *e)
{
	for (size_t i = 0; i < MEASURES; i++) {
		const measure *m = &MEASURES_LIST[i];
		measured mine = {.is_there = true};
		measured others = {.is_there = false};
		if (!m->run(ours, &mine, e)) {
			return false;
		}
		err problem = {0};
		others.is_there = other != NULL && m->run(other, &others, &problem);
		if (other != NULL && !others.is_there) {
			bench_progress("  the other server could not do it: %s", problem.message);
		}
		add_row(b, m, &mine, &others);
	}
	return true;
}

bool case_durable(bench *b, err *e)
{
	bool has_peer = b->options->peer_url.ptr != NULL;
	bool ok = false;
	subject *subjects = calloc(2, sizeof *subjects);
	if (subjects == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	subjects[0] = (subject){.bench = b, .site = {*gateway_address(b->gateway), b->options->api_key}};
	subjects[1] = (subject){.bench = b, .is_peer = true};
	write_text(&subjects[0]);
	write_text(&subjects[1]);
	if (!has_peer) {
		bench_progress("bench: no --peer-url: there is nothing to compare with");
	}
	ok = (!has_peer || peer_resolve(b->options->peer_url, &subjects[1].site.address, e)) &&
		 measure_both(b, &subjects[0], has_peer ? &subjects[1] : NULL, e);
	free(subjects);
	return ok;
}
