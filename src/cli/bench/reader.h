/*
 * bench/reader: what a loaded connection sends and expects when it reads a topic by offset, page after page: every
 * record of the ledger, in order, with the value that was sent.
 *
 * Owns     one request buffer per connection.
 * Threads  one at a time.
 * Errors   those of bench/page; ERR_INTERNAL an empty page before the end.
 */
#ifndef TIDEGATE_CLI_BENCH_READER_H
#define TIDEGATE_CLI_BENCH_READER_H

#include "cli/bench/load.h"
#include "cli/bench/page.h"

enum { READER_CONNECTIONS_MAX = 64, READER_PAGE_RECORDS = 1000 };

typedef struct reader_lane {
	page_expectation expected;
	buf request;
} reader_lane;

typedef struct reader {
	const gateway *gateway;
	const gateway_topic *topic;
	const ledger *ledger; /* settled */
	const payload *payload;
	bool repeats;   /* starts over at the end, instead of being done */
	bool log_grows; /* somebody produces meanwhile, behind what the ledger has */
	reader_lane lanes[READER_CONNECTIONS_MAX];
} reader;

/* Every connection starts at offset 0. */
void reader_init(reader *r, const gateway *g, const gateway_topic *topic, const ledger *l, const payload *p,
				 bool repeats);
void reader_dispose(reader *r);
void reader_seek(reader *r, uint32_t connection, int64_t offset);
load_client reader_client(reader *r);

/* One pass over the whole topic: every record of the settled ledger is there, once, in order and unchanged, and nothing
 * follows. */
bool reader_verify(const gateway *g, const gateway_topic *topic, const ledger *l, const payload *p, err *e) MUST_CHECK;

#endif
