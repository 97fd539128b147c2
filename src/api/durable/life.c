#include "api/durable/life.h"

#include "api/durable/durable.h"
#include "api/durable/subscription/subscriptions.h"
#include "db/columns.h"
#include "db/conn.h"
#include "sql/durable.h"

#include <stdlib.h>

enum { STREAMS_A_STEP = 100 };

/* The topics that a transaction ended, at most one a generation. */
typedef struct ended {
	int64_t topic_ids[DURABLE_DEPTH_MAX + 2];
	size_t count;
	int64_t remains_id; /* one that nobody reads any more, but has forks still to be removed; 0: none */
} ended;

static bool do_by_id(log_conn *conn, const db_query *query, int64_t topic_id, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	return db_do(conn, query, &p, NULL, e);
}

static void note(ended *done, int64_t topic_id)
{
	if (done->count < sizeof done->topic_ids / sizeof done->topic_ids[0]) {
		done->topic_ids[done->count++] = topic_id;
	}
}

static bool end_softly(log_conn *conn, int64_t topic_id, ended *done, err *e)
{
	note(done, topic_id);
	return do_by_id(conn, &SQL_DURABLE_MARK_DELETED, topic_id, e) && log_topic_close(conn, topic_id, e) &&
		   subscription_drop_stream(conn, topic_id, e);
}

static bool applies(const durable_state *state, durable_end_reason reason)
{
	return reason == DURABLE_END_ASKED || (state->is_deleted ? !state->has_forks : state->is_expired);
}

/* One stream, in the transaction. *parent_id is the source that lost a fork, or 0. */
static bool end_one(log_conn *conn, int64_t topic_id, durable_end_reason reason, durable_ended *out, int64_t *parent_id,
					ended *done, err *e)
{
	durable_state state = {.is_expired = false};
	size_t found = 0;
	*parent_id = 0;
	if (!log_topic_lock(conn, &topic_id, 1, &found, e)) {
		return false;
	}
	if (found == 0) {
		*out = DURABLE_ENDED_ABSENT;
		return true;
	}
	if (!durable_state_get(conn, topic_id, &state, e)) {
		return false;
	}
	if (state.presence == DURABLE_ABSENT && state.has_forks) {
		*out = DURABLE_ENDED_ABSENT;
		done->remains_id = topic_id;
		return true;
	}
	if (!applies(&state, reason)) {
		*out = DURABLE_ENDED_NOT;
		return state.is_deleted || do_by_id(conn, &SQL_DURABLE_SET_DUE, topic_id, e);
	}
	*out = state.presence == DURABLE_HIDDEN   ? DURABLE_ENDED_HIDDEN
		   : state.presence == DURABLE_ABSENT ? DURABLE_ENDED_ABSENT
		   : state.has_forks                  ? DURABLE_ENDED_SOFTLY
											  : DURABLE_ENDED_REMOVED;
	if (state.has_forks) {
		return state.is_deleted || end_softly(conn, topic_id, done, e);
	}
	*parent_id = state.parent_id;
	note(done, topic_id);
	return log_topic_discard(conn, &topic_id, 1, &found, e);
}

static bool end_all(log_conn *conn, int64_t topic_id, durable_end_reason reason, durable_ended *out, ended *done,
					err *e)
{
	durable_ended ignored;
	int64_t parent_id = 0;
	bool ok = end_one(conn, topic_id, reason, out, &parent_id, done, e);
	while (ok && parent_id != 0) {
		ok = end_one(conn, parent_id, DURABLE_END_DUE, &ignored, &parent_id, done, e);
	}
	return ok;
}

/* ---- with its forks ---- */

/* As many of the stream and its forks as a call takes. *ids is the caller's to free. */
static bool find_remains(log_conn *conn, int64_t topic_id, int64_t **ids, size_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i64(&p, LOG_TOPICS_MAX);
	if (!db_run(conn, &SQL_DURABLE_FIND_REMAINS, &p, &r, e)) {
		return false;
	}
	*count = (size_t)db_rows(r);
	*ids = calloc(*count + 1, sizeof **ids);
	for (size_t i = 0; *ids != NULL && i < *count; i++) {
		(*ids)[i] = db_i64(r, (int)i, 0);
	}
	db_result_free(r);
	return *ids != NULL || err_set(e, ERR_NO_MEMORY, "out of memory; try again");
}

static bool forget(log_conn *conn, const int64_t *ids, size_t count, err *e)
{
	db_columns c;
	db_params p;
	db_params_init(&p);
	db_columns_init(&c, LOG_TOPICS_MAX * 16);
	db_columns_add_i64(&c, ids, count);
	bool ok = db_columns_bind(&c, &p, e) && db_do(conn, &SQL_DURABLE_FORGET, &p, NULL, e);
	db_columns_dispose(&c);
	return ok;
}

/* What has ended is never a source again: the forks that are there under the locks are all. */
static bool discard_remains(log_conn *conn, int64_t topic_id, const int64_t *ids, size_t count, err *e)
{
	durable_state state = {.is_expired = false};
	size_t found = 0;
	return log_topic_lock(conn, ids, count, &found, e) && durable_state_get(conn, topic_id, &state, e) &&
		   (state.presence != DURABLE_ABSENT ||
			(forget(conn, ids, count, e) && log_topic_discard(conn, ids, count, &found, e)));
}

bool durable_remove_remains(log_engine *engine, log_conn *conn, int64_t topic_id, err *e)
{
	int64_t *ids = NULL;
	size_t count = 0;
	bool ok = db_begin(conn, e) && find_remains(conn, topic_id, &ids, &count, e) &&
			  discard_remains(conn, topic_id, ids, count, e) && db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	for (size_t i = 0; (ok || e->code == ERR_OUTCOME_UNKNOWN) && i < count; i++) {
		log_topic_changed(engine, ids[i]);
	}
	free(ids);
	bool was_removed = !ok && e->code == ERR_TOPIC_NOT_FOUND; /* by somebody else */
	return ok || was_removed || err_frame(e, "durable_remove_remains");
}

bool durable_end(log_engine *engine, log_conn *conn, int64_t topic_id, durable_end_reason reason, durable_ended *out,
				 err *e)
{
	ended done = {.count = 0};
	durable_ended result = DURABLE_ENDED_NOT;
	bool ok = db_begin(conn, e) && end_all(conn, topic_id, reason, &result, &done, e) && db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	for (size_t i = 0; (ok || e->code == ERR_OUTCOME_UNKNOWN) && i < done.count; i++) {
		log_topic_changed(engine, done.topic_ids[i]);
	}
	if (!ok) {
		return err_frame(e, "durable_end");
	}
	*out = result;
	return done.remains_id == 0 || durable_remove_remains(engine, conn, done.remains_id, e);
}

/* ---- many at a time ---- */

static bool end_found(log_engine *engine, log_conn *conn, const db_query *query, const db_params *p, bool *more, err *e)
{
	db_result *r = NULL;
	bool ok = true;
	if (!db_run(conn, query, p, &r, e)) {
		return false;
	}
	for (int i = 0; i < db_rows(r) && ok; i++) {
		durable_ended ignored;
		ok = durable_end(engine, conn, db_i64(r, i, 0), DURABLE_END_DUE, &ignored, e);
	}
	*more = *more || db_rows(r) == STREAMS_A_STEP;
	db_result_free(r);
	return ok;
}

bool durable_sweep(log_engine *engine, log_conn *conn, bool *more, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, STREAMS_A_STEP);
	return end_found(engine, conn, &SQL_DURABLE_FIND_DUE, &p, more, e) &&
		   end_found(engine, conn, &SQL_DURABLE_FIND_ORPHANS, &p, more, e);
}
