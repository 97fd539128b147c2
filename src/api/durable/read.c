#include "api/durable/read.h"

#include "base/jscan.h"
#include "base/text.h"
#include "log/read.h"

/* A page goes a little beyond max_bytes, so that the append that reaches it mostly ends in the same page. */
enum { PAGE_RECORDS = 8192, PAGE_SLACK_BYTES = 64 << 10, JSON_DEPTH = 512 };

/* The part of the stream that is read now. */
typedef struct part {
	log_topic topic; /* enough of one to be read */
	bool is_own;
	durable_offset until; /* of an ancestor */
} part;

/* The topic that holds the record at `count`: the oldest segment that ends above, else the stream's own. */
static part part_at(const durable_read *r, int64_t count)
{
	const durable_stream *s = r->stream;
	for (size_t i = 0; i < s->segment_count; i++) {
		if (s->segments[i].until.count > count) {
			return (part){
				.topic = {.topic_id = s->segments[i].topic_id, .partitions = 1, .config = {.durability = LOG_FSYNC}},
				.until = s->segments[i].until};
		}
	}
	return (part){.topic = *r->topic, .is_own = true};
}

typedef enum walked {
	WALK_MORE,   /* the part or the page is used up */
	WALK_ENOUGH, /* the reader has what it wanted */
	WALK_BACK    /* the token is inside the message before: that one belongs to the answer */
} walked;

/* A token whose byte half is too small for its message half is no boundary. */
static bool is_inside_previous(const durable_read *r, durable_offset at)
{
	return r->from.kind == DURABLE_FROM_TOKEN && r->messages == 0 && at.count == r->from.offset.count && at.count > 0 &&
		   at.bytes > r->from.offset.bytes;
}

static walked walk_page(durable_read *r, log_page *page, const part *p)
{
	log_record record;
	while (log_page_next(page, &record)) {
		durable_offset before = {record.offset, record.end_byte - (int64_t)record.value.len};
		durable_offset end = {record.offset + 1, record.end_byte};
		if (is_inside_previous(r, before)) {
			return WALK_BACK;
		}
		r->messages++;
		r->bytes += record.value.len;
		r->next = end;
		/* What follows at the end of an ancestor's part was appended by another request. */
		record.ends_append = record.ends_append || (!p->is_own && end.count == p->until.count);
		if (!r->take(r->context, &record, end) || (record.ends_append && r->bytes >= r->max_bytes)) {
			return WALK_ENOUGH;
		}
	}
	r->next = (durable_offset){log_page_position(page), log_page_byte(page)};
	durable_offset end = p->is_own ? (durable_offset){log_page_end_offset(page), log_page_end_byte(page)} : p->until;
	if (r->next.count >= end.count) {
		r->next = end;
	}
	return is_inside_previous(r, r->next) ? WALK_BACK : WALK_MORE;
}

static bool check_kept(const durable_read *r, const log_page *page, const log_read_request *q, err *e)
{
	if (q->from_kept || log_page_start_offset(page) <= q->from || r->messages > 0) {
		return true;
	}
	return err_set(e, ERR_GONE,
				   "retention has removed what followed this offset; read on from the start with offset=-1");
}

/* One page. *done: nothing more is to be read. */
static bool read_page(const api *a, log_conn *conn, durable_read *r, durable_offset *at, bool *done, err *e)
{
	part p = part_at(r, at->count);
	log_page *page = NULL;
	log_read_request q = {.topic = &p.topic,
						  .from = at->count,
						  .until = p.is_own ? 0 : p.until.count,
						  .max_records = PAGE_RECORDS,
						  .max_bytes =
							  r->bytes < r->max_bytes ? r->max_bytes - r->bytes + PAGE_SLACK_BYTES : r->max_bytes,
						  .from_kept = r->from.kind != DURABLE_FROM_TOKEN && r->messages == 0};
	if (!log_read(a->log, conn, &q, &page, e)) {
		return false;
	}
	if (!check_kept(r, page, &q, e)) {
		log_page_free(page);
		return false;
	}
	bool is_cut_off = r->messages > 0 && log_page_start_offset(page) > q.from;
	if (is_cut_off) {
		/* Retention overtook the read: it ends where it had come to. */
		r->next = *at;
		*done = true;
		log_page_free(page);
		return true;
	}
	walked w = walk_page(r, page, &p);
	if (p.is_own) {
		r->tail = (durable_offset){log_page_end_offset(page), log_page_end_byte(page)};
		r->is_closed = log_page_is_closed(page);
	}
	log_page_free(page);
	if (w == WALK_BACK) {
		at->count--;
		r->from.kind = DURABLE_FROM_START; /* from here on everything counts */
		r->from.offset.count = at->count;
		return true;
	}
	r->is_up_to_date = p.is_own && r->next.count >= r->tail.count;
	*done = w == WALK_ENOUGH || r->is_up_to_date;
	*at = r->next;
	return true;
}

/* A fork that is only read through by others looks open from its ancestors' part: that one has to be asked. */
static bool check_deleted(log_conn *conn, const durable_read *r, err *e)
{
	durable_state state = {.is_expired = false};
	return durable_state_get(conn, r->topic->topic_id, &state, e) &&
		   (!state.is_deleted || durable_state_check(&state, e));
}

bool durable_read_run(const api *a, log_conn *conn, durable_read *r, err *e)
{
	durable_offset at = {0, 0};
	bool done = false;
	bool was_asked = r->stream->segment_count > 0;
	if (was_asked && !check_deleted(conn, r, e)) {
		return false;
	}
	if (r->from.kind == DURABLE_FROM_TOKEN) {
		at = r->from.offset;
	} else if (r->from.kind == DURABLE_FROM_NOW) {
		at.count = INT64_MAX;
	}
	r->messages = 0;
	r->bytes = 0;
	r->next = at;
	r->is_up_to_date = false;
	r->is_closed = false;
	while (!done) {
		if (!read_page(a, conn, r, &at, &done, e)) {
			return err_frame(e, "durable_read");
		}
	}
	if (r->is_closed && !was_asked && !check_deleted(conn, r, e)) {
		return false;
	}
	r->is_closed = r->is_closed && r->is_up_to_date;
	return true;
}

/* ---- showing ---- */

static bool is_json(str value)
{
	jscan s;
	jscan_init(&s, value, JSON_DEPTH);
	return jscan_skip(&s) && jscan_end(&s);
}

void durable_write_message(buf *out, const durable_stream *s, str value)
{
	if (s->media != DURABLE_MEDIA_JSON || is_json(value)) {
		buf_append_str(out, value);
		return;
	}
	buf_append_str(out, STR("{\"$base64\":\""));
	text_base64_encode(out, value);
	buf_append_str(out, STR("\"}"));
}
