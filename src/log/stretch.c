#include "log/stretch.h"

#include <string.h>

#include "db/array.h"
#include "log/private.h"
#include "sql/head.h"

enum { FRAME_MAX_BYTES = 16 << 20, PAGE_BYTES = 1 << 20 };

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

static bool give(stretch *s, const log_delivery *d, err *e)
{
	s->frames++;
	/* Not an error of the log: the caller looks at the subscription's state. */
	return s->take(s->context, d) || err_set(e, ERR_NONE, "not taken");
}

/* Hands over what was written so far. */
static bool cut(stretch *s, err *e)
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

static bool tell_gap(stretch *s, int32_t partition, const log_gap *gap, const log_page *page, err *e)
{
	s->position->offsets[partition - s->position->first] = gap->to;
	if (s->format->write_gap != NULL) {
		s->format->write_gap(&s->out, s->topic, partition, gap, s->position);
		return true;
	}
	return give(s, &(log_delivery){.after = s->position, .gap = gap, .end_offset = log_page_end_offset(page)}, e);
}

static bool write_records(stretch *s, log_page *page, int64_t *at, err *e)
{
	log_record record;
	if (s->format->write_page != NULL) {
		s->format->write_page(s->format, &s->out, s->topic, page);
		return true;
	}
	while (log_page_next(page, &record)) {
		*at = record.offset + 1;
		s->format->write_record(&s->out, s->topic, &record, s->position);
		s->records++;
		if ((s->out.len >= LOG_FRAME_BYTES || s->records >= LOG_FRAME_RECORDS) && !cut(s, e)) {
			return false;
		}
	}
	return true;
}

bool stretch_read(stretch *s, log_conn *conn, int32_t partition, int64_t until, bool *more, err *e)
{
	log_page *page = NULL;
	log_gap gap;
	int64_t *at = &s->position->offsets[partition - s->position->first];
	bool by_page = s->format->write_page != NULL;
	log_read_request q = {.topic = s->topic,
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
	if (!write_records(s, page, at, e)) {
		goto out;
	}
	/* Deleted records at the end move the position without a frame. */
	*at = log_page_position(page) > *at ? log_page_position(page) : *at;
	int64_t end = until != 0 && until < log_page_end_offset(page) ? until : log_page_end_offset(page);
	*more = *at < end;
	ok = cut(s, e);
out:
	log_page_free(page);
	return ok;
}

bool stretch_find_moved(const stretch *s, log_conn *conn, bool *moved, err *e)
{
	db_params p;
	db_array_builder a;
	db_result *r = NULL;
	buf ids;
	bool ok = false;
	buf_init(&ids, 256);
	db_array_begin(&a, &ids, DB_INT8);
	db_array_add_i64(&a, s->topic->topic_id);
	db_array_end(&a);
	db_params_init(&p);
	db_param_str(&p, buf_str(&ids));
	if (ids.failed) {
		err_set(e, ERR_NO_MEMORY, "out of memory");
		goto out;
	}
	if (!db_run(conn, &SQL_HEAD_NEXT_OFFSETS, &p, &r, e)) {
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
	buf_dispose(&ids);
	return ok;
}
