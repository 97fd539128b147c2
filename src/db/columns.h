/*
 * db/columns: arrays that are parameters of one statement.
 *
 *   db_columns c;
 *   db_columns_init(&c, ARRAYS_BYTES_MAX);
 *   db_array_builder *a = db_columns_begin(&c, DB_INT8);
 *   … db_array_add_i64(a, …) …
 *   db_columns_end(&c);
 *   … further ones …
 *   ok = db_columns_bind(&c, &p, e) && db_do(…);
 *   db_columns_dispose(&c);
 *
 * Owns     the arrays' bytes, which the parameters borrow.
 * Threads  one at a time. Limits: DB_COLUMNS_MAX arrays. Errors: ERR_NO_MEMORY, when they are bound.
 */
#ifndef TIDEGATE_DB_COLUMNS_H
#define TIDEGATE_DB_COLUMNS_H

#include "db/array.h"
#include "db/conn.h"

enum { DB_COLUMNS_MAX = 8 };

typedef struct db_columns {
	buf bytes;
	db_array_builder array; /* the one that is being built */
	size_t starts[DB_COLUMNS_MAX + 1];
	size_t count;
} db_columns;

void db_columns_init(db_columns *c, size_t bytes_max);
void db_columns_dispose(db_columns *c);
db_array_builder *db_columns_begin(db_columns *c, db_array_type type);
void db_columns_end(db_columns *c);
/* A whole one. */
void db_columns_add_i64(db_columns *c, const int64_t *values, size_t count);
void db_columns_add_texts(db_columns *c, const str *values, size_t count);
/* As the next parameters, in their order. */
bool db_columns_bind(const db_columns *c, db_params *p, err *e) MUST_CHECK;

#endif
