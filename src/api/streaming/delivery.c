#include "api/streaming/delivery.h"

#include "api/streaming/encode.h"
#include "base/jwrite.h"

void delivery_begin(delivery *d, buf *out, arena *a)
{
	*d = (delivery){.out = out, .arena = a};
	d->last_gap = &d->first_gap;
	buf_append_str(out, STR("{\"messages\":["));
}

static void add_gap(delivery *d, int32_t partition, const log_gap *gap)
{
	delivery_gap *kept = arena_alloc(d->arena, sizeof *kept);
	if (kept == NULL) {
		d->out->failed = true; /* rather no answer than a silent gap */
		return;
	}
	*kept = (delivery_gap){NULL, partition, *gap};
	*d->last_gap = kept;
	d->last_gap = &kept->next;
}

void delivery_add_page(delivery *d, int32_t partition, log_page *page)
{
	log_record record;
	log_gap gap;
	if (log_page_gap(page, &gap)) {
		add_gap(d, partition, &gap);
	}
	while (log_page_next(page, &record)) {
		buf_append_str(d->out, d->count > 0 ? STR(",{") : STR("{"));
		encode_record(d->out, &record);
		buf_append_byte(d->out, '}');
		d->count++;
	}
}

void delivery_end(delivery *d)
{
	buf_append_byte(d->out, ']');
	if (d->first_gap == NULL) {
		return;
	}
	buf_append_str(d->out, STR(",\"gaps\":["));
	for (const delivery_gap *g = d->first_gap; g != NULL; g = g->next) {
		buf_append_str(d->out, g == d->first_gap ? STR("{") : STR(",{"));
		encode_gap(d->out, g->partition, &g->gap);
		buf_append_byte(d->out, '}');
	}
	buf_append_byte(d->out, ']');
}

bool delivery_is_empty(const delivery *d)
{
	return d->count == 0 && d->first_gap == NULL;
}

void delivery_write_lease(buf *out, str consumer_id, const log_group_take *take)
{
	buf_append_str(out, STR(",\"lease\":{\"consumer_id\":"));
	if (consumer_id.ptr != NULL) {
		jwrite_string(out, consumer_id);
	} else {
		buf_append_str(out, STR("null"));
	}
	buf_append_str(out, STR(",\"deadline\":"));
	buf_append_i64(out, take->lease_deadline_ms);
	buf_append_str(out, STR(",\"partitions\":["));
	for (size_t i = 0; i < take->count; i++) {
		buf_append_str(out, i > 0 ? STR(",{\"partition\":") : STR("{\"partition\":"));
		buf_append_i64(out, take->partitions[i]);
		buf_append_str(out, STR(",\"from_offset\":"));
		buf_append_i64(out, take->from[i]);
		buf_append_str(out, STR(",\"next_offset\":"));
		buf_append_i64(out, log_page_position(take->pages[i]));
		buf_append_byte(out, '}');
	}
	buf_append_str(out, STR("]}"));
}
