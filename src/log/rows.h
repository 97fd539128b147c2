/*
 * log/rows: cuts the records that go to one partition into rows of the batch table.
 *
 * A row holds at most ROW_RECORDS records or ROW_BYTES of payload (or one larger record): readers detoast whole rows. A queue's
 * rows hold ROW_JOBS: each job leaves by itself, and its row is written anew without it.
 *
 * Owns     nothing: a row's columns point into the scratch buffer, valid until the next call.
 * Threads  one at a time. Errors: scratch.failed.
 */
#ifndef TIDEGATE_LOG_ROWS_H
#define TIDEGATE_LOG_ROWS_H

#include "base/buf.h"
#include "db/conn.h"
#include "log/append.h"

enum {
	ROW_RECORDS = 512,
	ROW_JOBS = 32,
	ROW_BYTES = 64 << 10,
	ROW_TAGS = 4,
	ROW_COLUMNS = 8,
	ROW_SCRATCH_BYTES = 512 << 20, /* at most: one record as large as a request may be */
	ROW_SCRATCH_KEPT = 1 << 20,    /* what is worth keeping from one group to the next */
};

/* Records of one operation that go to the partition, in order. */
typedef struct row_piece {
	const log_columns *columns;
	const uint32_t *index; /* which records; NULL: all of them */
	uint32_t count;
} row_piece;

typedef struct row_writer {
	const row_piece *pieces;
	size_t piece_count;
	bool is_queue;
	size_t piece;
	uint32_t at; /* next record of pieces[piece] */
	buf *scratch;
} row_writer;

typedef struct row {
	uint32_t records;
	uint64_t value_bytes;
	uint64_t bytes;           /* keys, values, headers, metas */
	str columns[ROW_COLUMNS]; /* keys vals ts headers tags nodes metas appends; ptr NULL = no record uses it */
} row;

bool rows_next(row_writer *w, row *out);    /* false: no records left */
void rows_bind(const row *r, db_params *p); /* the eight columns as parameters */

typedef struct row_place {
	int64_t topic_id;
	int32_t partition;
	int64_t offset;
	int64_t byte;
	int64_t committed_ms;
	int32_t hops; /* routers the records have passed */
} row_place;
/* Parameters of SQL_BATCH_INSERT and its twin. */
void rows_bind_placed(const row *r, const row_place *at, db_params *p);

/* keys + values + headers + metas of one record. */
uint64_t rows_record_bytes(const log_columns *c, uint32_t i);

#endif
