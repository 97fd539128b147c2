#include "log/quota.h"

#include <inttypes.h>

#include "log/private.h"
#include "sql/quota.h"

bool quota_send(db_conn *conn, err *e)
{
	return db_pipeline_send(conn, &SQL_QUOTA_LOCK, NULL, e) && db_pipeline_send(conn, &SQL_QUOTA_TOTAL, NULL, e);
}

bool quota_receive(db_conn *conn, int64_t *total, err *e)
{
	db_result *r = NULL;
	if (!db_pipeline_skip(conn, 1, e) || !db_pipeline_next(conn, &r, e)) {
		return false;
	}
	*total = db_i64(r, 0, 0);
	db_result_free(r);
	return true;
}

bool quota_allows(int64_t most, int64_t total, int64_t bytes, err *e)
{
	if (bytes <= most && total <= most - bytes) {
		return true;
	}
	err_set(
		e, ERR_THROTTLED,
		"the topics of this server hold as many bytes as they may; delete records or topics, or raise max_total_bytes");
	err_detail(e, "{\"limit\":\"max_total_bytes\",\"max\":%" PRId64 "}", most);
	return false;
}

bool log_quota_stored(log_conn *conn, int64_t tenant_id, int64_t *bytes, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	if (!db_run(conn, &SQL_QUOTA_TENANT_TOTAL, &p, &r, e)) {
		return err_frame(e, "log_quota_stored");
	}
	*bytes = db_i64(r, 0, 0);
	db_result_free(r);
	return true;
}

bool log_quota_check(log_engine *engine, log_conn *conn, int64_t bytes, err *e)
{
	db_result *r = NULL;
	int64_t most = engine->options.max_total_bytes;
	if (most == 0) {
		return true;
	}
	if (!db_run(conn, &SQL_QUOTA_TOTAL, NULL, &r, e)) {
		return false;
	}
	int64_t total = db_i64(r, 0, 0);
	db_result_free(r);
	return quota_allows(most, total, bytes, e);
}
