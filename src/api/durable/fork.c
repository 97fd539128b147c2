#include "api/durable/fork.h"

#include "api/durable/read.h"
#include "db/conn.h"
#include "sql/durable.h"

enum { LOOK_BYTES = 1 << 20 };

/* The walk over the append that follows the anchor. */
typedef struct extent {
	durable_fork *fork;
	arena *arena;
	bool counts_messages;
	int64_t left; /* of the sub-offset */
	bool has_begun;
	bool is_boundary; /* the anchor is where a message begins */
	bool is_out_of_memory;
} extent;

static bool take(void *context, const log_record *record, durable_offset end)
{
	extent *x = context;
	durable_fork *f = x->fork;
	int64_t bytes = (int64_t)record->value.len;
	durable_offset before = {record->offset, end.bytes - bytes};
	if (!x->has_begun) {
		x->has_begun = true;
		x->is_boundary = durable_offset_compare(before, f->anchor) == 0;
	}
	if (!x->is_boundary || x->left == 0) {
		return false;
	}
	int64_t step = x->counts_messages ? 1 : bytes;
	if (step <= x->left) {
		x->left -= step;
		f->start = end;
	} else {
		x->is_out_of_memory = !arena_copy_str(x->arena, str_take(record->value, (size_t)x->left), &f->cut);
		x->left = 0;
	}
	return x->left > 0 && !record->ends_append;
}

static bool find_start(const api *a, log_conn *conn, const durable_fork_request *request, durable_offset tail,
					   arena *room, durable_fork *f, err *e)
{
	extent x = {.fork = f,
				.arena = room,
				.counts_messages = f->source->media == DURABLE_MEDIA_JSON,
				.left = request->sub_offset};
	f->anchor = request->has_offset ? request->offset : tail;
	f->start = f->anchor;
	f->cut = STR_NONE;
	if (durable_offset_compare(f->anchor, tail) > 0) {
		return err_set(e, ERR_INVALID_REQUEST, "Stream-Fork-Offset is beyond the source's tail");
	}
	bool is_end = durable_offset_compare(f->anchor, tail) == 0;
	if (is_end && request->sub_offset > 0) {
		return err_set(e, ERR_INVALID_REQUEST,
					   "Stream-Fork-Sub-Offset goes into the append after the fork offset, and there is none");
	}
	bool is_beginning = f->anchor.count == 0 && f->anchor.bytes == 0;
	if (request->sub_offset == 0 && (is_end || is_beginning)) {
		return true;
	}
	durable_read r = {.topic = f->topic,
					  .stream = f->source,
					  .from = {.kind = DURABLE_FROM_TOKEN, .offset = f->anchor},
					  .max_bytes = LOOK_BYTES,
					  .take = take,
					  .context = &x};
	if (!durable_read_run(a, conn, &r, e)) {
		return false;
	}
	if (x.is_out_of_memory) {
		return err_set(e, ERR_NO_MEMORY, "out of memory; try again");
	}
	if (!x.is_boundary) {
		return err_set(e, ERR_INVALID_REQUEST, "Stream-Fork-Offset is no offset that this stream ever had");
	}
	return x.left == 0 ||
		   err_set(e, ERR_INVALID_REQUEST, "Stream-Fork-Sub-Offset goes beyond the append after the fork offset");
}

/* Another dialect's topic gets a row, which is what a fork refers to. */
static bool adopt(log_conn *conn, const durable_stream *source, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, source->topic_id);
	db_param_str(&p, source->content_type);
	return source->is_native || db_do(conn, &SQL_DURABLE_ADOPT, &p, NULL, e);
}

static bool err_no_source(err *e)
{
	return err_set(e, ERR_TOPIC_NOT_FOUND, "there is no such source to fork; see Stream-Forked-From");
}

static bool resolve(const api *a, log_conn *conn, const durable_fork_request *request, arena *room, durable_fork *f,
					err *e)
{
	durable_state state = {.is_expired = false};
	size_t found = 0;
	if (!log_topic_lock(conn, &f->topic->topic_id, 1, &found, e)) {
		return false;
	}
	if (found == 0) {
		return err_no_source(e);
	}
	if (!durable_state_get(conn, f->topic->topic_id, &state, e)) {
		return false;
	}
	if (state.presence == DURABLE_HIDDEN) {
		return err_set(e, ERR_TOPIC_EXISTS_INCOMPATIBLE,
					   "the source was deleted; only what was forked before reads it");
	}
	if (state.presence == DURABLE_ABSENT) {
		return err_no_source(e);
	}
	if (!durable_stream_find(a, conn, f->topic, &f->source, e)) {
		return false;
	}
	if (f->source->depth >= DURABLE_DEPTH_MAX) {
		return err_set(e, ERR_INVALID_REQUEST, "forks of forks go at most %d deep; copy the stream instead",
					   DURABLE_DEPTH_MAX);
	}
	f->depth = f->source->depth + 1;
	return adopt(conn, f->source, e) && find_start(a, conn, request, state.tail, room, f, e);
}

bool durable_fork_resolve(const api *a, log_conn *conn, int64_t tenant_id, str source_name,
						  const durable_fork_request *request, arena *room, durable_fork *out, err *e)
{
	durable_fork f = {.depth = 0};
	if (!log_topic_find(a->log, conn, tenant_id, source_name, &f.topic, e)) {
		return e->code == ERR_TOPIC_NOT_FOUND ? err_no_source(e) : false;
	}
	if (!resolve(a, conn, request, room, &f, e)) {
		durable_fork_dispose(&f);
		return false;
	}
	*out = f;
	return true;
}

void durable_fork_dispose(durable_fork *f)
{
	durable_stream_unref(f->source);
	log_topic_unref(f->topic);
	f->source = NULL;
	f->topic = NULL;
}
