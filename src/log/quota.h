/*
 * log/quota: the limit of live bytes of all topics of all tenants together (max_total_bytes); 0 = none. Where there is
 * one, every append is judged and waits for the one before, in the whole fleet.
 *
 * Threads  the one that was given conn.
 * Errors   ERR_THROTTLED with the detail {"limit":"max_total_bytes","max":…}; those of db/conn.
 */
#ifndef TIDEGATE_LOG_QUOTA_H
#define TIDEGATE_LOG_QUOTA_H

#include "db/conn.h"
#include "log/topic.h"

/* Two statements of an open pipeline: the lock, then what there is. */
bool quota_send(db_conn *conn, err *e) MUST_CHECK;
bool quota_receive(db_conn *conn, int64_t *total, err *e) MUST_CHECK;
/* False with *e filled when `bytes` more would be too many. */
bool quota_allows(int64_t most, int64_t total, int64_t bytes, err *e);

/* Live bytes of one tenant's topics. */
bool log_quota_stored(log_conn *conn, int64_t tenant_id, int64_t *bytes, err *e) MUST_CHECK;

/* Whether an append of that many bytes would pass now; a later append is judged again. */
bool log_quota_check(log_engine *engine, log_conn *conn, int64_t bytes, err *e) MUST_CHECK;

#endif
