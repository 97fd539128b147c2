#include "api/durable/stream.h"

#include "api/durable/stream_value.h"
#include "db/conn.h"
#include "sql/durable.h"

#include <stdlib.h>

enum { LOOKUP_ARENA_BYTES = 256 << 10 };

/* ---- errors ---- */

bool durable_err_absent(err *e)
{
	return err_set(e, ERR_TOPIC_NOT_FOUND, "there is no such stream; create it with PUT");
}

bool durable_err_gone(err *e)
{
	return err_set(e, ERR_GONE, "the stream was deleted and only its forks still read it; use another path");
}

/* ---- media ---- */

bool durable_media_type(arena *a, str content_type, str *out)
{
	str type;
	str parameters;
	str_split(content_type, ';', &type, &parameters);
	type = str_trim(type);
	char *lower = arena_alloc(a, type.len + 1);
	if (lower == NULL) {
		return false;
	}
	for (size_t i = 0; i < type.len; i++) {
		char c = type.ptr[i];
		lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	*out = (str){lower, type.len};
	return true;
}

durable_media durable_media_of(str media_type)
{
	if (str_equal(media_type, STR("application/json"))) {
		return DURABLE_MEDIA_JSON;
	}
	return str_starts_with(media_type, STR("text/")) ? DURABLE_MEDIA_TEXT : DURABLE_MEDIA_BYTES;
}

/* ---- what never changes ---- */

static bool run_by_id(log_conn *conn, const db_query *query, int64_t id, db_result **out, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, id);
	return db_run(conn, query, &p, out, e);
}

/* Ancestors that hold something: their ends ascend strictly. */
static bool read_segments(log_conn *conn, durable_stream *s, arena *a, err *e)
{
	db_result *r = NULL;
	if (!run_by_id(conn, &SQL_DURABLE_CHAIN, s->topic_id, &r, e)) {
		return false;
	}
	durable_segment *list = arena_alloc_array(a, (size_t)db_rows(r) + 1, sizeof *list);
	size_t count = 0;
	for (int i = 0; list != NULL && i < db_rows(r); i++) {
		durable_segment next = {db_i64(r, i, 0), {db_i64(r, i, 1), db_i64(r, i, 2)}};
		if (next.until.count > (count > 0 ? list[count - 1].until.count : 0)) {
			list[count++] = next;
		}
	}
	db_result_free(r);
	s->segments = list;
	s->segment_count = count;
	return list != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
}

static bool fill(log_conn *conn, const db_result *r, durable_stream *s, arena *a, err *e)
{
	s->is_native = !db_is_null(r, 0, 0);
	s->content_type = s->is_native                     ? db_str(r, 0, 0)
					  : db_i32(r, 0, 10) == LOG_TOPICS ? STR("application/json")
													   : STR("application/octet-stream");
	s->has_ttl = !db_is_null(r, 0, 1);
	s->ttl_s = s->has_ttl ? db_i64(r, 0, 1) : 0;
	s->has_expiry = !db_is_null(r, 0, 2);
	s->expires_ms = s->has_expiry ? db_i64(r, 0, 2) : 0;
	if (s->is_native) {
		s->start = (durable_offset){db_i64(r, 0, 7), db_i64(r, 0, 8)};
	}
	if (!durable_media_type(a, s->content_type, &s->media_type)) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	s->media = durable_media_of(s->media_type);
	s->is_fork = !db_is_null(r, 0, 3);
	if (!s->is_fork) {
		return true;
	}
	s->source_name = db_str(r, 0, 3);
	s->anchor = (durable_offset){db_i64(r, 0, 4), db_i64(r, 0, 5)};
	s->sub_offset = db_i64(r, 0, 6);
	s->depth = db_i32(r, 0, 9);
	return read_segments(conn, s, a, e);
}

static bool fetch(log_conn *conn, int64_t topic_id, const durable_stream **out, err *e)
{
	db_result *r = NULL;
	bool ok = false;
	durable_stream s = {.topic_id = topic_id};
	arena *a = arena_new(LOOKUP_ARENA_BYTES);
	if (a == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	if (!run_by_id(conn, &SQL_DURABLE_GET, topic_id, &r, e)) {
		goto out;
	}
	if (db_rows(r) == 0) {
		durable_err_absent(e);
	} else if (fill(conn, r, &s, a, e)) {
		*out = durable_stream_new(&s);
		ok = *out != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
	}
out:
	db_result_free(r);
	arena_free(a);
	return ok;
}

const durable_stream *durable_stream_cached(const api *a, const log_topic *t)
{
	const durable_stream key = {.topic_id = t->topic_id};
	return shared_map_get(a->durable, &key);
}

bool durable_stream_find(const api *a, log_conn *conn, const log_topic *t, const durable_stream **out, err *e)
{
	if (t->partitions != 1) {
		return err_set(e, ERR_TOPIC_EXISTS_INCOMPATIBLE,
					   "this topic has %d partitions, a stream has one; use it with the API that made it",
					   (int)t->partitions);
	}
	const durable_stream *s = durable_stream_cached(a, t);
	if (s == NULL) {
		if (!fetch(conn, t->topic_id, &s, e)) {
			return false;
		}
		/* Another dialect's topic may be adopted by its first fork: not remembered. */
		if (s->is_native) {
			shared_map_put(a->durable, s, shared_map_now(a->durable));
		}
	}
	*out = s;
	return true;
}

bool durable_stream_expires(const durable_stream *s)
{
	return s->has_ttl || s->has_expiry;
}

/* ---- what changes ---- */

bool durable_state_get(log_conn *conn, int64_t topic_id, durable_state *out, err *e)
{
	db_result *r = NULL;
	if (!run_by_id(conn, &SQL_DURABLE_STATE, topic_id, &r, e)) {
		return false;
	}
	bool is_there = db_rows(r) == 1;
	if (is_there) {
		*out = (durable_state){.is_expired = db_bool(r, 0, 0),
							   .is_deleted = db_bool(r, 0, 1),
							   .is_closed = db_bool(r, 0, 2),
							   .has_forks = db_bool(r, 0, 3),
							   .wants_touch = db_bool(r, 0, 5),
							   .tail = {db_i64(r, 0, 6), db_i64(r, 0, 7)},
							   .parent_id = db_i64(r, 0, 8)};
		bool is_read = db_bool(r, 0, 4);
		out->presence = !out->is_expired && !out->is_deleted ? DURABLE_THERE
						: is_read                            ? DURABLE_HIDDEN
															 : DURABLE_ABSENT;
	}
	db_result_free(r);
	return is_there || durable_err_absent(e);
}

bool durable_state_check(const durable_state *state, err *e)
{
	switch (state->presence) {
	case DURABLE_THERE:
		return true;
	case DURABLE_HIDDEN:
		return durable_err_gone(e);
	case DURABLE_ABSENT:
		break;
	}
	return durable_err_absent(e);
}

bool durable_stream_touch(log_conn *conn, const durable_stream *s, const durable_state *state, err *e)
{
	db_params p;
	if (!s->has_ttl || !state->wants_touch) {
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, s->topic_id);
	return db_do(conn, &SQL_DURABLE_TOUCH, &p, NULL, e);
}

bool durable_stream_enter(log_conn *conn, const durable_stream *s, err *e)
{
	durable_state state = {.is_expired = false};
	return !durable_stream_expires(s) || (durable_state_get(conn, s->topic_id, &state, e) &&
										  durable_state_check(&state, e) && durable_stream_touch(conn, s, &state, e));
}
