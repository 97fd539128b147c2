#include "api/durable/subscription/sweep.h"

#include "api/durable/subscription/reminder.h"
#include "base/clock.h"
#include "sql/subscription.h"
#include "sql/subscription_link.h"

enum { SWEEP_MAX = 1000, LOOK_PAUSES = 20, LOOK_MS_MAX = 200 };

static bool range(log_conn *conn, int64_t after, int64_t limit, int64_t *last, int64_t *count, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, after);
	db_param_i64(&p, limit);
	if (!db_run(conn, &SQL_SUBSCRIPTION_RANGE, &p, &r, e)) {
		return false;
	}
	*last = db_i64(r, 0, 0);
	*count = db_i64(r, 0, 1);
	db_result_free(r);
	return true;
}

static bool note_range(log_conn *conn, int64_t after, int64_t up_to, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, after);
	db_param_i64(&p, up_to);
	return db_do(conn, &SQL_SUBSCRIPTION_LINK_NOTE_RANGE, &p, NULL, e);
}

/* Notes what was never noted, of some subscriptions at a time. It looks at each of their links: as many as a short
 * statement can, and at most a twentieth of the time. */
static bool look(sweep *s, log_conn *conn, err *e)
{
	int64_t size = s->size > 0 ? s->size : 1;
	int64_t start_ms = clock_now_ms();
	int64_t last = 0;
	int64_t count = 0;
	if (start_ms < s->next_ms) {
		return true;
	}
	bool ok = range(conn, s->after, size, &last, &count, e) && (count == 0 || note_range(conn, s->after, last, e));
	int64_t took_ms = clock_now_ms() - start_ms;
	s->after = ok && count == size ? last : ok ? 0 : s->after;
	s->next_ms = start_ms + LOOK_PAUSES * took_ms;
	if (!ok || took_ms > LOOK_MS_MAX) {
		size /= 2;
	} else if (took_ms < LOOK_MS_MAX / 4 && size < SWEEP_MAX) {
		size *= 2;
	}
	s->size = size;
	return ok;
}

static bool find_missed(sweep *s, clerk *c, log_conn *conn, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, s->found_to);
	db_param_i64(&p, SWEEP_MAX);
	if (!db_run(conn, &SQL_SUBSCRIPTION_FIND_MISSED, &p, &r, e)) {
		return false;
	}
	int rows = db_rows(r);
	for (int i = 0; i < rows; i++) {
		if (db_bool(r, i, 1)) {
			clerk_note(c, db_i64(r, i, 0));
		}
	}
	s->found_to = rows == SWEEP_MAX ? db_i64(r, rows - 1, 0) : 0;
	db_result_free(r);
	return true;
}

bool sweep_run(sweep *s, clerk *c, log_conn *conn, err *e)
{
	return reminder_look(clerk_reminder(c), conn, e) && look(s, conn, e) && find_missed(s, c, conn, e);
}
