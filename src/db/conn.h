/*
 * db/conn: one Postgres connection: named statements, binary parameters and results, pipelines, transactions.
 *
 *   db_params p;
 *   db_params_init(&p);
 *   db_param_i64(&p, topic_id);
 *   db_param_str(&p, key);
 *   db_result *r = NULL;
 *   if (!db_run(conn, &SQL_TOPIC_GET, &p, &r, e)) { goto out; }
 *   if (db_rows(r) == 1) { id = db_i64(r, 0, 0); }
 *
 * Statements are prepared on first use. Every wait ends at the timeout given to db_conn_new(): the connection is then
 * closed, and the next use opens it again.
 *
 * Owns     the PGconn. A db_result is the caller's, freed with db_result_free(); cells borrow from it.
 * Threads  one at a time.
 * Errors   ERR_UNAVAILABLE    no connection, or the server refuses work now (starting, stopping, read-only, full)
 *          ERR_OUTCOME_UNKNOWN connection lost, or time passed, after a statement was sent that may have committed
 *          ERR_TIMEOUT        a lock or statement timeout of the server
 *          ERR_INTERNAL       anything else, with SQLSTATE and the server's text in err.log
 *          db/sqlstate has the table.
 */
#ifndef TIDEGATE_DB_CONN_H
#define TIDEGATE_DB_CONN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slog.h"
#include "db/query.h"

typedef struct db_conn db_conn;
typedef struct db_result db_result;

typedef struct db_conn_options {
	str url; /* libpq connection string or URI, several hosts allowed; two seconds to connect, unless it says more */
	const char *role;      /* "lane", "reader", …: part of application_name */
	bool relaxed_commit;   /* commits do not wait for the disk (durability classes below fsync) */
	bool session_features; /* LISTEN or session advisory locks are used: not behind a transaction pooler */
	uint32_t timeout_ms;   /* one wait for the server */
	slog *log;
} db_conn_options;

enum { DB_PARAMS_MAX = 32 };

typedef struct db_params {
	int count;
	const char *values[DB_PARAMS_MAX];
	int lengths[DB_PARAMS_MAX];
	union {
		int64_t i64_be;
		int32_t i32_be;
		char byte;
	} scratch[DB_PARAMS_MAX];
} db_params;

/* Nothing is connected yet. NULL when memory is out. */
db_conn *db_conn_new(const db_conn_options *options);
void db_conn_free(db_conn *c); /* accepts NULL */
/* Connects if needed; false after a failed attempt. */
bool db_conn_ensure(db_conn *c, err *e) MUST_CHECK;
bool db_conn_is_open(const db_conn *c);
void db_conn_close(db_conn *c);
int db_conn_socket(const db_conn *c); /* -1 when closed */

/* Parameters are binary and borrow the caller's bytes until the statement was sent. */
void db_params_init(db_params *p);
void db_param_null(db_params *p);
void db_param_bool(db_params *p, bool value);
void db_param_i32(db_params *p, int32_t value);
void db_param_i64(db_params *p, int64_t value);
void db_param_str(db_params *p, str value); /* text or bytea; NULL when value.ptr is NULL */

/* One statement, one result. Rows of the caller's transaction if one is open, else autocommit. */
bool db_run(db_conn *c, const db_query *query, const db_params *p, db_result **out, err *e) MUST_CHECK;
/* The same for a statement whose rows do not matter. *affected may be NULL. */
bool db_do(db_conn *c, const db_query *query, const db_params *p, int64_t *affected, err *e) MUST_CHECK;

/* Transactions. A failed or forgotten one is rolled back: db_rollback() after a failure keeps *e. */
bool db_begin(db_conn *c, err *e) MUST_CHECK;
/* The same for statements that may take long, each up to statement_ms. A lock is waited for no longer than ever. */
bool db_begin_slow(db_conn *c, uint32_t statement_ms, err *e) MUST_CHECK;
bool db_commit(db_conn *c, err *e) MUST_CHECK;
void db_rollback(db_conn *c);
bool db_in_transaction(const db_conn *c);

/* Pipelines: statements queue up and travel together. Between start and finish only send and next are legal; next
 * gives one result per send, in order (BEGIN and COMMIT included); after a failed statement the rest up to the finish
 * fail too. A pipeline outside BEGIN/COMMIT is one implicit transaction, committed when finish succeeds. */
bool db_pipeline_start(db_conn *c, err *e) MUST_CHECK;
bool db_pipeline_send(db_conn *c, const db_query *query, const db_params *p, err *e) MUST_CHECK;
/* BEGIN and COMMIT as statements of the pipeline; each has a result like any other. */
bool db_pipeline_begin(db_conn *c, err *e) MUST_CHECK;
bool db_pipeline_commit(db_conn *c, err *e) MUST_CHECK;
bool db_pipeline_flush(db_conn *c, err *e) MUST_CHECK; /* ends the group and sends it */
bool db_pipeline_next(db_conn *c, db_result **out, err *e) MUST_CHECK;
bool db_pipeline_skip(db_conn *c, size_t count, err *e) MUST_CHECK; /* the next so many, of which nothing is wanted */
/* Reads what is left; the connection is plain again. False: the end of the implicit transaction failed, or a statement
 * whose result nobody had asked for. */
bool db_pipeline_finish(db_conn *c, err *e) MUST_CHECK;

/* Results. Types are not converted: the column must have the type of the accessor. */
void db_result_free(db_result *r);          /* accepts NULL */
size_t db_result_bytes(const db_result *r); /* memory held, roughly */
int db_rows(const db_result *r);
int64_t db_affected(const db_result *r);
bool db_is_null(const db_result *r, int row, int column);
bool db_bool(const db_result *r, int row, int column);
int32_t db_i32(const db_result *r, int row, int column);
int64_t db_i64(const db_result *r, int row, int column); /* bigint */
str db_str(const db_result *r, int row, int column);     /* text, bytea; STR_NONE for NULL */

/* LISTEN/NOTIFY. db_wait_notification gives true and *payload (borrowed until the next call), or false with
 * e->code == ERR_TIMEOUT when nothing came in time, or another code when the connection is gone.
 * wake_fd: an eventfd that ends the wait early, or -1. */
bool db_listen(db_conn *c, const char *channel, err *e) MUST_CHECK; /* channel: a literal identifier */
bool db_wait_notification(db_conn *c, int64_t deadline_ms, int wake_fd, str *channel, str *payload, err *e) MUST_CHECK;

/* A script of several statements without parameters (migrations). */
bool db_run_script(db_conn *c, const char *sql, err *e) MUST_CHECK;

#endif
