/*
 * log/topic_row: a topic as a row of the database; shared by log/topic and log/topic_change.
 */
#ifndef TIDEGATE_LOG_TOPIC_ROW_H
#define TIDEGATE_LOG_TOPIC_ROW_H

#include "db/conn.h"
#include "log/topic.h"

/* ERR_TOPIC_NOT_FOUND with the detail {"topic":…}. Returns false. */
bool topic_err_not_found(str name, err *e);
/* Past the cache. *out gets a reference. */
bool topic_fetch(db_conn *conn, int64_t tenant_id, str name, const log_topic **out, err *e) MUST_CHECK;

/* In the caller's transaction. *created is false when there is one of that name. */
bool topic_insert(log_engine *engine, db_conn *conn, const log_topic_spec *spec, bool *created, err *e) MUST_CHECK;

#endif
