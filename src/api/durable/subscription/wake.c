#include "api/durable/subscription/wake.h"

#include "base/id.h"
#include "sql/subscription.h"
#include "sql/subscription_link.h"

enum { WAKE_ID_RANDOM_BYTES = 18, WAKE_ID_MAX = 64 };

bool wake_end(db_conn *conn, subscription *s, err *e)
{
	/* What came to its streams meanwhile is known at once: the next wake need not wait for the clerk. */
	if (!subscription_do(conn, &SQL_SUBSCRIPTION_LINK_NOTE_WAKE, s->id, NULL, e) ||
		!subscription_do(conn, &SQL_SUBSCRIPTION_END_WAKE, s->id, NULL, e) ||
		!subscription_do(conn, &SQL_SUBSCRIPTION_LINK_FORGET_SNAPSHOT, s->id, NULL, e)) {
		return false;
	}
	s->wake_id = STR_NONE;
	s->holder = STR_NONE;
	s->lease_until_ms = 0;
	s->tell_ms = 0;
	s->tell_until_ms = 0;
	s->failures = 0;
	return true;
}

bool wake_settle(db_conn *conn, subscription *s, err *e)
{
	bool has_run_out =
		wake_is_in_flight(s) && s->tell_ms == 0 && s->lease_until_ms != 0 && s->lease_until_ms <= s->now_ms;
	return !has_run_out || wake_end(conn, s, e);
}

/* *count: streams that are pending. */
static bool snapshot(db_conn *conn, const subscription *s, int64_t generation, int64_t *count, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, s->id);
	db_param_i64(&p, generation);
	db_param_i64(&p, SUBSCRIPTION_WAKE_STREAMS_MAX);
	return db_do(conn, &SQL_SUBSCRIPTION_LINK_SNAPSHOT, &p, count, e);
}

static bool new_wake_id(arena *a, str *out, err *e)
{
	buf text;
	buf_init(&text, WAKE_ID_MAX);
	buf_append_str(&text, STR("w_"));
	id_append_base64url(&text, WAKE_ID_RANDOM_BYTES);
	bool ok = !text.failed && arena_copy_str(a, buf_str(&text), out);
	buf_dispose(&text);
	return ok || err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
}

bool wake_begin(db_conn *conn, subscription *s, arena *a, err *e)
{
	db_params p;
	int64_t count = 0;
	str wake_id;
	if (wake_is_in_flight(s)) {
		return true;
	}
	if (!snapshot(conn, s, s->generation + 1, &count, e) || !new_wake_id(a, &wake_id, e)) {
		return false;
	}
	if (count == 0) {
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, s->id);
	db_param_str(&p, wake_id);
	if (!db_do(conn, &SQL_SUBSCRIPTION_BEGIN_WAKE, &p, NULL, e)) {
		return false;
	}
	s->generation++;
	s->wake_id = wake_id;
	s->holder = STR_NONE;
	s->tell_ms = s->now_ms;
	s->tell_until_ms = 0;
	s->failures = 0;
	s->lease_until_ms = s->is_webhook ? s->now_ms + s->lease_ttl_ms : 0;
	return true;
}

bool wake_look(db_conn *conn, const subscription *s, err *e)
{
	return subscription_do(conn, &SQL_SUBSCRIPTION_LINK_NOTE_ALL, s->id, NULL, e);
}

bool wake_renew(db_conn *conn, subscription *s, err *e)
{
	int64_t count = 0;
	if (!wake_is_in_flight(s)) {
		return true;
	}
	if (!subscription_do(conn, &SQL_SUBSCRIPTION_LINK_FORGET_SNAPSHOT, s->id, NULL, e) ||
		!snapshot(conn, s, s->generation, &count, e)) {
		return false;
	}
	return count > 0 || wake_end(conn, s, e);
}

bool wake_hold(db_conn *conn, subscription *s, str holder, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, s->id);
	db_param_str(&p, holder);
	db_param_i64(&p, s->lease_ttl_ms);
	if (!db_do(conn, &SQL_SUBSCRIPTION_HOLD, &p, NULL, e)) {
		return false;
	}
	s->holder = holder;
	s->tell_ms = 0;
	s->tell_until_ms = 0;
	s->failures = 0;
	s->lease_until_ms = s->now_ms + s->lease_ttl_ms;
	return true;
}

bool wake_extend(db_conn *conn, subscription *s, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, s->id);
	db_param_i64(&p, s->lease_ttl_ms);
	s->lease_until_ms = s->now_ms + s->lease_ttl_ms;
	return db_do(conn, &SQL_SUBSCRIPTION_EXTEND, &p, NULL, e);
}

/* ---- acknowledging ---- */

static const subscription_link *find_link(const subscription_link *links, size_t count, str path)
{
	for (size_t i = 0; i < count; i++) {
		if (str_equal(links[i].path, path)) {
			return &links[i];
		}
	}
	return NULL;
}

static bool judge(const wake_ack *ack, const subscription_link *link, durable_offset *out, err *e)
{
	str path = str_take(ack->path, 128);
	if (link == NULL) {
		return err_set(e, ERR_INVALID_OFFSET, "the subscription has no stream \"%.*s\"; acknowledge those of the wake",
					   STR_ARG(path));
	}
	if (!durable_offset_parse(ack->offset, out)) {
		return err_set(e, ERR_INVALID_OFFSET,
					   "the offset for \"%.*s\" is not one that the stream gave out; send its Stream-Next-Offset",
					   STR_ARG(path));
	}
	if (durable_offset_compare(*out, link->acked) < 0) {
		return err_set(e, ERR_INVALID_OFFSET, "the offset for \"%.*s\" is lower than what is acknowledged already",
					   STR_ARG(path));
	}
	if (durable_offset_compare(*out, link->tail) > 0) {
		return err_set(e, ERR_INVALID_OFFSET, "the offset for \"%.*s\" is beyond the stream's tail", STR_ARG(path));
	}
	return true;
}

static bool apply(db_conn *conn, const subscription *s, str path, durable_offset offset, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, s->id);
	db_param_str(&p, path);
	db_param_i64(&p, offset.count);
	db_param_i64(&p, offset.bytes);
	return db_do(conn, &SQL_SUBSCRIPTION_LINK_ACK, &p, NULL, e);
}

bool wake_acknowledge(db_conn *conn, const subscription *s, const wake_ack *acks, size_t count, arena *a, err *e)
{
	subscription_link *links = NULL;
	size_t link_count = 0;
	if (count == 0) {
		return true;
	}
	str *paths = arena_alloc_array(a, count, sizeof *paths);
	durable_offset *offsets = arena_alloc_array(a, count, sizeof *offsets);
	if (paths == NULL || offsets == NULL) {
		return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this request; try again");
	}
	for (size_t i = 0; i < count; i++) {
		paths[i] = acks[i].path;
	}
	if (!subscription_links_at(conn, s->id, paths, count, a, &links, &link_count, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!judge(&acks[i], find_link(links, link_count, acks[i].path), &offsets[i], e)) {
			return false;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (!apply(conn, s, acks[i].path, offsets[i], e)) {
			return false;
		}
	}
	return true;
}

bool wake_acknowledge_all(db_conn *conn, const subscription *s, err *e)
{
	return subscription_do(conn, &SQL_SUBSCRIPTION_LINK_ACK_SNAPSHOT, s->id, NULL, e);
}
