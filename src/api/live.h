/*
 * api/live: a live reader: a subscription of the log written to an HTTP stream, until one of them ends. What the bytes
 * are is the dialect's.
 *
 * The log pushes shared frames into the HTTP stream. When the stream is full the log keeps the reader's place and goes
 * on at on_drain.
 *
 * Owns     what live_options names is copied, referenced, or released when the reader is gone; frames are borrowed.
 * Threads  live_open: any, it replies. The callbacks: any, none after `release`, never two at once except `release`'s
 *          neighbours; they must not block.
 * Limits   the stream's queue and number, the log's number of subscriptions.
 */
#ifndef TIDEGATE_API_LIVE_H
#define TIDEGATE_API_LIVE_H

#include "api/api.h"
#include "http/stream.h"
#include "log/tail.h"

typedef enum live_end {
	LIVE_END_SHUTDOWN,   /* this server stops */
	LIVE_END_EXPIRED,    /* max_age_ms is over */
	LIVE_END_CREDENTIAL, /* the caller's was revoked, replaced, or asked for only since then */
	LIVE_END_CLOSED,     /* a closed topic: everything was sent */
	LIVE_END_ERROR,      /* see the error */
	LIVE_END_GAP,        /* retention took what came next, and the format has no words for it */
} live_end;

typedef struct live_options {
	const log_topic *topic;
	const log_position *start;
	const log_prior *prior; /* see log_subscribe_fork(); NULL = none */
	size_t prior_count;
	const log_format *format;
	const char *content_type;
	frame *first; /* sent before anything else, or NULL */
	frame *heartbeat;
	uint32_t max_age_ms; /* 0 = for ever */
	bool ends_at_close;  /* a closed topic ends the reader */
	/* What this reader gets in the place of a shared frame, with a reference, or NULL without memory. NULL: the same. */
	frame *(*adapt)(void *context, frame *f);
	/* The last words, with a reference, or NULL. `at`: everything before was sent; NULL with an error. */
	frame *(*last)(void *context, live_end why, const err *e, const log_position *at);
	/* The last call, whatever became of the reader. */
	void (*release)(void *context);
	void *context;
} live_options;

/* Replies; x and what lives in it are gone afterwards. Headers of the reply are set before, those that keep proxies from
 * holding events back are added here. */
void live_open(http_exchange *x, const live_options *options);

#endif
