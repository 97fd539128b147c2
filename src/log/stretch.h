/*
 * log/stretch: reads records of one or more partitions in a row and cuts them into frames.
 *
 *   stretch s;
 *   stretch_init(&s, engine, topic, format, position, take, context)    position is copied
 *   stretch_read(&s, conn, partition, 0, &more, e)                      as often as there is more
 *   … s.position: after everything that was read …
 *   stretch_dispose(&s);
 *
 * Threads  one at a time, the one that was given conn.
 * Limits   LOG_FRAME_BYTES or LOG_FRAME_RECORDS a frame, or what the format says; one call reads a page of at most
 *          STRETCH_RECORDS.
 * Errors   ERR_NONE when the taker wants no more; those of log/read; ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_LOG_STRETCH_H
#define TIDEGATE_LOG_STRETCH_H

#include "log/tail.h"

enum { STRETCH_RECORDS = 4 * LOG_FRAME_RECORDS };

/* The last point at which the frame could end. */
typedef struct stretch_mark {
	size_t bytes; /* of `out` */
	int64_t offset;
	int64_t byte;
} stretch_mark;

/* False: no more of them. */
typedef bool stretch_take(void *context, const log_delivery *d);

typedef struct stretch {
	log_engine *engine;
	const log_topic *topic;
	const log_format *format;
	log_position *position; /* its own; moves as records are written */
	stretch_take *take;
	void *context;
	int64_t
		prior_topic_id; /* whose records are read in the topic's place, up to `until`; 0 = its own. The last frame of
							   them is left to be continued by the next read. */
	buf out;
	uint32_t records;  /* in `out` */
	int64_t from;      /* where `out` begins */
	int64_t byte;      /* value bytes before the position */
	stretch_mark mark; /* of a format whose records need not be whole */
	uint64_t frames;   /* handed over */
	bool is_ended;     /* the topic is closed, and its last frame was handed over */
} stretch;

void log_position_set(log_position *to, const log_position *from); /* of equal count */

bool stretch_init(stretch *s, log_engine *engine, const log_topic *t, const log_format *format,
				  const log_position *from, stretch_take *take, void *context, err *e) MUST_CHECK;
void stretch_dispose(stretch *s);

/* One page of one partition, up to `until` (0 = what is there). *more: there is something else to be written now. */
bool stretch_read(stretch *s, log_conn *conn, int32_t partition, int64_t until, bool *more, err *e) MUST_CHECK;
/* Which partitions have records beyond the position, one question for all: moved[i] is about position->first + i. */
bool stretch_find_moved(const stretch *s, log_conn *conn, bool *moved, err *e) MUST_CHECK;

#endif
