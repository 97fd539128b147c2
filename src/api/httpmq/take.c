#include "api/httpmq/take.h"

#include "api/httpmq/httpmq.h"
#include "api/httpmq/members.h"
#include "api/httpmq/subject.h"
#include "db/columns.h"
#include "db/conn.h"
#include "log/read.h"
#include "sql/httpmq_consumer.h"

enum { PAGE_RECORDS = 1000, PAGE_BYTES = TAKE_BYTES, ARRAY_BYTES_MAX = 1 << 20 };

typedef struct taker {
	log_conn *conn;
	const take_request *request;
	arena *arena;
	httpmq_consumer consumer;
	httpmq_counts counts;
	int64_t delivered_c; /* as they will be */
	int64_t scanned;
	int64_t added;  /* messages that were not pending before */
	int64_t resent; /* those that were sent once before */
	int64_t due_left;
	size_t most;
	size_t bytes;
	int64_t *over; /* due ones whose message is gone */
	size_t over_count;
	take_result *out;
} taker;

static bool err_no_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "the server has no memory left for this; it goes on later");
}

static bool has_room(const taker *t)
{
	return t->out->count < t->most && (t->bytes < TAKE_BYTES || t->out->count == 0);
}

/* A record of another API has no subject: it counts as one of the topic's name. */
static str subject_of(const taker *t, const log_record *r)
{
	return r->tag.ptr != NULL ? r->tag : t->request->topic->name;
}

static bool add(taker *t, const log_record *r, int64_t first_c, int64_t sends, err *e)
{
	take_message *m = &t->out->messages[t->out->count];
	int64_t number = t->delivered_c + 1;
	*m = (take_message){.delivery = {r->offset + 1, number},
						.first_c = first_c > 0 ? first_c : number,
						.sends = sends,
						.timestamp_ms = r->timestamp_ms};
	if (!arena_copy_str(t->arena, r->value, &m->value) || !arena_copy_str(t->arena, subject_of(t, r), &m->subject) ||
		!arena_copy_str(t->arena, r->headers, &m->headers)) {
		return err_no_memory(e);
	}
	t->delivered_c = number;
	t->added += first_c > 0 ? 0 : 1;
	t->resent += sends == 2 ? 1 : 0;
	t->bytes += r->value.len + r->headers.len;
	t->out->count++;
	return true;
}

static bool open_page(const taker *t, int64_t from, uint32_t records, log_page **out, err *e)
{
	const log_read_request q = {
		.topic = t->request->topic, .from = from, .max_records = records, .max_bytes = PAGE_BYTES};
	return log_read(t->request->engine, t->conn, &q, out, e);
}

/* ---- again ---- */

static bool send_again(taker *t, int64_t sequence, int64_t first_c, int64_t sends, bool *is_gone, err *e)
{
	log_page *page = NULL;
	log_record record;
	if (!open_page(t, sequence - 1, 1, &page, e)) {
		return false;
	}
	*is_gone = !log_page_next(page, &record) || record.offset != sequence - 1;
	bool ok = *is_gone || add(t, &record, first_c, sends + 1, e);
	log_page_free(page);
	return ok;
}

static bool take_due(taker *t, err *e)
{
	db_params p;
	db_result *r = NULL;
	bool ok = true;
	db_params_init(&p);
	db_param_i64(&p, t->request->topic->topic_id);
	db_param_str(&p, t->request->consumer);
	db_param_i64(&p, t->consumer.now_ms);
	db_param_i64(&p, (int64_t)t->most);
	if (t->counts.due == 0) {
		return true;
	}
	if (!db_run(t->conn, &SQL_HTTPMQ_PENDING_DUE, &p, &r, e)) {
		return false;
	}
	t->over = arena_alloc_array(t->arena, (size_t)db_rows(r) + 1, sizeof *t->over);
	ok = t->over != NULL || err_no_memory(e);
	int i = 0;
	for (; ok && i < db_rows(r) && has_room(t); i++) {
		bool is_gone = false;
		ok = send_again(t, db_i64(r, i, 0), db_i64(r, i, 1), db_i64(r, i, 2), &is_gone, e);
		if (ok && is_gone) {
			t->over[t->over_count++] = db_i64(r, i, 0);
		}
	}
	t->due_left = t->counts.due - i;
	t->out->has_more = t->due_left > 0;
	db_result_free(r);
	return ok;
}

/* ---- new ones ---- */

static bool is_wanted(const taker *t, const log_record *r)
{
	return t->consumer.filter.len == 0 || httpmq_subject_matches(t->consumer.filter, subject_of(t, r));
}

/* *goes_on: the page did not reach the end, and there is room. */
static bool take_page(taker *t, size_t capacity, bool *goes_on, err *e)
{
	log_page *page = NULL;
	log_record record;
	bool ok = true;
	bool is_full = false;
	if (!open_page(t, t->scanned, PAGE_RECORDS, &page, e)) {
		return false;
	}
	while (ok && !is_full && log_page_next(page, &record)) {
		if (is_wanted(t, &record)) {
			is_full = t->out->count >= capacity || !has_room(t);
			ok = is_full || add(t, &record, 0, 1, e);
		}
		if (ok && !is_full) {
			t->scanned = record.offset + 1;
		}
	}
	if (ok && !is_full && log_page_position(page) > t->scanned) {
		t->scanned = log_page_position(page);
	}
	*goes_on = ok && !is_full && t->scanned < log_page_end_offset(page);
	t->out->has_more = t->out->has_more || (is_full && t->out->count < capacity);
	log_page_free(page);
	return ok;
}

static bool take_new(taker *t, err *e)
{
	int64_t free_slots = t->consumer.max_inflight - t->counts.in_flight + (int64_t)t->over_count;
	bool goes_on = free_slots > 0 && has_room(t);
	t->out->has_more = t->out->has_more || (free_slots > 0 && !goes_on);
	int64_t from = t->scanned;
	size_t capacity = t->out->count + (size_t)(free_slots > 0 ? free_slots : 0);
	while (goes_on) {
		if (!take_page(t, capacity, &goes_on, e)) {
			return false;
		}
		if (goes_on && (t->scanned - from >= TAKE_SCAN || !has_room(t) || t->out->count >= capacity)) {
			t->out->has_more = t->out->count < capacity;
			goes_on = false;
		}
	}
	return true;
}

/* ---- writing down ---- */

/* Of what is sent now. */
static int64_t deadline_of(const taker *t)
{
	int64_t wait_ns = t->consumer.ack_wait_ns;
	return t->consumer.now_ms + wait_ns / HTTPMQ_NS_PER_MS + (wait_ns % HTTPMQ_NS_PER_MS > 0 ? 1 : 0);
}

/* When the next message will be due; 0: none is pending. */
static int64_t next_due(const taker *t)
{
	int64_t next_ms = t->counts.next_due_ms;
	int64_t own_ms = t->out->count > 0 ? deadline_of(t) : 0;
	if (t->due_left > 0) {
		return t->consumer.due_ms;
	}
	return next_ms == 0 || (own_ms != 0 && own_ms < next_ms) ? own_ms : next_ms;
}

static bool send_pending(const taker *t, err *e)
{
	enum { COLUMNS = 4 };
	db_params p;
	db_columns c;
	db_columns_init(&c, ARRAY_BYTES_MAX);
	for (int column = 0; column < COLUMNS; column++) {
		db_array_builder *array = db_columns_begin(&c, DB_INT8);
		for (size_t i = 0; i < t->out->count; i++) {
			const take_message *m = &t->out->messages[i];
			const int64_t row[COLUMNS] = {m->delivery.sequence, m->first_c, m->delivery.consumer_sequence, m->sends};
			db_array_add_i64(array, row[column]);
		}
		db_columns_end(&c);
	}
	db_params_init(&p);
	db_param_i64(&p, t->request->topic->topic_id);
	db_param_str(&p, t->request->consumer);
	bool ok = db_columns_bind(&c, &p, e);
	db_param_i64(&p, deadline_of(t));
	ok = ok && db_pipeline_send(t->conn, &SQL_HTTPMQ_PENDING_PUT, &p, e);
	db_columns_dispose(&c);
	return ok;
}

static bool send_advance(const taker *t, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_i64(&p, t->request->topic->topic_id);
	db_param_str(&p, t->request->consumer);
	db_param_i64(&p, t->delivered_c);
	db_param_i64(&p, t->scanned);
	db_param_bool(&p, t->out->count > 0);
	db_param_i64(&p, t->request->member);
	db_param_i64(&p, t->added);
	db_param_i64(&p, t->resent);
	db_param_i64(&p, next_due(t));
	return db_pipeline_send(t->conn, &SQL_HTTPMQ_CONSUMER_ADVANCE, &p, e);
}

/* Due ones whose message is gone leave; with has_holes they are found by themselves. */
static bool drop_gone(taker *t, err *e)
{
	bool dropped = false;
	if (t->over_count == 0) {
		return true;
	}
	t->consumer.has_holes = true;
	return consumer_drop_over(t->conn, t->request->topic->topic_id, &t->consumer, &dropped, e);
}

/* What was taken, and COMMIT: one round trip. */
static bool write_down(taker *t, err *e)
{
	bool has_taken = t->out->count > 0;
	if (!drop_gone(t, e)) {
		return false;
	}
	if (!has_taken && t->scanned == t->consumer.scanned) {
		return db_commit(t->conn, e);
	}
	return db_pipeline_start(t->conn, e) && send_advance(t, e) && (!has_taken || send_pending(t, e)) &&
		   db_pipeline_commit(t->conn, e) && db_pipeline_flush(t->conn, e) &&
		   db_pipeline_skip(t->conn, has_taken ? 3 : 2, e) && db_pipeline_finish(t->conn, e);
}

/* ---- whose turn ---- */

static bool look_for_others(const taker *t, bool *has_others, err *e)
{
	db_params p;
	db_result *r = NULL;
	db_params_init(&p);
	db_param_i64(&p, t->request->topic->topic_id);
	db_param_str(&p, t->request->consumer);
	db_param_i64(&p, t->request->member);
	db_param_i64(&p, MEMBER_LIFE_MS);
	if (!db_run(t->conn, &SQL_HTTPMQ_MEMBER_OTHERS, &p, &r, e)) {
		return false;
	}
	*has_others = db_bool(r, 0, 0);
	db_result_free(r);
	return true;
}

/* Members of a group take a message each in turn. */
static bool take_turn(taker *t, err *e)
{
	bool has_others = false;
	if (t->request->is_pull) {
		return t->consumer.is_pull ||
			   err_set(e, ERR_REFUSED,
					   "messages of a push consumer are not fetched; subscribe, or create one of mode pull");
	}
	if (t->consumer.group.len == 0) {
		t->out->is_replaced = t->consumer.generation != t->request->generation;
		return true;
	}
	if (!look_for_others(t, &has_others, e)) {
		return false;
	}
	t->out->is_shared = has_others;
	if (has_others) {
		t->most = 1;
		t->out->has_yielded = t->consumer.last_member == t->request->member && !t->request->insists;
	}
	return true;
}

/* To look for holes is to look at all that is pending. One matters when it holds the last slot; one that is due is found
 * when it is to be sent again, and whoever asks for the numbers looks for himself. */
static bool drop_over(taker *t, err *e)
{
	int64_t topic_id = t->request->topic->topic_id;
	bool dropped = false;
	t->consumer.has_holes = t->consumer.has_holes && t->counts.in_flight >= t->consumer.max_inflight;
	return consumer_drop_over(t->conn, topic_id, &t->consumer, &dropped, e) &&
		   (!dropped || consumer_count(t->conn, topic_id, &t->consumer, &t->counts, e));
}

static bool take(taker *t, err *e)
{
	const take_request *q = t->request;
	if (!consumer_begin(t->conn, q->topic->topic_id, q->consumer, t->arena, &t->consumer, &t->counts, e) ||
		!take_turn(t, e) || !drop_over(t, e)) {
		return false;
	}
	t->delivered_c = t->consumer.delivered_c;
	t->scanned = t->consumer.scanned;
	if (!t->out->is_replaced && !t->out->has_yielded && (!take_due(t, e) || !take_new(t, e))) {
		return false;
	}
	int64_t next_ms = next_due(t);
	t->out->due_in_ms = next_ms == 0 ? -1 : next_ms > t->consumer.now_ms ? next_ms - t->consumer.now_ms + 1 : 1;
	return write_down(t, e);
}

bool take_messages(log_conn *conn, const take_request *request, arena *a, take_result *out, err *e)
{
	taker t = {.conn = conn, .request = request, .arena = a, .most = request->most, .out = out};
	*out = (take_result){.messages = arena_alloc_array(a, request->most, sizeof *out->messages)};
	bool ok = out->messages != NULL ? take(&t, e) : err_no_memory(e);
	if (!ok) {
		db_rollback(conn);
	}
	return ok || err_frame(e, "take_messages");
}
