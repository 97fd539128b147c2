#include "log/route_work.h"

#include <stddef.h>

#include "log/route_copy.h"

/* ---- the copies ---- */

static bool has_any(const log_record *records, uint32_t count, size_t member)
{
	for (uint32_t i = 0; i < count; i++) {
		if (((const str *)(const void *)((const char *)&records[i] + member))->ptr != NULL) {
			return true;
		}
	}
	return false;
}

/* One column of the copies; NULL when no record of the page has it. */
static bool copy_column(arena *a, const route_work *w, uint32_t count, size_t member, const str **out)
{
	const route_page *page = w->page;
	if (!has_any(page->records, page->count, member)) {
		return true;
	}
	str *column = arena_alloc_array(a, count, sizeof *column);
	for (uint32_t i = 0; column != NULL && i < count; i++) {
		column[i] = *(const str *)(const void *)((const char *)&page->records[w->picked[i]] + member);
	}
	*out = column;
	return column != NULL;
}

static bool copy_times(arena *a, route_work *w, uint32_t count)
{
	const log_record *records = w->page->records;
	int64_t *times = NULL;
	for (uint32_t i = 0; i < count; i++) {
		const log_record *r = &records[w->picked[i]];
		if (r->timestamp_ms == r->committed_ms) {
			continue;
		}
		if (times == NULL && (times = arena_alloc_zero(a, count * sizeof *times)) == NULL) {
			return false;
		}
		times[i] = r->timestamp_ms;
	}
	w->columns.timestamps_ms = times;
	return true;
}

static bool mark_copies(arena *a, route_work *w, int64_t source_id, uint32_t count)
{
	str *metas = arena_alloc_array(a, count, sizeof *metas);
	w->keys = arena_alloc_array(a, count, sizeof *w->keys);
	w->is_known = arena_alloc_zero(a, count);
	if (metas == NULL || w->keys == NULL || w->is_known == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		const log_record *r = &w->page->records[w->picked[i]];
		route_origin origin = {.router = w->rule.name,
							   .source = w->rule.source,
							   .source_id = source_id,
							   .source_epoch = w->source_epoch,
							   .source_seq = r->offset + 1};
		if (!route_key(a, &origin, &w->keys[i]) || !route_mark_meta(a, r->meta, &origin, w->keys[i], &metas[i])) {
			return false;
		}
	}
	w->columns.metas = metas;
	return true;
}

bool route_work_make_copies(route_work *w, int64_t source_id, arena *a, err *e)
{
	const route_page *page = w->page;
	uint32_t count = 0;
	w->picked = arena_alloc_array(a, (size_t)page->count + 1, sizeof *w->picked);
	w->index = arena_alloc_array(a, (size_t)page->count + 1, sizeof *w->index);
	if (w->picked == NULL || w->index == NULL) {
		return err_set(e, ERR_NO_MEMORY, "out of memory for copies");
	}
	for (uint32_t i = 0; i < page->count; i++) {
		if (route_takes(&w->rule, &page->records[i])) {
			w->picked[count++] = i;
		}
	}
	w->columns.count = count;
	if (count == 0) {
		return true;
	}
	bool ok = copy_column(a, w, count, offsetof(log_record, value), &w->columns.values) &&
			  copy_column(a, w, count, offsetof(log_record, key), &w->columns.keys) &&
			  copy_column(a, w, count, offsetof(log_record, headers), &w->columns.headers) && copy_times(a, w, count);
	ok = ok && (!w->rule.preserve_tag || copy_column(a, w, count, offsetof(log_record, tag), &w->columns.tags));
	ok = ok && (!w->rule.preserve_node || copy_column(a, w, count, offsetof(log_record, node), &w->columns.nodes));
	ok = ok && (w->rule.exactly_once ? mark_copies(a, w, source_id, count)
									 : copy_column(a, w, count, offsetof(log_record, meta), &w->columns.metas));
	return ok || err_set(e, ERR_NO_MEMORY, "out of memory for copies");
}

/* ---- the destination ---- */

bool route_work_needs_head(const route_work *w)
{
	return w->columns.count > 0 || w->page->lost > 0;
}

bool route_work_has_caps(const route_work *w)
{
	return w->rules.cap_records > 0 || w->rules.cap_bytes > 0;
}

static bool has_room(const route_work *w, int64_t bytes)
{
	return w->rules.discard_old || ((w->rules.cap_records == 0 || w->head.live_records + 1 <= w->rules.cap_records) &&
									(w->rules.cap_bytes == 0 || w->head.live_bytes + bytes <= w->rules.cap_bytes));
}

/* Offsets for what never came. A reader who crosses them is told, so nothing below can stay; but jobs have no cursor
 * that crosses anything, and are kept. */
static void burn(route_work *w)
{
	head *h = &w->head;
	if (w->page->lost == 0) {
		return;
	}
	h->next_offset += w->page->lost;
	if (!w->dest_is_queue || h->live_records == 0) {
		h->source_floor = h->next_offset;
		h->live_records = 0;
		h->live_bytes = 0;
	}
	w->position = w->from + w->page->lost;
	w->is_changed = true;
}

void route_work_fill(route_work *w, int64_t *bytes_left)
{
	head *h = &w->head;
	burn(w);
	w->place = (put_place){.offset = h->next_offset, .byte = h->next_byte, .is_queue = w->dest_is_queue};
	h->last_ms = h->last_ms > w->rules.now_ms ? h->last_ms : w->rules.now_ms;
	for (uint32_t i = 0; i < w->columns.count; i++) {
		int64_t bytes = (int64_t)rows_record_bytes(&w->columns, i);
		bool is_known = w->is_known != NULL && w->is_known[i];
		if (!is_known && (bytes > *bytes_left || !has_room(w, bytes))) {
			w->position = w->page->records[w->picked[i]].offset;
			w->is_stuck = true;
			return;
		}
		w->forwarded++;
		if (!is_known) {
			w->index[w->count++] = i;
			h->next_offset++;
			h->next_byte += (int64_t)w->columns.values[i].len;
			h->live_records++;
			h->live_bytes += bytes;
			*bytes_left -= bytes;
			w->is_changed = true;
		}
	}
	w->position = w->page->position;
}
