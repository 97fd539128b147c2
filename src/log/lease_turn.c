#include "log/lease_turn.h"

#include <string.h>

#include "log/lease_cohort.h"
#include "log/lease_dead.h"
#include "log/lease_gather.h"
#include "log/private.h"

enum { TRIES = 3 };

static bool no_memory(err *e)
{
	return err_set(e, ERR_NO_MEMORY, "out of memory for a group of leases");
}

void lease_turn_init(lease_turn *t, log_engine *engine, log_conn *conn, arena *a)
{
	*t = (lease_turn){.engine = engine, .conn = conn, .arena = a};
}

static void forget(lease_turn *t)
{
	for (size_t i = 0; i < t->page_count; i++) {
		log_page_free(t->pages[i]);
	}
	t->page_count = 0;
	t->bytes = 0;
	t->dealt_count = 0;
	t->claim_count = 0;
	t->erased_count = 0;
	t->dead_count = 0;
}

void lease_turn_dispose(lease_turn *t)
{
	forget(t);
	log_topic_unref(t->dead_letter);
	t->dead_letter = NULL;
}

/* ---- what is said about records in flight ---- */

static int compare_offsets(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left;
	int64_t b = *(const int64_t *)right;
	return a < b ? -1 : a > b ? 1 : 0;
}

static int compare_entry(const void *offset, const void *entry)
{
	return compare_offsets(offset, &((const lease_entry *)entry)->offset);
}

/* Every record that some operation names, once, in order. */
static bool list_named(lease_turn *t, log_lease **ops, size_t count, int64_t **out, size_t *unique, err *e)
{
	size_t refs = 0;
	for (size_t i = 0; i < count; i++) {
		refs += ops[i]->ref_count;
	}
	int64_t *offsets = arena_alloc_array(t->arena, refs + 1, sizeof *offsets);
	t->erased = arena_alloc_array(t->arena, refs + 1, sizeof *t->erased);
	if (offsets == NULL || t->erased == NULL) {
		return no_memory(e);
	}
	refs = 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t r = 0; r < ops[i]->ref_count; r++) {
			offsets[refs++] = ops[i]->refs[r].offset;
		}
	}
	qsort(offsets, refs, sizeof *offsets, compare_offsets);
	*unique = 0;
	for (size_t i = 0; i < refs; i++) {
		if (*unique == 0 || offsets[*unique - 1] != offsets[i]) {
			offsets[(*unique)++] = offsets[i];
		}
	}
	*out = offsets;
	return true;
}

/* Begins the transaction, with the entries of all that is named. */
static bool begin(lease_turn *t, log_lease **ops, size_t count, lease_entry **entries, size_t *found, err *e)
{
	int64_t *offsets = NULL;
	if (!list_named(t, ops, count, &offsets, found, e)) {
		return false;
	}
	t->book = (lease_book){.conn = t->conn,
						   .arena = t->arena,
						   .topic = ops[0]->topic,
						   .consumer = ops[0]->consumer,
						   .partition = ops[0]->partition};
	return lease_book_begin(&t->book, t->engine, offsets, *found, entries, e);
}

static void apply_ref(lease_turn *t, const log_lease *op, log_lease_ref *ref, lease_entry *entry)
{
	lease_book *b = &t->book;
	ref->stands = entry != NULL && entry->class == LEASE_HELD && str_equal(entry->holder, op->holder) &&
				  (ref->number == 0 || ref->number == entry->number) && entry->named_by != op;
	if (!ref->stands) {
		return;
	}
	entry->named_by = op;
	switch (op->action) {
	case LOG_LEASE_CLAIM:
		break;
	case LOG_LEASE_ACK:
		lease_book_change(b, entry, LEASE_NONE, 0);
		if (b->consumer.len == 0) {
			t->erased[t->erased_count++] = entry->offset;
			b->live_records--;
		}
		b->must_be_durable = true;
		break;
	case LOG_LEASE_NACK:
		lease_book_change(b, entry, op->delay_ms > 0 ? LEASE_POSTPONED : LEASE_RETURNED,
						  op->delay_ms > 0 ? b->now_ms + op->delay_ms : 0);
		break;
	case LOG_LEASE_EXTEND:
		ref->deadline_ms = b->now_ms + op->lease_ms;
		lease_book_change(b, entry, LEASE_HELD, ref->deadline_ms + 1);
		break;
	}
}

static bool apply_named(lease_turn *t, log_lease **ops, size_t count, lease_entry *entries, size_t found, err *e)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t r = 0; r < ops[i]->ref_count; r++) {
			log_lease_ref *ref = &ops[i]->refs[r];
			apply_ref(t, ops[i], ref, bsearch(&ref->offset, entries, found, sizeof *entries, compare_entry));
		}
	}
	return lease_book_write(&t->book, entries, found, e);
}

/* ---- claims ---- */

static uint32_t still_wanted(const log_lease *op)
{
	uint32_t held = 0;
	for (size_t r = 0; r < op->ref_count; r++) {
		held += op->refs[r].stands ? 1 : 0;
	}
	return op->max > held ? op->max - held : 0;
}

static bool list_claims(lease_turn *t, log_lease **ops, size_t count, err *e)
{
	t->claims = arena_alloc_array(t->arena, count, sizeof(log_lease *));
	t->shares = arena_alloc_zero(t->arena, count * sizeof *t->shares);
	if (t->claims == NULL || t->shares == NULL) {
		return no_memory(e);
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t wanted = ops[i]->action == LOG_LEASE_CLAIM ? still_wanted(ops[i]) : 0;
		if (wanted > 0 || ops[i]->claim_id != 0) {
			t->shares[t->claim_count].wanted = wanted;
			t->claims[t->claim_count++] = ops[i];
		}
	}
	return true;
}

static bool serve_claims(lease_turn *t, log_lease **ops, size_t count, err *e)
{
	if (!list_claims(t, ops, count, e)) {
		return false;
	}
	bool has_window = t->book.claim_jitter_ms > 0 || t->book.window_ends_ms > 0;
	for (size_t i = 0; i < t->claim_count && !has_window; i++) {
		has_window = t->claims[i]->claim_id != 0;
	}
	if (t->claim_count == 0) {
		return true;
	}
	return has_window ? lease_cohort_serve(t, e) : lease_gather(t, t->shares, t->claim_count, e);
}

/* ---- answers ---- */

/* The jobs of each claim, in their order. */
static bool hand_over(lease_turn *t, err *e)
{
	log_lease_job *jobs = arena_alloc_array(t->arena, t->dealt_count + 1, sizeof *jobs);
	size_t *starts = arena_alloc_zero(t->arena, (t->claim_count + 1) * sizeof *starts);
	if (jobs == NULL || starts == NULL) {
		return no_memory(e);
	}
	for (size_t i = 0; i < t->dealt_count; i++) {
		starts[t->dealt[i].share + 1]++;
	}
	for (size_t c = 0; c < t->claim_count; c++) {
		t->claims[c]->job_count = starts[c + 1];
		starts[c + 1] += starts[c];
		t->claims[c]->jobs = jobs + starts[c];
	}
	for (size_t i = 0; i < t->dealt_count; i++) {
		jobs[starts[t->dealt[i].share]++] = t->dealt[i].job;
	}
	return true;
}

static void answer(const lease_turn *t, log_lease **ops, size_t count)
{
	const lease_book *b = &t->book;
	bool is_timed = b->count[LEASE_HELD] + b->count[LEASE_POSTPONED] > 0;
	int64_t due_in_ms = b->due_ms > b->now_ms ? b->due_ms - b->now_ms : 0;
	for (size_t i = 0; i < count; i++) {
		ops[i]->counts = (log_lease_counts){lease_book_ready(b), b->count[LEASE_HELD], b->dead_lettered};
		ops[i]->due_in_ms = is_timed ? due_in_ms : -1;
		ops[i]->claim_id = ops[i]->next_claim_id != 0 ? ops[i]->next_claim_id : ops[i]->claim_id;
	}
}

static void announce(const lease_turn *t)
{
	if (t->book.freed_some) {
		wake_topic(t->engine->wakes, t->book.topic->topic_id, t->book.partition);
		notify_appended(t->engine->link, t->book.topic->topic_id, t->book.partition);
	}
	if (t->dead_count > 0) {
		route_announce(t->engine, t->dead_letter, 0, t->dead_letter_is_source);
	}
}

static bool attempt(lease_turn *t, log_lease **ops, size_t count, err *e)
{
	lease_entry *entries = NULL;
	size_t found = 0;
	forget(t);
	arena_reset(t->arena);
	for (size_t i = 0; i < count; i++) {
		ops[i]->jobs = NULL;
		ops[i]->job_count = 0;
		ops[i]->wait_ms = 0;
		ops[i]->next_claim_id = 0;
		err_clear(&ops[i]->error);
	}
	if (!begin(t, ops, count, &entries, &found, e) || !apply_named(t, ops, count, entries, found, e) ||
		!serve_claims(t, ops, count, e) || !lease_dead_bury(t, e) || !hand_over(t, e) ||
		!lease_book_commit(&t->book, e)) {
		return false;
	}
	answer(t, ops, count);
	announce(t);
	return true;
}

void lease_turn_run(lease_turn *t, log_lease **ops, size_t count)
{
	err e;
	err_clear(&e);
	for (int i = 0; i < TRIES; i++) {
		if (attempt(t, ops, count, &e)) {
			return;
		}
		db_rollback(t->conn);
		/* Two transactions that waited for each other (class 40), or a dead letter topic that has to be made first. */
		if (strncmp(e.sqlstate, "40", 2) != 0 && !lease_dead_is_missing(t, &e)) {
			break;
		}
	}
	forget(t);
	for (size_t i = 0; i < count; i++) {
		ops[i]->error = e;
		ops[i]->jobs = NULL;
		ops[i]->job_count = 0;
		ops[i]->wait_ms = 0;
	}
}
