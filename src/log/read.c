#include "log/read.h"

#include "db/array.h"
#include "log/page.h"
#include "log/private.h"
#include "log/retain.h"
#include "log/route.h"
#include "sql/batch.h"

/* Rows asked for at first, and how many more each further time: rows hold from 1 to 512 records, and nobody knows
 * before. */
enum { FIRST_ROWS = 8, ROWS_FACTOR = 4, ROWS_MAX = 512, RESULTS_MAX = 32, SETTLE_TRIES = 3 };

enum column {
	NEXT_OFFSET,
	NEXT_BYTE,
	CAP_FLOOR,
	TTL_FLOOR,
	IS_CLOSED,
	IS_EPHEMERAL,
	EXPIRED_BEFORE_MS,
	LAST_OFFSET,
	BASE_OFFSET,
	BASE_BYTE,
	COMMITTED_MS,
	BYTES,
	KEYS,
	VALS,
	TS,
	HEADERS,
	TAGS,
	NODES,
	METAS,
	APPENDS,
	SOURCE_FLOOR,
	IS_DEST,
	HOPS,
	DEDUPE_NODE,
	HAS_MARK
};

struct log_page {
	log_read_request request;
	int64_t next_offset;
	int64_t next_byte;
	int64_t cap_floor;
	int64_t ttl_floor;
	int64_t source_floor;
	bool is_closed;
	bool dedupes_node;
	bool reached_end; /* the rows go up to next_offset */

	db_result *results[RESULTS_MAX];
	size_t result_count;

	/* the walk */
	size_t result;
	int row; /* next row to open */
	bool row_is_open;
	bool is_done;
	int64_t offset; /* of the next element */
	int64_t base_offset;
	int64_t last_offset;
	int64_t byte; /* before the next element */
	int64_t committed_ms;
	int32_t hops;
	int64_t
		append_end; /* offset of the last record of the append that the next element belongs to; INT64_MAX: not here */
	db_array_reader keys, values, times, headers, tags, nodes, metas, appends;
	uint32_t delivered;
	uint64_t delivered_bytes;
	int64_t position;
	int64_t position_byte;
};

static int64_t highest(int64_t a, int64_t b, int64_t c)
{
	int64_t most = a > b ? a : b;
	return most > c ? most : c;
}

static int64_t floor_of(const log_page *p)
{
	return highest(p->cap_floor, p->ttl_floor, p->source_floor);
}

/* ---- fetching ---- */

static bool fetch(log_conn *conn, const log_read_request *q, bool ephemeral, int64_t from, int64_t rows, uint64_t bytes,
				  uint64_t records, db_result **out, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, q->topic->topic_id);
	db_param_i32(&p, q->partition);
	db_param_i64(&p, from);
	db_param_i64(&p, rows);
	db_param_i64(&p, (int64_t)bytes);
	db_param_i64(&p, (int64_t)records);
	if (!db_run(conn, ephemeral ? &SQL_BATCH_READ_EPHEMERAL : &SQL_BATCH_READ, &p, out, e)) {
		return false;
	}
	if (db_rows(*out) == 0) {
		db_result_free(*out);
		return err_set(e, ERR_TOPIC_NOT_FOUND, "there is no such topic");
	}
	return true;
}

static bool has_batches(const db_result *r)
{
	return !db_is_null(r, 0, LAST_OFFSET);
}

static void take_head(log_page *p, const db_result *r, bool ephemeral)
{
	p->next_offset = db_i64(r, 0, NEXT_OFFSET);
	p->next_byte = db_i64(r, 0, NEXT_BYTE);
	p->cap_floor = db_i64(r, 0, CAP_FLOOR);
	p->ttl_floor = db_i64(r, 0, TTL_FLOOR);
	p->source_floor = db_i64(r, 0, SOURCE_FLOOR);
	p->is_closed = db_bool(r, 0, IS_CLOSED);
	p->dedupes_node = db_bool(r, 0, DEDUPE_NODE);
	if (ephemeral && !db_bool(r, 0, HAS_MARK)) {
		/* A crash emptied the unlogged batches: everything below the head is lost. */
		p->cap_floor = p->next_offset;
	}
}

static bool starts_expired(const db_result *r)
{
	return has_batches(r) && db_i64(r, 0, COMMITTED_MS) < db_i64(r, 0, EXPIRED_BEFORE_MS);
}

/* Where reading begins that nothing expired precedes. */
static bool find_kept(log_conn *conn, const log_read_request *q, bool ephemeral, const db_result *r, int64_t *kept,
					  err *e)
{
	db_params p;
	db_result *first = NULL;
	db_params_init(&p);
	db_param_i64(&p, q->topic->topic_id);
	db_param_i32(&p, q->partition);
	db_param_i64(&p, db_i64(r, 0, LAST_OFFSET) + 1);
	db_param_i64(&p, db_i64(r, 0, EXPIRED_BEFORE_MS));
	if (!db_run(conn, ephemeral ? &SQL_BATCH_FIRST_KEPT_EPHEMERAL : &SQL_BATCH_FIRST_KEPT, &p, &first, e)) {
		return false;
	}
	*kept = db_rows(first) == 1 ? db_i64(first, 0, 0) : db_i64(r, 0, NEXT_OFFSET);
	db_result_free(first);
	return true;
}

/* The first fetch decides which table holds the topic and settles what has expired meanwhile. Inside the caller's
 * transaction nothing is written: there, what has expired is only passed over. */
static bool fetch_first(log_engine *engine, log_conn *conn, log_page *p, bool *ephemeral, err *e)
{
	const log_read_request *q = &p->request;
	int64_t kept = q->from;
	bool is_current = db_in_transaction(conn);
	*ephemeral = q->topic->config.durability == LOG_EPHEMERAL;
	for (int attempt = 0;; attempt++) {
		db_result *r = NULL;
		if (!fetch(conn, q, *ephemeral, kept, FIRST_ROWS, q->max_bytes, q->max_records, &r, e)) {
			return false;
		}
		if (db_bool(r, 0, IS_EPHEMERAL) != *ephemeral && attempt < SETTLE_TRIES) {
			/* The cached topic is behind a change of durability. */
			*ephemeral = !*ephemeral;
			db_result_free(r);
			continue;
		}
		if (!is_current && db_bool(r, 0, IS_DEST)) {
			/* Routers copy to here: what was acknowledged at their sources has to be seen. */
			is_current = true;
			db_result_free(r);
			if (!log_route_catch_up(engine, conn, q->topic->topic_id, e)) {
				return false;
			}
			attempt--;
			continue;
		}
		if (starts_expired(r) && attempt < SETTLE_TRIES) {
			bool ok = db_in_transaction(conn) ? find_kept(conn, q, *ephemeral, r, &kept, e)
											  : retain_settle(conn, q->topic->topic_id, q->partition, e);
			db_result_free(r);
			if (!ok) {
				return false;
			}
			continue;
		}
		take_head(p, r, *ephemeral);
		if (kept > q->from && kept > p->ttl_floor) {
			p->ttl_floor = kept;
		}
		p->results[p->result_count++] = r;
		return true;
	}
}

/* Whether a later fetch, which is a snapshot of its own, still begins where the one before ended. Where retention has passed
 * that offset meanwhile, or the records have moved to the other table, the page ends instead: the next read tells of it. */
static bool continues(const db_result *later, int64_t from, bool ephemeral)
{
	return highest(db_i64(later, 0, CAP_FLOOR), db_i64(later, 0, TTL_FLOOR), db_i64(later, 0, SOURCE_FLOOR)) <= from &&
		   db_bool(later, 0, IS_EPHEMERAL) == ephemeral;
}

/* What a result holds. */
typedef struct extent {
	uint64_t records; /* from the first offset wanted on */
	uint64_t bytes;
	uint64_t whole_records; /* of whole rows, as the statement's own limits count */
	uint64_t whole_bytes;
	int64_t next; /* where the next fetch begins */
} extent;

static extent measure(const db_result *r, int64_t from)
{
	extent x = {.next = from};
	for (int i = 0; has_batches(r) && i < db_rows(r); i++) {
		int64_t base = db_i64(r, i, BASE_OFFSET);
		x.next = db_i64(r, i, LAST_OFFSET) + 1;
		x.records += (uint64_t)(x.next - (base > from ? base : from));
		x.bytes += base >= from ? (uint64_t)db_i32(r, i, BYTES) : 0;
		x.whole_records += (uint64_t)(x.next - base);
		x.whole_bytes += (uint64_t)db_i32(r, i, BYTES);
	}
	return x;
}

bool log_read(log_engine *engine, log_conn *conn, const log_read_request *request, log_page **out, err *e)
{
	bool ephemeral = false;
	uint64_t records = 0;
	uint64_t bytes = 0;
	int64_t rows = FIRST_ROWS;
	uint64_t max_bytes = request->max_bytes;
	uint64_t max_records = request->max_records;
	int64_t from = request->from;
	log_page *p = calloc(1, sizeof *p);
	if (p == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	p->request = *request;
	if (p->request.until == 0) {
		p->request.until = INT64_MAX;
	}
	if (!fetch_first(engine, conn, p, &ephemeral, e)) {
		goto fail;
	}
	from = from > floor_of(p) ? from : floor_of(p);
	for (;;) {
		db_result *last = p->results[p->result_count - 1];
		extent x = measure(last, from);
		bool is_cut = x.whole_records >= max_records || x.whole_bytes >= max_bytes;
		int64_t got = has_batches(last) ? db_rows(last) : 0;
		records += x.records;
		bytes += x.bytes;
		from = x.next;
		if (got < rows && !is_cut) {
			p->reached_end = true;
			break;
		}
		if (records >= request->max_records || bytes >= request->max_bytes || from >= p->request.until ||
			p->result_count == RESULTS_MAX) {
			break;
		}
		rows = rows * ROWS_FACTOR > ROWS_MAX ? ROWS_MAX : rows * ROWS_FACTOR;
		max_bytes = request->max_bytes - bytes;
		max_records = request->max_records - records;
		db_result *more = NULL;
		if (!fetch(conn, request, ephemeral, from, rows, max_bytes, max_records, &more, e)) {
			goto fail;
		}
		if (!continues(more, from, ephemeral)) {
			db_result_free(more);
			break;
		}
		p->results[p->result_count++] = more;
	}
	page_rewind(p);
	*out = p;
	return true;
fail:
	log_page_free(p);
	return err_frame(e, "log_read");
}

void log_page_free(log_page *p)
{
	if (p != NULL) {
		for (size_t i = 0; i < p->result_count; i++) {
			db_result_free(p->results[i]);
		}
		free(p);
	}
}

/* ---- walking ---- */

void page_rewind(log_page *p)
{
	p->result = 0;
	p->row = 0;
	p->row_is_open = false;
	p->is_done = false;
	p->delivered = 0;
	p->delivered_bytes = 0;
	p->position = p->request.from > floor_of(p) ? p->request.from : floor_of(p);
	p->position_byte = p->position > p->next_offset ? p->next_byte : 0;
}

static void find_append_end(log_page *p)
{
	int32_t records = 0;
	p->append_end = db_array_next_i32(&p->appends, &records) ? p->base_offset + records - 1 : INT64_MAX;
}

static void open_row(log_page *p, const db_result *r)
{
	p->base_offset = db_i64(r, p->row, BASE_OFFSET);
	p->offset = p->base_offset;
	p->last_offset = db_i64(r, p->row, LAST_OFFSET);
	p->byte = db_i64(r, p->row, BASE_BYTE);
	p->committed_ms = db_i64(r, p->row, COMMITTED_MS);
	p->hops = db_i32(r, p->row, HOPS);
	db_array_open(&p->keys, db_str(r, p->row, KEYS));
	db_array_open(&p->values, db_str(r, p->row, VALS));
	db_array_open(&p->times, db_str(r, p->row, TS));
	db_array_open(&p->headers, db_str(r, p->row, HEADERS));
	db_array_open(&p->tags, db_str(r, p->row, TAGS));
	db_array_open(&p->nodes, db_str(r, p->row, NODES));
	db_array_open(&p->metas, db_str(r, p->row, METAS));
	db_array_open(&p->appends, db_str(r, p->row, APPENDS));
	p->append_end = p->last_offset;
	if (!db_is_null(r, p->row, APPENDS)) {
		find_append_end(p);
	}
	if (p->offset >= p->position) {
		p->position_byte = p->byte;
	}
	p->row++;
	p->row_is_open = true;
}

/* Makes sure that an element is next; false when there is none. */
static bool open_next(log_page *p)
{
	while (!p->row_is_open || p->offset > p->last_offset) {
		p->row_is_open = false;
		while (p->result < p->result_count &&
			   (p->row >= db_rows(p->results[p->result]) || !has_batches(p->results[p->result]))) {
			p->result++;
			p->row = 0;
		}
		if (p->result == p->result_count) {
			return false;
		}
		open_row(p, p->results[p->result]);
	}
	return true;
}

/* Like a column's next element, but absent columns and elements give `absent`. */
static str next_text(db_array_reader *r)
{
	str text = STR_NONE;
	if (r->count > 0 && !db_array_next_str(r, &text)) {
		return STR_NONE;
	}
	return text;
}

static void finish_walk(log_page *p)
{
	p->is_done = true;
	if (p->reached_end) {
		int64_t end = p->next_offset < p->request.until ? p->next_offset : p->request.until;
		p->position = p->position > end ? p->position : end;
	}
}

bool log_page_next(log_page *p, log_record *out)
{
	while (!p->is_done) {
		if (p->delivered == p->request.max_records) {
			p->is_done = true;
			return false;
		}
		if (!open_next(p)) {
			finish_walk(p);
			return false;
		}
		if (p->offset >= p->request.until) {
			p->position = p->request.until > p->position ? p->request.until : p->position;
			p->is_done = true;
			return false;
		}
		int64_t time = 0;
		log_record record = {
			.offset = p->offset, .committed_ms = p->committed_ms, .partition = p->request.partition, .hops = p->hops};
		record.value = next_text(&p->values);
		record.key = next_text(&p->keys);
		record.headers = next_text(&p->headers);
		record.tag = next_text(&p->tags);
		record.node = next_text(&p->nodes);
		record.meta = next_text(&p->metas);
		if (p->times.count > 0) {
			db_array_next_i64(&p->times, &time);
		}
		record.timestamp_ms = time != 0 ? time : p->committed_ms;
		int64_t offset = p->offset++;
		p->byte += (int64_t)record.value.len;
		record.end_byte = p->byte;
		record.ends_append = offset == p->append_end;
		if (record.ends_append && p->appends.count > 0) {
			find_append_end(p);
		}
		if (offset < p->position) {
			p->position_byte = p->byte;
			continue;
		}
		if (record.value.ptr != NULL) {
			uint64_t bytes = record.value.len + record.key.len + record.headers.len + record.meta.len;
			if (p->delivered > 0 && p->delivered_bytes + bytes > p->request.max_bytes) {
				p->is_done = true;
				return false;
			}
			p->delivered++;
			p->delivered_bytes += bytes;
			p->position = offset + 1;
			p->position_byte = p->byte;
			*out = record;
			return true;
		}
		p->position = offset + 1;
		p->position_byte = p->byte;
	}
	return false;
}

int64_t log_page_position(const log_page *p)
{
	return p->position;
}

int64_t log_page_byte(const log_page *p)
{
	return p->position == p->next_offset ? p->next_byte : p->position_byte;
}

int64_t log_page_end_byte(const log_page *p)
{
	return p->next_byte;
}

int64_t log_page_end_offset(const log_page *p)
{
	return p->next_offset;
}

int64_t log_page_start_offset(const log_page *p)
{
	return floor_of(p);
}

bool log_page_gap(const log_page *p, log_gap *out)
{
	if (p->request.from >= floor_of(p) || p->request.from_kept) {
		return false;
	}
	*out = (log_gap){.from = p->request.from,
					 .to = floor_of(p),
					 .by_cap = p->cap_floor > p->request.from,
					 .by_ttl = p->ttl_floor > p->request.from,
					 .by_source = p->source_floor > p->request.from};
	return true;
}

bool log_page_is_closed(const log_page *p)
{
	return p->is_closed;
}

bool log_page_dedupes_node(const log_page *p)
{
	return p->dedupes_node;
}
