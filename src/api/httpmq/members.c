#include "api/httpmq/members.h"

#include "base/clock.h"
#include "db/columns.h"
#include "db/conn.h"
#include "sql/httpmq_consumer.h"

#include <pthread.h>
#include <stdlib.h>

enum { ARRAYS_BYTES_MAX = 128 << 20 };

struct httpmq_members {
	api *api;
	pthread_mutex_t lock;
	httpmq_member *first;
	bool is_busy; /* a timer or a job will look again */
};

static void on_time(void *context);

/* Caller holds the lock. */
static void arm(httpmq_members *ms)
{
	timer *t = log_engine_timer(ms->api->log);
	ms->is_busy = ms->first != NULL && timer_schedule(t, clock_now_ms() + MEMBER_MARK_MS, on_time, ms) != 0;
}

static void arm_again(httpmq_members *ms)
{
	pthread_mutex_lock(&ms->lock);
	arm(ms);
	pthread_mutex_unlock(&ms->lock);
}

/* ---- marking ---- */

static void collect(httpmq_members *ms, db_columns *c)
{
	pthread_mutex_lock(&ms->lock);
	db_array_builder *a = db_columns_begin(c, DB_INT8);
	for (const httpmq_member *m = ms->first; m != NULL; m = m->next) {
		db_array_add_i64(a, m->topic_id);
	}
	db_columns_end(c);
	a = db_columns_begin(c, DB_TEXT);
	for (const httpmq_member *m = ms->first; m != NULL; m = m->next) {
		db_array_add_str(a, m->consumer);
	}
	db_columns_end(c);
	a = db_columns_begin(c, DB_INT8);
	for (const httpmq_member *m = ms->first; m != NULL; m = m->next) {
		db_array_add_i64(a, m->number);
	}
	db_columns_end(c);
	pthread_mutex_unlock(&ms->lock);
}

static void mark(void *context, log_conn *conn)
{
	httpmq_members *ms = context;
	db_columns c;
	db_params p;
	err e;
	db_params_init(&p);
	db_columns_init(&c, ARRAYS_BYTES_MAX);
	collect(ms, &c);
	if (!db_columns_bind(&c, &p, &e) || !db_do(conn, &SQL_HTTPMQ_MEMBERS_MARK, &p, NULL, &e)) {
		slog_err(ms->api->slog, SLOG_INFO, "httpmq", "members of groups are marked later", &e);
	}
	db_columns_dispose(&c);
	arm_again(ms);
}

static void refuse(void *context, const err *e)
{
	(void)e;
	arm_again(context);
}

static void on_time(void *context)
{
	httpmq_members *ms = context;
	err e;
	if (!log_engine_submit(ms->api->log, (log_job){mark, refuse, ms}, &e)) {
		refuse(ms, &e);
	}
}

/* ---- the list ---- */

void httpmq_members_add(httpmq_members *ms, httpmq_member *m)
{
	pthread_mutex_lock(&ms->lock);
	m->prev = NULL;
	m->next = ms->first;
	if (m->next != NULL) {
		m->next->prev = m;
	}
	ms->first = m;
	m->is_listed = true;
	if (!ms->is_busy) {
		arm(ms);
	}
	pthread_mutex_unlock(&ms->lock);
}

void httpmq_members_remove(httpmq_members *ms, httpmq_member *m)
{
	pthread_mutex_lock(&ms->lock);
	if (m->is_listed) {
		if (m->prev != NULL) {
			m->prev->next = m->next;
		} else {
			ms->first = m->next;
		}
		if (m->next != NULL) {
			m->next->prev = m->prev;
		}
		m->is_listed = false;
	}
	pthread_mutex_unlock(&ms->lock);
}

httpmq_members *httpmq_members_new(api *a)
{
	httpmq_members *ms = calloc(1, sizeof *ms);
	if (ms != NULL) {
		ms->api = a;
		pthread_mutex_init(&ms->lock, NULL);
	}
	return ms;
}

void httpmq_members_free(httpmq_members *ms)
{
	if (ms != NULL) {
		pthread_mutex_destroy(&ms->lock);
		free(ms);
	}
}
