/*
 * PUT: create a stream, or confirm that it is there as asked. One job on a reader: a new stream, its link to the source it
 * is forked from, its first messages and its closure are one transaction.
 */
#include "api/allowance.h"
#include "api/durable/durable.h"
#include "api/durable/fields.h"
#include "api/durable/fork.h"
#include "api/durable/life.h"
#include "api/durable/messages.h"
#include "api/durable/path.h"
#include "api/durable/reply.h"
#include "api/durable/subscription/clerk.h"
#include "api/gate.h"
#include "auth/principal.h"
#include "db/conn.h"
#include "sql/durable.h"

enum { TRIES = 8 };

typedef struct put {
	api_operation op;
	str name;
	str content_type; /* ptr NULL: not given */
	durable_expiry expiry;
	durable_fork_request fork;
	str source_name; /* of the fork */
	bool is_closing;
	/* the answer */
	str type;
	durable_offset tail;
	bool is_created;
	bool is_closed;
} put;

static str content_type_or_default(const put *p)
{
	return p->content_type.ptr != NULL ? p->content_type : STR("application/octet-stream");
}

/* For the answer. */
static bool keep_type(put *p, str content_type, err *e)
{
	return arena_copy_str(http_arena(p->op.x), content_type, &p->type) ||
		   err_set(e, ERR_NO_MEMORY, "out of memory; try again");
}

/* ---- confirming ---- */

static bool is_same_media(const put *p, const durable_stream *s, str content_type)
{
	str media_type;
	return durable_media_type(http_arena(p->op.x), content_type, &media_type) && str_equal(media_type, s->media_type);
}

static bool is_same_expiry(const put *p, const durable_stream *s)
{
	return p->expiry.has_ttl == s->has_ttl && p->expiry.has_instant == s->has_expiry &&
		   (!s->has_ttl || p->expiry.ttl_s == s->ttl_s) && (!s->has_expiry || p->expiry.expires_ms == s->expires_ms);
}

static bool is_same_fork(const put *p, const durable_stream *s)
{
	return str_equal(p->source_name, s->source_name) && p->fork.sub_offset == s->sub_offset &&
		   (!p->fork.has_offset || durable_offset_compare(p->fork.offset, s->anchor) == 0);
}

/* What differs, or NULL. What a fork inherited need not be said again. */
static const char *difference(const put *p, const durable_stream *s, const durable_state *state)
{
	bool wants_fork = p->fork.source.ptr != NULL;
	bool inherits_expiry = wants_fork && !p->expiry.has_ttl && !p->expiry.has_instant;
	if (wants_fork != s->is_fork || (wants_fork && !is_same_fork(p, s))) {
		return "another origin";
	}
	if ((!wants_fork || p->content_type.ptr != NULL) && !is_same_media(p, s, content_type_or_default(p))) {
		return "another content type";
	}
	if (!inherits_expiry && !is_same_expiry(p, s)) {
		return "another TTL or expiry";
	}
	if (p->is_closing != state->is_closed) {
		return state->is_closed ? "been closed" : "not been closed";
	}
	return NULL;
}

static bool confirm(put *p, const durable_stream *s, const durable_state *state, err *e)
{
	const char *other = difference(p, s, state);
	if (other != NULL) {
		return err_set(e, ERR_TOPIC_EXISTS_INCOMPATIBLE,
					   "the stream exists and has %s; delete it first, or ask for the same", other);
	}
	p->tail = state->tail;
	p->is_closed = state->is_closed;
	return keep_type(p, s->content_type, e);
}

/* The name is taken. *is_settled is false when whoever had it has ended, and is to be looked for again. */
static bool settle(put *p, log_conn *conn, const log_topic *t, bool *is_settled, err *e)
{
	const durable_stream *s = NULL;
	durable_state state = {.is_expired = false};
	api *a = api_of(p->op.x);
	bool ok = false;
	*is_settled = true;
	if (!durable_stream_find(a, conn, t, &s, e) || !durable_state_get(conn, t->topic_id, &state, e)) {
		goto out;
	}
	switch (state.presence) {
	case DURABLE_THERE:
		ok = confirm(p, s, &state, e);
		break;
	case DURABLE_HIDDEN:
		err_set(e, ERR_TOPIC_EXISTS_INCOMPATIBLE,
				"a stream of this name was deleted, and its forks still read it; use another path");
		break;
	case DURABLE_ABSENT:
		*is_settled = false;
		ok = durable_remove_remains(a->log, conn, t->topic_id, e);
		break;
	}
out:
	durable_stream_unref(s);
	return ok;
}

/* ---- creating ---- */

static bool insert_stream(const put *p, log_conn *conn, int64_t topic_id, str content_type,
						  const durable_expiry *expiry, const durable_fork *fork, err *e)
{
	db_params q;
	bool is_fork = p->fork.source.ptr != NULL;
	int64_t ttl_s = expiry->ttl_s;
	db_params_init(&q);
	db_param_i64(&q, topic_id);
	db_param_str(&q, content_type);
	expiry->has_ttl ? db_param_i64(&q, ttl_s) : db_param_null(&q);
	expiry->has_instant ? db_param_i64(&q, expiry->expires_ms) : db_param_null(&q);
	if (is_fork) {
		db_param_i64(&q, fork->topic->topic_id);
		db_param_i64(&q, fork->anchor.count);
		db_param_i64(&q, fork->anchor.bytes);
	} else {
		db_param_null(&q);
		db_param_null(&q);
		db_param_null(&q);
	}
	db_param_i64(&q, p->fork.sub_offset);
	db_param_i64(&q, fork->start.count);
	db_param_i64(&q, fork->start.bytes);
	db_param_i32(&q, fork->depth);
	return db_do(conn, &SQL_DURABLE_INSERT, &q, NULL, e);
}

/* The body's messages, after what the fork cut off one. */
static bool list_records(const put *p, str content_type, const durable_fork *fork, log_columns *out, err *e)
{
	arena *a = http_arena(p->op.x);
	str media_type;
	if (!durable_media_type(a, content_type, &media_type)) {
		return err_set(e, ERR_NO_MEMORY, "out of memory; try again");
	}
	if (!durable_messages_split(http_request_body(p->op.x), durable_media_of(media_type), a, out, e)) {
		return false;
	}
	if (fork->cut.ptr != NULL) {
		str *values = arena_alloc_array(a, out->count + 1, sizeof *values);
		if (values == NULL) {
			return err_set(e, ERR_NO_MEMORY, "out of memory; try again");
		}
		values[0] = fork->cut;
		for (uint32_t i = 0; i < out->count; i++) {
			values[i + 1] = out->values[i];
		}
		*out = (log_columns){.count = out->count + 1, .values = values};
	}
	return true;
}

static bool check_type(const put *p, const durable_stream *source, err *e)
{
	return p->content_type.ptr == NULL || is_same_media(p, source, p->content_type) ||
		   err_set(e, ERR_CONTENT_TYPE_MISMATCH, "a fork has the content type of its source, which is %.*s",
				   STR_ARG(str_take(source->content_type, 100)));
}

/* In the transaction. *topic_id is 0 when somebody else has the name by now. */
static bool insert(put *p, log_conn *conn, durable_fork *fork, int64_t *topic_id, err *e)
{
	api *a = api_of(p->op.x);
	int64_t tenant_id = gate_principal(p->op.x)->tenant_id;
	str content_type = content_type_or_default(p);
	durable_expiry expiry = p->expiry;
	log_columns records = {.count = 0};
	if (p->fork.source.ptr != NULL) {
		if (!durable_fork_resolve(a, conn, tenant_id, p->source_name, &p->fork, http_arena(p->op.x), fork, e) ||
			!check_type(p, fork->source, e)) {
			return false;
		}
		const durable_stream *source = fork->source;
		content_type = p->content_type.ptr != NULL ? p->content_type : source->content_type;
		if (!expiry.has_ttl && !expiry.has_instant) {
			expiry = (durable_expiry){source->has_ttl, source->has_expiry, source->ttl_s, source->expires_ms};
		}
	}
	if (!list_records(p, content_type, fork, &records, e) ||
		!allowance_append(a, gate_principal(p->op.x), &records, e)) {
		return false;
	}
	const log_topic_spec spec = {.tenant_id = tenant_id,
								 .name = p->name,
								 .origin = LOG_DURABLE,
								 .partitions = 1,
								 .replication_factor = 1,
								 .config = log_topic_config_default(LOG_FSYNC)};
	const log_topic_start start = {
		.offset = fork->start.count, .byte = fork->start.bytes, .records = &records, .is_closed = p->is_closing};
	p->tail = (durable_offset){start.offset + records.count, start.byte};
	for (uint32_t i = 0; i < records.count; i++) {
		p->tail.bytes += (int64_t)records.values[i].len;
	}
	p->is_closed = p->is_closing;
	return keep_type(p, content_type, e) && log_topic_insert(a->log, conn, &spec, &start, topic_id, e) &&
		   (*topic_id == 0 || insert_stream(p, conn, *topic_id, content_type, &expiry, fork, e));
}

/* *is_settled is false when somebody else was faster. */
static bool create(put *p, log_conn *conn, bool *is_settled, err *e)
{
	durable_fork fork = {.depth = 0};
	int64_t topic_id = 0;
	bool ok = db_begin(conn, e) && insert(p, conn, &fork, &topic_id, e) && db_commit(conn, e);
	if (!ok) {
		db_rollback(conn);
	}
	durable_fork_dispose(&fork);
	p->is_created = ok && topic_id != 0;
	if (p->is_created && p->tail.count > 0) {
		clerk_note_append(api_of(p->op.x)->clerk, gate_principal(p->op.x)->tenant_id, topic_id);
	}
	*is_settled = p->is_created;
	return ok;
}

static bool run_put(api_operation *op, log_conn *conn, err *e)
{
	put *p = (put *)op;
	api *a = api_of(op->x);
	int64_t tenant_id = gate_principal(op->x)->tenant_id;
	bool is_settled = false;
	for (int i = 0; i < TRIES; i++) {
		const log_topic *t = NULL;
		bool ok;
		if (log_topic_find(a->log, conn, tenant_id, p->name, &t, e)) {
			ok = settle(p, conn, t, &is_settled, e);
			log_topic_unref(t);
			if (!ok && e->code == ERR_TOPIC_NOT_FOUND) {
				continue; /* it went in between */
			}
		} else {
			ok = e->code == ERR_TOPIC_NOT_FOUND && create(p, conn, &is_settled, e);
		}
		if (!ok) {
			return false;
		}
		if (is_settled) {
			return true;
		}
	}
	return err_set(e, ERR_TIMEOUT, "this name is not free yet, and its stream not there any more; try again");
}

/* ---- the request ---- */

static void reply_put(api_operation *op)
{
	put *p = (put *)op;
	http_exchange *x = op->x;
	if (p->is_created) {
		buf location;
		buf_init(&location, 64 << 10);
		durable_base_url(x, &location);
		buf_append_str(&location, http_request_raw_path(x));
		durable_reply_text(x, STR("Location"), buf_str(&location));
		buf_dispose(&location);
	}
	durable_reply_text(x, STR("Content-Type"), p->type);
	durable_reply_offset(x, p->tail);
	if (p->is_closed) {
		durable_reply_true(x, STR("Stream-Closed"));
	}
	durable_finish(op, NULL, p->is_created ? 201 : 200);
}

/* `/v1/stream/a/b` of this server; the path's name is a topic's like any other. */
static bool read_source(put *p, err *e)
{
	http_exchange *x = p->op.x;
	str source = p->fork.source;
	if (source.ptr == NULL) {
		return true;
	}
	if (!str_starts_with(source, STR(DURABLE_PREFIX))) {
		return err_set(e, ERR_NOT_FOUND, "Stream-Forked-From names no stream here; it begins with " DURABLE_PREFIX);
	}
	return durable_path_decode(http_arena(x), str_skip(source, sizeof DURABLE_PREFIX - 1), durable_limits(x),
							   &p->source_name, e) &&
		   gate_check_scopes(x, AUTH_SCOPE_READ, e) && gate_check_name(x, p->source_name, e);
}

static bool read_head(put *p, err *e)
{
	http_exchange *x = p->op.x;
	p->is_closing = durable_field_closed(x);
	return durable_read_path(x, &p->name, e) && durable_field_expiry(x, &p->expiry, e) &&
		   durable_field_fork(x, &p->fork, e) && durable_field_content_type(x, &p->content_type, e) &&
		   read_source(p, e);
}

bool durable_put_check(http_exchange *x, err *e)
{
	put p = {.op.x = x};
	return read_head(&p, e);
}

void durable_put(http_exchange *x)
{
	err e;
	put *p = api_operation_new(x, sizeof *p, run_put);
	if (p == NULL) {
		return;
	}
	if (read_head(p, &e)) {
		api_run_then(&p->op, reply_put);
	} else {
		api_fail(&p->op, &e);
	}
}
