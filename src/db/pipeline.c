#include <string.h>

#include "db/private.h"
#include "sql/transaction.h"

static bool expect(db_conn *c, char kind, err *e)
{
	if (c->expected_count == DB_PIPELINE_MAX) {
		return err_set(e, ERR_INTERNAL, "too many statements in one pipeline");
	}
	c->expected[(c->expected_first + c->expected_count) % DB_PIPELINE_MAX] = kind;
	c->expected_count++;
	return true;
}

static char next_expected(db_conn *c)
{
	char kind = c->expected[c->expected_first];
	c->expected_first = (c->expected_first + 1) % DB_PIPELINE_MAX;
	c->expected_count--;
	return kind;
}

bool db_pipeline_start(db_conn *c, err *e)
{
	if (!db_conn_ensure(c, e)) {
		return false;
	}
	if (PQenterPipelineMode(c->pg) == 0) {
		return conn_fail(c, NULL, false, e);
	}
	c->in_pipeline = true;
	c->pipeline_writes = false;
	c->commit_sent = false;
	c->expected_first = 0;
	c->expected_count = 0;
	return true;
}

bool db_pipeline_send(db_conn *c, const db_query *query, const db_params *p, err *e)
{
	static const db_params NO_PARAMS;
	int formats[DB_PARAMS_MAX];
	if (p == NULL) {
		p = &NO_PARAMS;
	}
	if (p->count != query->parameter_count) {
		return err_set(e, ERR_INTERNAL, "query %s wants %d parameters and was given %d", query->name,
					   query->parameter_count, p->count);
	}
	if (c->pg == NULL) {
		return err_set(e, ERR_UNAVAILABLE, "not connected");
	}
	if (!conn_is_prepared(c, query)) {
		if (!expect(c, 'p', e)) {
			return false;
		}
		if (PQsendPrepare(c->pg, query->name, query->text, 0, NULL) == 0) {
			return conn_fail(c, NULL, false, e);
		}
		/* If it fails the group fails, and the connection with it: see db_pipeline_next. */
		conn_set_prepared(c, query);
	}
	if (!expect(c, 'q', e)) {
		return false;
	}
	for (int i = 0; i < p->count; i++) {
		formats[i] = 1;
	}
	if (PQsendQueryPrepared(c->pg, query->name, p->count, p->values, p->lengths, formats, 1) == 0) {
		return conn_fail(c, NULL, false, e);
	}
	c->pipeline_writes = c->pipeline_writes || (!c->in_transaction && !query_is_read(query));
	return true;
}

bool db_pipeline_begin(db_conn *c, err *e)
{
	if (!db_pipeline_send(c, &SQL_TRANSACTION_BEGIN, NULL, e)) {
		return false;
	}
	c->in_transaction = true;
	c->pipeline_writes = false;
	return true;
}

bool db_pipeline_commit(db_conn *c, err *e)
{
	if (!db_pipeline_send(c, &SQL_TRANSACTION_COMMIT, NULL, e)) {
		return false;
	}
	c->commit_sent = true;
	c->pipeline_writes = true;
	return true;
}

bool db_pipeline_flush(db_conn *c, err *e)
{
	if (c->pg == NULL) {
		return err_set(e, ERR_UNAVAILABLE, "not connected");
	}
	if (PQpipelineSync(c->pg) == 0) {
		return conn_fail(c, NULL, false, e);
	}
	return conn_flush(c, c->pipeline_writes, e);
}

/* One statement's result and the NULL that ends it. */
static bool take(db_conn *c, PGresult **out, err *e)
{
	PGresult *result = NULL;
	PGresult *end = NULL;
	if (!conn_wait_result(c, c->pipeline_writes, &result, e)) {
		return false;
	}
	if (result == NULL) {
		return conn_fail(c, NULL, c->pipeline_writes, e);
	}
	if (!conn_wait_result(c, c->pipeline_writes, &end, e)) {
		PQclear(result);
		return false;
	}
	if (end != NULL) {
		PQclear(end);
		PQclear(result);
		return conn_fail(c, NULL, c->pipeline_writes, e);
	}
	*out = result;
	return true;
}

bool db_pipeline_next(db_conn *c, db_result **out, err *e)
{
	for (;;) {
		PGresult *result = NULL;
		if (c->pg == NULL) {
			return err_set(e, ERR_UNAVAILABLE, "not connected");
		}
		if (c->expected_count == 0) {
			return err_set(e, ERR_INTERNAL, "no statement left in the pipeline");
		}
		char kind = next_expected(c);
		if (!take(c, &result, e)) {
			return false;
		}
		ExecStatusType status = PQresultStatus(result);
		if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
			if (kind == 'p') {
				PQclear(result);
				continue;
			}
			db_result *wrapped = result_wrap(result);
			if (wrapped == NULL) {
				return err_set(e, ERR_NO_MEMORY, "out of memory");
			}
			*out = wrapped;
			return true;
		}
		if (status == PGRES_PIPELINE_ABORTED) {
			err_set(e, ERR_INTERNAL, "an earlier statement of the group failed");
		} else {
			conn_fail(c, result, c->pipeline_writes, e);
		}
		PQclear(result);
		if (kind == 'p' && c->pg != NULL) {
			memset(c->prepared, 0, sizeof c->prepared);
			db_conn_close(c);
		}
		return false;
	}
}

bool db_pipeline_finish(db_conn *c, err *e)
{
	PGresult *result = NULL;
	if (c->pg == NULL) {
		c->in_pipeline = false;
		return err_set(e, ERR_UNAVAILABLE, "not connected");
	}
	bool failed = false;
	while (c->expected_count > 0) {
		next_expected(c);
		if (!take(c, &result, e)) {
			return false;
		}
		ExecStatusType status = PQresultStatus(result);
		failed = failed || (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK);
		PQclear(result);
	}
	/* The sync itself: the implicit transaction's commit. Deferred failures (a full disk at commit) arrive before it.
	 */
	if (!conn_wait_result(c, c->pipeline_writes, &result, e)) {
		return false;
	}
	if (result == NULL || PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
		conn_fail(c, result, c->pipeline_writes, e);
		PQclear(result);
		db_conn_close(c);
		return false;
	}
	PQclear(result);
	if (PQexitPipelineMode(c->pg) == 0) {
		return conn_fail(c, NULL, c->pipeline_writes, e);
	}
	c->in_pipeline = false;
	/* A failed COMMIT was reported by db_pipeline_next; here only what nobody asked for. */
	if (c->commit_sent && !failed && PQtransactionStatus(c->pg) == PQTRANS_IDLE) {
		c->in_transaction = false;
	}
	return true;
}
