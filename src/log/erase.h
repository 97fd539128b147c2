/*
 * log/erase: deleting records that are there, wanted by somebody: by range, by tag, or one by one.
 *
 * A deleted record's bytes are gone from its row, its offset stays used, and no reader is told: deletes move no floor.
 * What is appended while a delete runs, or later, survives. Tags are found by an index; no delete reads the topic.
 *
 * Threads  the one that was given conn.
 * Limits   up to LOG_ERASE_STEP records disappear in one transaction, that is at once and together; a larger delete takes
 *          steps of about that size, lowest offsets first for a range, and appends go on in between.
 * Errors   ERR_TOPIC_NOT_FOUND; those of db/conn. After an error some steps may have been done; repeating is safe.
 */
#ifndef TIDEGATE_LOG_ERASE_H
#define TIDEGATE_LOG_ERASE_H

#include "log/head.h"
#include "log/tag_match.h"

enum { LOG_ERASE_STEP = 200000 };

typedef struct log_erase_request {
	const log_topic *topic;
	int32_t partition;
	int64_t below;              /* offsets below it; INT64_MAX = all that are there now */
	const log_tag_match *match; /* only tagged records that match; NULL = all */
} log_erase_request;

/* In transactions of its own. *erased counts the records that went. */
bool log_erase(log_engine *engine, log_conn *conn, const log_erase_request *request, int64_t *erased,
			   err *e) MUST_CHECK;

#endif
