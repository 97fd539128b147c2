/*
 * Queues: POST /v0/topics/{topic}/claim, ack, nack, extend. Each call is one operation of log/lease; the log groups them.
 */
#include "api/topics/queue.h"

#include "api/operation.h"
#include "api/topics/queue_body.h"
#include "api/topics/record.h"
#include "api/topics/topics.h"
#include "api/topics/wire.h"
#include "base/jwrite.h"

typedef struct call {
	api_operation op;
	queue_body body;
	log_lease lease;
} call;

/* ---- JSON ---- */

void queue_write_job(buf *out, const log_lease_job *job)
{
	buf_append_str(out, STR("\"$seq\":"));
	buf_append_i64(out, job->record.offset + 1);
	buf_append_str(out, STR(",\"lease_id\":\""));
	queue_write_lease_id(out, job->number);
	buf_append_str(out, STR("\",\"deadline\":"));
	buf_append_i64(out, job->deadline_ms);
	buf_append_str(out, STR(",\"$ts\":"));
	buf_append_i64(out, job->record.committed_ms);
	record_write_tag(out, &job->record);
	buf_append_str(out, STR(",\"deliveries\":"));
	buf_append_i64(out, job->deliveries);
	buf_append_byte(out, ',');
	record_write_data(out, job->record.value);
	record_write_meta(out, &job->record);
}

void queue_write_state(buf *out, const log_lease_counts *counts)
{
	buf_append_str(out, STR("\"queue\":{\"ready\":"));
	buf_append_i64(out, counts->ready);
	buf_append_str(out, STR(",\"in_flight\":"));
	buf_append_i64(out, counts->in_flight);
	buf_append_str(out, STR(",\"dead_lettered\":"));
	buf_append_i64(out, counts->dead_lettered);
	buf_append_byte(out, '}');
}

static void write_number(buf *out, const char *key, int64_t value)
{
	buf_append_byte(out, ',');
	jwrite_key(out, key);
	buf_append_i64(out, value);
}

static void write_claimed(const call *c, buf *out)
{
	buf_append_str(out, STR(",\"claimed\":["));
	for (size_t i = 0; i < c->lease.job_count; i++) {
		buf_append_str(out, i > 0 ? STR(",{") : STR("{"));
		queue_write_job(out, &c->lease.jobs[i]);
		buf_append_byte(out, '}');
	}
	buf_append_byte(out, ']');
	write_number(out, "count", (int64_t)c->lease.job_count);
	write_number(out, "ready", c->lease.counts.ready);
}

static void write_deadlines(const call *c, buf *out)
{
	bool is_first = true;
	buf_append_str(out, STR(",\"deadlines\":{"));
	for (size_t i = 0; i < c->body.seq_count; i++) {
		if (c->body.refs[i].stands) {
			buf_append_str(out, is_first ? STR("\"") : STR(",\""));
			buf_append_u64(out, c->body.seqs[i]);
			buf_append_str(out, STR("\":"));
			buf_append_i64(out, c->body.refs[i].deadline_ms);
			is_first = false;
		}
	}
	buf_append_byte(out, '}');
}

static void write_outcome(const call *c, buf *out)
{
	static const char *const NAMES[] = {
		[LOG_LEASE_ACK] = "acked", [LOG_LEASE_NACK] = "nacked", [LOG_LEASE_EXTEND] = "extended"};
	int64_t done = 0;
	bool is_first = true;
	for (size_t i = 0; i < c->body.seq_count; i++) {
		done += c->body.refs[i].stands ? 1 : 0;
	}
	write_number(out, NAMES[c->lease.action], done);
	buf_append_str(out, STR(",\"skipped\":["));
	for (size_t i = 0; i < c->body.seq_count; i++) {
		if (!c->body.refs[i].stands) {
			if (!is_first) {
				buf_append_byte(out, ',');
			}
			buf_append_u64(out, c->body.seqs[i]);
			is_first = false;
		}
	}
	buf_append_byte(out, ']');
	if (c->lease.action == LOG_LEASE_EXTEND) {
		write_deadlines(c, out);
	} else {
		write_number(out, "ready", c->lease.counts.ready);
		write_number(out, "in_flight", c->lease.counts.in_flight);
	}
}

/* ---- the call ---- */

bool queue_refuse_log(err *e, str topic)
{
	buf quoted;
	err_set(e, ERR_NOT_A_QUEUE, "the topic \"%.*s\" is a log; make a queue with {\"type\":\"queue\"}",
			STR_ARG(str_take(topic, 200)));
	buf_init(&quoted, ERR_DETAIL_MAX);
	jwrite_string(&quoted, topic);
	if (!quoted.failed) {
		err_detail(e, "{\"topic\":%.*s}", STR_ARG(buf_str(&quoted)));
	}
	buf_dispose(&quoted);
	return false;
}

static void fail(call *c, const err *e)
{
	if (!api_with_topic_again(&c->op, e)) {
		api_fail(&c->op, e);
	}
}

static void on_done(log_lease *lease)
{
	call *c = lease->context;
	buf *out = http_reply_body(c->op.x);
	if (lease->error.code != ERR_NONE) {
		fail(c, &lease->error);
		return;
	}
	buf_append_str(out, STR("{\"topic\":"));
	jwrite_string(out, c->op.topic->name);
	if (lease->action == LOG_LEASE_CLAIM) {
		write_claimed(c, out);
	} else {
		write_outcome(c, out);
	}
	buf_append_byte(out, ',');
	wire_write_performance(out, c->op.x);
	buf_append_byte(out, '}');
	api_reply(&c->op);
}

static bool submit(call *c, err *e)
{
	const log_topic *t = c->op.topic;
	if (t->config.kind != LOG_KIND_QUEUE) {
		c->op.is_doubtful = true;
		return queue_refuse_log(e, t->name);
	}
	if (!queue_check_node(api_of(c->op.x)->config, c->body.node, e)) {
		return false;
	}
	c->lease.topic = t;
	c->lease.holder = c->body.node;
	c->lease.max = c->body.max;
	c->lease.lease_ms = c->body.has_lease_ms ? c->body.lease_ms : t->config.lease_ms;
	c->lease.delay_ms = c->body.delay_ms;
	c->lease.refs = c->body.refs;
	c->lease.ref_count = c->body.seq_count;
	c->lease.done = on_done;
	c->lease.context = c;
	return log_lease_submit(api_of(c->op.x)->log, &c->lease, e);
}

static void with_topic(api_operation *op)
{
	err e;
	call *c = (call *)op;
	if (!submit(c, &e)) {
		fail(c, &e);
	}
}

static void handle(http_exchange *x, log_lease_action action)
{
	err e;
	call *c = api_operation_new(x, sizeof *c, NULL);
	if (c == NULL) {
		return;
	}
	c->lease.action = action;
	c->op.topic_name = http_request_param(x, 0);
	if (action == LOG_LEASE_CLAIM ? queue_read_claim(x, &c->body, &e) : queue_read_seqs(x, action, &c->body, &e)) {
		api_with_topic(&c->op, with_topic);
	} else {
		api_fail(&c->op, &e);
	}
}

void topics_claim(http_exchange *x)
{
	handle(x, LOG_LEASE_CLAIM);
}

void topics_ack(http_exchange *x)
{
	handle(x, LOG_LEASE_ACK);
}

void topics_nack(http_exchange *x)
{
	handle(x, LOG_LEASE_NACK);
}

void topics_extend(http_exchange *x)
{
	handle(x, LOG_LEASE_EXTEND);
}
