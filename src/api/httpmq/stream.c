/*
 * /v1/admin/stream: creating, showing, changing and deleting streams.
 */
#include "api/api.h"
#include "api/gate.h"
#include "api/httpmq/catalog.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/store.h"
#include "api/httpmq/stream_body.h"
#include "api/httpmq/subject.h"
#include "api/httpmq/wire.h"
#include "api/operation.h"
#include "db/columns.h"
#include "db/conn.h"
#include "log/state.h"
#include "sql/httpmq.h"

enum { RECORD_OVERHEAD = LOG_HTTPMQ_RECORD_OVERHEAD, ARRAYS_BYTES_MAX = 64 << 20 };

typedef struct stream_call {
	api_operation op;
	httpmq_stream stream; /* as asked for */
	const str *subjects;
	size_t subject_count;
} stream_call;

static int64_t tenant_of(const stream_call *c)
{
	return gate_principal(c->op.x)->tenant_id;
}

/* Answered, without a payload. */
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

/* ---- showing ---- */

static void write_config(buf *out, const httpmq_stream *s)
{
	buf_append_str(out, STR("{\"config\":{\"name\":"));
	httpmq_write_string(out, s->name);
	buf_append_str(out, STR(",\"description\":\"\",\"subjects\":["));
	for (size_t i = 0; i < s->subject_count; i++) {
		buf_append_str(out, i > 0 ? STR(",") : STR(""));
		httpmq_write_string(out, s->subjects[i]);
	}
	buf_append_str(out, STR("],\"max_consumers\":"));
	buf_append_i64(out, s->limits.max_consumers);
	buf_append_str(out, STR(",\"max_msgs\":"));
	buf_append_i64(out, s->limits.max_msgs);
	buf_append_str(out, STR(",\"max_bytes\":"));
	buf_append_i64(out, s->limits.max_bytes);
	buf_append_str(out, STR(",\"max_age\":"));
	buf_append_i64(out, s->limits.max_age_ns);
	buf_append_str(out, STR(",\"max_msgs_per_subject\":"));
	buf_append_i64(out, s->limits.max_msgs_per_subject);
	buf_append_str(out, STR(",\"max_msg_size\":"));
	buf_append_i64(out, s->limits.max_msg_size);
	buf_append_str(out, STR("},\"created\":"));
	httpmq_write_time(out, s->created_ms);
}

static void write_state(buf *out, const log_state *state, int64_t first_ms, int64_t consumers)
{
	bool is_new = state->end_offset == 0;
	buf_append_str(out, STR(",\"state\":{\"messages\":"));
	buf_append_i64(out, state->records);
	buf_append_str(out, STR(",\"bytes\":"));
	buf_append_i64(out, state->bytes + state->records * RECORD_OVERHEAD);
	buf_append_str(out, STR(",\"first_seq\":"));
	buf_append_i64(out, is_new ? 0 : state->start_offset + 1);
	buf_append_str(out, STR(",\"first_ts\":"));
	if (is_new) {
		httpmq_write_never(out);
	} else {
		httpmq_write_time(out, state->records > 0 ? first_ms : 0);
	}
	buf_append_str(out, STR(",\"last_seq\":"));
	buf_append_i64(out, state->end_offset);
	buf_append_str(out, STR(",\"last_ts\":"));
	if (is_new) {
		httpmq_write_never(out);
	} else {
		httpmq_write_time(out, state->last_append_ms);
	}
	buf_append_str(out, STR(",\"consumer_count\":"));
	buf_append_i64(out, consumers);
	buf_append_str(out, STR("}}"));
}

/* What is stored of each topic, in the order of the states. */
static bool read_rest(log_conn *conn, const log_state *states, size_t count, db_result **out, err *e)
{
	db_params p;
	db_columns c;
	db_params_init(&p);
	db_columns_init(&c, ARRAYS_BYTES_MAX);
	db_array_builder *a = db_columns_begin(&c, DB_INT8);
	for (size_t i = 0; i < count; i++) {
		db_array_add_i64(a, states[i].topic_id);
	}
	db_columns_end(&c);
	a = db_columns_begin(&c, DB_INT8);
	for (size_t i = 0; i < count; i++) {
		db_array_add_i64(a, states[i].start_offset);
	}
	db_columns_end(&c);
	bool ok = db_columns_bind(&c, &p, e) && db_run(conn, &SQL_HTTPMQ_STREAM_STATE, &p, out, e);
	db_columns_dispose(&c);
	return ok;
}

static const httpmq_stream *find_stream(const httpmq_stream *list, size_t count, int64_t topic_id)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i].topic_id == topic_id) {
			return &list[i];
		}
	}
	return NULL;
}

/* Streams that go meanwhile are left out. with_names: as members of an object. */
static bool write_streams(const stream_call *c, log_conn *conn, const httpmq_stream *list, size_t count,
						  bool with_names, size_t *written, err *e)
{
	arena *a = http_arena(c->op.x);
	buf *out = http_reply_body(c->op.x);
	log_state *states = NULL;
	size_t state_count = 0;
	db_result *r = NULL;
	int64_t *ids = arena_alloc_array(a, count + 1, sizeof *ids);
	*written = 0;
	if (ids == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (size_t i = 0; i < count; i++) {
		ids[i] = list[i].topic_id;
	}
	if (!log_state_read(api_of(c->op.x)->log, conn, ids, count, a, &states, &state_count, e) ||
		!read_rest(conn, states, state_count, &r, e)) {
		return false;
	}
	/* Streams are in the order of their names, states in the order of the streams. */
	size_t next = 0;
	for (size_t i = 0; i < state_count && (int)i < db_rows(r); i++) {
		const httpmq_stream *s = find_stream(list + next, count - next, states[i].topic_id);
		if (s == NULL) {
			continue;
		}
		next = (size_t)(s - list) + 1;
		buf_append_str(out, *written > 0 ? STR(",") : STR(""));
		if (with_names) {
			httpmq_write_string(out, s->name);
			buf_append_byte(out, ':');
		}
		write_config(out, s);
		write_state(out, &states[i], db_i64(r, (int)i, 1), db_i64(r, (int)i, 2));
		*written += 1;
	}
	db_result_free(r);
	return true;
}

static bool run_list(api_operation *op, log_conn *conn, err *e)
{
	stream_call *c = (stream_call *)op;
	httpmq_stream *list = NULL;
	size_t count = 0;
	size_t written = 0;
	buf *out = http_reply_body(op->x);
	if (!httpmq_streams_read(conn, tenant_of(c), STR_NONE, http_arena(op->x), &list, &count, e)) {
		return false;
	}
	/* A key that reaches some names sees those. */
	size_t allowed = 0;
	for (size_t i = 0; i < count; i++) {
		if (auth_principal_allows_name(gate_principal(op->x), list[i].name)) {
			list[allowed++] = list[i];
		}
	}
	httpmq_begin(op->x);
	buf_append_str(out, STR(",\"streams\":{"));
	bool ok = write_streams(c, conn, list, allowed, true, &written, e);
	buf_append_byte(out, '}');
	return ok;
}

void httpmq_list_streams(http_exchange *x)
{
	stream_call *c = api_operation_new(x, sizeof *c, run_list);
	if (c != NULL) {
		api_run_then(&c->op, reply_shown);
	}
}

static bool run_get(api_operation *op, log_conn *conn, err *e)
{
	stream_call *c = (stream_call *)op;
	httpmq_stream s;
	size_t written = 0;
	if (!httpmq_stream_read(conn, tenant_of(c), c->stream.name, http_arena(op->x), &s, e)) {
		return false;
	}
	httpmq_begin(op->x);
	buf_append_str(http_reply_body(op->x), STR(",\"stream\":"));
	return write_streams(c, conn, &s, 1, false, &written, e) &&
		   (written == 1 || err_set(e, ERR_TOPIC_NOT_FOUND, "the stream was deleted just now"));
}

/* NULL: answered. */
static stream_call *call_by_name(http_exchange *x, api_run_fn *run)
{
	str name;
	if (!httpmq_take_name(x, 0, "stream", &name)) {
		return NULL;
	}
	stream_call *c = api_operation_new(x, sizeof *c, run);
	if (c != NULL) {
		c->stream.name = name;
	}
	return c;
}

void httpmq_get_stream(http_exchange *x)
{
	stream_call *c = call_by_name(x, run_get);
	if (c != NULL) {
		api_run_then(&c->op, reply_shown);
	}
}

/* ---- changing ---- */

static bool check_overlap(const str *subjects, size_t count, const httpmq_stream *others, size_t other_count,
						  str own_name, err *e)
{
	for (size_t i = 0; i < other_count; i++) {
		if (str_equal(others[i].name, own_name)) {
			continue;
		}
		for (size_t k = 0; k < others[i].subject_count; k++) {
			for (size_t j = 0; j < count; j++) {
				if (httpmq_subject_overlaps(subjects[j], others[i].subjects[k])) {
					return err_set(e, ERR_REFUSED, "the subject \"%.*s\" overlaps with \"%.*s\" of another stream",
								   STR_ARG(str_take(subjects[j], 100)), STR_ARG(str_take(others[i].subjects[k], 100)));
				}
			}
		}
	}
	return true;
}

/* Limits that belong to the topic; the other ones are the stream's own. */
static bool has_topic_limits(const httpmq_limits *l)
{
	return l->max_msgs >= 0 || l->max_bytes >= 0 || l->max_age_ns > 0;
}

/* A topic that was made with another API becomes a stream: with what is in it, and with the limits that it has. */
static bool adopt(const stream_call *c, log_conn *conn, httpmq_stream *s, err *e)
{
	const log_topic *t = NULL;
	if (!log_topic_find(api_of(c->op.x)->log, conn, tenant_of(c), s->name, &t, e)) {
		return false;
	}
	bool ok = false;
	if (t->partitions != 1) {
		err_set(e, ERR_REFUSED, "a topic of this name exists, with %d partitions; a stream has one",
				(int)t->partitions);
	} else if (has_topic_limits(&s->limits)) {
		err_set(e, ERR_REFUSED,
				"a topic of this name exists, made with another API; create the stream without limits and change them "
				"then");
	} else {
		s->topic_id = t->topic_id;
		httpmq_limits_of_topic(&t->config, &s->limits);
		ok = true;
	}
	log_topic_unref(t);
	return ok;
}

/* Whether what is asked for is there. Who adopts a topic names none of its limits, and takes those that it has. */
static bool is_same(const httpmq_stream *there, const httpmq_stream *asked)
{
	const httpmq_limits *a = &there->limits;
	const httpmq_limits *b = &asked->limits;
	bool same_in_topic = a->max_msgs == b->max_msgs && a->max_bytes == b->max_bytes && a->max_age_ns == b->max_age_ns;
	bool same = there->subject_count == asked->subject_count && a->max_consumers == b->max_consumers &&
				a->max_msgs_per_subject == b->max_msgs_per_subject && a->max_msg_size == b->max_msg_size &&
				(same_in_topic || (there->is_adopted && !has_topic_limits(b)));
	for (size_t i = 0; same && i < there->subject_count; i++) {
		same = str_equal(there->subjects[i], asked->subjects[i]);
	}
	return same;
}

/* Inside a transaction. One that is there already, the same, is left alone. */
static bool create(const stream_call *c, log_conn *conn, err *e)
{
	api *a = api_of(c->op.x);
	httpmq_stream *list = NULL;
	size_t count = 0;
	httpmq_stream s = c->stream;
	const log_topic_start start = {.offset = 0};
	const log_topic_config base = log_topic_config_default(LOG_FSYNC);
	const log_topic_spec spec = {.tenant_id = tenant_of(c),
								 .name = s.name,
								 .origin = LOG_HTTPMQ,
								 .partitions = 1,
								 .replication_factor = 1,
								 .config = httpmq_topic_config(&base, &s.limits)};
	if (!httpmq_streams_lock(conn, tenant_of(c), e) ||
		!httpmq_streams_read(conn, tenant_of(c), STR_NONE, http_arena(c->op.x), &list, &count, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (str_equal(list[i].name, s.name)) {
			return is_same(&list[i], &s) ||
				   err_set(e, ERR_REFUSED, "a stream of this name exists with another configuration");
		}
	}
	if (!check_overlap(s.subjects, s.subject_count, list, count, s.name, e) ||
		!log_topic_insert(a->log, conn, &spec, &start, &s.topic_id, e)) {
		return false;
	}
	if (s.topic_id == 0 && !adopt(c, conn, &s, e)) {
		return false;
	}
	return httpmq_stream_insert(conn, tenant_of(c), &s, e) && httpmq_streams_notify(conn, tenant_of(c), e);
}

static bool run_create(api_operation *op, log_conn *conn, err *e)
{
	stream_call *c = (stream_call *)op;
	bool ok = db_begin(conn, e) && create(c, conn, e) && db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	httpmq_catalog_forget(api_of(op->x)->httpmq, tenant_of(c));
	return ok;
}

void httpmq_create_stream(http_exchange *x)
{
	err e;
	stream_call *c = api_operation_new(x, sizeof *c, run_create);
	if (c == NULL) {
		return;
	}
	if (stream_body_read(x, &c->stream, &e) && gate_check_name(x, c->stream.name, &e)) {
		api_run_then(&c->op, reply_done);
	} else {
		api_fail(&c->op, &e);
	}
}

static bool replace_subjects(const stream_call *c, log_conn *conn, err *e)
{
	httpmq_stream *list = NULL;
	httpmq_stream s;
	size_t count = 0;
	arena *a = http_arena(c->op.x);
	return httpmq_streams_lock(conn, tenant_of(c), e) &&
		   httpmq_stream_read(conn, tenant_of(c), c->stream.name, a, &s, e) &&
		   httpmq_streams_read(conn, tenant_of(c), STR_NONE, a, &list, &count, e) &&
		   check_overlap(c->subjects, c->subject_count, list, count, s.name, e) &&
		   httpmq_stream_set_subjects(conn, s.topic_id, c->subjects, c->subject_count, e) &&
		   httpmq_streams_notify(conn, tenant_of(c), e);
}

static bool run_put_subjects(api_operation *op, log_conn *conn, err *e)
{
	stream_call *c = (stream_call *)op;
	bool ok = db_begin(conn, e) && replace_subjects(c, conn, e) && db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	httpmq_catalog_forget(api_of(op->x)->httpmq, tenant_of(c));
	return ok;
}

void httpmq_put_subjects(http_exchange *x)
{
	err e;
	stream_call *c = call_by_name(x, run_put_subjects);
	if (c == NULL) {
		return;
	}
	if (stream_body_read_subjects(x, &c->subjects, &c->subject_count, &e)) {
		api_run_then(&c->op, reply_done);
	} else {
		api_fail(&c->op, &e);
	}
}

static bool write_limits(const stream_call *c, log_conn *conn, int64_t topic_id, const httpmq_limits *limits, err *e)
{
	bool ok = db_begin(conn, e) && httpmq_streams_lock(conn, tenant_of(c), e) &&
			  httpmq_stream_set_limits(conn, topic_id, limits, e) && httpmq_streams_notify(conn, tenant_of(c), e) &&
			  db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	httpmq_catalog_forget(api_of(c->op.x)->httpmq, tenant_of(c));
	return ok;
}

/* The log acts first: a limit that is shown is in force. */
static bool run_put_limits(api_operation *op, log_conn *conn, err *e)
{
	stream_call *c = (stream_call *)op;
	api *a = api_of(op->x);
	httpmq_stream s;
	const log_topic *t = NULL;
	const log_topic *changed = NULL;
	bool ok = false;
	if (!httpmq_stream_read(conn, tenant_of(c), c->stream.name, http_arena(op->x), &s, e) ||
		!stream_body_read_limits(op->x, &s.limits, e) || !log_topic_find(a->log, conn, tenant_of(c), s.name, &t, e)) {
		return false;
	}
	const log_topic_config wanted = httpmq_topic_config(&t->config, &s.limits);
	ok = log_topic_alter(a->log, conn, t, &wanted, 0, &changed, e) && write_limits(c, conn, s.topic_id, &s.limits, e) &&
		 (s.limits.max_msgs_per_subject <= 0 ||
		  httpmq_trim(a->log, conn, t, STR_NONE, s.limits.max_msgs_per_subject, e));
	log_topic_unref(t);
	log_topic_unref(changed);
	return ok;
}

void httpmq_put_limits(http_exchange *x)
{
	err e;
	httpmq_limits ignored = {-1, -1, -1, 0, -1, -1};
	stream_call *c = call_by_name(x, run_put_limits);
	if (c == NULL) {
		return;
	}
	/* What is no JSON is told before the stream is looked for. */
	if (stream_body_read_limits(x, &ignored, &e) || e.code != ERR_INVALID_REQUEST) {
		api_run_then(&c->op, reply_done);
	} else {
		api_fail(&c->op, &e);
	}
}

/* ---- deleting ---- */

static bool run_delete(api_operation *op, log_conn *conn, err *e)
{
	stream_call *c = (stream_call *)op;
	httpmq_stream s;
	bool deleted = false;
	if (!httpmq_stream_read(conn, tenant_of(c), c->stream.name, http_arena(op->x), &s, e) ||
		!log_topic_delete(api_of(op->x)->log, conn, tenant_of(c), s.name, &deleted, e)) {
		return false;
	}
	httpmq_catalog_forget(api_of(op->x)->httpmq, tenant_of(c));
	return deleted || err_set(e, ERR_TOPIC_NOT_FOUND, "the stream was deleted just now");
}

void httpmq_delete_stream(http_exchange *x)
{
	stream_call *c = call_by_name(x, run_delete);
	if (c != NULL) {
		api_run_then(&c->op, reply_done);
	}
}
