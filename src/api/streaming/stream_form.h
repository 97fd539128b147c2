/*
 * api/streaming/stream_form: the forms of a live stream: server-sent events, lines of JSON, packets of bytes.
 *
 *   text/event-stream              id: <position>          one message
 *                                  data: {…}
 *                                  id: …, event: gap|end, data: {…}
 *                                  : hb                    heartbeat
 *   application/x-ndjson           {…,"cursor":"<position>"}          one message
 *                                  {"event":"gap"|"end",…,"cursor":"…"}
 *                                  (an empty line)         heartbeat
 *   application/vnd.tidegate.records  see api/streaming/packet; no message carries a position: its offset says enough
 *
 * Threads  any; the forms are constants.
 */
#ifndef TIDEGATE_API_STREAMING_STREAM_FORM_H
#define TIDEGATE_API_STREAMING_STREAM_FORM_H

#include "log/tail.h"

typedef struct stream_form {
	const char *content_type;
	const log_format *format;
	str opening; /* sent before anything else, may be empty */
	str heartbeat;
	/* A message, a gap of a group, which has no position but the committed one. */
	void (*write_leased)(buf *out, const log_record *r);
	void (*write_leased_gap)(buf *out, int32_t partition, const log_gap *gap);
	/* An event that is no message. `members` is the object's inside; position may be empty. */
	void (*write_event)(buf *out, const char *event, str position, str members);
} stream_form;

extern const stream_form stream_form_sse;
extern const stream_form stream_form_lines;
extern const stream_form stream_form_packets;

/* By Accept; of forms that fit it equally well the first in the list above. NULL: none does. */
const stream_form *stream_form_choose(str accept);

#endif
