/*
 * Health and readiness, for operators and for every dialect: /healthz, /readyz, /v0/health, /v0/ready.
 */
#include "api/api.h"
#include "api/probe.h"
#include "base/clock.h"
#include "db/conn.h"
#include "sql/totals.h"

void probe_health(http_exchange *x)
{
	buf *out = http_reply_body(x);
	buf_append_str(out, STR("{\"status\":\"ok\",\"version\":\"" TIDEGATE_VERSION "\",\"uptime_ms\":"));
	buf_append_i64(out, clock_now_ms() - api_of(x)->started_ms);
	buf_append_byte(out, '}');
	http_send(x, 200, "application/json");
}

static void answer_not_ready(http_exchange *x)
{
	err e;
	err_set(&e, ERR_NOT_READY, "the database does not answer; this server tries again by itself");
	err_detail(&e, "{\"replay_progress\":0}");
	http_send_error(x, &e);
}

static void run_ready(void *context, log_conn *conn)
{
	http_exchange *x = context;
	db_result *r = NULL;
	err e;
	if (!db_run(conn, &SQL_TOTALS_COUNT_TOPICS, NULL, &r, &e)) {
		answer_not_ready(x);
		return;
	}
	buf *out = http_reply_body(x);
	buf_append_str(out, STR("{\"status\":\"ready\",\"wal_replay_complete\":true,\"topics\":"));
	buf_append_i64(out, db_i64(r, 0, 0));
	buf_append_byte(out, '}');
	db_result_free(r);
	http_send(x, 200, "application/json");
}

static void refuse_ready(void *context, const err *e)
{
	(void)e;
	answer_not_ready(context);
}

void probe_ready(http_exchange *x)
{
	api *a = api_of(x);
	err e;
	if (atomic_load(&a->is_stopping)) {
		err_set(&e, ERR_SHUTTING_DOWN, "this server is shutting down; use another one");
		http_send_error(x, &e);
	} else if (!log_engine_is_ready(a->log) || !log_engine_submit(a->log, (log_job){run_ready, refuse_ready, x}, &e)) {
		answer_not_ready(x);
	}
}
