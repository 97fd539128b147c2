/*
 * log/put: the rows of records whose place is known, into a partition whose head the caller's transaction has locked.
 * For whatever appends under a lock: the judge, routers.
 *
 * Threads  the one that was given conn. Errors: those of db/conn, ERR_NO_MEMORY.
 */
#ifndef TIDEGATE_LOG_PUT_H
#define TIDEGATE_LOG_PUT_H

#include "log/head.h"
#include "log/rows.h"

/* Where a stretch of records begins, and how many routers they have passed. Of a queue, as log/rows takes it. */
typedef struct put_place {
	int64_t offset;
	int64_t byte;
	int32_t hops;
	bool is_queue;
} put_place;

/* Sends a statement a row, and one for its tags, in the open pipeline and counts them in *sent; the place moves behind
 * the records. The time is the head's last_ms. `scratch` holds one row. */
bool put_send_rows(db_conn *conn, int64_t topic_id, const head *h, const row_piece *pieces, size_t count,
				   put_place *place, buf *scratch, size_t *sent, err *e) MUST_CHECK;
/* Reads the results of what was sent and ends the pipeline. */
bool put_drain(db_conn *conn, size_t sent, err *e) MUST_CHECK;

#endif
