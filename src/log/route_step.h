/*
 * log/route_step: one copying transaction, and what the files of routers share.
 *
 * A step takes the routers of one source partition that are behind, at most ROUTE_GROUP of them, reads a page for each
 * position among them, and commits copies and positions together. Whoever else copies for the same routers waits.
 *
 * Threads  the one that was given conn; no transaction is open. Errors: those of db/conn.
 */
#ifndef TIDEGATE_LOG_ROUTE_STEP_H
#define TIDEGATE_LOG_ROUTE_STEP_H

#include "db/conn.h"
#include "log/topic.h"

enum { ROUTE_GROUP = 64, ROUTE_PAGE_RECORDS = 512, ROUTE_PAGE_BYTES = 256 << 10 };

typedef struct route_request {
	int64_t source_id;
	int32_t partition;
	int64_t dest_id; /* 0 = routers to any destination */
	int64_t after;   /* routers with greater ids */
} route_request;

typedef struct route_outcome {
	int64_t last_router; /* of the group; 0: no router was behind */
	bool is_full_group;  /* there may be routers after it */
	bool moved;          /* positions were saved */
	bool more;           /* some router of the group is still behind, and not because its destination takes nothing */
} route_outcome;

bool route_step(log_engine *engine, db_conn *conn, const route_request *request, route_outcome *out, err *e) MUST_CHECK;
/* All groups of a source partition, once. `dest_id` as above. *more becomes true, never false. */
bool route_pass(log_engine *engine, db_conn *conn, int64_t source_id, int32_t partition, int64_t dest_id, bool *more,
				err *e) MUST_CHECK;

/* In the transaction that deletes the topic, before it locks the heads: routers from and to it go. *names ascend. */
bool route_delete_of_topic(db_conn *conn, const log_topic *t, arena *a, str **names, size_t *count, err *e) MUST_CHECK;

#endif
