/*
 * stream_impl: what opening (stream_open.c), asking (feed.c), waiting (stream_io.c), handing out (stream.c) and positions
 * (positions.c) share.
 *
 *   feed --packets--> queue of ready feeds --> page: taken apart packet by packet --> record
 *
 * A live stream has one connection that stays open, for all partitions or for each one that was chosen. A bounded one
 * asks for page after page of each partition, with one request under way or one page ready; so it can be read as slowly
 * as anybody likes. The network is looked at when nothing is left to hand out: that bounds the memory.
 *
 * Curl's sockets and timers live in one epoll set, which is the descriptor of tg_stream_fd().
 */
#ifndef TG_STREAM_IMPL_H
#define TG_STREAM_IMPL_H

#include "call.h"
#include "record.h"

typedef enum offset_kind { OFFSET_ABSOLUTE, OFFSET_BEGINNING, OFFSET_END, OFFSET_TIMESTAMP } offset_kind;

struct tg_consumer_config {
	char *topic;
	char *id; /* NULL = none */
	int32_t *partitions;
	size_t partition_count; /* 0 = all */
	tg_offset start;
	int64_t last_offset; /* -1 = none */
	tg_strategy strategy;
	int64_t flush_ms;
	bool disable_continuous;
	size_t max_bytes;
	tg_retry_mode retry_mode;
	uint32_t retry_tries;
	tg_gap_callback on_gap;
	void *gap_context;
};

tg_status tgi_consumer_config_copy(tg_consumer_config *to, const tg_consumer_config *from); /* TG_ERR_NO_MEMORY */
void tgi_consumer_config_dispose(tg_consumer_config *config);

/* Where the stream is in one partition. Offsets are of the next record, -1 = none yet. */
typedef struct reader {
	int32_t partition;
	int64_t position; /* behind what was taken apart */
	int64_t end;      /* of a bounded stream; INT64_MAX = none */
	int64_t handed;   /* behind the last record handed out */
	int64_t marked;   /* by commit, or by handing out with TG_OFFSETS_AUTO */
	int64_t saved;    /* at the server */
} reader;

enum { ALL_PARTITIONS = -1 };

/* What brings packets: a connection that stays open, or one request for a page after another. */
typedef struct feed {
	struct feed *next_ready;
	int32_t partition;
	int64_t next_offset; /* of the next page */
	call call;           /* its reply holds the packets that have come */
	buffer text;         /* of the request */
	bool is_under_way;
	bool is_checked;      /* a live one: the head of its answer is fine */
	bool is_ready;        /* in the queue */
	uint32_t failures;    /* in a row */
	int64_t retry_at_ms;  /* CLOCK_NEVER = no retry waits */
	int64_t silent_at_ms; /* when a live one under way counts as broken, CLOCK_NEVER = not */
} feed;

struct tg_stream {
	tg_client *client;
	tg_consumer_config config;
	char *path; /* of consume or stream */
	CURLM *multi;
	int epoll;
	int timer;                /* a timerfd in the epoll set */
	int64_t curl_timer_at_ms; /* when curl wants to be called, CLOCK_NEVER = not */
	reader *readers;          /* by partition when all are read */
	size_t reader_count;
	feed *feeds;
	size_t feed_count;
	feed *first_ready;
	feed *last_ready;

	buffer page; /* whole packets */
	size_t at;   /* the next one */
	tg_record record;
	char *hidden_at; /* where a 0 stands behind the record's value, in the place of `hidden` */
	char hidden;

	bool has_failed;
	tg_error failure; /* what every call returns from now on */
	bool has_flushed;
	int64_t flush_at_ms;
};

/* stream.c */
void tgi_stream_fail(tg_stream *s, const tg_error *error);
/* NULL: the stream does not read it. With all partitions, one that was added is read from its beginning. */
reader *tgi_stream_reader(tg_stream *s, int32_t partition);

/* feed.c: the next request, if there is anything left to ask for. TG_ERR_NO_MEMORY. */
tg_status tgi_feed_start(tg_stream *s, feed *f, tg_error *error);
void tgi_feed_ended(tg_stream *s, feed *f, CURLcode result); /* its request */
void tgi_feed_look(tg_stream *s, feed *f, int64_t now_ms);   /* after a turn: is it ready, is it silent for too long? */
/* Makes what came first the page, and goes on asking. s->first_ready is not NULL. */
tg_status tgi_feed_open_page(tg_stream *s, tg_error *error);

/* stream_io.c: the epoll set, and what comes in through it. */
bool tgi_stream_io_open(tg_stream *s);
void tgi_stream_io_close(tg_stream *s);
tg_status tgi_stream_io_start(tg_stream *s, feed *f, tg_error *error); /* its call is prepared */
/* Waits until the deadline at most and takes in what there is; false: the deadline has passed. */
bool tgi_stream_io_wait(tg_stream *s, int64_t deadline_ms);

/* positions.c */
tg_status tgi_positions_flush_due(tg_stream *s, tg_error *error); /* with TG_OFFSETS_AUTO, when it is time */

#endif
