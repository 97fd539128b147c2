/*
 * log/judge: appends with conditions (idempotency key, producer, sequence token, close) or on topics with rules (caps,
 * closed, ephemeral). Two round trips: lock and look, then write and commit.
 */
#include <string.h>

#include "base/jwrite.h"
#include "db/array.h"
#include "log/commit.h"
#include "log/outcome.h"
#include "log/put.h"
#include "log/quota.h"
#include "log/retain.h"
#include "log/state.h"
#include "sql/head.h"
#include "sql/outcome.h"

enum { OUTCOME_MAX_BYTES = 64 << 10 };

/* A head and what this transaction adds to it. */
typedef struct judged_head {
	head head;
	int64_t first_offset; /* of what is added */
	int64_t first_byte;
	bool is_changed;
} judged_head;

/* An idempotency key or producer, as stored or as this transaction will store it. */
typedef struct memory {
	str name;
	bool exists;
	bool is_changed;
	bool has_closed; /* a producer's last append closed the partition */
	int64_t epoch;
	int64_t sequence;
	str result;
} memory;

typedef struct judgement {
	committer *c;
	int64_t topic_id;
	log_append **ops;
	size_t op_count;
	row_piece **pieces; /* per op */
	bool *accepted;     /* per op */
	judged_head *heads;
	size_t head_count;
	head_rules rules;
	int64_t total_bytes; /* of all topics; known only where they are limited */
	memory *keys;        /* one per op with a key, names may repeat: the first of a name is the one used */
	size_t key_count;
	memory *producers;
	size_t producer_count;
} judgement;

/* ---- looking ---- */

static int compare_i32(const void *left, const void *right)
{
	int32_t a = *(const int32_t *)left;
	int32_t b = *(const int32_t *)right;
	return a < b ? -1 : a > b ? 1 : 0;
}

/* Nothing may be stored yet under its name that could be locked. */
static bool may_be_first_of_name(const log_append *op)
{
	return op->idempotency_key.ptr != NULL || (op->producer.id.ptr != NULL && op->producer.sequence == 0);
}

/* The heads to lock. Two copies of one request may have chosen different partitions, and must still come one after the
 * other: what is the first of its name also locks partition 0; a producer that goes on locks its own row. */
static bool list_partitions(judgement *j, int32_t **out, size_t *count, err *e)
{
	size_t most = 1;
	for (size_t i = 0; i < j->op_count; i++) {
		most += j->ops[i]->result_count;
	}
	int32_t *list = arena_alloc_array(j->c->arena, most, sizeof *list);
	if (list == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	size_t n = 0;
	for (size_t i = 0; i < j->op_count; i++) {
		for (uint32_t r = 0; r < j->ops[i]->result_count; r++) {
			list[n++] = j->ops[i]->results[r].partition;
		}
	}
	for (size_t i = 0; i < j->op_count; i++) {
		if (may_be_first_of_name(j->ops[i])) {
			list[n++] = 0;
			break;
		}
	}
	qsort(list, n, sizeof *list, compare_i32);
	size_t unique = 0;
	for (size_t i = 0; i < n; i++) {
		if (unique == 0 || list[unique - 1] != list[i]) {
			list[unique++] = list[i];
		}
	}
	*out = list;
	*count = unique;
	return true;
}

static memory *find_memory(memory *list, size_t count, str name)
{
	for (size_t i = 0; i < count; i++) {
		if (str_equal(list[i].name, name)) {
			return &list[i];
		}
	}
	return NULL;
}

static bool list_memories(judgement *j, err *e)
{
	j->keys = arena_alloc_zero(j->c->arena, (j->op_count + 1) * sizeof *j->keys);
	j->producers = arena_alloc_zero(j->c->arena, (j->op_count + 1) * sizeof *j->producers);
	if (j->keys == NULL || j->producers == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < j->op_count; i++) {
		str key = j->ops[i]->idempotency_key;
		str id = j->ops[i]->producer.id;
		if (key.ptr != NULL && find_memory(j->keys, j->key_count, key) == NULL) {
			j->keys[j->key_count++].name = key;
		}
		if (id.ptr != NULL && find_memory(j->producers, j->producer_count, id) == NULL) {
			j->producers[j->producer_count++].name = id;
		}
	}
	return true;
}

static bool send_find(judgement *j, const db_query *query, const memory *list, size_t count, err *e)
{
	db_params p;
	db_array_builder names;
	if (count == 0) {
		return true;
	}
	buf_clear(&j->c->scratch);
	db_array_begin(&names, &j->c->scratch, DB_BYTEA);
	for (size_t i = 0; i < count; i++) {
		db_array_add_str(&names, list[i].name);
	}
	db_array_end(&names);
	if (j->c->scratch.failed) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	db_params_init(&p);
	db_param_i64(&p, j->topic_id);
	db_param_str(&p, buf_str(&j->c->scratch));
	return db_pipeline_send(j->c->conn, query, &p, e);
}

static bool receive_memories(judgement *j, memory *list, size_t count, bool is_producer, err *e)
{
	db_result *r = NULL;
	bool ok = true;
	if (count == 0) {
		return true;
	}
	if (!db_pipeline_next(j->c->conn, &r, e)) {
		return false;
	}
	for (int i = 0; i < db_rows(r) && ok; i++) {
		memory *m = find_memory(list, count, db_str(r, i, 0));
		if (m != NULL) {
			m->exists = true;
			m->epoch = is_producer ? db_i64(r, i, 1) : 0;
			m->sequence = is_producer ? db_i64(r, i, 2) : 0;
			m->has_closed = is_producer && db_bool(r, i, 4);
			ok = arena_copy_str(j->c->arena, db_str(r, i, is_producer ? 3 : 1), &m->result);
		}
	}
	db_result_free(r);
	return ok || err_set(e, ERR_NO_MEMORY, "out of memory");
}

static bool look(judgement *j, err *e)
{
	int32_t *partitions = NULL;
	size_t partition_count = 0;
	head *heads = NULL;
	db_result *begun = NULL;
	db_conn *conn = j->c->conn;
	bool is_limited = j->c->engine->options.max_total_bytes > 0;
	if (!list_partitions(j, &partitions, &partition_count, e) || !list_memories(j, e) || !db_pipeline_start(conn, e) ||
		!db_pipeline_begin(conn, e) || (is_limited && !quota_send(conn, e)) ||
		!head_send_lock(conn, j->topic_id, partitions, partition_count, e) ||
		!send_find(j, &SQL_IDEMPOTENCY_FIND, j->keys, j->key_count, e) ||
		!send_find(j, &SQL_PRODUCER_FIND, j->producers, j->producer_count, e) || !db_pipeline_flush(conn, e) ||
		!db_pipeline_next(conn, &begun, e)) {
		return false;
	}
	db_result_free(begun);
	if ((is_limited && !quota_receive(conn, &j->total_bytes, e)) ||
		!head_receive_lock(conn, j->c->arena, &heads, &j->head_count, &j->rules, e) ||
		!receive_memories(j, j->keys, j->key_count, false, e) ||
		!receive_memories(j, j->producers, j->producer_count, true, e) || !db_pipeline_finish(conn, e)) {
		return false;
	}
	j->heads = arena_alloc_zero(j->c->arena, (j->head_count + 1) * sizeof *j->heads);
	if (j->heads == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < j->head_count; i++) {
		j->heads[i].head = heads[i];
		j->heads[i].first_offset = heads[i].next_offset;
		j->heads[i].first_byte = heads[i].next_byte;
	}
	return true;
}

static bool settle_heads(judgement *j, err *e)
{
	bool has_caps = j->rules.cap_records > 0 || j->rules.cap_bytes > 0;
	for (size_t i = 0; i < j->head_count; i++) {
		judged_head *h = &j->heads[i];
		int64_t floor = head_floor(&h->head);
		if (!head_settle_crash(j->c->conn, j->topic_id, &h->head, &h->is_changed, e)) {
			return false;
		}
		if (has_caps && !retain_expire(j->c->conn, j->topic_id, &h->head, &j->rules, e)) {
			return false;
		}
		h->is_changed = h->is_changed || head_floor(&h->head) != floor;
	}
	return true;
}

/* ---- judging ---- */

static judged_head *find_head(judgement *j, int32_t partition)
{
	size_t low = 0;
	size_t high = j->head_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (j->heads[middle].head.partition < partition) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low < j->head_count && j->heads[low].head.partition == partition ? &j->heads[low] : NULL;
}

static void piece_bytes(const row_piece *piece, int64_t *bytes, int64_t *value_bytes)
{
	*bytes = 0;
	*value_bytes = 0;
	for (uint32_t k = 0; k < piece->count; k++) {
		uint32_t i = piece->index != NULL ? piece->index[k] : k;
		*bytes += (int64_t)rows_record_bytes(piece->columns, i);
		*value_bytes += (int64_t)piece->columns->values[i].len;
	}
}

/* Where the live records begin, for an error's detail: the floor, if it cannot be found out. */
static int64_t first_live(const judgement *j, const head *h)
{
	log_state *state = NULL;
	size_t count = 0;
	err ignored;
	int64_t floor = head_floor(h);
	bool is_known = h->partition == 0 &&
					log_state_peek(j->c->conn, &j->topic_id, 1, j->c->arena, &state, &count, &ignored) && count == 1;
	return is_known && state->start_offset > floor ? state->start_offset : floor;
}

static bool refuse_full(const judgement *j, log_append *op, const head *h, bool never_fits)
{
	char name[ERR_DETAIL_MAX / 2];
	buf quoted;
	buf_init(&quoted, sizeof name - 1);
	jwrite_string(&quoted, op->topic->name);
	snprintf(name, sizeof name, "%.*s", quoted.failed ? 2 : (int)quoted.len, quoted.failed ? "\"\"" : quoted.ptr);
	buf_dispose(&quoted);
	if (never_fits) {
		err_set(&op->error, ERR_RECORD_TOO_LARGE,
				"the write is larger than the whole topic may be; split it or raise the cap");
	} else {
		err_set(&op->error, ERR_TOPIC_FULL,
				"the topic is full and refuses new records; delete some, wait for expiry, or raise the cap");
	}
	err_detail(&op->error,
			   "{\"topic\":%s,\"cap_records\":%lld,\"cap_bytes\":%lld,\"head_seq\":%lld,\"earliest_seq\":%lld}", name,
			   (long long)j->rules.cap_records, (long long)j->rules.cap_bytes, (long long)h->next_offset,
			   (long long)first_live(j, h) + 1);
	return false;
}

static bool has_room(const judgement *j, log_append *op, const head *h, const row_piece *piece)
{
	int64_t bytes;
	int64_t value_bytes;
	int64_t records = piece->count;
	if (j->rules.discard_old) {
		return true;
	}
	piece_bytes(piece, &bytes, &value_bytes);
	if ((j->rules.cap_records > 0 && records > j->rules.cap_records) ||
		(j->rules.cap_bytes > 0 && bytes > j->rules.cap_bytes)) {
		return refuse_full(j, op, h, true);
	}
	if ((j->rules.cap_records > 0 && h->live_records + records > j->rules.cap_records) ||
		(j->rules.cap_bytes > 0 && h->live_bytes + bytes > j->rules.cap_bytes)) {
		return refuse_full(j, op, h, false);
	}
	return true;
}

/* All topics together. */
static bool has_quota(const judgement *j, log_append *op, const row_piece *pieces)
{
	int64_t most = j->c->engine->options.max_total_bytes;
	int64_t incoming = 0;
	for (uint32_t r = 0; most > 0 && r < op->result_count; r++) {
		int64_t bytes;
		int64_t value_bytes;
		piece_bytes(&pieces[r], &bytes, &value_bytes);
		incoming += bytes;
	}
	return incoming == 0 || quota_allows(most, j->total_bytes, incoming, &op->error);
}

static void answer_duplicate(log_append *op, const memory *m, const judged_head *h)
{
	op->is_duplicate = true;
	op->results = NULL;
	op->result_count = 0;
	op->result_of = NULL;
	if (m->result.ptr != NULL && !outcome_decode(m->result, op)) {
		err_set(&op->error, ERR_INTERNAL, "the stored answer of the first request cannot be read");
	}
	op->producer_state = (log_producer){op->producer.id, m->epoch, m->sequence};
	op->end_offset = h->head.next_offset;
	op->end_byte = h->head.next_byte;
	op->is_closed = h->head.is_closed;
}

typedef enum verdict { ACCEPT, DUPLICATE, REFUSE } verdict;

/* True when the caller's own error is due. */
static bool is_refused(log_append *op, log_refusal_stage stage)
{
	if (op->refusal_stage != stage) {
		return false;
	}
	op->error = *op->refusal;
	return true;
}

static verdict judge_producer(log_append *op, const memory *m, const judged_head *h)
{
	const log_producer *p = &op->producer;
	op->producer_state = (log_producer){p->id, m->exists ? m->epoch : p->epoch, m->exists ? m->sequence : -1};
	if (m->exists && p->epoch < m->epoch) {
		err_set(&op->error, ERR_PRODUCER_FENCED,
				"a newer producer with this id has taken over (epoch %lld); stop this one", (long long)m->epoch);
		return REFUSE;
	}
	if (!m->exists || p->epoch > m->epoch) {
		if (p->sequence == 0) {
			return ACCEPT;
		}
		if (m->exists) {
			err_set(&op->error, ERR_INVALID_REQUEST, "a new producer epoch begins with sequence 0");
		} else {
			err_set(&op->error, ERR_PRODUCER_SEQUENCE_GAP, "a new producer begins with sequence 0, this one sent %lld",
					(long long)p->sequence);
		}
		return REFUSE;
	}
	if (p->sequence <= m->sequence) {
		memory answer = *m;
		if (p->sequence < m->sequence) {
			/* Only the last answer is kept. */
			answer.result = STR_NONE;
		}
		answer_duplicate(op, &answer, h);
		return DUPLICATE;
	}
	if (p->sequence > m->sequence + 1) {
		err_set(&op->error, ERR_PRODUCER_SEQUENCE_GAP,
				"sequence %lld was expected, %lld came; send what is missing first", (long long)m->sequence + 1,
				(long long)p->sequence);
		return REFUSE;
	}
	return ACCEPT;
}

static verdict judge_closed(log_append *op, const memory *producer, const judged_head *h)
{
	bool same_close = producer != NULL && producer->has_closed && producer->epoch == op->producer.epoch &&
					  producer->sequence == op->producer.sequence;
	bool bare_close = op->close && op->columns.count == 0 && op->producer.id.ptr == NULL;
	op->end_offset = h->head.next_offset;
	op->end_byte = h->head.next_byte;
	op->is_closed = true;
	if (same_close || bare_close) {
		memory none = {0};
		answer_duplicate(op, same_close ? producer : &none, h);
		return DUPLICATE;
	}
	err_set(&op->error, ERR_TOPIC_CLOSED, "the topic is closed: nothing can be added to it any more");
	return REFUSE;
}

static verdict judge(judgement *j, log_append *op, const row_piece *pieces)
{
	judged_head *h = find_head(j, op->result_count > 0 ? op->results[0].partition : op->partition);
	memory *key = op->idempotency_key.ptr != NULL ? find_memory(j->keys, j->key_count, op->idempotency_key) : NULL;
	memory *producer =
		op->producer.id.ptr != NULL ? find_memory(j->producers, j->producer_count, op->producer.id) : NULL;
	for (uint32_t r = 0; r < op->result_count; r++) {
		if (find_head(j, op->results[r].partition) == NULL) {
			h = NULL;
		}
	}
	if (h == NULL) {
		err_set(&op->error, ERR_TOPIC_NOT_FOUND, "there is no such topic; create it first");
		return REFUSE;
	}
	if (key != NULL && key->exists) {
		answer_duplicate(op, key, h);
		return DUPLICATE;
	}
	if (h->head.is_closed) {
		return judge_closed(op, producer, h);
	}
	if (is_refused(op, LOG_REFUSE_IF_OPEN)) {
		return REFUSE;
	}
	if (producer != NULL) {
		verdict v = judge_producer(op, producer, h);
		if (v != ACCEPT) {
			return v;
		}
	}
	if (op->sequence_token.ptr != NULL && h->head.sequence_token.ptr != NULL &&
		str_compare(op->sequence_token, h->head.sequence_token) <= 0) {
		err_set(&op->error, ERR_SEQUENCE_CONFLICT, "the sequence token is not greater than the last one");
		return REFUSE;
	}
	if (is_refused(op, LOG_REFUSE_LAST)) {
		return REFUSE;
	}
	for (uint32_t r = 0; r < op->result_count; r++) {
		if (!has_room(j, op, &find_head(j, op->results[r].partition)->head, &pieces[r])) {
			return REFUSE;
		}
	}
	if (!has_quota(j, op, pieces)) {
		return REFUSE;
	}
	return ACCEPT;
}

static bool remember(judgement *j, memory *m, log_append *op, err *e)
{
	buf bytes;
	bool ok = false;
	buf_init(&bytes, OUTCOME_MAX_BYTES);
	outcome_encode(&bytes, op);
	ok = !bytes.failed && arena_copy_str(j->c->arena, buf_str(&bytes), &m->result);
	buf_dispose(&bytes);
	m->exists = true;
	m->is_changed = true;
	return ok || err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* Gives the operation its place. */
static bool accept(judgement *j, log_append *op, const row_piece *pieces, err *e)
{
	for (uint32_t r = 0; r < op->result_count; r++) {
		judged_head *h = find_head(j, op->results[r].partition);
		int64_t bytes;
		int64_t value_bytes;
		piece_bytes(&pieces[r], &bytes, &value_bytes);
		op->results[r].base_offset = h->head.next_offset;
		h->head.next_offset += pieces[r].count;
		h->head.next_byte += value_bytes;
		h->head.live_records += pieces[r].count;
		h->head.live_bytes += bytes;
		j->total_bytes += bytes;
		h->head.last_ms = h->head.last_ms > j->rules.now_ms ? h->head.last_ms : j->rules.now_ms;
		h->is_changed = true;
		op->feeds_routers = h->head.is_source;
		op->end_offset = h->head.next_offset;
		op->end_byte = h->head.next_byte;
		op->committed_ms = h->head.last_ms;
	}
	judged_head *only = find_head(j, op->result_count > 0 ? op->results[0].partition : op->partition);
	if (op->close) {
		only->head.is_closed = true;
		only->is_changed = true;
	}
	op->is_closed = only->head.is_closed;
	if (op->result_count == 0) {
		op->end_offset = only->head.next_offset;
		op->end_byte = only->head.next_byte;
	}
	if (op->sequence_token.ptr != NULL) {
		only->head.sequence_token = op->sequence_token;
		only->is_changed = true;
	}
	op->producer_state = op->producer;
	if (op->idempotency_key.ptr != NULL &&
		!remember(j, find_memory(j->keys, j->key_count, op->idempotency_key), op, e)) {
		return false;
	}
	if (op->producer.id.ptr != NULL) {
		memory *m = find_memory(j->producers, j->producer_count, op->producer.id);
		m->epoch = op->producer.epoch;
		m->sequence = op->producer.sequence;
		m->has_closed = op->close;
		return remember(j, m, op, e);
	}
	return true;
}

/* ---- writing ---- */

static bool send_rows(judgement *j, judged_head *h, size_t *sent, err *e)
{
	size_t count = 0;
	row_piece *pieces = arena_alloc_array(j->c->arena, j->op_count, sizeof *pieces);
	if (pieces == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < j->op_count; i++) {
		const log_append *op = j->ops[i];
		for (uint32_t r = 0; j->accepted[i] && r < op->result_count; r++) {
			if (op->results[r].partition == h->head.partition) {
				pieces[count++] = j->pieces[i][r];
				break;
			}
		}
	}
	put_place place = {
		.offset = h->first_offset, .byte = h->first_byte, .is_queue = j->ops[0]->topic->config.kind == LOG_KIND_QUEUE};
	return put_send_rows(j->c->conn, j->topic_id, &h->head, pieces, count, &place, &j->c->scratch, sent, e);
}

static bool send_memories(judgement *j, size_t *sent, err *e)
{
	db_params p;
	for (size_t i = 0; i < j->key_count; i++) {
		const memory *m = &j->keys[i];
		if (m->is_changed) {
			db_params_init(&p);
			db_param_i64(&p, j->topic_id);
			db_param_str(&p, m->name);
			db_param_i64(&p, j->rules.now_ms);
			db_param_i64(&p, j->rules.now_ms + j->rules.idempotency_window_ms);
			db_param_str(&p, m->result);
			if (!db_pipeline_send(j->c->conn, &SQL_IDEMPOTENCY_PUT, &p, e)) {
				return false;
			}
			(*sent)++;
		}
	}
	for (size_t i = 0; i < j->producer_count; i++) {
		const memory *m = &j->producers[i];
		if (m->is_changed) {
			db_params_init(&p);
			db_param_i64(&p, j->topic_id);
			db_param_str(&p, m->name);
			db_param_i64(&p, m->epoch);
			db_param_i64(&p, m->sequence);
			db_param_i64(&p, j->rules.now_ms);
			db_param_str(&p, m->result);
			db_param_bool(&p, m->has_closed);
			if (!db_pipeline_send(j->c->conn, &SQL_PRODUCER_PUT, &p, e)) {
				return false;
			}
			(*sent)++;
		}
	}
	return true;
}

static bool write_and_commit(judgement *j, err *e)
{
	size_t sent = 0;
	db_conn *conn = j->c->conn;
	bool evicts = j->rules.discard_old && (j->rules.cap_records > 0 || j->rules.cap_bytes > 0);
	if (!db_pipeline_start(conn, e)) {
		return false;
	}
	for (size_t i = 0; i < j->head_count; i++) {
		if (j->heads[i].is_changed && !send_rows(j, &j->heads[i], &sent, e)) {
			return false;
		}
	}
	if (evicts) {
		/* The new records count too, so they have to be there. */
		if (!put_drain(conn, sent, e)) {
			return false;
		}
		for (size_t i = 0; i < j->head_count; i++) {
			if (j->heads[i].is_changed && !retain_evict(conn, j->topic_id, &j->heads[i].head, &j->rules, e)) {
				return false;
			}
		}
		if (!db_pipeline_start(conn, e)) {
			return false;
		}
		sent = 0;
	}
	for (size_t i = 0; i < j->head_count; i++) {
		if (j->heads[i].is_changed) {
			db_params p;
			head_bind_update(&j->heads[i].head, j->topic_id, &p);
			if (!db_pipeline_send(conn, &SQL_HEAD_UPDATE, &p, e)) {
				return false;
			}
			sent++;
		}
	}
	return send_memories(j, &sent, e) && db_pipeline_commit(conn, e) && put_drain(conn, sent + 1, e);
}

static bool judge_transaction(committer *c, log_append **ops, size_t count, err *e)
{
	judgement j = {.c = c, .topic_id = ops[0]->topic->topic_id, .ops = ops, .op_count = count};
	bool any = false;
	j.pieces = arena_alloc_zero(c->arena, count * sizeof *j.pieces);
	j.accepted = arena_alloc_zero(c->arena, count * sizeof *j.accepted);
	if (j.pieces == NULL || j.accepted == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory");
	}
	for (size_t i = 0; i < count; i++) {
		err_clear(&ops[i]->error);
		if (!commit_split(ops[i], &j.pieces[i], e)) {
			return false;
		}
	}
	if (!look(&j, e) || !settle_heads(&j, e)) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		j.accepted[i] = judge(&j, ops[i], j.pieces[i]) == ACCEPT;
		any = any || j.accepted[i];
		if (j.accepted[i] && !accept(&j, ops[i], j.pieces[i], e)) {
			return false;
		}
	}
	if (!any) {
		db_rollback(c->conn);
		return true;
	}
	return write_and_commit(&j, e);
}

void judge_commit(committer *c, log_append **ops, size_t count)
{
	err e;
	err_clear(&e);
	if (judge_transaction(c, ops, count, &e)) {
		return;
	}
	db_rollback(c->conn);
	bool one_is_at_fault = count > 1 && e.code != ERR_UNAVAILABLE && e.code != ERR_OUTCOME_UNKNOWN &&
						   e.code != ERR_TIMEOUT && e.code != ERR_NOT_READY;
	for (size_t i = 0; i < count; i++) {
		if (one_is_at_fault) {
			judge_commit(c, &ops[i], 1);
		} else {
			ops[i]->error = e;
		}
	}
}
