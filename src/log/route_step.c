#include "log/route_step.h"

#include <stdlib.h>

#include "db/array.h"
#include "log/outcome.h"
#include "log/private.h"
#include "log/quota.h"
#include "log/retain.h"
#include "log/route_work.h"
#include "sql/head.h"
#include "sql/outcome.h"
#include "sql/router.h"

enum { STEP_ARENA_BYTES = 256 << 20, KEYS_MAX_BYTES = 4 << 20, OUTCOME_BYTES = 256 };

typedef struct step {
	log_engine *engine;
	db_conn *conn;
	arena *arena;
	buf scratch;
	const route_request *request;
	log_topic source; /* as much as reading needs */
	route_work works[ROUTE_GROUP];
	size_t work_count;
	route_page pages[ROUTE_GROUP];
	size_t page_count;
	bool is_postponed; /* a router waits for the next step, as another one of this step goes to the same place */
	bool is_synced;    /* the commit waits for the disk */
	bool is_settled;   /* what expired at the source is written down */
} step;

static bool no_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "out of memory for copies");
}

/* ---- the routers ---- */

static bool is_taken(const step *s, int64_t dest_id, int32_t partition)
{
	for (size_t i = 0; i < s->work_count; i++) {
		if (s->works[i].dest.topic_id == dest_id && s->works[i].dest_partition == partition) {
			return true;
		}
	}
	return false;
}

static bool read_work(step *s, const db_result *r, int at, err *e)
{
	route_work w = {
		.router_id = db_i64(r, at, 0),
		.dest = {.topic_id = db_i64(r, at, 1), .tenant_id = db_i64(r, at, 15), .partitions = db_i32(r, at, 11)},
		.source_epoch = db_i64(r, at, 9),
		.from = db_i64(r, at, 10),
		.dest_partition = s->request->partition % db_i32(r, at, 11),
		.dest_is_synced = db_i32(r, at, 12) == LOG_FSYNC,
		.dest_is_queue = db_i32(r, at, 13) == LOG_KIND_QUEUE,
		.rule = {.preserve_node = db_bool(r, at, 4),
				 .preserve_tag = db_bool(r, at, 5),
				 .exactly_once = db_bool(r, at, 6),
				 .has_filter = !db_is_null(r, at, 7)}};
	if (w.rule.has_filter) {
		w.rule.filter.kind = (log_tag_match_kind)db_i32(r, at, 7);
	}
	if (!arena_copy_str(s->arena, db_str(r, at, 2), &w.rule.name) ||
		!arena_copy_str(s->arena, db_str(r, at, 3), &w.rule.source) ||
		!arena_copy_str(s->arena, db_str(r, at, 16), &w.dest.name) ||
		(w.rule.has_filter && !arena_copy_str(s->arena, db_str(r, at, 8), &w.rule.filter.text))) {
		return no_memory(e);
	}
	w.position = w.from;
	if (is_taken(s, w.dest.topic_id, w.dest_partition)) {
		s->is_postponed = true;
	} else {
		s->works[s->work_count++] = w;
	}
	return true;
}

static bool lock_routers(step *s, route_outcome *out, err *e)
{
	db_params p;
	db_result *r = NULL;
	bool ok = true;
	db_params_init(&p);
	db_param_i64(&p, s->request->source_id);
	db_param_i32(&p, s->request->partition);
	if (s->request->dest_id != 0) {
		db_param_i64(&p, s->request->dest_id);
	} else {
		db_param_null(&p);
	}
	db_param_i64(&p, s->request->after);
	db_param_i64(&p, ROUTE_GROUP);
	if (!db_run(s->conn, &SQL_ROUTER_LOCK_BEHIND, &p, &r, e)) {
		return false;
	}
	int rows = db_rows(r);
	out->is_full_group = rows == ROUTE_GROUP;
	for (int i = 0; i < rows && ok; i++) {
		ok = read_work(s, r, i, e);
		out->last_router = db_i64(r, i, 0);
		s->source =
			(log_topic){.topic_id = s->request->source_id, .config = {.durability = (log_durability)db_i32(r, i, 14)}};
	}
	db_result_free(r);
	return ok;
}

/* ---- the source ---- */

static bool read_page(step *s, route_page *p, bool *expired, err *e)
{
	log_gap gap;
	log_read_request q = {.topic = &s->source,
						  .partition = s->request->partition,
						  .from = p->from,
						  .max_records = ROUTE_PAGE_RECORDS,
						  .max_bytes = ROUTE_PAGE_BYTES};
	if (!log_read(s->engine, s->conn, &q, &p->page, e)) {
		return false;
	}
	p->records = arena_alloc_array(s->arena, ROUTE_PAGE_RECORDS, sizeof *p->records);
	if (p->records == NULL) {
		return no_memory(e);
	}
	if (log_page_gap(p->page, &gap)) {
		p->lost = gap.to - gap.from;
		*expired = *expired || gap.by_ttl;
	}
	while (p->count < ROUTE_PAGE_RECORDS && log_page_next(p->page, &p->records[p->count])) {
		p->count++;
	}
	p->position = log_page_position(p->page);
	p->end_offset = log_page_end_offset(p->page);
	return true;
}

/* *expired: something was lost to age. */
static bool read_source(step *s, bool *expired, err *e)
{
	for (size_t i = 0; i < s->work_count; i++) {
		route_work *w = &s->works[i];
		for (size_t k = 0; k < s->page_count && w->page == NULL; k++) {
			w->page = s->pages[k].from == w->from ? &s->pages[k] : NULL;
		}
		if (w->page == NULL) {
			w->page = &s->pages[s->page_count++];
			w->page->from = w->from;
			if (!read_page(s, w->page, expired, e)) {
				return false;
			}
		}
	}
	return true;
}

/* ---- the destinations ---- */

static int compare_dests(const void *left, const void *right)
{
	const route_work *a = left;
	const route_work *b = right;
	if (a->dest.topic_id != b->dest.topic_id) {
		return a->dest.topic_id < b->dest.topic_id ? -1 : 1;
	}
	return a->dest_partition < b->dest_partition ? -1 : a->dest_partition > b->dest_partition ? 1 : 0;
}

static bool send_find_keys(step *s, const route_work *w, err *e)
{
	db_params p;
	db_array_builder keys;
	buf_clear(&s->scratch);
	db_array_begin(&keys, &s->scratch, DB_BYTEA);
	for (uint32_t i = 0; i < w->columns.count; i++) {
		db_array_add_str(&keys, w->keys[i]);
	}
	db_array_end(&keys);
	if (s->scratch.failed) {
		return no_memory(e);
	}
	db_params_init(&p);
	db_param_i64(&p, w->dest.topic_id);
	db_param_str(&p, buf_str(&s->scratch));
	return db_pipeline_send(s->conn, &SQL_IDEMPOTENCY_FIND, &p, e);
}

static bool receive_keys(step *s, route_work *w, err *e)
{
	db_result *r = NULL;
	if (!db_pipeline_next(s->conn, &r, e)) {
		return false;
	}
	for (int k = 0; k < db_rows(r); k++) {
		for (uint32_t i = 0; i < w->columns.count; i++) {
			w->is_known[i] = w->is_known[i] || str_equal(w->keys[i], db_str(r, k, 0));
		}
	}
	db_result_free(r);
	return true;
}

/* In one round trip, in the order of all who lock heads. */
static bool lock_dests(step *s, err *e)
{
	if (!db_pipeline_start(s->conn, e)) {
		return false;
	}
	for (size_t i = 0; i < s->work_count; i++) {
		const route_work *w = &s->works[i];
		if (route_work_needs_head(w) && (!head_send_lock(s->conn, w->dest.topic_id, &w->dest_partition, 1, e) ||
										 (w->keys != NULL && !send_find_keys(s, w, e)))) {
			return false;
		}
	}
	if (!db_pipeline_flush(s->conn, e)) {
		return false;
	}
	for (size_t i = 0; i < s->work_count; i++) {
		route_work *w = &s->works[i];
		head *heads = NULL;
		size_t count = 0;
		if (!route_work_needs_head(w)) {
			continue;
		}
		if (!head_receive_lock(s->conn, s->arena, &heads, &count, &w->rules, e) ||
			(w->keys != NULL && !receive_keys(s, w, e))) {
			return false;
		}
		w->has_head = count == 1;
		if (w->has_head) {
			w->head = heads[0];
		}
	}
	return db_pipeline_finish(s->conn, e);
}

/* What all topics together may still take; behind its lock, which comes before those of heads. */
static bool take_quota(step *s, int64_t *bytes_left, err *e)
{
	int64_t most = s->engine->options.max_total_bytes;
	int64_t total = 0;
	*bytes_left = INT64_MAX;
	if (most == 0) {
		return true;
	}
	if (!db_pipeline_start(s->conn, e) || !quota_send(s->conn, e) || !db_pipeline_flush(s->conn, e) ||
		!quota_receive(s->conn, &total, e) || !db_pipeline_finish(s->conn, e)) {
		return false;
	}
	*bytes_left = most - total;
	return true;
}

static bool settle_dests(step *s, int64_t bytes_left, err *e)
{
	for (size_t i = 0; i < s->work_count; i++) {
		route_work *w = &s->works[i];
		if (!route_work_needs_head(w)) {
			w->position = w->page->position;
			continue;
		}
		if (!w->has_head || w->head.is_closed) {
			w->is_stuck = true;
			continue;
		}
		if (!head_settle_crash(s->conn, w->dest.topic_id, &w->head, &w->is_changed, e) ||
			(route_work_has_caps(w) && !retain_expire(s->conn, w->dest.topic_id, &w->head, &w->rules, e))) {
			return false;
		}
		route_work_fill(w, &bytes_left);
		s->is_synced = s->is_synced || (w->is_changed && w->dest_is_synced);
	}
	return true;
}

/* ---- writing ---- */

static int32_t hops_of(const route_work *w, uint32_t k)
{
	return w->page->records[w->picked[w->index[k]]].hops + 1;
}

/* Records with as many hops as one another share rows. */
static bool send_copies(step *s, route_work *w, size_t *sent, err *e)
{
	for (uint32_t at = 0; at < w->count;) {
		uint32_t end = at + 1;
		w->place.hops = hops_of(w, at);
		while (end < w->count && hops_of(w, end) == w->place.hops) {
			end++;
		}
		row_piece piece = {.columns = &w->columns, .index = w->index + at, .count = end - at};
		if (!put_send_rows(s->conn, w->dest.topic_id, &w->head, &piece, 1, &w->place, &s->scratch, sent, e)) {
			return false;
		}
		at = end;
	}
	return true;
}

/* A later append with the key of a copy is answered as the repetition that it is. */
static bool add_outcome(step *s, const route_work *w, int64_t offset, db_array_builder *results)
{
	buf bytes;
	log_append_result result = {.partition = w->dest_partition, .count = 1, .base_offset = offset};
	log_append as_if = {.arena = s->arena, .results = &result, .result_count = 1};
	as_if.columns.count = 1;
	buf_init(&bytes, OUTCOME_BYTES);
	outcome_encode(&bytes, &as_if);
	db_array_add_str(results, buf_str(&bytes));
	bool ok = !bytes.failed;
	buf_dispose(&bytes);
	return ok;
}

static bool send_keys(step *s, const route_work *w, int64_t first_offset, size_t *sent, err *e)
{
	db_params p;
	db_array_builder keys;
	db_array_builder results;
	bool ok = true;
	buf_clear(&s->scratch);
	db_array_begin(&keys, &s->scratch, DB_BYTEA);
	for (uint32_t k = 0; k < w->count; k++) {
		db_array_add_str(&keys, w->keys[w->index[k]]);
	}
	db_array_end(&keys);
	size_t split = s->scratch.len;
	db_array_begin(&results, &s->scratch, DB_BYTEA);
	for (uint32_t k = 0; k < w->count && ok; k++) {
		ok = add_outcome(s, w, first_offset + k, &results);
	}
	db_array_end(&results);
	if (!ok || s->scratch.failed) {
		return no_memory(e);
	}
	db_params_init(&p);
	db_param_i64(&p, w->dest.topic_id);
	db_param_str(&p, str_take(buf_str(&s->scratch), split));
	db_param_str(&p, str_skip(buf_str(&s->scratch), split));
	db_param_i64(&p, w->rules.now_ms);
	db_param_i64(&p, w->rules.now_ms + w->rules.idempotency_window_ms);
	(*sent)++;
	return db_pipeline_send(s->conn, &SQL_ROUTER_PUT_KEYS, &p, e);
}

static bool send_all_copies(step *s, size_t *sent, err *e)
{
	for (size_t i = 0; i < s->work_count; i++) {
		route_work *w = &s->works[i];
		int64_t first_offset = w->place.offset;
		if (w->count > 0 &&
			(!send_copies(s, w, sent, e) || (w->keys != NULL && !send_keys(s, w, first_offset, sent, e)))) {
			return false;
		}
	}
	return true;
}

static bool evict(step *s, size_t *sent, err *e)
{
	bool any = false;
	for (size_t i = 0; i < s->work_count && !any; i++) {
		any = s->works[i].is_changed && s->works[i].rules.discard_old && route_work_has_caps(&s->works[i]);
	}
	if (!any) {
		return true;
	}
	/* The new records count too, so they have to be there. */
	if (!put_drain(s->conn, *sent, e)) {
		return false;
	}
	*sent = 0;
	for (size_t i = 0; i < s->work_count; i++) {
		route_work *w = &s->works[i];
		if (w->is_changed && !retain_evict(s->conn, w->dest.topic_id, &w->head, &w->rules, e)) {
			return false;
		}
	}
	return db_pipeline_start(s->conn, e);
}

static bool send_heads(step *s, size_t *sent, err *e)
{
	for (size_t i = 0; i < s->work_count; i++) {
		db_params p;
		if (s->works[i].is_changed) {
			head_bind_update(&s->works[i].head, s->works[i].dest.topic_id, &p);
			if (!db_pipeline_send(s->conn, &SQL_HEAD_UPDATE, &p, e)) {
				return false;
			}
			(*sent)++;
		}
	}
	return true;
}

typedef int64_t number_of(const route_work *w);

static int64_t id_of(const route_work *w)
{
	return w->router_id;
}

static int64_t position_of(const route_work *w)
{
	return w->position;
}

static int64_t forwarded_of(const route_work *w)
{
	return w->forwarded;
}

static bool send_positions(step *s, size_t *sent, err *e)
{
	static number_of *const COLUMNS[] = {id_of, position_of, forwarded_of};
	size_t ends[3];
	db_params p;
	buf_clear(&s->scratch);
	for (size_t column = 0; column < 3; column++) {
		db_array_builder a;
		db_array_begin(&a, &s->scratch, DB_INT8);
		for (size_t i = 0; i < s->work_count; i++) {
			if (s->works[i].position != s->works[i].from) {
				db_array_add_i64(&a, COLUMNS[column](&s->works[i]));
			}
		}
		db_array_end(&a);
		ends[column] = s->scratch.len;
	}
	if (s->scratch.failed) {
		return no_memory(e);
	}
	str all = buf_str(&s->scratch);
	db_params_init(&p);
	db_param_i64(&p, s->request->source_id);
	db_param_i32(&p, s->request->partition);
	db_param_str(&p, str_take(all, ends[0]));
	db_param_str(&p, str_skip(str_take(all, ends[1]), ends[0]));
	db_param_str(&p, str_skip(all, ends[1]));
	(*sent)++;
	return db_pipeline_send(s->conn, &SQL_ROUTER_SAVE, &p, e);
}

/* Copies are as durable as the topic they land in; with several, as the most durable one. */
static bool send_commit(step *s, size_t *sent, err *e)
{
	db_params p;
	db_params_init(&p);
	db_param_str(&p, s->is_synced ? STR("on") : STR("off"));
	*sent += 2;
	return db_pipeline_send(s->conn, &SQL_ROUTER_SET_COMMIT, &p, e) && db_pipeline_commit(s->conn, e);
}

static bool write_and_commit(step *s, err *e)
{
	size_t sent = 0;
	return db_pipeline_start(s->conn, e) && send_all_copies(s, &sent, e) && evict(s, &sent, e) &&
		   send_heads(s, &sent, e) && send_positions(s, &sent, e) && send_commit(s, &sent, e) &&
		   put_drain(s->conn, sent, e);
}

static bool is_moved(const step *s)
{
	for (size_t i = 0; i < s->work_count; i++) {
		if (s->works[i].position != s->works[i].from) {
			return true;
		}
	}
	return false;
}

/* ---- the step ---- */

/* *unsettled: nothing was done, as the source has to be settled first: a reader in a transaction passes over what has
 * expired, and does not tell exactly where that ends. */
static bool run(step *s, route_outcome *out, bool *unsettled, err *e)
{
	bool expired = false;
	if (!db_begin(s->conn, e) || !lock_routers(s, out, e)) {
		return false;
	}
	if (s->work_count == 0) {
		db_rollback(s->conn);
		return true;
	}
	qsort(s->works, s->work_count, sizeof *s->works, compare_dests);
	if (!read_source(s, &expired, e)) {
		return false;
	}
	if (expired && !s->is_settled) {
		db_rollback(s->conn);
		*unsettled = true;
		return true;
	}
	for (size_t i = 0; i < s->work_count; i++) {
		if (!route_work_make_copies(&s->works[i], s->request->source_id, s->arena, e)) {
			return false;
		}
	}
	int64_t bytes_left = 0;
	if (!take_quota(s, &bytes_left, e) || !lock_dests(s, e) || !settle_dests(s, bytes_left, e)) {
		return false;
	}
	out->moved = is_moved(s);
	if (!out->moved) {
		db_rollback(s->conn);
		return true;
	}
	return write_and_commit(s, e);
}

static void announce(const step *s, route_outcome *out)
{
	out->more = s->is_postponed && out->moved;
	for (size_t i = 0; i < s->work_count; i++) {
		const route_work *w = &s->works[i];
		out->more = out->more || (!w->is_stuck && w->position < w->page->end_offset);
		if (w->is_changed && out->moved) {
			route_announce(s->engine, &w->dest, w->dest_partition, w->head.is_source);
		}
	}
}

static bool attempt(log_engine *engine, db_conn *conn, const route_request *request, bool is_settled,
					route_outcome *out, bool *unsettled, err *e)
{
	bool ok = false;
	step *s = calloc(1, sizeof *s);
	*out = (route_outcome){0};
	if (s == NULL) {
		return no_memory(e);
	}
	*s = (step){.engine = engine,
				.conn = conn,
				.arena = arena_new(STEP_ARENA_BYTES),
				.request = request,
				.is_settled = is_settled};
	buf_init(&s->scratch, ROW_SCRATCH_BYTES);
	ok = s->arena != NULL ? run(s, out, unsettled, e) : no_memory(e);
	if (ok && !*unsettled) {
		announce(s, out);
	} else if (!ok) {
		db_rollback(conn);
		err_frame(e, "route_step");
	}
	for (size_t i = 0; i < s->page_count; i++) {
		log_page_free(s->pages[i].page);
	}
	arena_free(s->arena);
	buf_dispose(&s->scratch);
	free(s);
	return ok;
}

bool route_step(log_engine *engine, db_conn *conn, const route_request *request, route_outcome *out, err *e)
{
	bool unsettled = false;
	bool still_unsettled = false;
	return attempt(engine, conn, request, false, out, &unsettled, e) &&
		   (!unsettled || (retain_settle(conn, request->source_id, request->partition, e) &&
						   attempt(engine, conn, request, true, out, &still_unsettled, e)));
}

bool route_pass(log_engine *engine, db_conn *conn, int64_t source_id, int32_t partition, int64_t dest_id, bool *more,
				err *e)
{
	route_request request = {.source_id = source_id, .partition = partition, .dest_id = dest_id};
	route_outcome outcome;
	do {
		if (!route_step(engine, conn, &request, &outcome, e)) {
			return false;
		}
		*more = *more || outcome.more;
		request.after = outcome.last_router;
	} while (outcome.is_full_group);
	return true;
}
