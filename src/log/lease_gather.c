#include "log/lease_gather.h"

#include "log/lease_dead.h"
#include "log/lease_write.h"

enum {
	RETURNED_LEAST = 64, /* asked for at once: some may be dead letters */
	RETURNED_MOST = 1000,
	RETURNED_ROUNDS = 16,
	RUN_GAP = 256, /* records between two wanted ones that are read rather than asked for anew */
};

/* ---- pages ---- */

/* NULL without an error: the turn has read enough. */
static bool read_page(lease_turn *t, int64_t from, int64_t until, size_t records, log_page **out, err *e)
{
	*out = NULL;
	if (t->page_count == LEASE_TURN_PAGES || t->bytes >= LEASE_TURN_BYTES) {
		return true;
	}
	log_read_request q = {.topic = t->book.topic,
						  .partition = t->book.partition,
						  .from = from,
						  .until = until,
						  .max_records = (uint32_t)records,
						  .max_bytes = LEASE_TURN_BYTES - t->bytes,
						  .from_kept = true};
	if (!log_read(t->engine, t->conn, &q, out, e)) {
		return false;
	}
	t->pages[t->page_count++] = *out;
	return true;
}

static uint64_t record_bytes(const log_record *r)
{
	return r->value.len + r->key.len + r->headers.len + r->tag.len + r->node.len + r->meta.len;
}

/* Entries that lie close together: the number of them. */
static size_t run_length(const lease_entry *entries, size_t count)
{
	size_t n = 1;
	while (n < count && entries[n].offset - entries[n - 1].offset <= RUN_GAP) {
		n++;
	}
	return n;
}

/* One run. *taken: entries that were decided; fewer than count when there was no more room, or *stop. */
static bool read_run(lease_turn *t, lease_entry *entries, size_t count, lease_take *take, void *context, size_t *taken,
					 bool *stop, err *e)
{
	log_page *page = NULL;
	log_record record;
	int64_t first = entries[0].offset;
	int64_t end = entries[count - 1].offset + 1;
	size_t at = 0;
	if (!read_page(t, first, end, (size_t)(end - first), &page, e)) {
		return false;
	}
	*stop = page == NULL;
	while (!*stop && at < count && log_page_next(page, &record)) {
		while (at < count && entries[at].offset < record.offset && !*stop) {
			*stop = !take(t, &entries[at++], NULL, context);
		}
		if (!*stop && at < count && entries[at].offset == record.offset) {
			*stop = !take(t, &entries[at], &record, context);
			at += *stop ? 0 : 1;
			t->bytes += record_bytes(&record);
		}
	}
	/* Behind the last record of a page that was read to its end there is nothing. */
	while (!*stop && at < count && entries[at].offset < log_page_position(page)) {
		*stop = !take(t, &entries[at++], NULL, context);
	}
	*taken = at;
	return true;
}

bool lease_read_entries(lease_turn *t, lease_entry *entries, size_t count, lease_take *take, void *context, err *e)
{
	bool stop = false;
	for (size_t at = 0; at < count && !stop;) {
		size_t taken = 0;
		if (!read_run(t, entries + at, run_length(entries + at, count - at), take, context, &taken, &stop, e)) {
			return false;
		}
		stop = stop || taken == 0;
		at += taken;
	}
	return true;
}

/* ---- dealing ---- */

typedef struct gathering {
	lease_deal deal;
	bool failed; /* memory is out */
} gathering;

/* Leases it to whoever is next; false when nobody wants it. */
static bool lease_out(lease_turn *t, gathering *g, lease_entry *entry, const log_record *record)
{
	lease_book *b = &t->book;
	int64_t share = t->dealt_count < t->dealt_max ? lease_deal_one(&g->deal, record_bytes(record)) : LEASE_NOBODY;
	if (share == LEASE_NOBODY) {
		g->deal.wanted = 0;
		return false;
	}
	const log_lease *op = t->claims[share];
	entry->holder = op->holder;
	entry->number = lease_book_number(b);
	entry->deliveries++;
	lease_book_change(b, entry, LEASE_HELD, b->now_ms + op->lease_ms + 1);
	t->dealt[t->dealt_count++] = (lease_dealt){
		.share = (uint32_t)share,
		.job = {*record, .number = entry->number, .deadline_ms = entry->free_ms - 1, .deliveries = entry->deliveries}};
	return true;
}

static bool take_returned(lease_turn *t, lease_entry *entry, const log_record *record, void *context)
{
	gathering *g = context;
	if (record == NULL) {
		lease_book_change(&t->book, entry, LEASE_NONE, 0);
		return true;
	}
	switch (lease_dead_judge(t, entry, record)) {
	case LEASE_DEAD_NO:
		return lease_out(t, g, entry, record);
	case LEASE_DEAD_YES:
	case LEASE_DEAD_LATER:
		return true;
	case LEASE_DEAD_FAILED:
		break;
	}
	g->failed = true;
	return false;
}

static bool gather_returned(lease_turn *t, gathering *g, err *e)
{
	int64_t from = 0;
	for (int round = 0; round < RETURNED_ROUNDS && g->deal.wanted > 0 && t->book.count[LEASE_RETURNED] > 0; round++) {
		lease_entry *entries = NULL;
		size_t count = 0;
		size_t limit = g->deal.wanted < RETURNED_MOST ? (size_t)g->deal.wanted : RETURNED_MOST;
		limit = limit > RETURNED_LEAST ? limit : RETURNED_LEAST;
		if (!lease_book_find_returned(&t->book, from, limit, &entries, &count, e) ||
			!lease_read_entries(t, entries, count, take_returned, g, e) ||
			!lease_write_add(&t->book, entries, count, e)) {
			return false;
		}
		if (count < limit) {
			break;
		}
		from = entries[count - 1].offset + 1;
	}
	return !g->failed || err_set(e, ERR_NO_MEMORY, "out of memory for dead letters");
}

static bool gather_new(lease_turn *t, gathering *g, err *e)
{
	lease_book *b = &t->book;
	bool stop = false;
	while (!stop && g->deal.wanted > 0 && b->next_offset < b->end_offset) {
		log_page *page = NULL;
		log_record record;
		size_t leased = 0;
		size_t wanted = g->deal.wanted < t->dealt_max ? (size_t)g->deal.wanted : t->dealt_max;
		lease_entry *entries = arena_alloc_zero(t->arena, wanted * sizeof *entries);
		if (entries == NULL) {
			return err_set(e, ERR_NO_MEMORY, "out of memory for a group of leases");
		}
		if (!read_page(t, b->next_offset, b->end_offset, wanted, &page, e)) {
			return false;
		}
		stop = page == NULL;
		while (!stop && leased < wanted && log_page_next(page, &record)) {
			entries[leased].offset = record.offset;
			stop = !lease_out(t, g, &entries[leased], &record);
			if (!stop) {
				leased++;
				b->next_offset = record.offset + 1;
				t->bytes += record_bytes(&record);
			}
		}
		if (!stop) {
			/* Deleted ones at the page's end; a page that gave nothing and moved nothing is the end, too. */
			stop = leased == 0 && log_page_position(page) <= b->next_offset;
			b->next_offset = b->next_offset > log_page_position(page) ? b->next_offset : log_page_position(page);
		}
		if (!lease_write_add(b, entries, leased, e)) {
			return false;
		}
	}
	return true;
}

bool lease_gather(lease_turn *t, lease_share *shares, size_t share_count, err *e)
{
	gathering g = {0};
	lease_deal_begin(&g.deal, shares, share_count);
	t->dealt_max = g.deal.wanted < LEASE_TURN_JOBS ? (size_t)g.deal.wanted : LEASE_TURN_JOBS;
	t->dealt = arena_alloc_array(t->arena, t->dealt_max + 1, sizeof *t->dealt);
	if (t->dealt == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for a group of leases");
	}
	if (lease_book_ready(&t->book) == 0) {
		return true;
	}
	return gather_returned(t, &g, e) && gather_new(t, &g, e);
}
