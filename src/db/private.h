/*
 * db/private: what the files of db share. Included by db only.
 */
#ifndef TIDEGATE_DB_PRIVATE_H
#define TIDEGATE_DB_PRIVATE_H

#include <libpq-fe.h>

#include "db/conn.h"
#include "sql/all.h"

enum { DB_PIPELINE_MAX = 8192, DB_PIPELINE_KEPT_BYTES = 1 << 20 };

struct db_result {
	PGresult *pg;
};

/* A result still to come in the pipeline. */
typedef struct db_expected {
	uint16_t query; /* index of the statement */
	char kind;      /* 'p' of its prepare, 'q' of itself, 'c' of a COMMIT */
} db_expected;

struct db_conn {
	char *url;
	char *application_name;
	bool relaxed_commit;
	bool session_features;
	uint32_t timeout_ms;
	uint32_t statement_ms; /* what the server is given for one statement: timeout_ms, except after db_begin_slow() */
	slog *log;

	PGconn *pg; /* NULL when closed */
	bool in_transaction;
	bool in_pipeline;
	uint64_t prepared[(SQL_QUERY_COUNT + 63) / 64 + 1];
	PGnotify *notification; /* the last one handed out */

	db_expected expected[DB_PIPELINE_MAX]; /* a ring */
	uint32_t expected_first;
	uint32_t expected_count;
	bool pipeline_writes; /* a statement that may commit was sent */
	size_t kept_bytes;    /* parameters given to libpq since it was last emptied, at most DB_PIPELINE_KEPT_BYTES and one
							 more */
};

/* Fills *e from a failed result or the connection; closes a dead connection. may_commit: the statement may have taken
 * effect if the connection died. Returns false. */
bool conn_fail(db_conn *c, const PGresult *result, bool may_commit, err *e);
/* Waits for the next result (NULL = none left for this statement). False when the connection died or time passed. */
bool conn_wait_result(db_conn *c, bool may_commit, PGresult **out, err *e);
/* Sends what libpq has buffered. */
bool conn_flush(db_conn *c, bool may_commit, err *e);
bool conn_is_prepared(const db_conn *c, const db_query *query);
void conn_set_prepared(db_conn *c, int query_index, bool is_prepared);
bool query_is_read(const db_query *query);
db_result *result_wrap(PGresult *pg); /* frees pg and gives NULL when memory is out */

/* db/sqlstate */
err_code sqlstate_code(const char *sqlstate);
const char *sqlstate_advice(const char *sqlstate);
/* The connection is of no more use: the server is stopping or has become read-only. */
bool sqlstate_ends_connection(const char *sqlstate);

#endif
