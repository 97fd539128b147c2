/*
 * GET with live=sse: everything from an offset on as server-sent events (api/durable/sse), until the stream ends, or the
 * connection has lived long enough.
 */
#include "api/durable/cursor.h"
#include "api/durable/fetch.h"
#include "api/durable/keep.h"
#include "api/durable/reply.h"
#include "api/durable/sse.h"
#include "api/gate.h"
#include "api/live.h"
#include "base/clock.h"
#include "base/id.h"

enum { FIRST_FRAME_BYTES = 1024 };

/* What lives as long as the connection. */
typedef struct reader {
	const durable_stream *stream;
	durable_kept *kept;
	int64_t least_cursor; /* 0 = any */
} reader;

static frame *with_own_cursor(void *context, frame *f)
{
	const reader *r = context;
	return durable_sse_with_cursor(f, r->least_cursor);
}

static void release(void *context)
{
	reader *r = context;
	durable_unkeep(r->kept);
	durable_stream_unref(r->stream);
	free(r);
}

/* ---- where it begins ---- */

static bool note_first(void *context, const log_record *record, durable_offset end)
{
	int64_t *first = context;
	(void)end;
	*first = record->offset;
	return false;
}

static bool find_first(durable_fetch *f, log_conn *conn, err *e)
{
	api *a = api_of(f->op.x);
	int64_t first = -1;
	f->read = (durable_read){.topic = f->op.topic,
							 .stream = f->stream,
							 .from = f->at,
							 .max_bytes = 1,
							 .take = note_first,
							 .context = &first};
	if (!durable_stream_enter(conn, f->stream, e) || !durable_read_run(a, conn, &f->read, e)) {
		return false;
	}
	/* The first message, or the end. */
	f->at = (durable_from){.kind = DURABLE_FROM_TOKEN, .offset = f->read.next};
	f->at.offset.count = first >= 0 ? first : f->read.next.count;
	return true;
}

static bool run_open(api_operation *op, log_conn *conn, err *e)
{
	return durable_fetch_with_stream((durable_fetch *)op, conn, find_first, e);
}

/* ---- opening ---- */

static uint32_t earlier(uint32_t a_ms, uint32_t b_ms)
{
	return a_ms == 0 || (b_ms != 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* When the connection ends by itself: a little before its time, so that readers who came together part. */
static uint32_t age_ms(const durable_fetch *f)
{
	uint32_t longest_ms = (uint32_t)api_of(f->op.x)->config->durable_sse_ms;
	uint32_t apart_ms = (uint32_t)(id_random_u64() % (longest_ms / 8 + 1));
	uint32_t age = earlier(longest_ms - apart_ms, gate_credential_ms(f->op.x));
	if (f->stream->has_expiry) {
		int64_t left_ms = f->stream->expires_ms - clock_wall_ms();
		age = earlier(age, left_ms < 1 ? 1 : left_ms > UINT32_MAX ? 0 : (uint32_t)left_ms);
	}
	return age;
}

/* Says at once that a reader at an open end is up to date. */
static frame *first_frame(const durable_fetch *f, const reader *r)
{
	if (f->read.messages > 0 || f->read.is_closed) {
		return NULL;
	}
	buf out;
	int64_t now = durable_cursor_now();
	durable_control c = {
		.next = f->read.next, .cursor = now > r->least_cursor ? now : r->least_cursor, .is_up_to_date = true};
	buf_init(&out, FIRST_FRAME_BYTES);
	durable_sse_write_control(&out, &c);
	frame *first = out.failed ? NULL : frame_new(buf_str(&out));
	buf_dispose(&out);
	return first;
}

/* Ancestors that are to be read, with the part of each. NULL: the arena is full. */
static log_prior *list_ancestors(const durable_stream *s, arena *a)
{
	log_prior *list = arena_alloc_array(a, s->segment_count + 1, sizeof *list);
	for (size_t i = 0; list != NULL && i < s->segment_count; i++) {
		list[i] = (log_prior){s->segments[i].topic_id, s->segments[i].until.count};
	}
	return list;
}

static reader *new_reader(durable_fetch *f)
{
	reader *r = calloc(1, sizeof *r);
	str requested;
	if (r == NULL) {
		return NULL;
	}
	r->stream = f->stream;
	r->kept = durable_keep(api_of(f->op.x), f->stream);
	if (http_request_query(f->op.x, STR("cursor"), &requested)) {
		int64_t now = durable_cursor_now();
		int64_t own = durable_cursor_answer(requested, now, id_random_u64());
		r->least_cursor = own > now ? own : 0;
	}
	f->stream = NULL;
	return r;
}

static void open_stream(api_operation *op)
{
	durable_fetch *f = (durable_fetch *)op;
	http_exchange *x = op->x;
	err e;
	size_t position_bytes = sizeof(log_position) + sizeof(int64_t);
	log_position *start = arena_alloc_zero(http_arena(x), position_bytes);
	log_prior *prior = list_ancestors(f->stream, http_arena(x));
	uint32_t max_age_ms = age_ms(f);
	reader *r = start != NULL && prior != NULL ? new_reader(f) : NULL;
	if (r == NULL) {
		err_set(&e, ERR_NO_MEMORY, "the server has no memory left for another stream; try again later");
		durable_fetch_fail(f, &e);
		return;
	}
	start->count = 1;
	start->offsets[0] = f->at.offset.count;
	frame *first = first_frame(f, r);
	frame *heartbeat = frame_new(STR(":\n\n"));
	const log_topic *topic = op->topic;
	op->topic = NULL;
	live_options options = {
		.topic = topic,
		.start = start,
		.prior = prior,
		.prior_count = r->stream->segment_count,
		.format = durable_sse_format(r->stream->media),
		.content_type = "text/event-stream",
		.first = first,
		.heartbeat = heartbeat,
		.max_age_ms = max_age_ms,
		.ends_at_close = true,
		.adapt = r->least_cursor > 0 ? with_own_cursor : NULL,
		.release = release,
		.context = r,
	};
	durable_reply_text(x, STR("Cache-Control"), STR("no-cache"));
	if (durable_sse_is_base64(r->stream->media)) {
		durable_reply_text(x, STR("Stream-SSE-Data-Encoding"), STR("base64"));
	}
	live_open(x, &options);
	log_topic_unref(topic);
	frame_unref(first);
	frame_unref(heartbeat);
}

void durable_events(durable_fetch *f)
{
	f->op.run = run_open;
	api_run_then(&f->op, open_stream);
}
