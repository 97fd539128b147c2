#include "log/lease_write.h"

#include "db/columns.h"
#include "sql/lease.h"

enum { ARRAYS_BYTES_MAX = 64 << 20 };

bool lease_write_add(lease_book *b, lease_entry *entries, size_t count, err *e)
{
	size_t changed = 0;
	for (size_t i = 0; i < count; i++) {
		changed += entries[i].is_changed ? 1 : 0;
	}
	if (changed == 0) {
		return true;
	}
	lease_writing *w = arena_alloc(b->arena, sizeof *w);
	if (w == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for a group of leases");
	}
	*w = (lease_writing){entries, count, b->writings};
	b->writings = w;
	b->has_written = true;
	return true;
}

/* One array parameter of SQL_LEASE_PUT: the same member of every entry that stays. */
typedef enum member { OFFSETS, HOLDERS, NUMBERS, FREE_MS, DELIVERIES, MEMBERS } member;

static void add_member(db_array_builder *a, const lease_entry *entry, member m)
{
	const int64_t numbers[MEMBERS] = {[OFFSETS] = entry->offset,
									  [NUMBERS] = entry->number,
									  [FREE_MS] = entry->free_ms,
									  [DELIVERIES] = entry->deliveries};
	if (m == HOLDERS) {
		db_array_add_str(a, entry->holder);
	} else {
		db_array_add_i64(a, numbers[m]);
	}
}

static void add_writings(db_array_builder *a, const lease_book *b, bool dropped, member m)
{
	for (const lease_writing *w = b->writings; w != NULL; w = w->next) {
		for (size_t i = 0; i < w->count; i++) {
			if (w->entries[i].is_changed && (w->entries[i].class == LEASE_NONE) == dropped) {
				add_member(a, &w->entries[i], m);
			}
		}
	}
}

/* Entries that stay: all members, as SQL_LEASE_PUT takes them. Those that go: the offsets of SQL_LEASE_DROP. */
static bool send_changed(const lease_book *b, const db_query *query, bool dropped, member members, size_t *sent, err *e)
{
	db_params p;
	db_columns c;
	bool ok = true;
	db_columns_init(&c, ARRAYS_BYTES_MAX);
	for (member m = 0; m < members; m++) {
		add_writings(db_columns_begin(&c, m == HOLDERS ? DB_BYTEA : DB_INT8), b, dropped, m);
		db_columns_end(&c);
	}
	if (c.array.count > 0) {
		lease_book_bind(b, &p);
		ok = db_columns_bind(&c, &p, e) && db_pipeline_send(b->conn, query, &p, e);
		(*sent)++;
	}
	db_columns_dispose(&c);
	return ok;
}

bool lease_write_send(lease_book *b, size_t *sent, err *e)
{
	if (!send_changed(b, &SQL_LEASE_DROP, true, HOLDERS, sent, e) ||
		!send_changed(b, &SQL_LEASE_PUT, false, MEMBERS, sent, e)) {
		return false;
	}
	for (; b->writings != NULL; b->writings = b->writings->next) {
		for (size_t i = 0; i < b->writings->count; i++) {
			b->writings->entries[i].is_changed = false;
		}
	}
	return true;
}
