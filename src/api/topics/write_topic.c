/*
 * POST /v0/topics/{topic}. Parsed on the server's thread, committed by a lane, answered from there.
 */
#include "api/gate.h"
#include "api/topics/topics.h"
#include "api/topics/wire.h"
#include "api/topics/write.h"

typedef struct write_call {
	http_exchange *x;
	topic_write write;
} write_call;

static void answer(topic_write *w)
{
	write_call *call = w->context;
	http_exchange *x = call->x;
	buf *out = http_reply_body(x);
	if (w->error.code != ERR_NONE) {
		http_send_error(x, &w->error);
		return;
	}
	buf_append_byte(out, '{');
	topic_write_members(out, w, wire_query_switch(x, "return_seqs", true));
	buf_append_byte(out, '}');
	http_send(x, w->created ? 201 : 200, "application/json");
}

static bool read_write(http_exchange *x, topic_write *w, err *e)
{
	write_limits limits = topic_write_limits(w->api->config);
	if (!wire_check_json(x, e) || !write_body_read(http_request_body(x), w->arena, &limits, &w->body, e)) {
		return false;
	}
	if (w->body.idempotency_key.len > 0) {
		return true;
	}
	str key = http_request_header(x, STR("Idempotency-Key"));
	if (key.len > WRITE_KEY_BYTES_MAX) {
		return err_set(e, ERR_INVALID_REQUEST, "Idempotency-Key must be at most %d bytes long", WRITE_KEY_BYTES_MAX);
	}
	w->body.idempotency_key = key.len > 0 ? key : STR_NONE;
	return true;
}

void topics_write(http_exchange *x)
{
	err e;
	write_call *call = arena_alloc_zero(http_arena(x), sizeof *call);
	if (call == NULL) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
		http_send_error(x, &e);
		return;
	}
	call->x = x;
	call->write = (topic_write){
		.api = api_of(x),
		.principal = gate_principal(x),
		.arena = http_arena(x),
		.topic_name = http_request_param(x, 0),
		.started_us = http_started_us(x),
		.done = answer,
		.context = call,
	};
	if (read_write(x, &call->write, &e)) {
		topic_write_start(&call->write);
	} else {
		http_send_error(x, &e);
	}
}
