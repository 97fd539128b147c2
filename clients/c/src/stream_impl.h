/*
 * stream_impl: what opening (stream_open.c), reading (stream.c, page.c) and positions (positions.c) share.
 *
 * Each partition reads page after page with a long poll of its own: one request under way or one page ready, and one
 * page for the whole stream being handed out. So a slow reader holds back the server, and memory has a bound.
 *
 * Curl's sockets and timers live in one epoll set, which is the descriptor of tg_stream_fd().
 */
#ifndef TG_STREAM_IMPL_H
#define TG_STREAM_IMPL_H

#include "call.h"

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

struct tg_record {
	const char *key; /* NULL = none */
	size_t key_len;
	const char *value;
	size_t value_len;
	int64_t offset;
	int64_t timestamp_ms;
	int32_t partition;
};

/* One partition of a stream. Offsets are of the next record, -1 = none yet. */
typedef struct reader {
	struct reader *next_ready;
	int32_t partition;
	int64_t position; /* where the next page begins */
	int64_t end;      /* of a bounded stream; INT64_MAX = none */
	int64_t handed;   /* behind the last record handed out */
	int64_t marked;   /* by commit, or by handing out with TG_OFFSETS_AUTO */
	int64_t saved;    /* at the server */
	call call;
	buffer body; /* of the request */
	bool is_under_way;
	uint32_t failures;   /* in a row */
	int64_t retry_at_ms; /* CLOCK_NEVER = no retry waits */
	json_t *page;        /* ready to be handed out */
} reader;

struct tg_stream {
	tg_client *client;
	tg_consumer_config config;
	char *path; /* of consume */
	CURLM *multi;
	int epoll;
	int timer;                /* a timerfd in the epoll set */
	int64_t curl_timer_at_ms; /* when curl wants to be called, CLOCK_NEVER = not */
	reader *readers;
	size_t reader_count;
	reader *first_ready;
	reader *last_ready;

	json_t *page; /* being handed out, of current */
	reader *current;
	size_t index;
	tg_record record;
	buffer key;
	buffer value;

	bool has_failed;
	tg_error failure; /* what every call returns from now on */
	bool has_flushed;
	int64_t flush_at_ms;
};

/* stream.c: begins the request for the reader's next page. TG_ERR_NO_MEMORY. */
tg_status tgi_stream_read(tg_stream *s, reader *r, tg_error *error);
/* stream_io.c: the epoll set, and what comes in through it. */
bool tgi_stream_io_open(tg_stream *s);
void tgi_stream_io_close(tg_stream *s);
tg_status tgi_stream_io_start(tg_stream *s, reader *r, tg_error *error); /* its call is prepared */
/* Waits until the deadline at most and takes in what there is; false: the deadline has passed. */
bool tgi_stream_io_wait(tg_stream *s, int64_t deadline_ms);
void tgi_stream_answered(tg_stream *s, reader *r, CURLcode result); /* stream.c */
/* positions.c */
tg_status tgi_positions_flush_due(tg_stream *s, tg_error *error); /* with TG_OFFSETS_AUTO, when it is time */

#endif
