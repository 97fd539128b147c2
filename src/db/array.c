#include "db/array.h"

#include <endian.h>
#include <string.h>

/* Binary form: dimensions, null flag, element type, then per dimension size and lower bound, then elements as
 * length (-1 for NULL) and bytes; all integers 32 bit, big endian. An empty array has no dimension. */
enum { HEADER_BYTES = 12, DIMENSION_BYTES = 8 };

static void put_u32(char *at, uint32_t value)
{
	uint32_t be = htobe32(value);
	memcpy(at, &be, sizeof be);
}

static uint32_t get_u32(const char *at)
{
	uint32_t be;
	memcpy(&be, at, sizeof be);
	return be32toh(be);
}

void db_array_begin(db_array_builder *a, buf *out, db_array_type type)
{
	char head[HEADER_BYTES + DIMENSION_BYTES] = {0};
	*a = (db_array_builder){.out = out, .start = out->len};
	put_u32(head + 8, (uint32_t)type);
	put_u32(head + 16, 1);
	buf_append(out, head, sizeof head);
}

void db_array_add_str(db_array_builder *a, str value)
{
	char len[4];
	put_u32(len, value.ptr == NULL ? UINT32_MAX : (uint32_t)value.len);
	if (value.ptr == NULL) {
		a->has_nulls = true;
		buf_append(a->out, len, sizeof len);
	} else if (buf_reserve(a->out, sizeof len + value.len)) {
		buf_append(a->out, len, sizeof len);
		buf_append(a->out, value.ptr, value.len);
	}
	a->count++;
}

void db_array_add_i64(db_array_builder *a, int64_t value)
{
	char element[12];
	uint64_t be = htobe64((uint64_t)value);
	put_u32(element, 8);
	memcpy(element + 4, &be, sizeof be);
	buf_append(a->out, element, sizeof element);
	a->count++;
}

void db_array_add_i32(db_array_builder *a, int32_t value)
{
	char element[8];
	put_u32(element, 4);
	put_u32(element + 4, (uint32_t)value);
	buf_append(a->out, element, sizeof element);
	a->count++;
}

void db_array_end(db_array_builder *a)
{
	if (a->out->failed) {
		return;
	}
	char *head = a->out->ptr + a->start;
	put_u32(head, a->count == 0 ? 0 : 1);
	put_u32(head + 4, a->has_nulls ? 1 : 0);
	put_u32(head + HEADER_BYTES, a->count);
	if (a->count == 0) {
		a->out->len = a->start + HEADER_BYTES;
	}
}

void db_array_open(db_array_reader *r, str cell)
{
	*r = (db_array_reader){NULL, NULL, 0};
	if (cell.len < HEADER_BYTES + DIMENSION_BYTES || get_u32(cell.ptr) != 1) {
		return;
	}
	uint32_t count = get_u32(cell.ptr + HEADER_BYTES);
	/* Every element has at least a length, so a count beyond that is no array of ours. */
	if (count > (cell.len - HEADER_BYTES - DIMENSION_BYTES) / 4) {
		return;
	}
	*r = (db_array_reader){cell.ptr + HEADER_BYTES + DIMENSION_BYTES, cell.ptr + cell.len, count};
}

bool db_array_next_str(db_array_reader *r, str *out)
{
	if (r->count == 0 || r->end - r->at < 4) {
		r->count = 0;
		return false;
	}
	uint32_t len = get_u32(r->at);
	r->at += 4;
	r->count--;
	if (len == UINT32_MAX) {
		*out = STR_NONE;
		return true;
	}
	if ((size_t)(r->end - r->at) < len) {
		r->count = 0;
		return false;
	}
	*out = (str){r->at, len};
	r->at += len;
	return true;
}

bool db_array_next_i64(db_array_reader *r, int64_t *out)
{
	str element;
	uint64_t be;
	if (!db_array_next_str(r, &element) || element.len != sizeof be) {
		return false;
	}
	memcpy(&be, element.ptr, sizeof be);
	*out = (int64_t)be64toh(be);
	return true;
}

bool db_array_next_i32(db_array_reader *r, int32_t *out)
{
	str element;
	if (!db_array_next_str(r, &element) || element.len != 4) {
		return false;
	}
	*out = (int32_t)get_u32(element.ptr);
	return true;
}
