/*
 * POST /v1/data/subject/SUBJ, /v1/data/subject/SUBJ/raw: one message. POST /v1/data/stream/S/batch: many of one stream, all of
 * them or none. Parsed on the server's thread, committed by a lane, answered from there; only a stream that keeps so many
 * messages a subject has something to do before the answer.
 */
#include "api/allowance.h"
#include "api/api.h"
#include "api/body.h"
#include "api/gate.h"
#include "api/httpmq/catalog.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/publish_body.h"
#include "api/httpmq/wire.h"
#include "log/append.h"

#include <string.h>

typedef struct publish {
	http_exchange *x;
	str stream; /* of a batch; ptr NULL: whichever takes the subject */
	log_columns messages;
	str idempotency_key;
	const httpmq_set *set;
	const httpmq_capture *capture; /* in the set */
	const log_topic *topic;
	bool is_fresh; /* set and topic come from the database */
	log_append append;
} publish;

static void release(publish *p)
{
	log_topic_unref(p->topic);
	httpmq_set_unref(p->set);
}

static void fail(publish *p, const err *e)
{
	http_exchange *x = p->x;
	release(p);
	http_send_error(x, e);
}

/* Where the messages are. */
static void answer(publish *p)
{
	http_exchange *x = p->x;
	buf *out = http_reply_body(x);
	int64_t first = p->append.results[0].base_offset + 1;
	httpmq_begin(x);
	buf_append_str(out, STR(",\"stream\":"));
	httpmq_write_string(out, p->capture->stream);
	if (p->stream.ptr == NULL) {
		buf_append_str(out, STR(",\"sequence\":"));
	} else {
		buf_append_str(out, STR(",\"first_sequence\":"));
		buf_append_i64(out, first);
		buf_append_str(out, STR(",\"last_sequence\":"));
	}
	buf_append_i64(out, first + p->messages.count - 1);
	buf_append_str(out, STR(",\"timestamp\":"));
	httpmq_write_time(out, p->append.committed_ms);
	if (p->append.is_duplicate) {
		buf_append_str(out, STR(",\"duplicate\":true"));
	}
	release(p);
	httpmq_send(x);
}

static void refuse_job(void *context, const err *e)
{
	fail(context, e);
}

static void submit(publish *p, void (*run)(void *context, log_conn *conn))
{
	err e;
	if (!log_engine_submit(api_of(p->x)->log, (log_job){run, refuse_job, p}, &e)) {
		fail(p, &e);
	}
}

/* ---- the append ---- */

static void run_trim(void *context, log_conn *conn)
{
	publish *p = context;
	api *a = api_of(p->x);
	str subject = p->messages.count == 1 ? p->messages.tags[0] : STR_NONE;
	err e;
	if (!httpmq_trim(a->log, conn, p->topic, subject, p->capture->max_msgs_per_subject, &e)) {
		/* The message is stored; what is too much goes with the next one. */
		slog_err(a->slog, SLOG_WARN, "httpmq", "older messages of a subject were left", &e);
	}
	answer(p);
}

static void refuse_trim(void *context, const err *e)
{
	publish *p = context;
	slog_err(api_of(p->x)->slog, SLOG_WARN, "httpmq", "older messages of a subject were left", e);
	answer(p);
}

static void look_up(void *context, log_conn *conn);

static void on_appended(log_append *append)
{
	publish *p = append->context;
	api *a = api_of(p->x);
	err e;
	if (append->error.code == ERR_TOPIC_NOT_FOUND && !p->is_fresh) {
		log_topic_forget(a->log, p->topic);
		httpmq_catalog_forget(a->httpmq, p->topic->tenant_id);
		submit(p, look_up);
	} else if (append->error.code != ERR_NONE) {
		fail(p, &append->error);
	} else if (p->capture->max_msgs_per_subject <= 0) {
		answer(p);
	} else if (!log_engine_submit(a->log, (log_job){run_trim, refuse_trim, p}, &e)) {
		refuse_trim(p, &e);
	}
}

static bool check_sizes(const publish *p, err *e)
{
	int64_t most = p->capture->max_msg_size;
	for (uint32_t i = 0; most >= 0 && i < p->messages.count; i++) {
		if (p->messages.values[i].len > (uint64_t)most) {
			return err_set(e, ERR_RECORD_TOO_LARGE, "the stream takes messages of at most %lld bytes; this one has %zu",
						   (long long)most, p->messages.values[i].len);
		}
	}
	return true;
}

static void append(publish *p)
{
	err e;
	api *a = api_of(p->x);
	p->append = (log_append){
		.topic = p->topic,
		.columns = p->messages,
		.idempotency_key = p->idempotency_key,
		.arena = http_arena(p->x),
		.done = on_appended,
		.context = p,
	};
	if (!gate_check_name(p->x, p->capture->stream, &e) || !check_sizes(p, &e) ||
		!allowance_append(a, gate_principal(p->x), &p->append.columns, &e) ||
		!log_append_submit(a->log, &p->append, &e)) {
		fail(p, &e);
	}
}

/* ---- the stream ---- */

/* Of the set: the one stream that takes all of the messages. */
static bool find_capture(publish *p, err *e)
{
	for (uint32_t i = p->messages.count; i > 0; i--) {
		p->capture = httpmq_set_find(p->set, p->messages.tags[i - 1]);
		if (p->stream.ptr != NULL && (p->capture == NULL || !str_equal(p->capture->stream, p->stream))) {
			return err_set(e, ERR_TOPIC_NOT_FOUND, "messages[%u]: its subject is none of this stream", i - 1);
		}
		if (p->capture == NULL) {
			return err_set(e, ERR_TOPIC_NOT_FOUND,
						   "no stream takes messages of this subject; add it to a stream's subjects");
		}
	}
	return true;
}

static bool find_stream(publish *p, log_conn *conn, err *e)
{
	api *a = api_of(p->x);
	int64_t tenant_id = gate_principal(p->x)->tenant_id;
	log_topic_unref(p->topic);
	httpmq_set_unref(p->set);
	p->topic = NULL;
	p->set = NULL;
	p->is_fresh = true;
	return httpmq_catalog_load(a->httpmq, conn, tenant_id, &p->set, e) && find_capture(p, e) &&
		   log_topic_find(a->log, conn, tenant_id, p->capture->stream, &p->topic, e);
}

static void look_up(void *context, log_conn *conn)
{
	publish *p = context;
	err e;
	if (find_stream(p, conn, &e)) {
		append(p);
	} else {
		fail(p, &e);
	}
}

static bool take_cached(publish *p)
{
	api *a = api_of(p->x);
	int64_t tenant_id = gate_principal(p->x)->tenant_id;
	err ignored;
	p->set = httpmq_catalog_get(a->httpmq, tenant_id);
	if (p->set == NULL || !find_capture(p, &ignored)) {
		return false;
	}
	p->topic = log_topic_cached(a->log, tenant_id, p->capture->stream);
	return p->topic != NULL && p->topic->topic_id == p->capture->topic_id;
}

/* ---- the requests ---- */

static bool read_idempotency_key(publish *p, err *e)
{
	p->idempotency_key = http_request_header(p->x, STR("Idempotency-Key"));
	return p->idempotency_key.ptr == NULL || body_is_name(p->idempotency_key, API_ID_BYTES_MAX) ||
		   err_set(e, ERR_INVALID_REQUEST, "Idempotency-Key must be 1 to %d bytes of UTF-8 without control characters",
				   API_ID_BYTES_MAX);
}

/* NULL: answered. */
static publish *new_publish(http_exchange *x)
{
	publish *p = arena_alloc_zero(http_arena(x), sizeof *p);
	if (p == NULL) {
		err e;
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		http_send_error(x, &e);
		return NULL;
	}
	p->x = x;
	return p;
}

/* *e: what is wrong with the messages, when they are not readable. */
static void start(publish *p, bool is_readable, err *e)
{
	if (!is_readable || !read_idempotency_key(p, e)) {
		fail(p, e);
	} else if (take_cached(p)) {
		append(p);
	} else {
		submit(p, look_up);
	}
}

void httpmq_publish(http_exchange *x)
{
	err e;
	str subject;
	publish *p = httpmq_take_subject(x, 0, &subject) ? new_publish(x) : NULL;
	if (p != NULL) {
		start(p, publish_body_base64(x, subject, &p->messages, &e), &e);
	}
}

void httpmq_publish_raw(http_exchange *x)
{
	err e;
	str subject;
	publish *p = httpmq_take_subject(x, 0, &subject) ? new_publish(x) : NULL;
	if (p != NULL) {
		start(p, publish_body_raw(x, subject, &p->messages, &e), &e);
	}
}

void httpmq_publish_batch(http_exchange *x)
{
	err e;
	str stream;
	publish *p = httpmq_take_name(x, 0, "stream", &stream) ? new_publish(x) : NULL;
	if (p != NULL) {
		p->stream = stream;
		start(p, publish_body_batch(x, &p->messages, &e), &e);
	}
}
