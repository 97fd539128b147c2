/*
 * GET …/alive, …/ready of both groups.
 */
#include "api/api.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/wire.h"
#include "db/conn.h"
#include "sql/totals.h"

void httpmq_alive(http_exchange *x)
{
	httpmq_send_done(x);
}

static void refuse_ready(void *context, const err *e)
{
	err told;
	(void)e;
	err_set(&told, ERR_NOT_READY, "the database does not answer; this server tries again by itself");
	http_send_error(context, &told);
}

static void run_ready(void *context, log_conn *conn)
{
	db_result *r = NULL;
	err e;
	if (db_run(conn, &SQL_TOTALS_COUNT_TOPICS, NULL, &r, &e)) {
		db_result_free(r);
		httpmq_send_done(context);
	} else {
		refuse_ready(context, &e);
	}
}

void httpmq_ready(http_exchange *x)
{
	api *a = api_of(x);
	err e;
	if (atomic_load(&a->is_stopping)) {
		err_set(&e, ERR_SHUTTING_DOWN, "this server is shutting down; use another one");
		http_send_error(x, &e);
	} else if (!log_engine_is_ready(a->log) || !log_engine_submit(a->log, (log_job){run_ready, refuse_ready, x}, &e)) {
		refuse_ready(x, &e);
	}
}
