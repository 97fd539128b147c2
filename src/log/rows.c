#include "log/rows.h"

#include "db/array.h"

uint64_t rows_record_bytes(const log_columns *c, uint32_t i)
{
	uint64_t bytes = c->values[i].len;
	bytes += c->keys != NULL ? c->keys[i].len : 0;
	bytes += c->headers != NULL ? c->headers[i].len : 0;
	bytes += c->metas != NULL ? c->metas[i].len : 0;
	return bytes;
}

static uint32_t record_at(const row_piece *p, uint32_t at)
{
	return p->index != NULL ? p->index[at] : at;
}

/* A stretch of records over one or more pieces: what one row holds. */
typedef struct stretch {
	const row_piece *pieces;
	size_t first_piece;
	uint32_t first_at;
	uint32_t records;
} stretch;

static const str *text_column(const log_columns *c, int column)
{
	switch (column) {
	case 0:
		return c->keys;
	case 1:
		return c->values;
	case 3:
		return c->headers;
	case 4:
		return c->tags;
	case 5:
		return c->nodes;
	default:
		return c->metas;
	}
}

static bool uses_column(const row_piece *p, uint32_t at, uint32_t end, int column)
{
	const str *texts = column == 2 ? NULL : text_column(p->columns, column);
	const int64_t *times = column == 2 ? p->columns->timestamps_ms : NULL;
	bool used = false;
	for (; (texts != NULL || times != NULL) && at < end && !used; at++) {
		uint32_t i = record_at(p, at);
		used = texts != NULL ? texts[i].ptr != NULL || column == 1 : times[i] != 0;
	}
	return used;
}

static bool is_used(const stretch *s, int column)
{
	size_t piece = s->first_piece;
	uint32_t at = s->first_at;
	bool used = false;
	for (uint32_t left = s->records; left > 0 && !used; piece++, at = 0) {
		const row_piece *p = &s->pieces[piece];
		uint32_t here = p->count - at < left ? p->count - at : left;
		used = uses_column(p, at, at + here, column);
		left -= here;
	}
	return used;
}

/* A value is never absent: NULL is what a deleted record is. */
static str element_of(const str *texts, uint32_t i, int column)
{
	str text = texts != NULL ? texts[i] : STR_NONE;
	return text.ptr == NULL && column == 1 ? STR("") : text;
}

static size_t write_column(const stretch *s, int column, buf *out)
{
	db_array_builder a;
	size_t piece = s->first_piece;
	uint32_t at = s->first_at;
	db_array_begin(&a, out, column == 2 ? DB_INT8 : DB_BYTEA);
	for (uint32_t left = s->records; left > 0; piece++, at = 0) {
		const row_piece *p = &s->pieces[piece];
		uint32_t end = p->count - at < left ? p->count : at + left;
		left -= end - at;
		if (column == 2) {
			for (; at < end; at++) {
				const int64_t *times = p->columns->timestamps_ms;
				db_array_add_i64(&a, times != NULL ? times[record_at(p, at)] : 0);
			}
		} else {
			const str *texts = text_column(p->columns, column);
			for (; at < end; at++) {
				db_array_add_str(&a, element_of(texts, record_at(p, at), column));
			}
		}
	}
	db_array_end(&a);
	return a.start;
}

/* Ends of appends inside the row; nothing when there is just the one at the row's end. */
static bool write_appends(const stretch *s, buf *out, size_t *start)
{
	db_array_builder a;
	size_t piece = s->first_piece;
	uint32_t at = s->first_at;
	uint32_t done = 0;
	uint32_t ends = 0;
	bool at_end = false;
	db_array_begin(&a, out, DB_INT4);
	for (uint32_t left = s->records; left > 0; piece++, at = 0) {
		const row_piece *p = &s->pieces[piece];
		uint32_t here = p->count - at < left ? p->count - at : left;
		done += here;
		left -= here;
		at_end = here > 0 && at + here == p->count;
		if (at_end) {
			db_array_add_i32(&a, (int32_t)done);
			ends++;
		}
	}
	db_array_end(&a);
	*start = a.start;
	return !(ends == 1 && at_end);
}

bool rows_next(row_writer *w, row *out)
{
	while (w->piece < w->piece_count && w->at == w->pieces[w->piece].count) {
		w->piece++;
		w->at = 0;
	}
	if (w->piece == w->piece_count) {
		return false;
	}
	stretch s = {w->pieces, w->piece, w->at, 0};
	row r = {0};
	uint32_t most = w->is_queue ? ROW_JOBS : ROW_RECORDS;
	while (w->piece < w->piece_count && r.records < most) {
		const row_piece *p = &w->pieces[w->piece];
		if (w->at == p->count) {
			w->piece++;
			w->at = 0;
			continue;
		}
		uint32_t i = record_at(p, w->at);
		uint64_t bytes = rows_record_bytes(p->columns, i);
		if (r.records > 0 && r.bytes + bytes > ROW_BYTES) {
			break;
		}
		r.records++;
		r.bytes += bytes;
		r.value_bytes += p->columns->values[i].len;
		w->at++;
	}
	s.records = r.records;

	size_t starts[ROW_COLUMNS + 1];
	bool used[ROW_COLUMNS];
	buf_clear(w->scratch);
	for (int column = 0; column < ROW_COLUMNS - 1; column++) {
		starts[column] = w->scratch->len;
		used[column] = is_used(&s, column);
		if (used[column]) {
			write_column(&s, column, w->scratch);
		}
	}
	used[ROW_COLUMNS - 1] = write_appends(&s, w->scratch, &starts[ROW_COLUMNS - 1]);
	starts[ROW_COLUMNS] = w->scratch->len;
	for (int column = 0; column < ROW_COLUMNS; column++) {
		if (used[column] && !w->scratch->failed) {
			r.columns[column] = (str){w->scratch->ptr + starts[column], starts[column + 1] - starts[column]};
		}
	}
	*out = r;
	return true;
}

void rows_bind(const row *r, db_params *p)
{
	for (int column = 0; column < ROW_COLUMNS; column++) {
		db_param_str(p, r->columns[column]);
	}
}

void rows_bind_placed(const row *r, const row_place *at, db_params *p)
{
	db_params_init(p);
	db_param_i64(p, at->topic_id);
	db_param_i32(p, at->partition);
	db_param_i64(p, at->offset);
	db_param_i64(p, at->byte);
	db_param_i64(p, at->committed_ms);
	db_param_i64(p, r->records);
	db_param_i64(p, (int64_t)r->bytes);
	rows_bind(r, p);
	db_param_i32(p, at->hops);
}
