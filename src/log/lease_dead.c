#include "log/lease_dead.h"

#include "log/lease_meta.h"
#include "log/private.h"
#include "log/put.h"
#include "log/retain.h"
#include "log/topic_row.h"

enum { META_BYTES_MAX = 64 << 20, DEAD_PARTITION = 0 };

static bool no_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "out of memory for dead letters");
}

/* ---- who is dead ---- */

lease_dead_verdict lease_dead_judge(lease_turn *t, lease_entry *entry, const log_record *record)
{
	const lease_book *b = &t->book;
	if (b->max_deliveries == 0 || b->dead_letter.ptr == NULL || entry->deliveries < b->max_deliveries) {
		return LEASE_DEAD_NO;
	}
	if (t->dead_letter_failed || t->dead_count == LEASE_DEAD_MAX) {
		return LEASE_DEAD_LATER;
	}
	if (t->dead_count == 0) {
		t->dead = arena_alloc_array(t->arena, LEASE_DEAD_MAX, sizeof *t->dead);
		if (t->dead == NULL) {
			return LEASE_DEAD_FAILED;
		}
	}
	t->dead[t->dead_count++] = (lease_dead){entry, *record};
	return LEASE_DEAD_YES;
}

/* ---- the dead letter topic ---- */

bool lease_dead_is_missing(lease_turn *t, const err *e)
{
	bool created = false;
	err failure;
	if (!t->dead_letter_is_missing || e->code != ERR_TOPIC_NOT_FOUND) {
		return false;
	}
	const log_topic *queue = t->book.topic;
	log_topic_spec spec = {.tenant_id = queue->tenant_id,
						   .name = t->book.dead_letter,
						   .origin = LOG_TOPICS,
						   .partitions = 1,
						   .replication_factor = 1,
						   .config = log_topic_config_default(LOG_DISK)};
	log_topic_unref(t->dead_letter);
	t->dead_letter = NULL;
	t->dead_letter_is_missing = false;
	if (!log_topic_create(t->engine, t->conn, &spec, &t->dead_letter, &created, &failure)) {
		slog_err(t->engine->options.log, SLOG_WARN, "lease", "a dead letter topic cannot be made; its jobs wait",
				 &failure);
		t->dead_letter_failed = true;
	}
	return true;
}

/* Sets t->dead_letter; fails when there is no such topic. */
static bool find_topic(lease_turn *t, err *e)
{
	str name = t->book.dead_letter;
	if (t->dead_letter != NULL && str_equal(t->dead_letter->name, name)) {
		return true;
	}
	log_topic_unref(t->dead_letter);
	t->dead_letter = log_topic_cached(t->engine, t->book.topic->tenant_id, name);
	if (t->dead_letter != NULL || topic_fetch(t->conn, t->book.topic->tenant_id, name, &t->dead_letter, e)) {
		return true;
	}
	t->dead_letter_is_missing = e->code == ERR_TOPIC_NOT_FOUND;
	return false;
}

static bool is_gone(lease_turn *t, err *e)
{
	/* A stale cache entry, or it went this moment. */
	log_topic_forget(t->engine, t->dead_letter);
	t->dead_letter_is_missing = true;
	return err_set(e, ERR_TOPIC_NOT_FOUND, "the dead letter topic is gone");
}

/* ---- appending ---- */

static bool fill_columns(lease_turn *t, log_columns *c, buf *metas, err *e)
{
	size_t n = t->dead_count;
	str *columns[6];
	size_t *ends = arena_alloc_array(t->arena, n + 1, sizeof *ends);
	for (size_t i = 0; i < 6; i++) {
		columns[i] = arena_alloc_array(t->arena, n + 1, sizeof *columns[i]);
		if (columns[i] == NULL || ends == NULL) {
			return no_memory(e);
		}
	}
	for (size_t i = 0; i < n; i++) {
		const log_record *r = &t->dead[i].record;
		columns[0][i] = r->key;
		columns[1][i] = r->value;
		columns[2][i] = r->headers;
		columns[3][i] = r->tag;
		columns[4][i] = r->node;
		lease_meta_write(metas, r, t->book.topic->name, t->dead[i].entry->deliveries);
		ends[i] = metas->len;
	}
	if (metas->failed) {
		return no_memory(e);
	}
	for (size_t i = 0; i < n; i++) {
		size_t start = i > 0 ? ends[i - 1] : 0;
		columns[5][i] = (str){metas->ptr + start, ends[i] - start};
	}
	*c = (log_columns){.count = (uint32_t)n,
					   .keys = columns[0],
					   .values = columns[1],
					   .headers = columns[2],
					   .tags = columns[3],
					   .nodes = columns[4],
					   .metas = columns[5]};
	return true;
}

/* How many of the records a refusing topic still takes. */
static uint32_t room_for(const log_columns *c, const head *h, const head_rules *rules)
{
	int64_t records = h->live_records;
	int64_t bytes = h->live_bytes;
	uint32_t n = 0;
	while (n < c->count && !rules->discard_old) {
		records++;
		bytes += (int64_t)rows_record_bytes(c, n);
		if ((rules->cap_records > 0 && records > rules->cap_records) ||
			(rules->cap_bytes > 0 && bytes > rules->cap_bytes)) {
			return n;
		}
		n++;
	}
	return c->count;
}

static bool insert_rows(lease_turn *t, head *h, const log_columns *columns, err *e)
{
	size_t sent = 0;
	buf scratch;
	row_piece piece = {columns, NULL, columns->count};
	put_place place = {
		.offset = h->next_offset, .byte = h->next_byte, .is_queue = t->dead_letter->config.kind == LOG_KIND_QUEUE};
	buf_init(&scratch, ROW_SCRATCH_BYTES);
	bool ok = db_pipeline_start(t->conn, e) &&
			  put_send_rows(t->conn, t->dead_letter->topic_id, h, &piece, 1, &place, &scratch, &sent, e) &&
			  put_drain(t->conn, sent, e);
	buf_dispose(&scratch);
	h->next_offset = place.offset;
	h->next_byte = place.byte;
	h->live_records += columns->count;
	for (uint32_t i = 0; i < columns->count; i++) {
		h->live_bytes += (int64_t)rows_record_bytes(columns, i);
	}
	return ok;
}

static bool append_dead(lease_turn *t, err *e)
{
	head *heads = NULL;
	size_t count = 0;
	head_rules rules;
	bool changed = false;
	int32_t partition = DEAD_PARTITION;
	int64_t topic_id = t->dead_letter->topic_id;
	log_columns columns = {0};
	buf metas;
	bool ok = false;
	buf_init(&metas, META_BYTES_MAX);
	if (!fill_columns(t, &columns, &metas, e) ||
		!head_lock(t->conn, topic_id, &partition, 1, t->arena, &heads, &count, &rules, e)) {
		goto out;
	}
	if (count != 1) {
		is_gone(t, e);
		goto out;
	}
	head *h = &heads[0];
	if (!head_settle_crash(t->conn, topic_id, h, &changed, e) || !retain_expire(t->conn, topic_id, h, &rules, e)) {
		goto out;
	}
	columns.count = h->is_closed ? 0 : room_for(&columns, h, &rules);
	t->dead_count = columns.count;
	t->dead_letter_is_source = h->is_source;
	h->last_ms = h->last_ms > rules.now_ms ? h->last_ms : rules.now_ms;
	ok = insert_rows(t, h, &columns, e) && retain_evict(t->conn, topic_id, h, &rules, e) &&
		 head_update(t->conn, h, topic_id, e);
out:
	buf_dispose(&metas);
	return ok;
}

/* ---- leaving the queue ---- */

/* The dead go with what was acknowledged. */
static bool list_erased(lease_turn *t, err *e)
{
	size_t most = t->erased_count + t->dead_count;
	int64_t *all = arena_alloc_array(t->arena, most + 1, sizeof *all);
	if (all == NULL) {
		return no_memory(e);
	}
	for (size_t i = 0; i < t->erased_count; i++) {
		all[i] = t->erased[i];
	}
	for (size_t i = 0; i < t->dead_count; i++) {
		lease_book_change(&t->book, t->dead[i].entry, LEASE_NONE, 0);
		all[t->erased_count + i] = t->dead[i].entry->offset;
		if (!lease_book_write(&t->book, t->dead[i].entry, 1, e)) {
			return false;
		}
	}
	t->erased = all;
	t->erased_count = most;
	return true;
}

static bool bury(lease_turn *t, err *e)
{
	if (!find_topic(t, e)) {
		return false;
	}
	bool queue_first = t->book.topic->topic_id < t->dead_letter->topic_id;
	if ((queue_first && !lease_book_lock_head(&t->book, e)) || !append_dead(t, e) || !list_erased(t, e)) {
		return false;
	}
	t->book.dead_lettered += (int64_t)t->dead_count;
	t->book.must_be_durable = true;
	return true;
}

bool lease_dead_bury(lease_turn *t, err *e)
{
	if (t->dead_count > 0 && !bury(t, e)) {
		return false;
	}
	lease_book_erase(&t->book, t->erased, t->erased_count);
	return true;
}
