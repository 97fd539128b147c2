#include "api/streaming/delivery.h"

#include "api/streaming/encode.h"
#include "api/streaming/packet.h"
#include "base/jwrite.h"

enum { LEASE_BYTES_MAX = 256 << 10 }; /* of all partitions a topic can have, and a consumer_id */

void delivery_begin(delivery *d, buf *out, arena *a, bool is_packets)
{
	*d = (delivery){.out = out, .arena = a, .is_packets = is_packets, .is_empty = true};
	d->last_gap = &d->first_gap;
	if (!is_packets) {
		buf_append_str(out, STR("{\"messages\":["));
	}
}

/* ---- pages ---- */

static void keep_gap(delivery *d, int32_t partition, const log_gap *gap)
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

static void add_gap(delivery *d, int32_t partition, const log_gap *gap)
{
	d->is_empty = false;
	if (d->is_packets) {
		packet_write_gap(d->out, partition, gap);
	} else {
		keep_gap(d, partition, gap);
	}
}

static void add_record(delivery *d, const log_record *record)
{
	d->is_empty = false;
	if (d->is_packets) {
		packet_write_record(d->out, record);
	} else {
		buf_append_str(d->out, d->count > 0 ? STR(",{") : STR("{"));
		encode_record(d->out, record);
		buf_append_byte(d->out, '}');
	}
	d->count++;
}

void delivery_add_page(delivery *d, int32_t partition, log_page *page)
{
	log_record record;
	log_gap gap;
	if (log_page_gap(page, &gap)) {
		add_gap(d, partition, &gap);
	}
	while (log_page_next(page, &record)) {
		add_record(d, &record);
	}
}

/* ---- the end ---- */

static void end_messages(delivery *d)
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

void delivery_end_read(delivery *d, int32_t partition, int64_t next, const log_page *page)
{
	if (d->is_packets) {
		packet_write_page_end(d->out, partition, next, page);
		return;
	}
	end_messages(d);
	buf_append_str(d->out, STR(",\"next_offset\":"));
	buf_append_i64(d->out, next);
	buf_append_str(d->out, STR(",\"start_offset\":"));
	buf_append_i64(d->out, log_page_start_offset(page));
	buf_append_str(d->out, STR(",\"end_offset\":"));
	buf_append_i64(d->out, log_page_end_offset(page));
	buf_append_byte(d->out, '}');
}

static void write_lease(buf *out, str consumer_id, const log_group_take *take)
{
	buf_append_str(out, STR("\"lease\":{\"consumer_id\":"));
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

/* Also when there is nothing to give: an answer of packets has at least one. */
static void write_lease_packet(buf *out, str consumer_id, const log_group_take *take)
{
	buf json;
	if (take->count == 0) {
		packet_write_event(out, STR("{\"event\":\"lease\",\"lease\":null}"));
		return;
	}
	buf_init(&json, LEASE_BYTES_MAX);
	buf_append_str(&json, STR("{\"event\":\"lease\","));
	write_lease(&json, consumer_id, take);
	buf_append_byte(&json, '}');
	if (json.failed) {
		out->failed = true;
	} else {
		packet_write_event(out, buf_str(&json));
	}
	buf_dispose(&json);
}

void delivery_end_take(delivery *d, str consumer_id, const log_group_take *take)
{
	if (d->is_packets) {
		write_lease_packet(d->out, consumer_id, take);
		return;
	}
	end_messages(d);
	if (take->count > 0) {
		buf_append_byte(d->out, ',');
		write_lease(d->out, consumer_id, take);
	}
	buf_append_byte(d->out, '}');
}
