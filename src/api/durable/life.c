#include "api/durable/life.h"

#include "api/durable/durable.h"
#include "api/durable/subscription/subscriptions.h"
#include "db/conn.h"
#include "sql/durable.h"

enum { STREAMS_A_STEP = 100 };

/* The topics that a transaction ended, at most one a generation. */
typedef struct ended {
	int64_t topic_ids[DURABLE_DEPTH_MAX + 2];
	size_t count;
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
	bool exists = false;
	*parent_id = 0;
	if (!log_topic_lock(conn, topic_id, &exists, e)) {
		return false;
	}
	if (!exists) {
		*out = DURABLE_ENDED_ABSENT;
		return true;
	}
	if (!durable_state_get(conn, topic_id, &state, e)) {
		return false;
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
	return log_topic_discard(conn, topic_id, &exists, e);
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
	return true;
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

bool durable_remove_remains(log_engine *engine, log_conn *conn, int64_t topic_id, err *e)
{
	db_params p;
	bool ignored = false;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i64(&p, STREAMS_A_STEP);
	return end_found(engine, conn, &SQL_DURABLE_FIND_REMAINS, &p, &ignored, e);
}
