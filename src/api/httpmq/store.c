#include "api/httpmq/store.h"

#include "api/httpmq/httpmq.h"
#include "db/columns.h"
#include "db/conn.h"
#include "log/erase.h"
#include "sql/httpmq.h"

enum { SUBJECTS_BYTES_MAX = 4 << 20 };

static bool read_subjects(str cell, arena *a, httpmq_stream *s)
{
	db_array_reader reader;
	str subject;
	db_array_open(&reader, cell);
	str *list = arena_alloc_array(a, (size_t)reader.count + 1, sizeof *list);
	if (list == NULL) {
		return false;
	}
	while (db_array_next_str(&reader, &subject)) {
		if (!arena_copy_str(a, subject, &list[s->subject_count++])) {
			return false;
		}
	}
	s->subjects = list;
	return true;
}

static bool read_row(const db_result *r, int row, arena *a, httpmq_stream *s)
{
	*s = (httpmq_stream){.topic_id = db_i64(r, row, 0),
						 .created_ms = db_i64(r, row, 2),
						 .limits = {.max_consumers = db_i64(r, row, 4),
									.max_msgs = db_i64(r, row, 5),
									.max_bytes = db_i64(r, row, 6),
									.max_age_ns = db_i64(r, row, 7),
									.max_msgs_per_subject = db_i64(r, row, 8),
									.max_msg_size = db_i64(r, row, 9)},
						 .is_adopted = (log_origin)db_i32(r, row, 10) != LOG_HTTPMQ};
	return arena_copy_str(a, db_str(r, row, 1), &s->name) && read_subjects(db_str(r, row, 3), a, s);
}

bool httpmq_streams_read(log_conn *conn, int64_t tenant_id, str name, arena *a, httpmq_stream **out, size_t *count,
						 err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, tenant_id);
	db_param_str(&p, name);
	if (!db_run(conn, &SQL_HTTPMQ_STREAM_LIST, &p, &r, e)) {
		return false;
	}
	size_t rows = (size_t)db_rows(r);
	httpmq_stream *list = arena_alloc_array(a, rows + 1, sizeof *list);
	bool ok = list != NULL;
	for (size_t i = 0; ok && i < rows; i++) {
		ok = read_row(r, (int)i, a, &list[i]);
	}
	db_result_free(r);
	if (!ok) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	*out = list;
	*count = rows;
	return true;
}

bool httpmq_stream_read(log_conn *conn, int64_t tenant_id, str name, arena *a, httpmq_stream *out, err *e)
{
	httpmq_stream *list = NULL;
	size_t count = 0;
	if (!httpmq_streams_read(conn, tenant_id, name, a, &list, &count, e)) {
		return false;
	}
	if (count == 0) {
		return err_set(e, ERR_TOPIC_NOT_FOUND, "there is no stream \"%.*s\"; create it first",
					   STR_ARG(str_take(name, HTTPMQ_NAME_MAX)));
	}
	*out = list[0];
	return true;
}

/* ---- changes ---- */

static bool do_with_id(log_conn *conn, const db_query *query, int64_t id, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, id);
	return db_do(conn, query, &p, NULL, e);
}

bool httpmq_streams_lock(log_conn *conn, int64_t tenant_id, err *e)
{
	return do_with_id(conn, &SQL_HTTPMQ_LOCK_TENANT, tenant_id, e);
}

bool httpmq_streams_notify(log_conn *conn, int64_t tenant_id, err *e)
{
	return do_with_id(conn, &SQL_HTTPMQ_NOTIFY, tenant_id, e);
}

bool httpmq_stream_insert(log_conn *conn, int64_t tenant_id, const httpmq_stream *s, err *e)
{
	db_params p;
	db_columns c;
	db_columns_init(&c, SUBJECTS_BYTES_MAX);
	db_columns_add_texts(&c, s->subjects, s->subject_count);
	db_params_init(&p);
	db_param_i64(&p, s->topic_id);
	db_param_i64(&p, tenant_id);
	bool ok = db_columns_bind(&c, &p, e);
	db_param_i64(&p, s->limits.max_consumers);
	db_param_i64(&p, s->limits.max_msgs);
	db_param_i64(&p, s->limits.max_bytes);
	db_param_i64(&p, s->limits.max_age_ns);
	db_param_i64(&p, s->limits.max_msgs_per_subject);
	db_param_i64(&p, s->limits.max_msg_size);
	ok = ok && db_do(conn, &SQL_HTTPMQ_STREAM_INSERT, &p, NULL, e);
	db_columns_dispose(&c);
	return ok;
}

bool httpmq_stream_set_subjects(log_conn *conn, int64_t topic_id, const str *list, size_t count, err *e)
{
	db_params p;
	db_columns c;
	db_columns_init(&c, SUBJECTS_BYTES_MAX);
	db_columns_add_texts(&c, list, count);
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	bool ok = db_columns_bind(&c, &p, e) && db_do(conn, &SQL_HTTPMQ_STREAM_SET_SUBJECTS, &p, NULL, e);
	db_columns_dispose(&c);
	return ok;
}

bool httpmq_stream_set_limits(log_conn *conn, int64_t topic_id, const httpmq_limits *limits, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i64(&p, limits->max_msgs);
	db_param_i64(&p, limits->max_bytes);
	db_param_i64(&p, limits->max_age_ns);
	db_param_i64(&p, limits->max_msgs_per_subject);
	db_param_i64(&p, limits->max_msg_size);
	return db_do(conn, &SQL_HTTPMQ_STREAM_UPDATE, &p, NULL, e);
}

log_topic_config httpmq_topic_config(const log_topic_config *base, const httpmq_limits *limits)
{
	log_topic_config config = *base;
	config.discard_old = true;
	config.cap_records = limits->max_msgs > 0 ? limits->max_msgs : 0;
	config.cap_bytes = limits->max_bytes > 0 ? limits->max_bytes : 0;
	config.ttl_ms = limits->max_age_ns / HTTPMQ_NS_PER_MS + (limits->max_age_ns % HTTPMQ_NS_PER_MS > 0);
	return config;
}

void httpmq_limits_of_topic(const log_topic_config *config, httpmq_limits *limits)
{
	int64_t most_ms = INT64_MAX / HTTPMQ_NS_PER_MS;
	limits->max_msgs = config->cap_records > 0 ? config->cap_records : -1;
	limits->max_bytes = config->cap_bytes > 0 ? config->cap_bytes : -1;
	limits->max_age_ns = (config->ttl_ms < most_ms ? config->ttl_ms : most_ms) * HTTPMQ_NS_PER_MS;
}

/* ---- messages per subject ---- */

static bool trim_one(log_engine *engine, log_conn *conn, const log_topic *t, str subject, int64_t keep, err *e)
{
	db_params p;
	db_result *r = NULL;
	int64_t erased = 0;
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	db_param_str(&p, subject);
	db_param_i64(&p, keep);
	if (!db_run(conn, &SQL_HTTPMQ_SUBJECT_SURPLUS, &p, &r, e)) {
		return false;
	}
	int64_t newest = db_rows(r) == 1 ? db_i64(r, 0, 0) : -1;
	db_result_free(r);
	const log_tag_match match = {LOG_TAG_EQUAL, subject};
	const log_erase_request request = {.topic = t, .below = newest + 1, .match = &match};
	return newest < 0 || log_erase(engine, conn, &request, &erased, e);
}

bool httpmq_trim(log_engine *engine, log_conn *conn, const log_topic *t, str subject, int64_t keep, err *e)
{
	db_params p;
	db_result *r = NULL;
	bool ok = true;
	if (subject.ptr != NULL) {
		return trim_one(engine, conn, t, subject, keep, e);
	}
	db_params_init(&p);
	db_param_i64(&p, t->topic_id);
	db_param_i64(&p, keep);
	if (!db_run(conn, &SQL_HTTPMQ_SUBJECTS_CROWDED, &p, &r, e)) {
		return false;
	}
	for (int i = 0; ok && i < db_rows(r); i++) {
		ok = trim_one(engine, conn, t, db_str(r, i, 0), keep, e);
	}
	db_result_free(r);
	return ok;
}
