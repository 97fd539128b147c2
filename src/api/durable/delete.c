/*
 * DELETE.
 */
#include "api/durable/durable.h"
#include "api/durable/life.h"
#include "api/durable/reply.h"

static bool run_delete(api_operation *op, log_conn *conn, err *e)
{
	const durable_stream *s = NULL;
	durable_ended ended = DURABLE_ENDED_NOT;
	api *a = api_of(op->x);
	if (!durable_stream_find(a, conn, op->topic, &s, e)) {
		return false;
	}
	durable_stream_unref(s);
	if (!durable_end(a->log, conn, op->topic->topic_id, DURABLE_END_ASKED, &ended, e)) {
		return false;
	}
	log_topic_forget(a->log, op->topic);
	switch (ended) {
	case DURABLE_ENDED_ABSENT:
		return durable_err_absent(e);
	case DURABLE_ENDED_HIDDEN:
		return durable_err_gone(e);
	case DURABLE_ENDED_NOT:
	case DURABLE_ENDED_SOFTLY:
	case DURABLE_ENDED_REMOVED:
		break;
	}
	return true;
}

static void reply_delete(api_operation *op)
{
	durable_finish(op, NULL, 204);
}

void durable_delete(http_exchange *x)
{
	str name;
	if (!durable_take_path(x, &name)) {
		return;
	}
	api_operation *op = api_operation_new(x, sizeof *op, run_delete);
	if (op != NULL) {
		op->topic_name = name;
		api_run_then(op, reply_delete);
	}
}
