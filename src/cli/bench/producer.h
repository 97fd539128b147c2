/*
 * bench/producer: what a loaded connection sends and expects when it produces: the payload's variants in turn, each
 * acknowledged with consecutive offsets, which go into the ledger.
 *
 * Owns     nothing; the payload must be rendered for the topic.
 * Threads  one at a time.
 */
#ifndef TIDEGATE_CLI_BENCH_PRODUCER_H
#define TIDEGATE_CLI_BENCH_PRODUCER_H

#include "cli/bench/ledger.h"
#include "cli/bench/load.h"
#include "cli/bench/payload.h"

typedef struct producer {
	const payload *payload;
	ledger *ledger;
	uint64_t requests_left;
	uint32_t next_variant;
	uint32_t variants[LOAD_LANES_MAX]; /* under way, per lane */
} producer;

void producer_init(producer *p, const payload *what, ledger *acknowledged, uint64_t max_requests);
load_client producer_client(producer *p);

#endif
