#include <string.h>

#include "db/private.h"
#include "sql/transaction.h"

static bool expect(db_conn *c, char kind, const db_query *query, err *e)
{
	if (c->expected_count == DB_PIPELINE_MAX) {
		return err_set(e, ERR_INTERNAL, "too many statements in one pipeline");
	}
	c->expected[(c->expected_first + c->expected_count) % DB_PIPELINE_MAX] =
		(db_expected){.query = (uint16_t)query->index, .kind = kind};
	c->expected_count++;
	return true;
}

static db_expected next_expected(db_conn *c)
{
	db_expected next = c->expected[c->expected_first];
	c->expected_first = (c->expected_first + 1) % DB_PIPELINE_MAX;
	c->expected_count--;
	return next;
}

bool db_pipeline_start(db_conn *c, err *e)
{
	if (c->in_pipeline) {
		return err_set(e, ERR_INTERNAL, "a pipeline is open already");
	}
	if (!db_conn_ensure(c, e)) {
		return false;
	}
	if (PQenterPipelineMode(c->pg) == 0) {
		return conn_fail(c, NULL, false, e);
	}
	c->in_pipeline = true;
	c->pipeline_writes = false;
	c->kept_bytes = 0;
	c->expected_first = 0;
	c->expected_count = 0;
	return true;
}

static bool send_as(db_conn *c, char kind, const db_query *query, const db_params *p, err *e)
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
		if (!expect(c, 'p', query, e)) {
			return false;
		}
		if (PQsendPrepare(c->pg, query->name, query->text, 0, NULL) == 0) {
			return conn_fail(c, NULL, false, e);
		}
		/* Taken back if it fails, see take(). */
		conn_set_prepared(c, query->index, true);
	}
	if (!expect(c, kind, query, e)) {
		return false;
	}
	for (int i = 0; i < p->count; i++) {
		formats[i] = 1;
		c->kept_bytes += (size_t)p->lengths[i];
	}
	if (PQsendQueryPrepared(c->pg, query->name, p->count, p->values, p->lengths, formats, 1) == 0) {
		return conn_fail(c, NULL, false, e);
	}
	if (c->kept_bytes <= DB_PIPELINE_KEPT_BYTES) {
		return true;
	}
	/* libpq would keep all of a large pipeline, and the memory ever after. */
	c->kept_bytes = 0;
	return conn_flush(c, c->pipeline_writes, e);
}

bool db_pipeline_send(db_conn *c, const db_query *query, const db_params *p, err *e)
{
	if (!send_as(c, 'q', query, p, e)) {
		return false;
	}
	c->pipeline_writes = c->pipeline_writes || (!c->in_transaction && !query_is_read(query));
	return true;
}

bool db_pipeline_begin(db_conn *c, err *e)
{
	if (c->in_transaction) {
		return err_set(e, ERR_INTERNAL, "a transaction is open already");
	}
	if (!send_as(c, 'q', &SQL_TRANSACTION_BEGIN, NULL, e)) {
		return false;
	}
	c->in_transaction = true;
	return true;
}

bool db_pipeline_commit(db_conn *c, err *e)
{
	if (!send_as(c, 'c', &SQL_TRANSACTION_COMMIT, NULL, e)) {
		return false;
	}
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

/* One result and the NULL that ends it. */
static bool take_result(db_conn *c, PGresult **out, err *e)
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

/* COMMIT of a failed transaction reports success as ROLLBACK. */
static bool has_succeeded(char kind, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	return status == PGRES_TUPLES_OK ||
		   (status == PGRES_COMMAND_OK && (kind != 'c' || strcmp(PQcmdStatus(result), "COMMIT") == 0));
}

static bool fail_statement(db_conn *c, const PGresult *result, err *e)
{
	ExecStatusType status = PQresultStatus(result);
	if (status == PGRES_PIPELINE_ABORTED) {
		return err_set(e, ERR_INTERNAL, "an earlier statement of the group failed");
	}
	if (status == PGRES_COMMAND_OK) {
		return err_set(e, ERR_INTERNAL, "the transaction had failed before its commit");
	}
	return conn_fail(c, result, c->pipeline_writes, e);
}

typedef enum taken { TAKEN_OK, TAKEN_SKIPPED, TAKEN_FAILED, TAKEN_LOST } taken;

/* The next statement's result, its prepare included. Skipped: because of an earlier failure. Lost: so is the
 * connection. */
static taken take(db_conn *c, PGresult **out, err *e)
{
	taken verdict = TAKEN_OK;
	for (;;) {
		PGresult *result = NULL;
		db_expected next = next_expected(c);
		if (!take_result(c, &result, e)) {
			return TAKEN_LOST;
		}
		if (verdict == TAKEN_OK && !has_succeeded(next.kind, result)) {
			verdict = PQresultStatus(result) == PGRES_PIPELINE_ABORTED ? TAKEN_SKIPPED : TAKEN_FAILED;
			fail_statement(c, result, e);
			if (next.kind == 'p') {
				conn_set_prepared(c, next.query, false);
			}
		}
		if (next.kind != 'p' && verdict == TAKEN_OK) {
			*out = result;
			return TAKEN_OK;
		}
		PQclear(result);
		if (c->pg == NULL) {
			return TAKEN_LOST;
		}
		if (next.kind != 'p') {
			return verdict;
		}
	}
}

bool db_pipeline_next(db_conn *c, db_result **out, err *e)
{
	PGresult *result = NULL;
	if (c->pg == NULL) {
		return err_set(e, ERR_UNAVAILABLE, "not connected");
	}
	if (c->expected_count == 0) {
		return err_set(e, ERR_INTERNAL, "no statement left in the pipeline");
	}
	if (take(c, &result, e) != TAKEN_OK) {
		return false;
	}
	db_result *wrapped = result_wrap(result);
	if (wrapped == NULL) {
		return err_set(e, c->pipeline_writes ? ERR_OUTCOME_UNKNOWN : ERR_NO_MEMORY, "out of memory");
	}
	*out = wrapped;
	return true;
}

bool db_pipeline_skip(db_conn *c, size_t count, err *e)
{
	for (size_t i = 0; i < count; i++) {
		db_result *r = NULL;
		if (!db_pipeline_next(c, &r, e)) {
			return false;
		}
		db_result_free(r);
	}
	return true;
}

/* Reads the results that nobody asked for; *failed: one of them failed, *e says why. False: the connection is lost. */
static bool drain(db_conn *c, bool *failed, err *e)
{
	while (c->expected_count > 0) {
		PGresult *result = NULL;
		err why;
		taken verdict = take(c, &result, &why);
		PQclear(result);
		/* Of what was skipped the cause is known already. */
		if (verdict == TAKEN_FAILED || verdict == TAKEN_LOST) {
			*e = why;
			*failed = true;
		}
		if (verdict == TAKEN_LOST) {
			return false;
		}
	}
	return true;
}

/* The sync itself: the implicit transaction's commit. Deferred failures (a full disk at commit) arrive before it. */
static bool take_sync(db_conn *c, err *e)
{
	PGresult *result = NULL;
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
	return PQexitPipelineMode(c->pg) == 1 || conn_fail(c, NULL, c->pipeline_writes, e);
}

bool db_pipeline_finish(db_conn *c, err *e)
{
	bool failed = false;
	err late;
	if (c->pg == NULL) {
		c->in_pipeline = false;
		return err_set(e, ERR_UNAVAILABLE, "not connected");
	}
	if (!drain(c, &failed, e)) {
		return false;
	}
	if (!take_sync(c, &late)) {
		if (!failed) {
			*e = late;
		}
		return false;
	}
	c->in_pipeline = false;
	c->in_transaction = PQtransactionStatus(c->pg) != PQTRANS_IDLE;
	return !failed;
}
