#include "log/rows.h"

#include "suite.h"

#include <string.h>

#include "db/array.h"

enum { KEYS, VALS, TS, HEADERS, TAGS, NODES, METAS, APPENDS, SCRATCH_MAX = 16 << 20, BLOB_BYTES = 2 << 20 };

static char BLOB[BLOB_BYTES];

static void fill_blob(void)
{
	for (size_t i = 0; i < BLOB_BYTES; i++) {
		BLOB[i] = (char)(i * 2654435761u >> 20);
	}
}

/* What a test cuts: up to three appends of one operation each. */
typedef struct input {
	arena *arena;
	log_columns columns[4];
	row_piece pieces[4];
	size_t piece_count;
} input;

static void input_init(input *in)
{
	fill_blob();
	*in = (input){.arena = arena_new(256 << 20)};
}

static log_columns *input_add(input *in, uint32_t count, size_t value_bytes)
{
	str *values = arena_alloc_array(in->arena, count + 1, sizeof *values);
	ck_assert_ptr_nonnull(values);
	for (uint32_t i = 0; i < count; i++) {
		values[i] = (str){BLOB + i % 1000, value_bytes};
	}
	log_columns *c = &in->columns[in->piece_count];
	*c = (log_columns){.count = count, .values = values};
	in->pieces[in->piece_count++] = (row_piece){c, NULL, count};
	return c;
}

static row_writer input_writer(const input *in, buf *scratch)
{
	return (row_writer){.pieces = in->pieces, .piece_count = in->piece_count, .scratch = scratch};
}

/* The record counts of the rows, as "512 512 3". */
static void expect_cut_of(const input *in, bool is_queue, const char *expected)
{
	buf scratch;
	buf text;
	row r;
	buf_init(&scratch, SCRATCH_MAX);
	buf_init(&text, 65536);
	row_writer w = input_writer(in, &scratch);
	w.is_queue = is_queue;
	while (rows_next(&w, &r)) {
		buf_printf(&text, "%s%u", text.len > 0 ? " " : "", r.records);
		ck_assert(!scratch.failed);
	}
	ck_assert(!rows_next(&w, &r));
	ck_assert_view_eq(buf_str(&text), str_from_c(expected));
	buf_dispose(&text);
	buf_dispose(&scratch);
}

static void expect_cut(const input *in, const char *expected)
{
	expect_cut_of(in, false, expected);
}

START_TEST(row_holds_512_records_at_most)
{
	const struct {
		uint32_t count;
		const char *cut;
	} table[] = {{0, ""}, {1, "1"}, {511, "511"}, {512, "512"}, {513, "512 1"}, {1024, "512 512"}, {1025, "512 512 1"}};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		input in;
		input_init(&in);
		input_add(&in, table[i].count, 3);
		expect_cut(&in, table[i].cut);
		arena_free(in.arena);
	}
}
END_TEST

START_TEST(row_of_a_queue_holds_32_records_at_most)
{
	input in;
	input_init(&in);
	input_add(&in, 31, 3);
	input_add(&in, 34, 3);
	expect_cut_of(&in, true, "32 32 1");
	expect_cut(&in, "65");
	arena_free(in.arena);
}
END_TEST

START_TEST(row_holds_64_kib_at_most)
{
	const struct {
		uint32_t count;
		size_t bytes;
		const char *cut;
	} table[] = {
		{4, 16384, "4"}, {5, 16384, "4 1"}, {4, 16385, "3 1"}, {3, 65536, "1 1 1"}, {2, 65535, "1 1"}, {2, 32768, "2"},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		input in;
		input_init(&in);
		input_add(&in, table[i].count, table[i].bytes);
		expect_cut(&in, table[i].cut);
		arena_free(in.arena);
	}
}
END_TEST

START_TEST(larger_record_has_a_row_of_its_own)
{
	input in;
	input_init(&in);
	input_add(&in, 2, 10);
	input_add(&in, 1, 1 << 20);
	input_add(&in, 3, 10);
	expect_cut(&in, "2 1 3");
	arena_free(in.arena);
}
END_TEST

START_TEST(keys_headers_and_metas_count_as_bytes_and_tags_and_nodes_do_not)
{
	input in;
	str keys[2] = {{BLOB, 20000}, {BLOB, 20000}};
	str headers[2] = {{BLOB, 5000}, STR_NONE};
	str metas[2] = {{BLOB, 3000}, STR_NONE};
	str tags[2] = {{BLOB, 50000}, {BLOB, 50000}};
	buf scratch;
	row r;
	input_init(&in);
	log_columns *c = input_add(&in, 2, 8768);
	c->keys = keys;
	c->headers = headers;
	c->metas = metas;
	c->tags = c->nodes = tags;
	ck_assert_uint_eq(rows_record_bytes(c, 0), 8768 + 20000 + 5000 + 3000);
	ck_assert_uint_eq(rows_record_bytes(c, 1), 8768 + 20000);
	buf_init(&scratch, SCRATCH_MAX);
	row_writer w = input_writer(&in, &scratch);
	ck_assert(rows_next(&w, &r)); /* 65536 bytes together */
	ck_assert_uint_eq(r.records, 2);
	ck_assert_uint_eq(r.bytes, 65536);
	ck_assert_uint_eq(r.value_bytes, 2 * 8768);
	ck_assert(!rows_next(&w, &r));
	buf_dispose(&scratch);
	metas[1] = (str){BLOB, 1};
	expect_cut(&in, "1 1");
	arena_free(in.arena);
}
END_TEST

/* ---- columns ---- */

static bool is_null(const row *r, int column)
{
	return r->columns[column].ptr == NULL;
}

START_TEST(column_that_no_record_of_the_row_uses_is_null_as_a_whole)
{
	enum { COUNT = 1030 };
	input in;
	str texts[COUNT] = {{NULL, 0}};
	int64_t times[COUNT] = {0};
	buf scratch;
	row r;
	input_init(&in);
	log_columns *c = input_add(&in, COUNT, 3);
	texts[1] = STR("k"); /* used by the first row only */
	times[1029] = 5;     /* used by the last row only */
	c->keys = c->headers = c->tags = c->nodes = c->metas = texts;
	c->timestamps_ms = times;
	buf_init(&scratch, SCRATCH_MAX);
	row_writer w = input_writer(&in, &scratch);
	for (int row_number = 0; row_number < 3; row_number++) {
		ck_assert(rows_next(&w, &r));
		ck_assert(!is_null(&r, VALS));
		for (int column = KEYS; column <= METAS; column++) {
			if (column != VALS) {
				bool used = column == TS ? row_number == 2 : row_number == 0;
				ck_assert_msg(is_null(&r, column) == !used, "row %d column %d", row_number, column);
			}
		}
	}
	buf_dispose(&scratch);
	arena_free(in.arena);
}
END_TEST

START_TEST(plain_values_need_one_column)
{
	input in;
	buf scratch;
	row r;
	db_params p;
	input_init(&in);
	input_add(&in, 3, 3);
	buf_init(&scratch, SCRATCH_MAX);
	row_writer w = input_writer(&in, &scratch);
	ck_assert(rows_next(&w, &r));
	for (int column = 0; column < ROW_COLUMNS; column++) {
		ck_assert_int_eq(is_null(&r, column), column != VALS);
	}
	db_params_init(&p);
	rows_bind(&r, &p);
	ck_assert_int_eq(p.count, ROW_COLUMNS);
	for (int column = 0; column < ROW_COLUMNS; column++) {
		ck_assert_ptr_eq(p.values[column], r.columns[column].ptr);
		ck_assert_uint_eq((size_t)p.lengths[column], r.columns[column].len);
	}
	buf_dispose(&scratch);
	arena_free(in.arena);
}
END_TEST

static str element(str cell, uint32_t index)
{
	db_array_reader r;
	str text = STR_NONE;
	db_array_open(&r, cell);
	for (uint32_t i = 0; i <= index; i++) {
		ck_assert(db_array_next_str(&r, &text));
	}
	return text;
}

START_TEST(records_without_a_feature_are_null_beside_those_with_it)
{
	input in;
	buf scratch;
	row r;
	int64_t time = -1;
	db_array_reader times;
	const str keys[] = {STR("a"), STR_NONE, STR("")};
	const int64_t given[] = {7, 0, 9};
	input_init(&in);
	input_add(&in, 2, 1);
	log_columns *c = input_add(&in, 3, 1);
	c->keys = keys;
	c->timestamps_ms = given;
	buf_init(&scratch, SCRATCH_MAX);
	row_writer w = input_writer(&in, &scratch);
	ck_assert(rows_next(&w, &r));
	ck_assert_uint_eq(r.records, 5);
	ck_assert_ptr_null(element(r.columns[KEYS], 0).ptr);
	ck_assert_ptr_null(element(r.columns[KEYS], 1).ptr);
	ck_assert_view_eq(element(r.columns[KEYS], 2), STR("a"));
	ck_assert_ptr_null(element(r.columns[KEYS], 3).ptr);
	ck_assert_ptr_nonnull(element(r.columns[KEYS], 4).ptr);
	const int64_t expected[] = {0, 0, 7, 0, 9};
	db_array_open(&times, r.columns[TS]);
	ck_assert_uint_eq(times.count, 5);
	for (size_t i = 0; i < 5; i++) {
		ck_assert(db_array_next_i64(&times, &time));
		ck_assert_int_eq(time, expected[i]);
	}
	ck_assert(is_null(&r, HEADERS));
	buf_dispose(&scratch);
	arena_free(in.arena);
}
END_TEST

/* A NULL element means that the record was deleted: it must never come from an empty value. */
START_TEST(empty_value_is_a_value_however_it_is_given)
{
	input in;
	buf scratch;
	row r;
	const str values[] = {STR(""), STR_NONE, STR("x")};
	input_init(&in);
	input_add(&in, 3, 0)->values = values;
	buf_init(&scratch, SCRATCH_MAX);
	row_writer w = input_writer(&in, &scratch);
	ck_assert(rows_next(&w, &r));
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_ptr_nonnull(element(r.columns[VALS], i).ptr);
	}
	ck_assert_uint_eq(r.value_bytes, 1);
	buf_dispose(&scratch);
	arena_free(in.arena);
}
END_TEST

START_TEST(piece_takes_the_records_of_its_index)
{
	input in;
	buf scratch;
	row r;
	const str values[] = {STR("0"), STR("1"), STR("2"), STR("3"), STR("4")};
	const uint32_t index[] = {4, 1, 3};
	input_init(&in);
	log_columns *c = input_add(&in, 5, 0);
	c->values = c->keys = values;
	in.pieces[0] = (row_piece){c, index, 3};
	buf_init(&scratch, SCRATCH_MAX);
	row_writer w = input_writer(&in, &scratch);
	ck_assert(rows_next(&w, &r));
	ck_assert_uint_eq(r.records, 3);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_view_eq(element(r.columns[VALS], i), values[index[i]]);
		ck_assert_view_eq(element(r.columns[KEYS], i), values[index[i]]);
	}
	buf_dispose(&scratch);
	arena_free(in.arena);
}
END_TEST

START_TEST(buffer_without_room_fails_and_hands_out_nothing)
{
	input in;
	buf scratch;
	row r;
	input_init(&in);
	input_add(&in, 100, 100);
	buf_init(&scratch, 5000);
	row_writer w = input_writer(&in, &scratch);
	ck_assert(rows_next(&w, &r));
	ck_assert(scratch.failed);
	for (int column = 0; column < ROW_COLUMNS; column++) {
		ck_assert(is_null(&r, column));
	}
	buf_dispose(&scratch);
	arena_free(in.arena);
}
END_TEST

/* ---- where appends end ---- */

START_TEST(ends_of_appends_are_kept_unless_the_row_is_the_end_of_one)
{
	/* Per row: "-" is NULL, else the list. */
	const struct {
		uint32_t counts[4];
		size_t pieces;
		const char *expected;
	} table[] = {
		{{3}, 1, "-"},
		{{512}, 1, "-"},
		{{600}, 1, "{} -"},
		{{2, 3}, 2, "{2,5}"},
		{{500, 20}, 2, "{500} -"},
		{{512, 1}, 2, "- -"},
		{{511, 1, 1}, 3, "{511,512} -"},
		{{0, 3, 0}, 3, "-"},
		{{0, 2, 0, 2}, 4, "{2,4}"},
		{{1, 1, 1, 1}, 4, "{1,2,3,4}"},
		{{1, 1200, 1}, 3, "{1} {} {177,178}"},
		{{1030, 5}, 2, "{} {} {6,11}"},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		input in;
		buf scratch;
		buf text;
		row r;
		input_init(&in);
		for (size_t k = 0; k < table[i].pieces; k++) {
			input_add(&in, table[i].counts[k], 1);
		}
		buf_init(&scratch, SCRATCH_MAX);
		buf_init(&text, 4096);
		row_writer w = input_writer(&in, &scratch);
		while (rows_next(&w, &r)) {
			db_array_reader ends;
			int32_t end = 0;
			int32_t before = 0;
			buf_append_str(&text, text.len > 0 ? STR(" ") : STR(""));
			if (is_null(&r, APPENDS)) {
				buf_append_byte(&text, '-');
				continue;
			}
			buf_append_byte(&text, '{');
			db_array_open(&ends, r.columns[APPENDS]);
			while (db_array_next_i32(&ends, &end)) {
				buf_printf(&text, "%s%d", before > 0 ? "," : "", end);
				ck_assert_int_gt(end, before);
				before = end;
			}
			buf_append_byte(&text, '}');
		}
		ck_assert_view_eq(buf_str(&text), str_from_c(table[i].expected));
		buf_dispose(&text);
		buf_dispose(&scratch);
		arena_free(in.arena);
	}
}
END_TEST

/* ---- anything ---- */

static uint32_t random_below(uint64_t *state, uint32_t limit)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33) % limit;
}

/* Whatever comes in goes out, in order, in rows that are neither too large nor smaller than they need to be. */
START_TEST(random_appends_are_cut_without_loss)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		uint64_t state = seed;
		input in;
		buf scratch;
		row r;
		size_t piece = 0;
		uint32_t at = 0;
		uint64_t last_bytes = 0;
		uint32_t last_records = 0;
		input_init(&in);
		for (int k = 0; k < 3; k++) {
			uint32_t count = random_below(&state, 1500);
			str *values = arena_alloc_array(in.arena, count + 1, sizeof *values);
			for (uint32_t i = 0; i < count; i++) {
				uint32_t kind = random_below(&state, 100);
				size_t len = random_below(&state, kind == 0 ? 200000 : kind < 20 ? 5000 : 100);
				values[i] = (str){BLOB + random_below(&state, 1000), len};
			}
			input_add(&in, count, 0)->values = values;
		}
		buf_init(&scratch, SCRATCH_MAX);
		row_writer w = input_writer(&in, &scratch);
		while (rows_next(&w, &r)) {
			db_array_reader values;
			uint64_t bytes = 0;
			uint64_t first_bytes = 0;
			db_array_open(&values, r.columns[VALS]);
			ck_assert_uint_eq(values.count, r.records);
			for (uint32_t i = 0; i < r.records; i++) {
				str value;
				while (at == in.pieces[piece].count) {
					piece++;
					at = 0;
				}
				ck_assert(db_array_next_str(&values, &value));
				ck_assert(str_equal(value, in.columns[piece].values[at]));
				first_bytes = i == 0 ? value.len : first_bytes;
				bytes += value.len;
				at++;
			}
			ck_assert_uint_eq(r.bytes, bytes);
			ck_assert_uint_eq(r.value_bytes, bytes);
			ck_assert(r.records == 1 || bytes <= ROW_BYTES);
			ck_assert_uint_le(r.records, ROW_RECORDS);
			ck_assert(last_records == 0 || last_records == ROW_RECORDS || last_bytes + first_bytes > ROW_BYTES);
			last_records = r.records;
			last_bytes = bytes;
		}
		while (piece < in.piece_count && at == in.pieces[piece].count) {
			piece++;
			at = 0;
		}
		ck_assert_uint_eq(piece, in.piece_count);
		buf_dispose(&scratch);
		arena_free(in.arena);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		row_holds_512_records_at_most,
		row_of_a_queue_holds_32_records_at_most,
		row_holds_64_kib_at_most,
		larger_record_has_a_row_of_its_own,
		keys_headers_and_metas_count_as_bytes_and_tags_and_nodes_do_not,
		column_that_no_record_of_the_row_uses_is_null_as_a_whole,
		plain_values_need_one_column,
		records_without_a_feature_are_null_beside_those_with_it,
		empty_value_is_a_value_however_it_is_given,
		piece_takes_the_records_of_its_index,
		buffer_without_room_fails_and_hands_out_nothing,
		ends_of_appends_are_kept_unless_the_row_is_the_end_of_one,
		random_appends_are_cut_without_loss,
	};
	return SUITE_RUN("log/rows", tests);
}
