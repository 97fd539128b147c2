/*
 * db/array: what a server, or whoever stands in its place, may send as an array. Readers stay inside the bytes, and
 * what they deliver survives being built and read again.
 */
#include "fuzz.h"

#include "db/array.h"

enum { OUT_MAX = 16 << 20 };

static uint32_t walk_texts(str cell, db_array_builder *copy)
{
	db_array_reader r;
	str text;
	uint32_t count = 0;
	db_array_open(&r, cell);
	uint32_t announced = r.count;
	while (db_array_next_str(&r, &text)) {
		FUZZ_CHECK(text.ptr == NULL || (text.ptr >= cell.ptr && text.len <= (size_t)(cell.ptr + cell.len - text.ptr)));
		db_array_add_str(copy, text);
		count++;
	}
	FUZZ_CHECK(count <= announced && r.count == 0 && !db_array_next_str(&r, &text));
	return count;
}

/* Numbers of another width are passed over one by one, so the walk ends. */
static void walk_numbers(str cell)
{
	db_array_reader r;
	int64_t large = 0;
	int32_t small = 0;
	db_array_open(&r, cell);
	for (uint32_t before = r.count; r.count > 0; before = r.count) {
		(void)db_array_next_i64(&r, &large);
		FUZZ_CHECK(r.count < before);
	}
	db_array_open(&r, cell);
	for (uint32_t before = r.count; r.count > 0; before = r.count) {
		(void)db_array_next_i32(&r, &small);
		FUZZ_CHECK(r.count < before);
	}
}

static void check_copy(str cell, str copy, uint32_t count)
{
	db_array_reader a;
	db_array_reader b;
	str one;
	str other;
	db_array_open(&a, cell);
	db_array_open(&b, copy);
	FUZZ_CHECK(b.count == count);
	for (uint32_t i = 0; i < count; i++) {
		FUZZ_CHECK(db_array_next_str(&a, &one) && db_array_next_str(&b, &other));
		FUZZ_CHECK((one.ptr == NULL) == (other.ptr == NULL) && str_equal(one, other));
	}
	FUZZ_CHECK(!db_array_next_str(&b, &other));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str cell = {(const char *)data, size};
	buf out;
	db_array_builder copy;
	buf_init(&out, OUT_MAX);
	db_array_begin(&copy, &out, DB_BYTEA);
	uint32_t count = walk_texts(cell, &copy);
	db_array_end(&copy);
	FUZZ_CHECK(out.failed || out.len <= size + 20);
	if (!out.failed) {
		check_copy(cell, buf_str(&out), count);
	}
	walk_numbers(cell);
	buf_dispose(&out);
	return 0;
}
