#include "log/stretch.h"

#include <string.h>

#include "db/columns.h"
#include "log/private.h"
#include "sql/head.h"

enum { FRAME_MAX_BYTES = 128 << 20, PAGE_BYTES = 1 << 20 };

static size_t position_bytes(int32_t count)
{
	return sizeof(log_position) + (size_t)count * sizeof(int64_t);
}

log_position *log_position_copy(const log_position *p)
{
	log_position *copy = malloc(position_bytes(p->count));
	if (copy != NULL) {
		memcpy(copy, p, position_bytes(p->count));
	}
	return copy;
}

void log_position_set(log_position *to, const log_position *from)
{
	memcpy(to, from, position_bytes(from->count));
}

bool stretch_init(stretch *s, log_engine *engine, const log_topic *t, const log_format *format,
				  const log_position *from, stretch_take *take, void *context, err *e)
{
	*s = (stretch){.engine = engine,
				   .topic = t,
				   .format = format,
				   .position = log_position_copy(from),
				   .take = take,
				   .context = context};
	buf_init(&s->out, FRAME_MAX_BYTES);
	return s->position != NULL || err_set(e, ERR_NO_MEMORY, "out of memory");
}

void stretch_dispose(stretch *s)
{
	buf_dispose(&s->out);
	free(s->position);
}

/* ---- frames ---- */

static bool give(stretch *s, const log_delivery *d, err *e)
{
	s->frames++;
	/* Not an error of the log: the caller looks at the subscription's state. */
	return s->take(s->context, d) || err_set(e, ERR_NONE, "not taken");
}

static bool hand_over(stretch *s, err *e)
{
	if (s->out.failed) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for a frame");
	}
	if (s->out.len == 0) {
		return true;
	}
	frame *f = frame_new(buf_str(&s->out));
	if (f == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for a frame");
	}
	buf_clear(&s->out);
	s->records = 0;
	bool taken = give(s, &(log_delivery){.frame = f, .after = s->position}, e);
	frame_unref(f);
	return taken;
}

/* Ends the frame at the position, if there is one. */
static bool cut(stretch *s, log_frame_end *end, err *e)
{
	int64_t at = s->position->offsets[end->partition - s->position->first];
	end->from = s->from;
	end->byte = s->byte;
	if (s->out.len > 0 && s->format->write_end != NULL) {
		s->format->write_end(&s->out, s->topic, end);
	} else if (end->is_closed && s->format->write_closed != NULL) {
		s->format->write_closed(&s->out, s->topic, end);
	}
	s->from = at;
	s->mark = (stretch_mark){0, at, s->byte};
	return hand_over(s, e);
}

static bool is_full(const stretch *s)
{
	bool is_large = s->out.len >= LOG_FRAME_BYTES || s->records >= LOG_FRAME_RECORDS;
	return is_large && (s->format->is_whole == NULL || s->mark.bytes == s->out.len);
}

static void write_record(stretch *s, const log_record *r)
{
	int64_t *at = &s->position->offsets[r->partition - s->position->first];
	*at = r->offset + 1;
	s->byte = r->end_byte;
	s->format->write_record(&s->out, s->topic, r, s->position);
	s->records++;
	if (s->format->is_whole == NULL || s->format->is_whole(&s->out)) {
		s->mark = (stretch_mark){s->out.len, *at, s->byte};
	}
}

/* ---- reading ---- */

static bool tell_gap(stretch *s, int32_t partition, const log_gap *gap, const log_page *page, err *e)
{
	s->position->offsets[partition - s->position->first] = gap->to;
	if (s->format->write_gap != NULL) {
		s->format->write_gap(&s->out, s->topic, partition, gap, s->position);
		return true;
	}
	return give(s, &(log_delivery){.after = s->position, .gap = gap, .end_offset = log_page_end_offset(page)}, e);
}

/* What is written goes into frames, all but the last. */
static bool write_records(stretch *s, log_page *page, int32_t partition, err *e)
{
	log_record record;
	log_frame_end middle = {.partition = partition, .after = s->position, .end_offset = log_page_end_offset(page)};
	if (s->format->write_page != NULL) {
		s->format->write_page(s->format, &s->out, s->topic, page);
		s->mark.bytes = s->out.len;
		return true;
	}
	while (log_page_next(page, &record)) {
		if (is_full(s) && !cut(s, &middle, e)) {
			return false;
		}
		write_record(s, &record);
	}
	return true;
}

bool stretch_read(stretch *s, log_conn *conn, int32_t partition, int64_t until, bool *more, err *e)
{
	log_page *page = NULL;
	log_gap gap;
	int64_t *at = &s->position->offsets[partition - s->position->first];
	bool by_page = s->format->write_page != NULL;
	log_topic prior = {.topic_id = s->prior_topic_id, .config.durability = LOG_FSYNC};
	log_read_request q = {.topic = s->prior_topic_id != 0 ? &prior : s->topic,
						  .partition = partition,
						  .from = *at,
						  .until = until,
						  .max_records = by_page ? s->format->page_records : STRETCH_RECORDS,
						  .max_bytes = by_page ? s->format->page_bytes : PAGE_BYTES};
	bool ok = false;
	if (!log_read(s->engine, conn, &q, &page, e)) {
		return false;
	}
	if (log_page_gap(page, &gap) && !tell_gap(s, partition, &gap, page, e)) {
		goto out;
	}
	/* What another topic left is continued. */
	s->from = s->out.len == 0 ? *at : s->from;
	s->mark = (stretch_mark){s->out.len, *at, s->byte};
	if (!write_records(s, page, partition, e)) {
		goto out;
	}
	/* Deleted records at the end move the position without a frame. */
	*at = log_page_position(page) > *at ? log_page_position(page) : *at;
	s->byte = log_page_byte(page);
	if (s->prior_topic_id != 0 && *at >= until) {
		*more = false;
		ok = true;
		goto out;
	}
	int64_t end_offset = log_page_end_offset(page);
	log_frame_end end = {.partition = partition,
						 .after = s->position,
						 .end_offset = end_offset,
						 .is_at_end = *at >= end_offset && s->prior_topic_id == 0};
	end.is_closed = end.is_at_end && log_page_is_closed(page) && s->position->count == 1;
	*more = *at < (until != 0 && until < end_offset ? until : end_offset);
	if (s->out.len > s->mark.bytes && !end.is_closed && (end.is_at_end || (*more && s->mark.offset > q.from))) {
		/* The rest comes again with the record that completes it. */
		s->out.len = s->mark.bytes;
		*at = s->mark.offset;
		s->byte = s->mark.byte;
		end.is_at_end = false;
	}
	if (end.is_closed && s->format->check_closed != NULL && !s->format->check_closed(s->engine, conn, s->topic, e)) {
		goto out;
	}
	ok = cut(s, &end, e);
	s->is_ended = ok && end.is_closed;
out:
	log_page_free(page);
	return ok;
}

bool stretch_find_moved(const stretch *s, log_conn *conn, bool *moved, err *e)
{
	db_params p;
	db_columns ids;
	db_result *r = NULL;
	bool ok = false;
	db_params_init(&p);
	db_columns_init(&ids, 256);
	db_columns_add_i64(&ids, &s->topic->topic_id, 1);
	if (!db_columns_bind(&ids, &p, e) || !db_run(conn, &SQL_HEAD_NEXT_OFFSETS, &p, &r, e)) {
		goto out;
	}
	if (db_rows(r) == 0) {
		err_set(e, ERR_TOPIC_NOT_FOUND, "the topic was deleted");
		goto out;
	}
	for (int i = 0; i < db_rows(r); i++) {
		int32_t index = db_i32(r, i, 1) - s->position->first;
		if (index >= 0 && index < s->position->count) {
			moved[index] = db_i64(r, i, 2) > s->position->offsets[index];
		}
	}
	ok = true;
out:
	db_result_free(r);
	db_columns_dispose(&ids);
	return ok;
}
