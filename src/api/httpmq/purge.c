/*
 * POST /v1/admin/stream/S/purge: messages are removed, all or those of some subjects, up to some sequence. Sequences are not
 * used again, consumers go on where they are; what was pending of the removed ones is not sent again.
 */
#include "api/api.h"
#include "api/gate.h"
#include "api/httpmq/httpmq.h"
#include "api/httpmq/store.h"
#include "api/httpmq/subject.h"
#include "api/httpmq/waiting.h"
#include "api/httpmq/wire.h"
#include "api/operation.h"
#include "db/conn.h"
#include "log/erase.h"
#include "log/wake.h"
#include "sql/httpmq.h"

#include <string.h>

enum { REGEX_BYTES_MAX = 8 << 10 };

typedef struct purge {
	api_operation op;
	str stream;
	str filter;    /* "" = all */
	int64_t below; /* offsets */
	int64_t purged;
} purge;

static bool erase(purge *p, log_conn *conn, const log_topic *t, const log_tag_match *match, err *e)
{
	const log_erase_request request = {.topic = t, .below = p->below, .match = match};
	int64_t erased = 0;
	bool ok = log_erase(api_of(p->op.x)->log, conn, &request, &erased, e);
	p->purged += erased;
	return ok;
}

static bool erase_matching(purge *p, log_conn *conn, const log_topic *t, err *e)
{
	db_params params;
	db_result *r = NULL;
	buf regex;
	buf_init(&regex, REGEX_BYTES_MAX);
	httpmq_filter_regex(&regex, p->filter);
	db_params_init(&params);
	db_param_i64(&params, t->topic_id);
	db_param_str(&params, buf_str(&regex));
	bool ok = regex.failed ? err_set(e, ERR_REFUSED, "filter_subject is too long")
						   : db_run(conn, &SQL_HTTPMQ_SUBJECTS_MATCHING, &params, &r, e);
	for (int i = 0; ok && i < db_rows(r); i++) {
		const log_tag_match match = {LOG_TAG_EQUAL, db_str(r, i, 0)};
		ok = erase(p, conn, t, &match, e);
	}
	db_result_free(r);
	buf_dispose(&regex);
	return ok;
}

static bool settle_consumers(const purge *p, log_conn *conn, const log_topic *t, err *e)
{
	arena *a = http_arena(p->op.x);
	httpmq_consumer *list = NULL;
	size_t count = 0;
	bool ok = consumers_read(conn, t->topic_id, STR_NONE, a, &list, &count, e);
	for (size_t i = 0; ok && i < count; i++) {
		ok = consumer_drop_erased(conn, t->topic_id, list[i].name, a, e) || e->code == ERR_GROUP_NOT_FOUND;
	}
	/* Slots may have become free. */
	log_wake(api_of(p->op.x)->log, t->topic_id, 0);
	return ok;
}

static bool run(api_operation *op, log_conn *conn, err *e)
{
	purge *p = (purge *)op;
	int64_t tenant_id = gate_principal(op->x)->tenant_id;
	httpmq_stream s;
	const log_topic *t = NULL;
	if (!httpmq_stream_read(conn, tenant_id, p->stream, http_arena(op->x), &s, e) ||
		!log_topic_find(api_of(op->x)->log, conn, tenant_id, p->stream, &t, e)) {
		return false;
	}
	bool is_all = p->filter.len == 0 || str_equal(p->filter, STR(">"));
	bool ok = (is_all ? erase(p, conn, t, NULL, e) : erase_matching(p, conn, t, e)) && settle_consumers(p, conn, t, e);
	log_topic_unref(t);
	if (ok) {
		httpmq_begin(op->x);
		buf_append_str(http_reply_body(op->x), STR(",\"purged\":"));
		buf_append_i64(http_reply_body(op->x), p->purged);
		buf_append_byte(http_reply_body(op->x), '}');
	}
	return ok;
}

static bool read_body(purge *p, err *e)
{
	body b;
	str key;
	int64_t sequence = INT64_MAX;
	p->filter = STR("");
	p->below = INT64_MAX;
	if (http_request_body(p->op.x).len == 0) {
		return true;
	}
	if (!httpmq_body_begin(&b, p->op.x, e)) {
		return false;
	}
	while (httpmq_body_next(&b, &key)) {
		if (httpmq_key_is(key, "filter_subject")) {
			body_text(&b, "filter_subject", &p->filter);
		} else if (httpmq_key_is(key, "seq")) {
			body_integer(&b, "seq", 1, INT64_MAX, &sequence);
			p->below = sequence - 1;
		} else {
			body_skip(&b);
		}
	}
	bool is_storable = p->filter.len <= HTTPMQ_SUBJECT_MAX &&
					   (p->filter.len == 0 || memchr(p->filter.ptr, '\0', p->filter.len) == NULL);
	return httpmq_body_end(&b) &&
		   (is_storable || err_set(e, ERR_REFUSED, "filter_subject is too long, or has a NUL in it"));
}

void httpmq_purge(http_exchange *x)
{
	err e;
	str stream;
	purge *p = httpmq_take_name(x, 0, "stream", &stream) ? api_operation_new(x, sizeof *p, run) : NULL;
	if (p == NULL) {
		return;
	}
	p->stream = stream;
	if (read_body(p, &e)) {
		api_run(&p->op);
	} else {
		api_fail(&p->op, &e);
	}
}
