/*
 * GET /v1/data/stream/S/consumer/C: what is asked for, checked against the consumer, and bound to it: a newer subscription of a
 * consumer without a group takes the older one's place. The endless reply itself is api/httpmq/subscription.
 */
#include "api/gate.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/store.h"
#include "api/httpmq/subject.h"
#include "api/httpmq/subscription.h"
#include "api/httpmq/waiting.h"
#include "api/httpmq/wire.h"
#include "api/operation.h"
#include "base/id.h"
#include "db/conn.h"
#include "sql/httpmq_consumer.h"

typedef struct opening {
	api_operation op;
	subscription_request request;
	str group; /* "" = none */
} opening;

static void reply_open(api_operation *op)
{
	subscription_open(op->x, &((opening *)op)->request);
}

/* ---- what is refused ---- */

static bool check_consumer(const opening *o, const httpmq_stream *s, const httpmq_consumer *c, err *e)
{
	const subscription_request *q = &o->request;
	if (c->is_pull) {
		return err_set(e, ERR_REFUSED, "messages of a pull consumer are fetched, not pushed; create one of mode push");
	}
	if (c->filter.len > 0 && !str_equal(c->filter, q->subject)) {
		return err_set(e, ERR_REFUSED, "subject_name must be the consumer's filter_subject, \"%.*s\"",
					   STR_ARG(str_take(c->filter, 100)));
	}
	if (!str_equal(c->group, o->group)) {
		return c->group.len > 0
				   ? err_set(e, ERR_REFUSED, "the consumer is shared by a group; give its delivery_group")
				   : err_set(e, ERR_REFUSED, "the consumer has no delivery group; leave delivery_group out");
	}
	bool fits = c->filter.len > 0;
	for (size_t i = 0; !fits && i < s->subject_count; i++) {
		fits = httpmq_subject_overlaps(q->subject, s->subjects[i]);
	}
	return fits || err_set(e, ERR_REFUSED, "subject_name is no subject of the stream");
}

static bool bind(opening *o, log_conn *conn, const httpmq_stream *s, err *e)
{
	subscription_request *q = &o->request;
	httpmq_consumer c;
	db_params p;
	db_result *r = NULL;
	if (!consumer_lock(conn, s->topic_id, q->consumer, e) ||
		!consumer_read(conn, s->topic_id, q->consumer, http_arena(o->op.x), &c, e) || !check_consumer(o, s, &c, e)) {
		return false;
	}
	db_params_init(&p);
	db_param_i64(&p, s->topic_id);
	db_param_str(&p, q->consumer);
	if (!db_run(conn, &SQL_HTTPMQ_CONSUMER_BIND, &p, &r, e)) {
		return false;
	}
	bool is_there = db_rows(r) == 1;
	q->generation = is_there ? db_i64(r, 0, 0) : 0;
	db_result_free(r);
	if (!is_there) {
		return consumer_err_not_found(q->consumer, e);
	}
	db_param_i64(&p, q->member);
	return !q->is_member || db_do(conn, &SQL_HTTPMQ_MEMBER_SEEN, &p, NULL, e);
}

static bool run_open(api_operation *op, log_conn *conn, err *e)
{
	opening *o = (opening *)op;
	int64_t tenant_id = gate_principal(op->x)->tenant_id;
	httpmq_stream s;
	if (!httpmq_stream_read(conn, tenant_id, o->request.stream, http_arena(op->x), &s, e) ||
		!log_topic_find(api_of(op->x)->log, conn, tenant_id, o->request.stream, &o->request.topic, e)) {
		return false;
	}
	o->request.member = (int64_t)(id_random_u64() >> 1);
	bool ok = db_begin(conn, e) && bind(o, conn, &s, e) && db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
		log_topic_unref(o->request.topic);
	}
	return ok;
}

/* ---- the request ---- */

static bool read_flag(str text, bool *out)
{
	*out = str_equal(text, STR("true"));
	return *out || str_equal(text, STR("false"));
}

static bool read_query(opening *o, err *e)
{
	const http_exchange *x = o->op.x;
	str text;
	uint64_t number;
	if (http_request_query_count(x, STR("subject_name")) != 1 ||
		!http_request_query(x, STR("subject_name"), &o->request.subject)) {
		return err_set(e, ERR_INVALID_REQUEST, "give exactly one subject_name");
	}
	if (http_request_query_count(x, STR("max_msg_inflight")) > 1 ||
		(http_request_query(x, STR("max_msg_inflight"), &text) && !str_parse_u64(text, INT64_MAX, &number))) {
		return err_set(e, ERR_INVALID_REQUEST, "max_msg_inflight must be one number");
	}
	o->group = STR("");
	size_t groups = http_request_query_count(x, STR("delivery_group"));
	if (groups > 1 || (groups == 1 && !http_request_query(x, STR("delivery_group"), &o->group))) {
		return err_set(e, ERR_INVALID_REQUEST, "give at most one delivery_group");
	}
	if (groups == 1 && (!httpmq_name_is_valid(o->group) || o->group.len > HTTPMQ_NAME_MAX)) {
		return err_set(e, ERR_REFUSED, "delivery_group is letters and digits, or a UUID in lower case");
	}
	o->request.is_member = groups == 1;
	if (http_request_query(x, STR("details"), &text) && !read_flag(text, &o->request.has_details)) {
		return err_set(e, ERR_INVALID_REQUEST, "details must be true or false");
	}
	return httpmq_subject_is_valid(o->request.subject) ||
		   err_set(e, ERR_REFUSED, "subject_name is words of letters, digits and '-', or '*', joined by dots");
}

void httpmq_subscribe(http_exchange *x)
{
	err e;
	str stream;
	str consumer;
	if (!httpmq_take_name(x, 0, "stream", &stream) || !httpmq_take_name(x, 1, "consumer", &consumer)) {
		return;
	}
	opening *o = api_operation_new(x, sizeof *o, run_open);
	if (o == NULL) {
		return;
	}
	o->request.stream = stream;
	o->request.consumer = consumer;
	if (read_query(o, &e)) {
		api_run_then(&o->op, reply_open);
	} else {
		api_fail(&o->op, &e);
	}
}
