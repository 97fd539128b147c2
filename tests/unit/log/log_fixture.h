/*
 * tests/unit/log/log_fixture: an engine on a scratch Postgres, and the calls that tests make again and again.
 *
 * Errors   whatever fails unexpectedly ends the test with a message.
 */
#ifndef TIDEGATE_TESTS_LOG_FIXTURE_H
#define TIDEGATE_TESTS_LOG_FIXTURE_H

#include "db/db_fixture.h"
#include "db/pool.h"
#include "log/append.h"
#include "log/engine.h"
#include "log/group.h"
#include "log/read.h"

typedef struct log_fixture {
	char url[1024];
	metric_registry *metrics;
	slog *log;
	timer *timer;
	db_pool *pool;
	log_engine *engine;
	db_conn *conn; /* for calls that want a log_conn on the test's own thread */
	arena *arena;
} log_fixture;

/* 0 and false give what most tests want. */
typedef struct fixture_options {
	uint32_t poll_interval_ms; /* 200 */
	uint32_t timeout_ms;       /* 30000 */
	uint32_t lane_connections; /* 2 */
	int64_t max_topics;
	bool janitor;
	log_channel channel;
} fixture_options;

void fixture_open(log_fixture *f);                     /* a new database, migrated, and an engine on it */
void fixture_open_on(log_fixture *f, const char *url); /* a further engine on a migrated database */
void fixture_open_as(log_fixture *f, const char *url, const fixture_options *o); /* url NULL: a new database */
void fixture_close(log_fixture *f);

/* Offsets and values of a page, and where it ends: "[0-2)2:a,3:b|4". The gap's letters tell what it was lost to: c cap,
 * t ttl, s source. In the fixture's arena. */
const char *fixture_page(log_fixture *f, const log_read_request *q);
/* One bigint, on the fixture's own connection; $1 is the topic's id. `place` (0 to 31) tells the statements of a test
 * apart. */
int64_t fixture_i64(log_fixture *f, int place, const char *sql, const log_topic *t);
/* A script, on the fixture's own connection. */
void fixture_sql(log_fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

const log_topic *fixture_topic(log_fixture *f, const char *name, int32_t partitions);
const log_topic *fixture_topic_with(log_fixture *f, const char *name, int32_t partitions, log_topic_config config);
/* From the cache, with a reference: looked up until it is there, for news that are late may take it out again. */
const log_topic *fixture_cached_topic(log_fixture *f, int64_t tenant_id, str name);

/* Until another session waits for a lock: what was submitted last is busy with it. */
void fixture_wait_for_lock(log_fixture *f);

/* Submits and waits for done. */
void fixture_append(log_fixture *f, log_append *op);
/* Appends texts "<prefix><n>" with n from 0; returns the first offset, or -1 with *error. */
int64_t fixture_append_texts(log_fixture *f, const log_topic *t, int32_t partition, const char *prefix, uint32_t count,
							 err *error);
/* The values of a page from `from`, joined by commas; gaps as [from-to). */
const char *fixture_read(log_fixture *f, const log_topic *t, int32_t partition, int64_t from, uint32_t max_records);

#endif
