#include "api/streaming/offsets.h"

#include <inttypes.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

static void read_one(body *b, log_group_offset *out)
{
	int64_t partition = -1;
	int64_t offset = -1;
	str key;
	if (!body_object(b, "each entry of offsets")) {
		return;
	}
	while (body_next(b, &key)) {
		if (str_equal(key, STR("partition"))) {
			body_integer(b, "partition", 0, LOG_PARTITIONS_MAX - 1, &partition);
		} else if (str_equal(key, STR("offset"))) {
			body_integer(b, "offset", 0, INT64_MAX, &offset);
		} else {
			body_skip(b);
		}
	}
	if (!b->failed && (partition < 0 || offset < 0)) {
		body_refuse(b, "each entry of offsets", "{\"partition\":…,\"offset\":…} with both members");
	}
	*out = (log_group_offset){(int32_t)partition, offset};
}

/* Room for one more; *offsets grows geometrically. */
static bool reserve(body *b, log_group_offset **offsets, size_t count, size_t *capacity)
{
	if (*offsets != NULL && count < *capacity) {
		return true;
	}
	size_t wanted = *capacity == 0 ? FIRST_CAPACITY : *capacity * 4;
	log_group_offset *grown = arena_alloc_array(b->arena, wanted, sizeof *grown);
	if (grown == NULL) {
		b->failed = true;
		return err_set(b->error, ERR_PAYLOAD_TOO_LARGE, "the request needs more memory than one request may use");
	}
	if (*offsets != NULL) {
		memcpy(grown, *offsets, count * sizeof *grown);
	}
	*offsets = grown;
	*capacity = wanted;
	return true;
}

void offsets_read(body *b, const char *name, log_group_offset **out, size_t *count)
{
	size_t capacity = 0;
	*out = NULL;
	*count = 0;
	if (!body_array(b, name)) {
		return;
	}
	while (body_next_element(b) && reserve(b, out, *count, &capacity)) {
		if (*count == OFFSETS_MAX) {
			b->failed = true;
			err_set(b->error, ERR_BATCH_TOO_LARGE,
					"%s may hold at most %d entries; the highest of a partition is enough", name, OFFSETS_MAX);
			return;
		}
		read_one(b, &(*out)[(*count)++]);
	}
}

void offsets_write(buf *out, const log_group_offset *offsets, size_t count)
{
	buf_append_byte(out, '[');
	for (size_t i = 0; i < count; i++) {
		buf_append_str(out, i > 0 ? STR(",{\"partition\":") : STR("{\"partition\":"));
		buf_append_i64(out, offsets[i].partition);
		buf_append_str(out, STR(",\"offset\":"));
		buf_append_i64(out, offsets[i].offset);
		buf_append_byte(out, '}');
	}
	buf_append_byte(out, ']');
}

void offsets_write_time(buf *out, int64_t ms)
{
	if (ms > 0) {
		buf_append_i64(out, ms);
	} else {
		buf_append_str(out, STR("null"));
	}
}

bool offsets_check(int32_t partition, int64_t offset, int64_t start, int64_t end, err *e)
{
	if (offset < start) {
		err_set(e, ERR_OFFSET_EVICTED,
				"offset %" PRId64 " of partition %" PRId32 " was removed by retention; go on at %" PRId64, offset,
				partition, start);
		err_detail(e, "{\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"next_available\":%" PRId64 "}", partition,
				   offset, start);
		return false;
	}
	if (offset > end) {
		err_set(e, ERR_OFFSET_OUT_OF_RANGE,
				"partition %" PRId32 " has the offsets %" PRId64 " to %" PRId64 "; ask for one of them", partition,
				start, end);
		err_detail(e,
				   "{\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"start_offset\":%" PRId64
				   ",\"end_offset\":%" PRId64 "}",
				   partition, offset, start, end);
		return false;
	}
	return true;
}
