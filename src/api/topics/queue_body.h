/*
 * api/topics/queue_body: the bodies of claim, ack, nack and extend.
 *
 * Owns     nothing; arrays and texts live in the exchange's arena.
 * Threads  one at a time, as the exchange.
 * Limits   QUEUE_SEQS_MAX.
 * Errors   ERR_UNSUPPORTED_MEDIA_TYPE, ERR_INVALID_REQUEST, ERR_BATCH_TOO_LARGE, ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_API_TOPICS_QUEUE_BODY_H
#define TIDEGATE_API_TOPICS_QUEUE_BODY_H

#include "http/exchange.h"
#include "log/lease.h"

enum {
	QUEUE_NODE_BYTES_MAX = 128,
	QUEUE_SEQS_MAX = LOG_LEASE_REFS_MAX,
	QUEUE_LEASE_MS_LEAST = 100,
	QUEUE_LEASE_MS_MOST = 86400000,
	QUEUE_DELAY_MS_MOST = 86400000,
};

typedef struct queue_body {
	str node;
	bool has_node;
	uint32_t max; /* 1 to LOG_LEASE_CLAIM_MAX */
	bool has_lease_ms;
	int64_t lease_ms; /* within the limits above */
	int64_t delay_ms;
	uint64_t *seqs;      /* as sent */
	log_lease_ref *refs; /* one per seq, with the lease that was named */
	size_t seq_count;
} queue_body;

bool queue_read_claim(http_exchange *x, queue_body *out, err *e) MUST_CHECK;
/* action: LOG_LEASE_ACK, LOG_LEASE_NACK or LOG_LEASE_EXTEND. The node is checked, too. */
bool queue_read_seqs(http_exchange *x, log_lease_action action, queue_body *out, err *e) MUST_CHECK;

/* 1 to QUEUE_NODE_BYTES_MAX bytes. */
bool queue_check_node(str node, err *e) MUST_CHECK;
/* What one request may take or name: the setting, whose range keeps to LOG_LEASE_CLAIM_MAX and LOG_LEASE_REFS_MAX. */
uint32_t queue_jobs_max(const http_exchange *x);
uint32_t queue_clamp_max(uint64_t max, uint32_t most);
int64_t queue_clamp_lease(uint64_t lease_ms);

/* lease_<hex>. What is well-formed but no lease of ours gives -1. */
void queue_write_lease_id(buf *out, int64_t number);
bool queue_parse_lease_id(str text, int64_t *number);

#endif
