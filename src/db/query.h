/*
 * db/query: a named SQL statement, compiled in from sql/. The only way to say SQL outside db.
 */
#ifndef TIDEGATE_DB_QUERY_H
#define TIDEGATE_DB_QUERY_H

typedef struct db_query {
	const char *name;
	int index;           /* place in SQL_QUERIES */
	int parameter_count; /* $1 … $n */
	const char *text;
} db_query;

#endif
