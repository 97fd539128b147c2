/*
 * log/tail: live reading. One feed per watched (topic, partitions, format) and worker: it reads new records once,
 * encodes frames once, and hands them by reference to all its subscribers.
 *
 * A subscription starts behind (catching up with reads of its own, at the pace of its sink) and joins the feed when it
 * reaches the feed's position. A sink that is full falls behind again, and resumes with log_subscription_resume().
 *
 * Owns     a subscription belongs to the caller, from log_subscribe() to log_unsubscribe().
 * Threads  subscribe, resume, unsubscribe: any, unsubscribe not from inside a callback of the same subscription.
 *          Callbacks: any thread, never two at once for one subscription, none after log_unsubscribe() returned.
 * Limits   max_subscriptions of the engine; a frame holds at most LOG_FRAME_BYTES of records or one record.
 */
#ifndef TIDEGATE_LOG_TAIL_H
#define TIDEGATE_LOG_TAIL_H

#include "base/buf.h"
#include "base/frame.h"
#include "log/read.h"

enum { LOG_FRAME_BYTES = 64 << 10, LOG_FRAME_RECORDS = 512 };

typedef struct log_subscription log_subscription;

/* Positions of all partitions of a feed: offsets[i] is the next one of partitions first + i. */
typedef struct log_position {
	int32_t first;
	int32_t count;
	int64_t offsets[];
} log_position;

log_position *log_position_copy(const log_position *p); /* malloc'd, NULL when memory is out */

/* Where a frame ends. */
typedef struct log_frame_end {
	int32_t partition;
	int64_t from; /* where it began */
	const log_position *after;
	int64_t byte;       /* value bytes of the partition before `after` */
	int64_t end_offset; /* the head's next offset */
	bool is_at_end;     /* nothing follows that is there already */
	bool is_closed;     /* at the end, and nothing ever will */
} log_frame_end;

/*
 * How a dialect writes frames: a record after the other, cut where a frame is full, or a page of the log at a time, which
 * is one frame. What is written depends on the arguments, and perhaps
  * on the time, so that frames can be shared: subscriptions with the same
 * format, by address, share a feed.
 */
typedef struct log_format log_format;
struct log_format {
	const char *name;
	/* One record; `after` is the position once it was taken. NULL with write_page. */
	void (*write_record)(buf *out, const log_topic *t, const log_record *r, const log_position *after);
	/* The page from its first record on, all of it; nothing, when it holds nothing to be shown. Where the page ends, what
	 * is behind it and whether the partition is closed is known once log_page_next() gave false. Or NULL. */
	void (*write_page)(const log_format *f, buf *out, const log_topic *t, log_page *page);
	/* NULL: the sink is told, and writes it. */
	void (*write_gap)(buf *out, const log_topic *t, int32_t partition, const log_gap *gap, const log_position *after);
	/* All partitions are at their end, or NULL. Once when a subscription joins its feed, then after records or gaps. */
	void (*write_caught_up)(buf *out, const log_topic *t, const log_position *at);
	/* With write_record, each may be NULL: behind the last record of a frame. */
	void (*write_end)(buf *out, const log_topic *t, const log_frame_end *end);
	/* A topic of one partition is closed and everything was written: the last frame, unless its end told that. */
	void (*write_closed)(buf *out, const log_topic *t, const log_frame_end *end);
	/* False: the record written last cannot end a frame; it waits for the next one, as long as there may be one. */
	bool (*is_whole)(const buf *out);
	/* Before a closed topic's end is told, or NULL. Fails when there is something else to tell: ERR_TOPIC_NOT_FOUND. */
	bool (*check_closed)(log_engine *engine, log_conn *conn, const log_topic *t, err *e);
	/* With write_page: at most so much in one frame; at least one record. */
	uint32_t page_records;
	uint64_t page_bytes;
	/* A format that does not last for ever: the feed holds it. Both NULL otherwise. */
	void (*retain)(const log_format *f);
	void (*release)(const log_format *f);
};

/* What a sink is given. */
typedef struct log_delivery {
	frame *frame;              /* NULL: a gap that the format leaves to the sink */
	const log_position *after; /* where the subscription is once this was taken */
	const log_gap *gap;        /* with a frame of NULL */
	int64_t end_offset;        /* with a gap: the partition's next offset */
} log_delivery;

typedef enum log_push { LOG_PUSH_OK, LOG_PUSH_FULL, LOG_PUSH_CLOSED } log_push;

typedef struct log_sink {
	log_push (*push)(void *context, const log_delivery *d); /* takes its own reference of the frame on OK */
	void (*on_error)(void *context, const err *e);          /* the topic is gone, or this server stops: last call */
	void *context;
	/* A topic of one partition is closed and everything was pushed: last call. NULL: the subscription goes on. */
	void (*on_end)(void *context);
} log_sink;

/* What the topic begins with: another topic's records, up to an offset (a fork). */
typedef struct log_prior {
	int64_t topic_id;
	int64_t until;
} log_prior;

/* start->count is 1, or the topic's partitions from 0. NULL with *e filled: ERR_THROTTLED, ERR_NO_MEMORY. */
log_subscription *log_subscribe(log_engine *engine, const log_topic *t, const log_position *start,
								const log_format *format, log_sink sink, err *e);
/* The same for a topic of one partition whose records below the last `until` are those of other topics; `until` ascends.
 * They are copied. */
log_subscription *log_subscribe_fork(log_engine *engine, const log_topic *t, const log_prior *prior, size_t prior_count,
									 const log_position *start, const log_format *format, log_sink sink, err *e);
/* The sink has room again after LOG_PUSH_FULL. */
void log_subscription_resume(log_subscription *s);
/* A copy of the position after the last frame that was taken; malloc'd, NULL when memory is out. */
log_position *log_subscription_position(log_subscription *s);
void log_unsubscribe(log_subscription *s); /* accepts NULL */

#endif
