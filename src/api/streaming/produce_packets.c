#include "api/api.h"
#include "api/streaming/header_text.h"
#include "api/streaming/packet.h"
#include "api/streaming/produce_body.h"

typedef struct decoder {
	arena *arena;
	err *error;
	uint32_t count;
	str *values;
	str *keys;
	str *headers;
	int64_t *timestamps_ms;
	int32_t *partitions;
	bool has_keys;
	bool has_headers;
	bool has_timestamps;
	bool has_partitions;
} decoder;

static bool refuse_memory(decoder *d)
{
	return err_set(d->error, ERR_PAYLOAD_TOO_LARGE,
				   "the request needs more memory than one request may use; send it in several");
}

/* How many there are, all of them records as far as can be seen from outside. */
static bool count_records(decoder *d, str body)
{
	packet p;
	for (str rest = body; rest.len > 0; d->count++) {
		if (!packet_take(&rest, &p)) {
			return err_set(d->error, ERR_INVALID_REQUEST,
						   "record %u: the body ends inside the packet, or its length is wrong", d->count);
		}
		if (p.type != PACKET_RECORD) {
			return err_set(d->error, ERR_INVALID_REQUEST, "packet %u is of type %u; a producer sends records, type %d",
						   d->count, p.type, PACKET_RECORD);
		}
		if (d->count == LOG_RECORDS_PER_APPEND_MAX) {
			return err_set(d->error, ERR_BATCH_TOO_LARGE, "a request may hold at most %d messages; send it in several",
						   LOG_RECORDS_PER_APPEND_MAX);
		}
	}
	return d->count > 0 || err_set(d->error, ERR_INVALID_REQUEST, "there are no messages; send at least one");
}

static bool make_columns(decoder *d)
{
	d->values = arena_alloc_array(d->arena, d->count, sizeof *d->values);
	d->keys = arena_alloc_array(d->arena, d->count, sizeof *d->keys);
	d->headers = arena_alloc_array(d->arena, d->count, sizeof *d->headers);
	d->timestamps_ms = arena_alloc_array(d->arena, d->count, sizeof *d->timestamps_ms);
	d->partitions = arena_alloc_array(d->arena, d->count, sizeof *d->partitions);
	return (d->values != NULL && d->keys != NULL && d->headers != NULL && d->timestamps_ms != NULL &&
			d->partitions != NULL) ||
		   refuse_memory(d);
}

static bool read_headers(decoder *d, uint32_t i, str text, str *out)
{
	jscan s;
	*out = STR_NONE;
	if (text.ptr == NULL) {
		return true;
	}
	jscan_init(&s, text, API_JSON_DEPTH);
	switch (header_text_read(&s, d->arena, out)) {
	case HEADER_TEXT_OK:
		if (jscan_end(&s)) {
			return true;
		}
		break;
	case HEADER_TEXT_NO_MEMORY:
		return refuse_memory(d);
	case HEADER_TEXT_BROKEN:
	case HEADER_TEXT_WRONG:
		break;
	}
	return err_set(d->error, ERR_INVALID_REQUEST, "record %u: the headers must be " HEADER_TEXT_RULE ", as JSON text",
				   i);
}

static bool check_numbers(decoder *d, uint32_t i, const log_record *r)
{
	size_t bytes = r->key.len + r->value.len + r->headers.len;
	if (bytes > LOG_RECORD_BYTES_MAX) {
		return err_set(d->error, ERR_RECORD_TOO_LARGE,
					   "message %u has %zu bytes of key, value and headers; at most %d are allowed", i, bytes,
					   LOG_RECORD_BYTES_MAX);
	}
	if (r->partition < PRODUCE_ANY_PARTITION || r->partition >= LOG_PARTITIONS_MAX) {
		return err_set(d->error, ERR_INVALID_REQUEST,
					   "record %u: the partition must be from 0 to %d, or -1 for the server's choice", i,
					   LOG_PARTITIONS_MAX - 1);
	}
	return (r->timestamp_ms >= 0 && r->timestamp_ms <= PRODUCE_TIMESTAMP_MS_MAX) ||
		   err_set(d->error, ERR_INVALID_REQUEST,
				   "record %u: the timestamp must be milliseconds since 1970, or 0 for the server's", i);
}

static bool read_record(decoder *d, uint32_t i, str body)
{
	log_record r;
	if (!packet_read_record(body, &r)) {
		return err_set(d->error, ERR_INVALID_REQUEST,
					   "record %u: the lengths of key and headers do not fit into the packet", i);
	}
	if (!check_numbers(d, i, &r) || !read_headers(d, i, r.headers, &d->headers[i])) {
		return false;
	}
	d->values[i] = r.value;
	d->keys[i] = r.key;
	d->timestamps_ms[i] = r.timestamp_ms;
	d->partitions[i] = r.partition;
	d->has_keys = d->has_keys || r.key.ptr != NULL;
	d->has_headers = d->has_headers || d->headers[i].ptr != NULL;
	d->has_timestamps = d->has_timestamps || r.timestamp_ms != 0;
	d->has_partitions = d->has_partitions || r.partition != PRODUCE_ANY_PARTITION;
	return true;
}

bool produce_decode_packets(str body, arena *a, produce_batch *out, err *e)
{
	decoder d = {.arena = a, .error = e};
	packet p;
	str rest = body;
	if (!count_records(&d, body) || !make_columns(&d)) {
		return false;
	}
	for (uint32_t i = 0; packet_take(&rest, &p); i++) {
		if (!read_record(&d, i, p.body)) {
			return false;
		}
	}
	*out = (produce_batch){
		.columns =
			{
				.count = d.count,
				.values = d.values,
				.keys = d.has_keys ? d.keys : NULL,
				.headers = d.has_headers ? d.headers : NULL,
				.timestamps_ms = d.has_timestamps ? d.timestamps_ms : NULL,
			},
		.partitions = d.has_partitions ? d.partitions : NULL,
	};
	return true;
}
