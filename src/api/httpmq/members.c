#include "api/httpmq/members.h"

#include "base/clock.h"
#include "db/array.h"
#include "db/conn.h"
#include "sql/httpmq_consumer.h"

#include <pthread.h>
#include <stdlib.h>

enum { ARRAY_BYTES_MAX = 64 << 20 };

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

typedef struct columns {
	buf topic_ids;
	buf consumers;
	buf numbers;
} columns;

static void collect(httpmq_members *ms, columns *c)
{
	db_array_builder topic_ids;
	db_array_builder consumers;
	db_array_builder numbers;
	buf_init(&c->topic_ids, ARRAY_BYTES_MAX);
	buf_init(&c->consumers, ARRAY_BYTES_MAX);
	buf_init(&c->numbers, ARRAY_BYTES_MAX);
	db_array_begin(&topic_ids, &c->topic_ids, DB_INT8);
	db_array_begin(&consumers, &c->consumers, DB_TEXT);
	db_array_begin(&numbers, &c->numbers, DB_INT8);
	pthread_mutex_lock(&ms->lock);
	for (const httpmq_member *m = ms->first; m != NULL; m = m->next) {
		db_array_add_i64(&topic_ids, m->topic_id);
		db_array_add_str(&consumers, m->consumer);
		db_array_add_i64(&numbers, m->number);
	}
	pthread_mutex_unlock(&ms->lock);
	db_array_end(&topic_ids);
	db_array_end(&consumers);
	db_array_end(&numbers);
}

static void mark(void *context, log_conn *conn)
{
	httpmq_members *ms = context;
	columns c;
	db_params p;
	err e;
	collect(ms, &c);
	db_params_init(&p);
	db_param_str(&p, buf_str(&c.topic_ids));
	db_param_str(&p, buf_str(&c.consumers));
	db_param_str(&p, buf_str(&c.numbers));
	bool has_memory = !c.topic_ids.failed && !c.consumers.failed && !c.numbers.failed;
	bool ok = has_memory ? db_do(conn, &SQL_HTTPMQ_MEMBERS_MARK, &p, NULL, &e)
						 : err_set(&e, ERR_NO_MEMORY, "no memory to mark members of groups");
	if (!ok) {
		slog_err(ms->api->slog, SLOG_INFO, "httpmq", "members of groups are marked later", &e);
	}
	buf_dispose(&c.topic_ids);
	buf_dispose(&c.consumers);
	buf_dispose(&c.numbers);
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
