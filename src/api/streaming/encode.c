#include "api/streaming/encode.h"

#include "base/jwrite.h"
#include "base/text.h"

enum {
	RECORD_FRAME_BYTES = 160, /* member names, punctuation and the longest numbers of a record */
	RESULT_BYTES = 64,        /* the longest {"partition":…,"offset":…}, */
};

/* ---- records ---- */

static void write_base64(buf *out, str bytes)
{
	buf_append_byte(out, '"');
	text_base64_encode(out, bytes);
	buf_append_byte(out, '"');
}

void encode_record(buf *out, const log_record *r)
{
	/* One look at the capacity for all the small pieces below. */
	if (!buf_reserve(out, r->key.len + r->value.len + r->headers.len + RECORD_FRAME_BYTES)) {
		return;
	}
	bool is_text = text_is_utf8(r->value) && (r->key.ptr == NULL || text_is_utf8(r->key));
	void (*write_bytes)(buf *, str) = is_text ? jwrite_string : write_base64;
	buf_append_str(out, STR("\"partition\":"));
	buf_append_u64(out, (uint64_t)r->partition);
	buf_append_str(out, STR(",\"offset\":"));
	buf_append_u64(out, (uint64_t)r->offset);
	buf_append_str(out, STR(",\"key\":"));
	if (r->key.ptr != NULL) {
		write_bytes(out, r->key);
	} else {
		buf_append_str(out, STR("null"));
	}
	buf_append_str(out, STR(",\"value\":"));
	write_bytes(out, r->value);
	buf_append_str(out, STR(",\"timestamp\":"));
	buf_append_i64(out, r->timestamp_ms);
	buf_append_str(out, STR(",\"headers\":"));
	buf_append_str(out, r->headers.ptr != NULL ? r->headers : STR("[]"));
	if (!is_text) {
		buf_append_str(out, STR(",\"encoding\":\"base64\""));
	}
}

void encode_gap(buf *out, int32_t partition, const log_gap *gap)
{
	buf_append_str(out, STR("\"partition\":"));
	buf_append_u64(out, (uint64_t)partition);
	buf_append_str(out, STR(",\"from_offset\":"));
	buf_append_i64(out, gap->from);
	buf_append_str(out, STR(",\"to_offset\":"));
	buf_append_i64(out, gap->to);
}

/* ---- results ---- */

/* What the results of one partition begin with, and the next offset to tell. */
typedef struct result_text {
	char bytes[40];
	size_t len;
	uint64_t offset;
} result_text;

static void begin_text(result_text *t, const log_append_result *r)
{
	buf b = {.ptr = t->bytes, .capacity = sizeof t->bytes, .max_bytes = sizeof t->bytes};
	buf_append_str(&b, STR("{\"partition\":"));
	buf_append_u64(&b, (uint64_t)r->partition);
	buf_append_str(&b, STR(",\"offset\":"));
	t->len = b.len;
	t->offset = (uint64_t)r->base_offset;
}

static void write_result(buf *out, result_text *t)
{
	buf_append(out, t->bytes, t->len);
	buf_append_u64(out, t->offset++);
	buf_append(out, "},", 2);
}

static void end_results(buf *out, const log_append *op)
{
	buf_append_str(out, op->is_duplicate ? STR("],\"deduped\":true}") : STR("]}"));
}

bool encode_results(buf *out, const log_append *op)
{
	uint32_t count = 0;
	result_text *texts = arena_alloc_array(op->arena, op->result_count + 1, sizeof *texts);
	if (texts == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < op->result_count; i++) {
		begin_text(&texts[i], &op->results[i]);
		count += op->results[i].count;
	}
	buf_reserve(out, (size_t)count * RESULT_BYTES + RESULT_BYTES);
	buf_append_str(out, STR("{\"results\":["));
	for (uint32_t i = 0; i < count; i++) {
		write_result(out, &texts[op->result_of != NULL ? op->result_of[i] : 0]);
	}
	if (count > 0 && !out->failed) {
		out->len--; /* the last comma */
	}
	end_results(out, op);
	return true;
}

void encode_result_ranges(buf *out, const log_append *op)
{
	buf_append_str(out, STR("{\"partitions\":["));
	for (uint32_t i = 0; i < op->result_count; i++) {
		const log_append_result *r = &op->results[i];
		buf_append_str(out, i > 0 ? STR(",{\"partition\":") : STR("{\"partition\":"));
		buf_append_i64(out, r->partition);
		buf_append_str(out, STR(",\"offset\":"));
		buf_append_i64(out, r->base_offset);
		buf_append_str(out, STR(",\"count\":"));
		buf_append_u64(out, r->count);
		buf_append_byte(out, '}');
	}
	end_results(out, op);
}
