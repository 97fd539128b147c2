#include "log/outcome.h"

#include <endian.h>
#include <string.h>

static void put_u32(buf *out, uint32_t value)
{
	uint32_t be = htobe32(value);
	buf_append(out, &be, sizeof be);
}

void outcome_encode(buf *out, const log_append *op)
{
	uint32_t indexed = op->result_of != NULL ? op->columns.count : 0;
	put_u32(out, op->result_count);
	for (uint32_t i = 0; i < op->result_count; i++) {
		uint64_t base = htobe64((uint64_t)op->results[i].base_offset);
		put_u32(out, (uint32_t)op->results[i].partition);
		put_u32(out, op->results[i].count);
		buf_append(out, &base, sizeof base);
	}
	put_u32(out, indexed);
	for (uint32_t i = 0; i < indexed; i++) {
		uint16_t be = htobe16(op->result_of[i]);
		buf_append(out, &be, sizeof be);
	}
}

static bool take(str *bytes, void *out, size_t len)
{
	if (bytes->len < len) {
		return false;
	}
	memcpy(out, bytes->ptr, len);
	*bytes = str_skip(*bytes, len);
	return true;
}

static bool take_u32(str *bytes, uint32_t *out)
{
	if (!take(bytes, out, sizeof *out)) {
		return false;
	}
	*out = be32toh(*out);
	return true;
}

bool outcome_decode(str bytes, log_append *op)
{
	uint32_t count;
	uint32_t indexed;
	if (!take_u32(&bytes, &count) || count > LOG_PARTITIONS_MAX) {
		return false;
	}
	log_append_result *results = arena_alloc_array(op->arena, count + 1, sizeof *results);
	if (results == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		uint32_t partition;
		uint64_t base;
		if (!take_u32(&bytes, &partition) || !take_u32(&bytes, &results[i].count) ||
			!take(&bytes, &base, sizeof base)) {
			return false;
		}
		results[i].partition = (int32_t)partition;
		results[i].base_offset = (int64_t)be64toh(base);
	}
	if (!take_u32(&bytes, &indexed) || indexed > LOG_RECORDS_PER_APPEND_MAX ||
		bytes.len != indexed * sizeof(uint16_t)) {
		return false;
	}
	uint16_t *result_of = NULL;
	if (indexed > 0) {
		result_of = arena_alloc_array(op->arena, indexed, sizeof *result_of);
		if (result_of == NULL) {
			return false;
		}
		for (uint32_t i = 0; i < indexed; i++) {
			uint16_t be;
			take(&bytes, &be, sizeof be);
			result_of[i] = be16toh(be);
			if (result_of[i] >= count) {
				return false;
			}
		}
	}
	op->results = results;
	op->result_count = count;
	op->result_of = result_of;
	return true;
}
