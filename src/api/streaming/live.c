#include "api/streaming/live.h"

#include "api/gate.h"
#include "api/live.h"
#include "api/streaming/position.h"
#include "api/streaming/stream_life.h"

typedef struct reader {
	const stream_form *form;
	const log_topic *topic;
} reader;

static void release(void *context)
{
	reader *r = context;
	log_topic_unref(r->topic);
	free(r);
}

static const char *reason_of(live_end why)
{
	switch (why) {
	case LIVE_END_EXPIRED:
		return STREAM_END_EXPIRED;
	case LIVE_END_CREDENTIAL:
		return STREAM_END_REVOKED;
	case LIVE_END_SHUTDOWN:
	case LIVE_END_CLOSED: /* not asked for */
	case LIVE_END_ERROR:  /* told by the error */
	case LIVE_END_GAP:    /* the forms write gaps */
		break;
	}
	return STREAM_END_SHUTDOWN;
}

static frame *last_words(void *context, live_end why, const err *e, const log_position *at)
{
	const reader *r = context;
	buf position;
	buf_init(&position, STREAM_LAST_FRAME_BYTES_MAX);
	if (at != NULL) {
		position_write(&position, r->topic, at);
	}
	frame *last = stream_last_frame(r->form, reason_of(why), e, buf_str(&position));
	buf_dispose(&position);
	return last;
}

void streaming_live_open(api_operation *op, const stream_request *request, const log_position *start)
{
	http_exchange *x = op->x;
	reader *r = calloc(1, sizeof *r);
	if (r == NULL) {
		err e;
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
		api_fail(op, &e);
		return;
	}
	r->form = request->form;
	r->topic = op->topic; /* with the operation's reference */
	op->topic = NULL;
	frame *first = frame_new(request->form->opening);
	frame *heartbeat = frame_new(request->form->heartbeat);
	live_options options = {
		.topic = r->topic,
		.start = start,
		.format = request->form->format,
		.content_type = request->form->content_type,
		.first = first,
		.heartbeat = heartbeat,
		.max_age_ms = gate_credential_ms(x),
		.last = last_words,
		.release = release,
		.context = r,
	};
	http_reply_header(x, STR("Cache-Control"), STR("no-store"));
	live_open(x, &options);
	frame_unref(first);
	frame_unref(heartbeat);
}
