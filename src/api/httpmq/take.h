/*
 * api/httpmq/take: what a subscriber is to be sent, or a caller fetches, now: messages whose time for an acknowledgement is
 * over, in the order of the stream, then new ones, as long as fewer than max_inflight are out. One short transaction under
 * the consumer's lock; when it is committed, the messages are the subscriber's.
 *
 * Owns     messages live in the arena.
 * Threads  the one that was given conn.
 * Limits   TAKE_MESSAGES and about TAKE_BYTES a take (one message at least), TAKE_SCAN records looked at.
 * Errors   ERR_GROUP_NOT_FOUND, ERR_TOPIC_NOT_FOUND: consumer or stream are gone. ERR_REFUSED: it is no pull consumer. Those
 *          of db/conn: nothing was taken, or, after ERR_OUTCOME_UNKNOWN, perhaps: those come again after ack_wait.
 */
#ifndef TIDEGATE_API_HTTPMQ_TAKE_H
#define TIDEGATE_API_HTTPMQ_TAKE_H

#include "api/httpmq/waiting.h"
#include "log/engine.h"

enum {
	TAKE_MESSAGES = 256,
	TAKE_BYTES = 128 << 10,
	TAKE_SCAN = 20000,
};

typedef struct take_request {
	log_engine *engine;
	const log_topic *topic;
	str consumer;
	int64_t generation; /* of the subscription; without a group only the newest one is served */
	int64_t member;     /* of the group; names the subscription among its consumer's */
	bool insists;       /* does not leave the turn to another member of the group */
	bool is_pull;       /* fetched, at most `most` messages: the consumer has no subscribers */
	size_t most;        /* 1 to TAKE_MESSAGES */
} take_request;

typedef struct take_message {
	httpmq_delivery delivery;
	int64_t first_c;
	int64_t sends; /* this one included */
	str value;
	str subject;
	str headers; /* as log_record has them; "" = none */
	int64_t timestamp_ms;
} take_message;

typedef struct take_result {
	take_message *messages;
	size_t count;
	bool has_more;     /* there may be more at once */
	bool is_replaced;  /* a newer subscription has taken the place of this one */
	bool is_shared;    /* the group has other members, who take a message each in turn */
	bool has_yielded;  /* it is another member's turn */
	int64_t due_in_ms; /* until then nothing becomes due by itself; -1: nothing will */
} take_result;

bool take_messages(log_conn *conn, const take_request *request, arena *a, take_result *out, err *e) MUST_CHECK;

#endif
