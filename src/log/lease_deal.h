/*
 * log/lease_deal: records are dealt like cards: one at a time, round and round, to those who want more.
 *
 * Threads  one at a time. Limits: LOG_LEASE_CLAIM_BYTES a share, or one record.
 */
#ifndef TIDEGATE_LOG_LEASE_DEAL_H
#define TIDEGATE_LOG_LEASE_DEAL_H

#include "log/lease.h"

typedef struct lease_share {
	uint32_t wanted; /* more */
	uint32_t given;
	uint64_t bytes;
} lease_share;

typedef struct lease_deal {
	lease_share *shares;
	size_t count;
	size_t next; /* whose turn it is */
	uint64_t wanted;
} lease_deal;

enum { LEASE_NOBODY = -1 };

void lease_deal_begin(lease_deal *d, lease_share *shares, size_t count);
/* The share that gets a record of that size, or LEASE_NOBODY. */
int64_t lease_deal_one(lease_deal *d, uint64_t bytes);

#endif
