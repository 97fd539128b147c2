/*
 * db/array: one-dimensional arrays in Postgres's binary form: bytea[], text[], bigint[], int[].
 *
 * Threads  one at a time. Errors: buf.failed for builders; a reader of a malformed array has count 0.
 */
#ifndef TIDEGATE_DB_ARRAY_H
#define TIDEGATE_DB_ARRAY_H

#include "base/buf.h"

typedef enum db_array_type { DB_BYTEA = 17, DB_INT8 = 20, DB_INT4 = 23, DB_TEXT = 25 } db_array_type;

/* Builds into `out` from its current end; several arrays may follow one another in one buffer. */
typedef struct db_array_builder {
	buf *out;
	size_t start;
	uint32_t count;
	bool has_nulls;
} db_array_builder;

void db_array_begin(db_array_builder *a, buf *out, db_array_type type);
void db_array_add_str(db_array_builder *a, str value); /* NULL element when value.ptr is NULL */
void db_array_add_i64(db_array_builder *a, int64_t value);
void db_array_add_i32(db_array_builder *a, int32_t value);
/* Completes the header. The parameter is the bytes of `out` from a->start to its end. */
void db_array_end(db_array_builder *a);

typedef struct db_array_reader {
	const char *at;
	const char *end;
	uint32_t count; /* elements left */
} db_array_reader;

/* An absent (NULL) cell gives count 0. */
void db_array_open(db_array_reader *r, str cell);
bool db_array_next_str(db_array_reader *r, str *out); /* out->ptr NULL for a NULL element; false at the end */
bool db_array_next_i64(db_array_reader *r, int64_t *out);
bool db_array_next_i32(db_array_reader *r, int32_t *out);

#endif
