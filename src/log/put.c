#include "log/put.h"

#include "sql/batch.h"

/* Where tagged records are, so that they are found by tag. */
static bool send_tags(db_conn *conn, int64_t topic_id, const head *h, const row *r, int64_t offset, size_t *sent,
					  err *e)
{
	db_params p;
	if (r->columns[ROW_TAGS].ptr == NULL) {
		return true;
	}
	db_params_init(&p);
	db_param_i64(&p, topic_id);
	db_param_i32(&p, h->partition);
	db_param_i64(&p, offset);
	db_param_str(&p, r->columns[ROW_TAGS]);
	(*sent)++;
	return db_pipeline_send(conn, &SQL_BATCH_INSERT_TAGS, &p, e);
}

bool put_send_rows(db_conn *conn, int64_t topic_id, const head *h, const row_piece *pieces, size_t count,
				   put_place *place, buf *scratch, size_t *sent, err *e)
{
	row_writer w = {.pieces = pieces, .piece_count = count, .is_queue = place->is_queue, .scratch = scratch};
	row r;
	while (rows_next(&w, &r)) {
		db_params p;
		if (scratch->failed) {
			return err_set(e, ERR_NO_MEMORY, "out of memory for a row");
		}
		const row_place at = {topic_id, h->partition, place->offset, place->byte, h->last_ms, place->hops};
		rows_bind_placed(&r, &at, &p);
		if (!db_pipeline_send(conn, h->is_ephemeral ? &SQL_BATCH_INSERT_EPHEMERAL : &SQL_BATCH_INSERT, &p, e)) {
			return false;
		}
		(*sent)++;
		if (!send_tags(conn, topic_id, h, &r, place->offset, sent, e)) {
			return false;
		}
		place->offset += r.records;
		place->byte += (int64_t)r.value_bytes;
	}
	return true;
}

bool put_drain(db_conn *conn, size_t sent, err *e)
{
	if (!db_pipeline_flush(conn, e)) {
		return false;
	}
	for (size_t i = 0; i < sent; i++) {
		db_result *r = NULL;
		if (!db_pipeline_next(conn, &r, e)) {
			return false;
		}
		db_result_free(r);
	}
	return db_pipeline_finish(conn, e);
}
