/*
 * api/durable/life: how streams end: by DELETE, by expiry, and with their last fork.
 *
 * A stream that has forks is softly deleted: its data stays for them. When the last of them goes, it goes too, and so on
 * upwards, in one transaction.
 *
 * Locks    a head before the row of its stream, a fork before its source. Forking holds the source's head.
 * Threads  the one that was given the connection, outside a transaction.
 */
#ifndef TIDEGATE_API_DURABLE_LIFE_H
#define TIDEGATE_API_DURABLE_LIFE_H

#include "api/durable/stream.h"

typedef enum durable_end_reason {
	DURABLE_END_ASKED,
	DURABLE_END_DUE /* only if it has expired, or is softly deleted and has no forks */
} durable_end_reason;

typedef enum durable_ended {
	DURABLE_ENDED_NOT,    /* it is there still, or the reason did not apply */
	DURABLE_ENDED_ABSENT, /* there was none */
	DURABLE_ENDED_HIDDEN, /* it was already */
	DURABLE_ENDED_SOFTLY,
	DURABLE_ENDED_REMOVED
} durable_ended;

bool durable_end(log_engine *engine, log_conn *conn, int64_t topic_id, durable_end_reason reason, durable_ended *out,
				 err *e) MUST_CHECK;
/* A step of removing what is left of an absent stream: of its forks, which are absent too, and of itself. */
bool durable_remove_remains(log_engine *engine, log_conn *conn, int64_t topic_id, err *e) MUST_CHECK;

#endif
