/*
 * api/streaming/stream_form: the two forms of a live stream: server-sent events, and lines of JSON.
 *
 *   text/event-stream              id: <position>          one message
 *                                  data: {…}
 *                                  id: …, event: gap|end, data: {…}
 *                                  : hb                    heartbeat
 *   application/x-ndjson           {…,"cursor":"<position>"}          one message
 *                                  {"event":"gap"|"end",…,"cursor":"…"}
 *                                  (an empty line)         heartbeat
 *
 * Threads  any; the forms are constants.
 */
#ifndef TIDEGATE_API_STREAMING_STREAM_FORM_H
#define TIDEGATE_API_STREAMING_STREAM_FORM_H

#include "log/tail.h"

typedef struct stream_form {
	const char *content_type;
	const log_format *format;
	const char *opening; /* sent before anything else, "" = nothing */
	const char *heartbeat;
	bool is_sse;
} stream_form;

extern const stream_form stream_form_sse;
extern const stream_form stream_form_lines;

/* One message of a group, which has no position but the committed one. */
void stream_form_write_leased(const stream_form *f, buf *out, const log_record *r);
/* An event that is no message. `members` is the object's inside; position may be empty. */
void stream_form_write_event(const stream_form *f, buf *out, const char *event, str position, str members);
/* By Accept: events unless only lines are accepted. NULL: neither is. */
const stream_form *stream_form_choose(str accept);

#endif
