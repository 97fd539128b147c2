#include "api/durable/subscription/reminder.h"

#include "base/clock.h"
#include "sql/subscription.h"

#include <pthread.h>

struct reminder {
	clerk *clerk;
	pthread_mutex_t lock; /* guards what follows */
	timer_id timer;       /* 0: not set */
	int64_t at_ms;        /* on clock_now_ms(): when it goes off */
};

reminder *reminder_new(clerk *c)
{
	reminder *a = calloc(1, sizeof *a);
	if (a != NULL) {
		a->clerk = c;
		pthread_mutex_init(&a->lock, NULL);
	}
	return a;
}

void reminder_free(reminder *a)
{
	if (a != NULL) {
		pthread_mutex_destroy(&a->lock);
		free(a);
	}
}

/* ---- going off ---- */

static void look(void *context, log_conn *conn)
{
	err e;
	const reminder *a = context;
	if (!reminder_look(context, conn, &e) && e.code != ERR_UNAVAILABLE) {
		slog_err(clerk_api(a->clerk)->slog, SLOG_WARN, "subscriptions",
				 "could not look for leases and retries that are due; the janitor will", &e);
	}
}

static void leave_to_janitor(void *context, const err *e)
{
	(void)context;
	(void)e;
}

static void go_off(void *context)
{
	reminder *a = context;
	err e;
	pthread_mutex_lock(&a->lock);
	if (clock_now_ms() >= a->at_ms) {
		a->timer = 0;
	}
	pthread_mutex_unlock(&a->lock);
	if (!log_engine_submit(clerk_api(a->clerk)->log, (log_job){look, leave_to_janitor, a}, &e)) {
		leave_to_janitor(a, &e);
	}
}

void reminder_set(reminder *a, int64_t in_ms)
{
	timer *t = log_engine_timer(clerk_api(a->clerk)->log);
	int64_t at_ms = clock_now_ms() + (in_ms > REMINDER_PAUSE_MS ? in_ms : REMINDER_PAUSE_MS);
	pthread_mutex_lock(&a->lock);
	if (a->timer == 0 || at_ms < a->at_ms) {
		/* One that goes off just now is one look too many, which does no harm. */
		timer_cancel(t, a->timer);
		a->timer = timer_schedule(t, at_ms, go_off, a);
		a->at_ms = at_ms;
	}
	pthread_mutex_unlock(&a->lock);
}

/* ---- what is due ---- */

static bool set_for_next(reminder *a, log_conn *conn, err *e)
{
	db_result *r = NULL;
	if (!db_run(conn, &SQL_SUBSCRIPTION_NEXT_DUE, NULL, &r, e)) {
		return false;
	}
	if (!db_is_null(r, 0, 0)) {
		reminder_set(a, db_i64(r, 0, 0));
	}
	db_result_free(r);
	return true;
}

bool reminder_look(reminder *a, log_conn *conn, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, REMINDER_DUE_MAX);
	if (!db_run(conn, &SQL_SUBSCRIPTION_FIND_DUE, &p, &r, e)) {
		return false;
	}
	for (int i = 0; i < db_rows(r); i++) {
		clerk_note(a->clerk, db_i64(r, i, 0));
	}
	db_result_free(r);
	return set_for_next(a, conn, e);
}
