/*
 * POST /v1/data/subject/SUBJ: one message, given as base64. Parsed on the server's thread, committed by a lane, answered from
 * there; only a stream that keeps so many messages a subject has something to do before the answer.
 */
#include "api/api.h"
#include "api/gate.h"
#include "api/httpmq/catalog.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/wire.h"
#include "base/text.h"
#include "log/append.h"

#include <string.h>

typedef struct publish {
	http_exchange *x;
	str subject;
	str payload;
	const httpmq_set *set;
	const httpmq_capture *capture; /* in the set */
	const log_topic *topic;
	bool is_fresh; /* set and topic come from the database */
	log_append append;
} publish;

static void end(publish *p, const err *e)
{
	http_exchange *x = p->x;
	log_topic_unref(p->topic);
	httpmq_set_unref(p->set);
	if (e != NULL) {
		http_send_error(x, e);
	} else {
		httpmq_send_done(x);
	}
}

static void refuse_job(void *context, const err *e)
{
	end(context, e);
}

static void submit(publish *p, void (*run)(void *context, log_conn *conn))
{
	err e;
	if (!log_engine_submit(api_of(p->x)->log, (log_job){run, refuse_job, p}, &e)) {
		end(p, &e);
	}
}

/* ---- the append ---- */

static void run_trim(void *context, log_conn *conn)
{
	publish *p = context;
	api *a = api_of(p->x);
	err e;
	if (!httpmq_trim(a->log, conn, p->topic, p->subject, p->capture->max_msgs_per_subject, &e)) {
		/* The message is stored; what is too much goes with the next one. */
		slog_err(a->slog, SLOG_WARN, "httpmq", "older messages of a subject were left", &e);
	}
	end(p, NULL);
}

static void refuse_trim(void *context, const err *e)
{
	publish *p = context;
	slog_err(api_of(p->x)->slog, SLOG_WARN, "httpmq", "older messages of a subject were left", e);
	end(p, NULL);
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
		end(p, &append->error);
	} else if (p->capture->max_msgs_per_subject <= 0) {
		end(p, NULL);
	} else if (!log_engine_submit(a->log, (log_job){run_trim, refuse_trim, p}, &e)) {
		refuse_trim(p, &e);
	}
}

static void append(publish *p)
{
	err e;
	if (!gate_check_name(p->x, p->capture->stream, &e)) {
		end(p, &e);
		return;
	}
	if (p->capture->max_msg_size >= 0 && p->payload.len > (uint64_t)p->capture->max_msg_size) {
		err_set(&e, ERR_RECORD_TOO_LARGE, "the stream takes messages of at most %lld bytes; this one has %zu",
				(long long)p->capture->max_msg_size, p->payload.len);
		end(p, &e);
		return;
	}
	p->append = (log_append){
		.topic = p->topic,
		.columns = {.count = 1, .keys = &p->subject, .values = &p->payload, .tags = &p->subject},
		.arena = http_arena(p->x),
		.done = on_appended,
		.context = p,
	};
	if (!log_append_submit(api_of(p->x)->log, &p->append, &e)) {
		end(p, &e);
	}
}

/* ---- the stream ---- */

static bool find_stream(publish *p, log_conn *conn, err *e)
{
	api *a = api_of(p->x);
	int64_t tenant_id = gate_principal(p->x)->tenant_id;
	p->is_fresh = true;
	httpmq_set_unref(p->set);
	log_topic_unref(p->topic);
	p->set = NULL;
	p->topic = NULL;
	if (!httpmq_catalog_load(a->httpmq, conn, tenant_id, &p->set, e)) {
		return false;
	}
	p->capture = httpmq_set_find(p->set, p->subject);
	if (p->capture == NULL) {
		return err_set(e, ERR_TOPIC_NOT_FOUND,
					   "no stream takes messages of this subject; add it to a stream's subjects");
	}
	return log_topic_find(a->log, conn, tenant_id, p->capture->stream, &p->topic, e);
}

static void look_up(void *context, log_conn *conn)
{
	publish *p = context;
	err e;
	if (find_stream(p, conn, &e)) {
		append(p);
	} else {
		end(p, &e);
	}
}

static bool take_cached(publish *p)
{
	api *a = api_of(p->x);
	int64_t tenant_id = gate_principal(p->x)->tenant_id;
	p->set = httpmq_catalog_get(a->httpmq, tenant_id);
	p->capture = p->set != NULL ? httpmq_set_find(p->set, p->subject) : NULL;
	p->topic = p->capture != NULL ? log_topic_cached(a->log, tenant_id, p->capture->stream) : NULL;
	return p->topic != NULL && p->topic->topic_id == p->capture->topic_id;
}

/* ---- the request ---- */

/* Line ends anywhere are passed over. */
static bool decode(publish *p, err *e)
{
	arena *a = http_arena(p->x);
	str encoded = http_request_body(p->x);
	if (encoded.len > 0 &&
		(memchr(encoded.ptr, '\n', encoded.len) != NULL || memchr(encoded.ptr, '\r', encoded.len) != NULL)) {
		char *clean = arena_alloc(a, encoded.len + 1);
		size_t len = 0;
		if (clean == NULL) {
			return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		}
		for (size_t i = 0; i < encoded.len; i++) {
			if (encoded.ptr[i] != '\n' && encoded.ptr[i] != '\r') {
				clean[len++] = encoded.ptr[i];
			}
		}
		encoded = (str){clean, len};
	}
	if (!text_base64_decode(a, encoded, &p->payload)) {
		return err_set(e, ERR_INVALID_REQUEST, "the body must be base64 of the standard alphabet, with its padding");
	}
	if (p->payload.len == 0) {
		return err_set(e, ERR_INVALID_REQUEST, "the message is empty; send at least one byte, as base64");
	}
	if (p->payload.len > HTTPMQ_PAYLOAD_MAX) {
		return err_set(e, ERR_RECORD_TOO_LARGE, "a message has at most %d bytes; this one has %zu", HTTPMQ_PAYLOAD_MAX,
					   p->payload.len);
	}
	return true;
}

void httpmq_publish(http_exchange *x)
{
	err e;
	str subject;
	if (!httpmq_take_subject(x, 0, &subject)) {
		return;
	}
	publish *p = arena_alloc_zero(http_arena(x), sizeof *p);
	if (p == NULL) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		http_send_error(x, &e);
		return;
	}
	p->x = x;
	p->subject = subject;
	if (!decode(p, &e)) {
		end(p, &e);
	} else if (take_cached(p)) {
		append(p);
	} else {
		submit(p, look_up);
	}
}
