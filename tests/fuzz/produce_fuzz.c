/*
 * api/streaming/produce_body and packet: whatever is accepted is within its limits, has a place, and means the same when
 * it is written down again, as JSON and as packets.
 */
#include "fuzz.h"

#include "api/streaming/packet.h"
#include "api/streaming/produce_body.h"
#include "base/buf.h"
#include "base/jwrite.h"
#include "base/text.h"

#include <string.h>

enum { MEMORY = 64 << 20, TEXT = 64 << 20 };

static void write_message(buf *out, const produce_batch *b, uint32_t i)
{
	const log_columns *c = &b->columns;
	str key = c->keys != NULL ? c->keys[i] : STR_NONE;
	bool is_text = text_is_utf8(c->values[i]) && (key.ptr == NULL || text_is_utf8(key));
	buf_append_str(out, STR("{\"value\":\""));
	if (is_text) {
		out->len--;
		jwrite_string(out, c->values[i]);
	} else {
		text_base64_encode(out, c->values[i]);
		buf_append_str(out, STR("\",\"encoding\":\"base64\""));
	}
	if (key.ptr != NULL) {
		buf_append_str(out, STR(",\"key\":\""));
		if (is_text) {
			out->len--;
			jwrite_string(out, key);
		} else {
			text_base64_encode(out, key);
			buf_append_byte(out, '"');
		}
	}
	if (c->headers != NULL && c->headers[i].ptr != NULL) {
		buf_append_str(out, STR(",\"headers\":"));
		buf_append_str(out, c->headers[i]);
	}
	if (c->timestamps_ms != NULL && c->timestamps_ms[i] != 0) {
		buf_append_str(out, STR(",\"timestamp\":"));
		buf_append_i64(out, c->timestamps_ms[i]);
	}
	if (b->partitions != NULL && b->partitions[i] != PRODUCE_ANY_PARTITION) {
		buf_append_str(out, STR(",\"partition\":"));
		buf_append_i64(out, b->partitions[i]);
	}
	buf_append_str(out, STR("}\n"));
}

static void write_packet(buf *out, const produce_batch *b, uint32_t i)
{
	const log_columns *c = &b->columns;
	const log_record r = {
		.partition = b->partitions != NULL ? b->partitions[i] : PRODUCE_ANY_PARTITION,
		.timestamp_ms = c->timestamps_ms != NULL ? c->timestamps_ms[i] : 0,
		.key = c->keys != NULL ? c->keys[i] : STR_NONE,
		.headers = c->headers != NULL ? c->headers[i] : STR_NONE,
		.value = c->values[i],
	};
	packet_write_record(out, &r);
}

static bool same_optional(const str *a, const str *b, uint32_t i)
{
	str x = a != NULL ? a[i] : STR_NONE;
	str y = b != NULL ? b[i] : STR_NONE;
	return (x.ptr == NULL) == (y.ptr == NULL) && str_equal(x, y);
}

static void check_same(const produce_batch *a, const produce_batch *b)
{
	FUZZ_CHECK(a->columns.count == b->columns.count);
	for (uint32_t i = 0; i < a->columns.count; i++) {
		FUZZ_CHECK(str_equal(a->columns.values[i], b->columns.values[i]));
		FUZZ_CHECK(same_optional(a->columns.keys, b->columns.keys, i));
		FUZZ_CHECK(same_optional(a->columns.headers, b->columns.headers, i));
		FUZZ_CHECK((a->columns.timestamps_ms != NULL ? a->columns.timestamps_ms[i] : 0) ==
				   (b->columns.timestamps_ms != NULL ? b->columns.timestamps_ms[i] : 0));
		FUZZ_CHECK((a->partitions != NULL ? a->partitions[i] : PRODUCE_ANY_PARTITION) ==
				   (b->partitions != NULL ? b->partitions[i] : PRODUCE_ANY_PARTITION));
	}
}

static void check_limits(const produce_batch *b)
{
	const log_columns *c = &b->columns;
	FUZZ_CHECK(c->count >= 1 && c->count <= LOG_RECORDS_PER_APPEND_MAX);
	for (uint32_t i = 0; i < c->count; i++) {
		size_t key = c->keys != NULL ? c->keys[i].len : 0;
		size_t headers = c->headers != NULL ? c->headers[i].len : 0;
		FUZZ_CHECK(c->values[i].ptr != NULL);
		FUZZ_CHECK(c->values[i].len + key + headers <= LOG_RECORD_BYTES_MAX);
	}
}

static void check_places(const produce_batch *b, uint32_t partitions, arena *a)
{
	const uint32_t *places = NULL;
	int32_t one = -1;
	err e;
	if (!produce_place(b, partitions, UINT32_MAX, a, &places, &one, &e)) {
		FUZZ_CHECK(e.code == ERR_INVALID_REQUEST);
		return;
	}
	FUZZ_CHECK(places != NULL || (one >= 0 && (uint32_t)one < partitions));
	for (uint32_t i = 0; places != NULL && i < b->columns.count; i++) {
		FUZZ_CHECK(places[i] < partitions);
		FUZZ_CHECK(b->partitions == NULL || b->partitions[i] == PRODUCE_ANY_PARTITION ||
				   places[i] == (uint32_t)b->partitions[i]);
	}
}

typedef bool decode_fn(str, arena *, produce_batch *, err *);

static void check_again(const produce_batch *batch, void (*write)(buf *, const produce_batch *, uint32_t),
						decode_fn *decode, arena *a)
{
	produce_batch again;
	buf text;
	err e;
	buf_init(&text, TEXT);
	for (uint32_t i = 0; i < batch->columns.count; i++) {
		write(&text, batch, i);
	}
	FUZZ_CHECK(!text.failed);
	FUZZ_CHECK(decode(buf_str(&text), a, &again, &e));
	check_same(batch, &again);
	buf_dispose(&text);
}

static void try_form(str input, decode_fn *decode)
{
	arena *a = arena_new(MEMORY);
	produce_batch batch;
	err e;
	FUZZ_CHECK(a != NULL);
	if (!decode(input, a, &batch, &e)) {
		FUZZ_CHECK(e.code != ERR_NONE && e.code != ERR_INTERNAL && e.message[0] != '\0');
		goto out;
	}
	check_limits(&batch);
	check_places(&batch, 1, a);
	check_places(&batch, 3, a);
	check_places(&batch, LOG_PARTITIONS_MAX, a);
	check_again(&batch, write_message, produce_decode_lines, a);
	check_again(&batch, write_packet, produce_decode_packets, a);
out:
	arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str input = {(const char *)data, size};
	try_form(input, produce_decode_json);
	try_form(input, produce_decode_lines);
	try_form(input, produce_decode_packets);
	return 0;
}
