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

static bool take_result(str *bytes, log_append_result *out)
{
	uint32_t partition;
	uint32_t count;
	uint64_t base;
	if (!take_u32(bytes, &partition) || !take_u32(bytes, &count) || !take(bytes, &base, sizeof base)) {
		return false;
	}
	base = be64toh(base);
	if (partition >= LOG_PARTITIONS_MAX || count > LOG_ENGINE_RECORDS_MAX || base > INT64_MAX) {
		return false;
	}
	*out = (log_append_result){.partition = (int32_t)partition, .count = count, .base_offset = (int64_t)base};
	return true;
}

/* Readers walk `records` indexes, as many as the results count. */
static bool take_indexes(str *bytes, uint32_t records, uint32_t results, arena *a, const uint16_t **out)
{
	uint32_t count;
	if (!take_u32(bytes, &count) || bytes->len != count * sizeof(uint16_t) || (results > 1 && count == 0)) {
		return false;
	}
	if (count == 0) {
		*out = NULL;
		return true;
	}
	if (count != records) {
		return false;
	}
	uint16_t *result_of = arena_alloc_array(a, count, sizeof *result_of);
	for (uint32_t i = 0; result_of != NULL && i < count; i++) {
		uint16_t be = 0;
		if (!take(bytes, &be, sizeof be)) {
			return false;
		}
		result_of[i] = be16toh(be);
		if (result_of[i] >= results) {
			return false;
		}
	}
	*out = result_of;
	return result_of != NULL;
}

bool outcome_decode(str bytes, log_append *op)
{
	uint32_t count;
	uint32_t records = 0;
	const uint16_t *result_of = NULL;
	if (!take_u32(&bytes, &count) || count > LOG_PARTITIONS_MAX) {
		return false;
	}
	log_append_result *results = arena_alloc_array(op->arena, count + 1, sizeof *results);
	if (results == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (!take_result(&bytes, &results[i])) {
			return false;
		}
		records += results[i].count;
	}
	if (records > LOG_ENGINE_RECORDS_MAX || !take_indexes(&bytes, records, count, op->arena, &result_of)) {
		return false;
	}
	op->results = results;
	op->result_count = count;
	op->result_of = result_of;
	return true;
}
