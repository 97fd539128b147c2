/*
 * /v1/admin/stream/S/consumer: creating, showing and deleting consumers.
 */
#include "api/api.h"
#include "api/gate.h"
#include "api/httpmq/consumer_body.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/store.h"
#include "api/httpmq/subject.h"
#include "api/httpmq/waiting.h"
#include "api/httpmq/wire.h"
#include "api/operation.h"
#include "db/conn.h"
#include "log/state.h"
#include "log/wake.h"
#include "sql/httpmq_consumer.h"

enum { MAX_WAITING_PULL = 512 };

typedef struct consumer_call {
	api_operation op;
	str stream;
	httpmq_consumer consumer; /* as asked for, or only its name */
} consumer_call;

static int64_t tenant_of(const consumer_call *c)
{
	return gate_principal(c->op.x)->tenant_id;
}

static void reply_done(api_operation *op)
{
	httpmq_begin(op->x);
	buf_append_byte(http_reply_body(op->x), '}');
	api_reply(op);
}

static void reply_shown(api_operation *op)
{
	buf_append_byte(http_reply_body(op->x), '}');
	api_reply(op);
}

/* The stream, and its topic with a reference. */
static bool find_stream(const consumer_call *c, log_conn *conn, httpmq_stream *s, const log_topic **t, err *e)
{
	return httpmq_stream_read(conn, tenant_of(c), c->stream, http_arena(c->op.x), s, e) &&
		   log_topic_find(api_of(c->op.x)->log, conn, tenant_of(c), s->name, t, e);
}

/* ---- showing ---- */

static void write_position(buf *out, const char *key, int64_t consumer, int64_t stream, int64_t active_ms)
{
	buf_printf(out, ",\"%s\":{\"consumer_seq\":%lld,\"stream_seq\":%lld", key, (long long)consumer, (long long)stream);
	if (active_ms > 0) {
		buf_append_str(out, STR(",\"last_active\":"));
		httpmq_write_time(out, active_ms);
	}
	buf_append_byte(out, '}');
}

static void write_config(buf *out, const httpmq_consumer *c)
{
	buf_append_str(out, STR(",\"config\":{\"notes\":"));
	httpmq_write_string(out, c->notes);
	buf_append_str(out, STR(",\"deliver_subject\":"));
	httpmq_write_string(out, c->deliver_subject);
	buf_append_str(out, STR(",\"deliver_group\":"));
	httpmq_write_string(out, c->group);
	buf_append_str(out, STR(",\"max_deliver\":"));
	buf_append_i64(out, c->max_deliver);
	buf_append_str(out, STR(",\"ack_wait\":"));
	buf_append_i64(out, c->ack_wait_ns);
	buf_append_str(out, STR(",\"filter_subject\":"));
	httpmq_write_string(out, c->filter);
	buf_append_str(out, STR(",\"max_waiting\":"));
	buf_append_i64(out, c->is_pull ? MAX_WAITING_PULL : 0);
	buf_append_str(out, STR(",\"max_ack_pending\":"));
	buf_append_i64(out, c->max_inflight);
	buf_append_byte(out, '}');
}

static void write_consumer(buf *out, str stream, const httpmq_consumer *c, int64_t unsent)
{
	buf_append_str(out, STR("{\"stream_name\":"));
	httpmq_write_string(out, stream);
	buf_append_str(out, STR(",\"name\":"));
	httpmq_write_string(out, c->name);
	buf_append_str(out, STR(",\"created\":"));
	httpmq_write_time(out, c->created_ms);
	write_config(out, c);
	write_position(out, "delivered", c->delivered_c, c->scanned, c->delivered_ms);
	write_position(out, "ack_floor", c->floor_c, c->floor_s, c->acked_ms);
	buf_append_str(out, STR(",\"num_ack_pending\":"));
	buf_append_i64(out, c->in_flight);
	buf_append_str(out, STR(",\"num_redelivered\":"));
	buf_append_i64(out, c->redelivered);
	buf_append_str(out, STR(",\"num_waiting\":0,\"num_pending\":"));
	buf_append_i64(out, unsent);
	buf_append_byte(out, '}');
}

/* One consumer as it stands now, all of one moment. */
static bool show(const consumer_call *call, log_conn *conn, const log_topic *t, str name, buf *out, err *e)
{
	httpmq_consumer c;
	httpmq_counts counts;
	int64_t unsent = 0;
	bool dropped = false;
	bool ok = consumer_begin(conn, t->topic_id, name, http_arena(call->op.x), &c, &counts, e) &&
			  consumer_drop_over(conn, t->topic_id, &c, &dropped, e) && consumer_unsent(conn, t, &c, &unsent, e) &&
			  db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
		return false;
	}
	if (dropped) {
		log_wake(api_of(call->op.x)->log, t->topic_id, 0);
	}
	write_consumer(out, t->name, &c, unsent);
	return true;
}

/* What expired is gone before anything is counted. */
static bool settle_stream(const consumer_call *c, log_conn *conn, const log_topic *t, log_state *state, err *e)
{
	return log_state_read_one(api_of(c->op.x)->log, conn, t, http_arena(c->op.x), state, e);
}

static bool run_get(api_operation *op, log_conn *conn, err *e)
{
	consumer_call *c = (consumer_call *)op;
	httpmq_stream s;
	log_state state;
	const log_topic *t = NULL;
	if (!find_stream(c, conn, &s, &t, e)) {
		return false;
	}
	httpmq_begin(op->x);
	buf_append_str(http_reply_body(op->x), STR(",\"consumer\":"));
	bool ok = settle_stream(c, conn, t, &state, e) && show(c, conn, t, c->consumer.name, http_reply_body(op->x), e);
	log_topic_unref(t);
	return ok;
}

static bool show_all(const consumer_call *c, log_conn *conn, const log_topic *t, buf *out, err *e)
{
	httpmq_consumer *list = NULL;
	size_t count = 0;
	size_t written = 0;
	log_state state;
	if (!settle_stream(c, conn, t, &state, e) ||
		!consumers_read(conn, t->topic_id, STR_NONE, http_arena(c->op.x), &list, &count, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		size_t before = out->len;
		buf_append_str(out, written > 0 ? STR(",") : STR(""));
		httpmq_write_string(out, list[i].name);
		buf_append_byte(out, ':');
		if (show(c, conn, t, list[i].name, out, e)) {
			written++;
		} else if (e->code == ERR_GROUP_NOT_FOUND) {
			out->len = before; /* it was deleted meanwhile */
		} else {
			return false;
		}
	}
	return true;
}

/* An unknown stream has no consumers. */
static bool run_list(api_operation *op, log_conn *conn, err *e)
{
	consumer_call *c = (consumer_call *)op;
	httpmq_stream s;
	const log_topic *t = NULL;
	buf *out = http_reply_body(op->x);
	if (!find_stream(c, conn, &s, &t, e) && e->code != ERR_TOPIC_NOT_FOUND) {
		return false;
	}
	httpmq_begin(op->x);
	buf_append_str(out, STR(",\"consumers\":{"));
	bool ok = t == NULL || show_all(c, conn, t, out, e);
	buf_append_byte(out, '}');
	log_topic_unref(t);
	return ok;
}

/* ---- creating ---- */

static void bind_name(db_params *p, int64_t topic_id, str name)
{
	db_params_init(p);
	db_param_i64(p, topic_id);
	db_param_str(p, name);
}

static void bind_limits(db_params *p, const httpmq_consumer *c)
{
	db_param_i64(p, c->max_inflight);
	db_param_i64(p, c->max_deliver);
	db_param_i64(p, c->ack_wait_ns);
}

static bool is_same(const httpmq_consumer *a, const httpmq_consumer *b)
{
	return a->max_inflight == b->max_inflight && a->max_deliver == b->max_deliver && a->ack_wait_ns == b->ack_wait_ns &&
		   str_equal(a->group, b->group) && str_equal(a->notes, b->notes);
}

static bool replace(const consumer_call *c, log_conn *conn, int64_t topic_id, const httpmq_consumer *old, err *e)
{
	const httpmq_consumer *wanted = &c->consumer;
	db_params p;
	if (!str_equal(old->filter, wanted->filter) || old->is_pull != wanted->is_pull) {
		return err_set(e, ERR_REFUSED, "a consumer of this name exists with another %s; delete it first",
					   old->is_pull != wanted->is_pull ? "mode" : "filter_subject");
	}
	if (is_same(old, wanted)) {
		return true;
	}
	bind_name(&p, topic_id, wanted->name);
	bind_limits(&p, wanted);
	db_param_str(&p, wanted->group);
	db_param_str(&p, wanted->notes);
	db_param_str(&p, wanted->deliver_subject);
	return db_do(conn, &SQL_HTTPMQ_CONSUMER_REPLACE, &p, NULL, e);
}

static bool has_room(log_conn *conn, const httpmq_stream *s, str name, err *e)
{
	db_params p;
	db_result *r = NULL;
	bind_name(&p, s->topic_id, name);
	if (s->limits.max_consumers < 0) {
		return true;
	}
	if (!db_run(conn, &SQL_HTTPMQ_CONSUMER_COUNT, &p, &r, e)) {
		return false;
	}
	bool ok = db_i64(r, 0, 0) < s->limits.max_consumers;
	db_result_free(r);
	return ok || err_set(e, ERR_REFUSED, "the stream has as many consumers as max_consumers allows; delete one first");
}

static bool insert(const consumer_call *c, log_conn *conn, const log_topic *t, const httpmq_stream *s,
				   const log_state *state, err *e)
{
	const httpmq_consumer *wanted = &c->consumer;
	int64_t start = 0;
	db_params p;
	if (!has_room(conn, s, wanted->name, e) ||
		!consumer_start(conn, t, wanted->filter, state->start_offset + 1, &start, e)) {
		return false;
	}
	bind_name(&p, t->topic_id, wanted->name);
	db_param_bool(&p, wanted->is_pull);
	bind_limits(&p, wanted);
	db_param_str(&p, wanted->filter);
	db_param_str(&p, wanted->group);
	db_param_str(&p, wanted->notes);
	db_param_str(&p, wanted->deliver_subject);
	db_param_i64(&p, start);
	return db_do(conn, &SQL_HTTPMQ_CONSUMER_INSERT, &p, NULL, e);
}

/* Also when the stream's subjects do not suit an existing consumer any more: it may stay what it is. */
static bool check_filter(const httpmq_stream *s, str filter, err *e)
{
	bool fits = filter.len == 0;
	for (size_t i = 0; !fits && i < s->subject_count; i++) {
		fits = httpmq_filter_fits(filter, s->subjects[i]);
	}
	return fits || err_set(e, ERR_REFUSED, "filter_subject \"%.*s\" matches no subject of the stream",
						   STR_ARG(str_take(filter, 100)));
}

/* Creations on the streams of one tenant come one at a time, so that max_consumers holds. */
static bool create(const consumer_call *c, log_conn *conn, const log_topic *t, const httpmq_stream *s,
				   const log_state *state, err *e)
{
	httpmq_consumer *list = NULL;
	size_t count = 0;
	if (!httpmq_streams_lock(conn, tenant_of(c), e) || !consumer_lock(conn, t->topic_id, c->consumer.name, e) ||
		!consumers_read(conn, t->topic_id, c->consumer.name, http_arena(c->op.x), &list, &count, e)) {
		return false;
	}
	if (count == 1) {
		return replace(c, conn, t->topic_id, &list[0], e);
	}
	return check_filter(s, c->consumer.filter, e) && insert(c, conn, t, s, state, e);
}

static bool run_create(api_operation *op, log_conn *conn, err *e)
{
	consumer_call *c = (consumer_call *)op;
	httpmq_stream s;
	log_state state;
	const log_topic *t = NULL;
	if (!find_stream(c, conn, &s, &t, e)) {
		return false;
	}
	bool ok = settle_stream(c, conn, t, &state, e) && db_begin(conn, e) && create(c, conn, t, &s, &state, e) &&
			  db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	log_wake(api_of(op->x)->log, t->topic_id, 0);
	log_topic_unref(t);
	return ok;
}

/* ---- deleting ---- */

static bool remove_consumer(log_conn *conn, int64_t topic_id, str name, err *e)
{
	db_params p;
	int64_t affected = 0;
	bind_name(&p, topic_id, name);
	return consumer_lock(conn, topic_id, name, e) && db_do(conn, &SQL_HTTPMQ_CONSUMER_DELETE, &p, &affected, e) &&
		   (affected == 1 || consumer_err_not_found(name, e));
}

static bool run_delete(api_operation *op, log_conn *conn, err *e)
{
	consumer_call *c = (consumer_call *)op;
	httpmq_stream s;
	const log_topic *t = NULL;
	if (!find_stream(c, conn, &s, &t, e)) {
		return false;
	}
	bool ok = db_begin(conn, e) && remove_consumer(conn, t->topic_id, c->consumer.name, e) && db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	log_wake(api_of(op->x)->log, t->topic_id, 0);
	log_topic_unref(t);
	return ok;
}

/* ---- the requests ---- */

/* NULL: answered. */
static consumer_call *new_call(http_exchange *x, bool names_consumer, api_run_fn *run)
{
	str stream;
	str name = STR_NONE;
	if (!httpmq_take_name(x, 0, "stream", &stream) || (names_consumer && !httpmq_take_name(x, 1, "consumer", &name))) {
		return NULL;
	}
	consumer_call *c = api_operation_new(x, sizeof *c, run);
	if (c != NULL) {
		c->stream = stream;
		c->consumer.name = name;
	}
	return c;
}

void httpmq_list_consumers(http_exchange *x)
{
	consumer_call *c = new_call(x, false, run_list);
	if (c != NULL) {
		api_run_then(&c->op, reply_shown);
	}
}

void httpmq_get_consumer(http_exchange *x)
{
	consumer_call *c = new_call(x, true, run_get);
	if (c != NULL) {
		api_run_then(&c->op, reply_shown);
	}
}

void httpmq_delete_consumer(http_exchange *x)
{
	consumer_call *c = new_call(x, true, run_delete);
	if (c != NULL) {
		api_run_then(&c->op, reply_done);
	}
}

void httpmq_create_consumer(http_exchange *x)
{
	err e;
	consumer_call *c = new_call(x, false, run_create);
	if (c == NULL) {
		return;
	}
	if (consumer_body_read(x, &c->consumer, &e)) {
		api_run_then(&c->op, reply_done);
	} else {
		api_fail(&c->op, &e);
	}
}
