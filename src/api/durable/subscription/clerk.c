#include "api/durable/subscription/clerk.h"

#include "api/durable/subscription/courier.h"
#include "api/durable/subscription/reminder.h"
#include "api/durable/subscription/sweep.h"
#include "api/durable/subscription/telling.h"
#include "api/durable/subscription/wake.h"
#include "base/clock.h"
#include "db/columns.h"
#include "sql/subscription.h"
#include "sql/subscription_link.h"

#include <pthread.h>

enum { ATTEND_ARENA_BYTES = 8 << 20, BATCH_MAX = 256 };

/* A set of ids in the order in which they came; small enough to be searched through. */
typedef struct notes {
	int64_t ids[CLERK_NOTES_MAX];
	size_t count;
} notes;

struct clerk {
	api *api;
	auth_signing *signing;
	reminder *reminder;
	courier *courier;
	sweep sweep;          /* the janitor's thread only */
	pthread_mutex_t lock; /* guards what follows */
	notes topics;
	notes subscriptions;
	bool is_working; /* a job is on its way, or running */
	bool is_stopping;
	int64_t *tenants; /* that have subscriptions, as of tenants_ms */
	size_t tenant_count;
	bool any_tenant;    /* too many to know */
	int64_t tenants_ms; /* on clock_now_ms(); 0 = never */
	metric *wakes;
};

api *clerk_api(const clerk *c)
{
	return c->api;
}

auth_signing *clerk_signing(const clerk *c)
{
	return c->signing;
}

reminder *clerk_reminder(const clerk *c)
{
	return c->reminder;
}

courier *clerk_courier(const clerk *c)
{
	return c->courier;
}

/* ---- hints ---- */

/* Caller holds the lock. What finds no room is left to the janitor. Recent notes repeat most. */
static void add_note(notes *n, int64_t id)
{
	for (size_t i = n->count; i > 0 && i + 32 > n->count; i--) {
		if (n->ids[i - 1] == id) {
			return;
		}
	}
	if (n->count < CLERK_NOTES_MAX) {
		n->ids[n->count++] = id;
	}
}

/* Caller holds the lock. */
static size_t take_notes(notes *n, int64_t *out)
{
	size_t taken = n->count < BATCH_MAX ? n->count : BATCH_MAX;
	memcpy(out, n->ids, taken * sizeof *out);
	memmove(n->ids, n->ids + taken, (n->count - taken) * sizeof *n->ids);
	n->count -= taken;
	return taken;
}

static void work(void *context, log_conn *conn);

/* Caller holds the lock. True: the caller submits the job. */
static bool begin_work(clerk *c)
{
	bool begin = !c->is_working && !c->is_stopping && (c->topics.count > 0 || c->subscriptions.count > 0);
	c->is_working = c->is_working || begin;
	return begin;
}

static void refuse_work(void *context, const err *e)
{
	clerk *c = context;
	(void)e;
	pthread_mutex_lock(&c->lock);
	c->is_working = false;
	pthread_mutex_unlock(&c->lock);
}

static void submit_work(clerk *c)
{
	err e;
	if (!log_engine_submit(c->api->log, (log_job){work, refuse_work, c}, &e)) {
		refuse_work(c, &e);
	}
}

/* Caller holds the lock. */
static bool is_of_interest(const clerk *c, int64_t tenant_id)
{
	if (c->any_tenant || c->tenants_ms == 0 || clock_now_ms() - c->tenants_ms > CLERK_TENANTS_MS) {
		return true;
	}
	for (size_t i = 0; i < c->tenant_count; i++) {
		if (c->tenants[i] == tenant_id) {
			return true;
		}
	}
	return false;
}

void clerk_note_append(clerk *c, int64_t tenant_id, int64_t topic_id)
{
	bool begin = false;
	pthread_mutex_lock(&c->lock);
	if (is_of_interest(c, tenant_id)) {
		add_note(&c->topics, topic_id);
		begin = begin_work(c);
	}
	pthread_mutex_unlock(&c->lock);
	if (begin) {
		submit_work(c);
	}
}

void clerk_note(clerk *c, int64_t subscription_id)
{
	pthread_mutex_lock(&c->lock);
	add_note(&c->subscriptions, subscription_id);
	bool begin = begin_work(c);
	pthread_mutex_unlock(&c->lock);
	if (begin) {
		submit_work(c);
	}
}

void clerk_note_due(clerk *c, const subscription *s)
{
	int64_t due_ms = wake_due_ms(s);
	if (due_ms > s->now_ms) {
		reminder_set(c->reminder, due_ms - s->now_ms);
	}
}

void clerk_note_tenant(clerk *c, int64_t tenant_id)
{
	pthread_mutex_lock(&c->lock);
	if (!is_of_interest(c, tenant_id)) {
		c->tenants_ms = 0;
	}
	pthread_mutex_unlock(&c->lock);
}

static void on_append(void *context, const log_topic *topic, int32_t partition)
{
	if (partition == 0) {
		clerk_note_append(context, topic->tenant_id, topic->topic_id);
	}
}

/* ---- whose appends matter ---- */

static bool read_tenants(clerk *c, log_conn *conn, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, CLERK_TENANTS_MAX);
	int64_t read_ms = clock_now_ms();
	if (!db_run(conn, &SQL_SUBSCRIPTION_TENANTS, &p, &r, e)) {
		return false;
	}
	pthread_mutex_lock(&c->lock);
	c->tenant_count = (size_t)db_rows(r);
	for (size_t i = 0; i < c->tenant_count; i++) {
		c->tenants[i] = db_i64(r, (int)i, 0);
	}
	c->any_tenant = c->tenant_count == CLERK_TENANTS_MAX;
	c->tenants_ms = read_ms > 0 ? read_ms : 1;
	pthread_mutex_unlock(&c->lock);
	db_result_free(r);
	return true;
}

/* Nobody has a subscription: no append matters. */
static bool nobody_subscribes(clerk *c)
{
	pthread_mutex_lock(&c->lock);
	bool nobody = c->tenant_count == 0;
	pthread_mutex_unlock(&c->lock);
	return nobody;
}

static bool ensure_tenants(clerk *c, log_conn *conn, err *e)
{
	pthread_mutex_lock(&c->lock);
	bool fresh = c->tenants_ms != 0 && clock_now_ms() - c->tenants_ms <= CLERK_TENANTS_MS;
	pthread_mutex_unlock(&c->lock);
	return fresh || read_tenants(c, conn, e);
}

/* ---- one subscription ---- */

/* In a transaction: whatever is due. *t is what has to be told when it is committed, or NULL. */
static bool settle(clerk *c, log_conn *conn, int64_t id, arena *a, telling **t, err *e)
{
	subscription s;
	if (!subscription_lock(conn, id, a, &s, e) || !wake_settle(conn, &s, e)) {
		return false;
	}
	bool was_idle = !wake_is_in_flight(&s);
	if (!wake_begin(conn, &s, a, e)) {
		return false;
	}
	if (was_idle && wake_is_in_flight(&s)) {
		metric_add(c->wakes, 1);
	}
	return !wake_is_to_tell(&s) || telling_prepare(c, conn, &s, t, e);
}

static bool attend(clerk *c, log_conn *conn, int64_t id, err *e)
{
	telling *t = NULL;
	arena *a = arena_new(ATTEND_ARENA_BYTES);
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	bool ok = auth_signing_ready(c->signing, conn, e) && db_begin(conn, e) && settle(c, conn, id, a, &t, e) &&
			  db_commit(conn, e);
	if (ok && t != NULL) {
		telling_start(t, conn);
	} else if (!ok) {
		telling_drop(t);
		db_rollback(conn);
		ok = e->code == ERR_SUBSCRIPTION_NOT_FOUND;
	}
	arena_free(a);
	return ok;
}

/* ---- the job ---- */

/* Notes the topic's tail with its links; each subscription that has one is to be looked at. */
static bool note_topic(clerk *c, log_conn *conn, int64_t topic_id, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	if (!db_run(conn, &SQL_SUBSCRIPTION_LINK_NOTE_TOPIC, &p, &r, e)) {
		return false;
	}
	pthread_mutex_lock(&c->lock);
	for (int i = 0; i < db_rows(r); i++) {
		add_note(&c->subscriptions, db_i64(r, i, 0));
	}
	pthread_mutex_unlock(&c->lock);
	db_result_free(r);
	return true;
}

/* What these topics wake becomes a note each. */
static bool find_woken(clerk *c, log_conn *conn, const int64_t *topics, size_t count, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_columns columns;
	if (count == 0 || !ensure_tenants(c, conn, e)) {
		return count == 0;
	}
	if (nobody_subscribes(c)) {
		return true;
	}
	db_params_init(&p);
	db_columns_init(&columns, 64 + 12 * BATCH_MAX);
	db_columns_add_i64(&columns, topics, count);
	bool ok = db_columns_bind(&columns, &p, e) && db_run(conn, &SQL_SUBSCRIPTION_LINK_FIND_NEWS, &p, &r, e);
	for (int i = 0; ok && i < db_rows(r); i++) {
		ok = note_topic(c, conn, db_i64(r, i, 0), e);
	}
	db_result_free(r);
	db_columns_dispose(&columns);
	return ok;
}

static void warn(clerk *c, const err *e)
{
	if (e->code != ERR_UNAVAILABLE && e->code != ERR_SHUTTING_DOWN) {
		slog_err(c->api->slog, SLOG_WARN, "subscriptions", "a look at subscriptions failed and will be repeated", e);
	}
}

static void work(void *context, log_conn *conn)
{
	clerk *c = context;
	int64_t topics[BATCH_MAX];
	int64_t ids[BATCH_MAX];
	err e;
	pthread_mutex_lock(&c->lock);
	size_t topic_count = take_notes(&c->topics, topics);
	pthread_mutex_unlock(&c->lock);
	bool ok = find_woken(c, conn, topics, topic_count, &e);
	pthread_mutex_lock(&c->lock);
	size_t count = take_notes(&c->subscriptions, ids);
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < count && ok; i++) {
		ok = attend(c, conn, ids[i], &e);
	}
	if (!ok) {
		warn(c, &e);
	}
	/* Others get their turn on this thread first. */
	pthread_mutex_lock(&c->lock);
	c->is_working = false;
	bool again = begin_work(c);
	pthread_mutex_unlock(&c->lock);
	if (again) {
		submit_work(c);
	}
}

bool clerk_duty(clerk *c, log_conn *conn, err *e)
{
	return sweep_run(&c->sweep, c, conn, e);
}

/* ---- life ---- */

bool clerk_new(api *a, clerk **out, err *e)
{
	clerk *c = calloc(1, sizeof *c);
	if (c == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	c->api = a;
	pthread_mutex_init(&c->lock, NULL);
	c->wakes = metric_counter(a->metrics, "tidegate_subscription_wakes_total", "wakes made for subscriptions", NULL);
	c->signing = auth_signing_new();
	c->reminder = reminder_new(c);
	c->tenants = calloc(CLERK_TENANTS_MAX, sizeof *c->tenants);
	const courier_options options = {.timeout_ms = (uint32_t)a->config->webhook_timeout_ms,
									 .allow_localhost = a->config->webhook_allow_localhost,
									 .metrics = a->metrics};
	if (c->signing == NULL || c->reminder == NULL || c->tenants == NULL) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto fail;
	}
	if (!courier_new(&options, &c->courier, e)) {
		goto fail;
	}
	log_engine_on_append(a->log, on_append, c);
	*out = c;
	return true;
fail:
	clerk_free(c);
	return false;
}

void clerk_stop(clerk *c)
{
	pthread_mutex_lock(&c->lock);
	c->is_stopping = true;
	pthread_mutex_unlock(&c->lock);
	courier_stop(c->courier);
}

void clerk_free(clerk *c)
{
	if (c == NULL) {
		return;
	}
	courier_free(c->courier);
	reminder_free(c->reminder);
	auth_signing_free(c->signing);
	free(c->tenants);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
