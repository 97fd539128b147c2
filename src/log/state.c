#include "log/state.h"

#include "db/columns.h"
#include "log/retain.h"
#include "log/route.h"
#include "log/topic_row.h"
#include "sql/state.h"

enum { SETTLE_TRIES = 3, IDS_BYTES_MAX = 1 << 20 };

/* As the one parameter; `c` keeps its bytes, and is the caller's to dispose of. */
static bool bind_ids(const int64_t *topic_ids, size_t count, db_columns *c, db_params *p, err *e)
{
	db_params_init(p);
	db_columns_init(c, IDS_BYTES_MAX);
	db_columns_add_i64(c, topic_ids, count);
	return db_columns_bind(c, p, e);
}

/* Copies what routers owe to the topics; *copied becomes true if they may owe something. */
static bool catch_up(log_engine *engine, log_conn *conn, const db_result *r, bool *copied, err *e)
{
	for (int i = 0; i < db_rows(r); i++) {
		if (db_bool(r, i, 9)) {
			*copied = true;
			if (!log_route_catch_up(engine, conn, db_i64(r, i, 0), e)) {
				return false;
			}
		}
	}
	return true;
}

/* Writes down what expired of the topics that need it; *settled becomes true if there were any. */
static bool settle(log_conn *conn, const db_result *r, bool *settled, err *e)
{
	for (int i = 0; i < db_rows(r); i++) {
		if (db_bool(r, i, 8)) {
			*settled = true;
			if (!retain_settle(conn, db_i64(r, i, 0), 0, e)) {
				return false;
			}
		}
	}
	return true;
}

static bool copy_rows(const db_result *r, arena *a, log_state **out, size_t *out_count, err *e)
{
	size_t rows = (size_t)db_rows(r);
	log_state *list = arena_alloc_array(a, rows + 1, sizeof *list);
	if (list == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < rows; i++) {
		int row = (int)i;
		list[i] = (log_state){.topic_id = db_i64(r, row, 0),
							  .end_offset = db_i64(r, row, 1),
							  .records = db_i64(r, row, 2),
							  .bytes = db_i64(r, row, 3),
							  .last_append_ms = db_i64(r, row, 4),
							  .last_read_ms = db_i64(r, row, 5),
							  .now_ms = db_i64(r, row, 6),
							  .start_offset = db_i64(r, row, 7)};
	}
	*out = list;
	*out_count = rows;
	return true;
}

/* engine NULL: as it stands. */
static bool look(log_engine *engine, log_conn *conn, const int64_t *topic_ids, size_t count, arena *a, log_state **out,
				 size_t *out_count, err *e)
{
	db_columns c;
	db_params p;
	db_result *r = NULL;
	bool again = true;
	bool ok = bind_ids(topic_ids, count, &c, &p, e);
	for (int attempt = 0; ok && again && attempt < SETTLE_TRIES; attempt++) {
		again = false;
		db_result_free(r);
		r = NULL;
		ok = db_run(conn, &SQL_STATE_READ, &p, &r, e) &&
			 (engine == NULL || ((attempt > 0 || catch_up(engine, conn, r, &again, e)) && settle(conn, r, &again, e)));
	}
	ok = ok && copy_rows(r, a, out, out_count, e);
	db_result_free(r);
	db_columns_dispose(&c);
	return ok;
}

bool log_state_read(log_engine *engine, log_conn *conn, const int64_t *topic_ids, size_t count, arena *a,
					log_state **out, size_t *out_count, err *e)
{
	return look(engine, conn, topic_ids, count, a, out, out_count, e) || err_frame(e, "log_state_read");
}

bool log_state_peek(log_conn *conn, const int64_t *topic_ids, size_t count, arena *a, log_state **out,
					size_t *out_count, err *e)
{
	return look(NULL, conn, topic_ids, count, a, out, out_count, e) || err_frame(e, "log_state_peek");
}

bool log_state_read_one(log_engine *engine, log_conn *conn, const log_topic *t, arena *a, log_state *out, err *e)
{
	log_state *list = NULL;
	size_t count = 0;
	if (!log_state_read(engine, conn, &t->topic_id, 1, a, &list, &count, e)) {
		return false;
	}
	if (count == 0) {
		return topic_err_not_found(t->name, e);
	}
	*out = list[0];
	return true;
}

bool log_state_touch(log_conn *conn, const int64_t *topic_ids, size_t count, err *e)
{
	db_columns c;
	db_params p;
	bool ok = bind_ids(topic_ids, count, &c, &p, e) && db_do(conn, &SQL_STATE_TOUCH, &p, NULL, e);
	db_columns_dispose(&c);
	return ok || err_frame(e, "log_state_touch");
}
