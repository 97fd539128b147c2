#include "db/array.h"

#include "suite.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- round trips ---- */

static str view(const buf *b, const db_array_builder *a)
{
	return (str){b->ptr + a->start, b->len - a->start};
}

START_TEST(texts_come_back_with_null_empty_and_zero_bytes)
{
	const str texts[] = {STR("a"), STR_NONE, STR(""), STR("\0\xff\0"), STR("longer than the others"), STR_NONE};
	const size_t count = sizeof texts / sizeof texts[0];
	buf b;
	db_array_builder a;
	db_array_reader r;
	str text;
	buf_init(&b, 4096);
	db_array_begin(&a, &b, DB_BYTEA);
	for (size_t i = 0; i < count; i++) {
		db_array_add_str(&a, texts[i]);
	}
	db_array_end(&a);
	db_array_open(&r, view(&b, &a));
	ck_assert_uint_eq(r.count, count);
	for (size_t i = 0; i < count; i++) {
		ck_assert(db_array_next_str(&r, &text));
		ck_assert_int_eq(text.ptr == NULL, texts[i].ptr == NULL);
		ck_assert_view_eq(text, texts[i]);
	}
	ck_assert(!db_array_next_str(&r, &text));
	ck_assert(!db_array_next_str(&r, &text));
	buf_dispose(&b);
}
END_TEST

START_TEST(numbers_come_back_at_their_limits)
{
	const int64_t longs[] = {0, 1, -1, INT64_MAX, INT64_MIN};
	const int32_t ints[] = {0, 1, -1, INT32_MAX, INT32_MIN};
	buf b;
	db_array_builder a;
	db_array_reader r;
	buf_init(&b, 4096);
	db_array_begin(&a, &b, DB_INT8);
	for (size_t i = 0; i < 5; i++) {
		db_array_add_i64(&a, longs[i]);
	}
	db_array_end(&a);
	db_array_open(&r, view(&b, &a));
	for (size_t i = 0; i < 5; i++) {
		int64_t value = 7;
		ck_assert(db_array_next_i64(&r, &value));
		ck_assert_int_eq(value, longs[i]);
	}
	ck_assert_uint_eq(r.count, 0);
	db_array_begin(&a, &b, DB_INT4);
	for (size_t i = 0; i < 5; i++) {
		db_array_add_i32(&a, ints[i]);
	}
	db_array_end(&a);
	db_array_open(&r, view(&b, &a));
	for (size_t i = 0; i < 5; i++) {
		int32_t value = 7;
		ck_assert(db_array_next_i32(&r, &value));
		ck_assert_int_eq(value, ints[i]);
	}
	ck_assert_uint_eq(r.count, 0);
	buf_dispose(&b);
}
END_TEST

START_TEST(array_without_elements_has_no_dimension)
{
	buf b;
	db_array_builder a;
	db_array_reader r;
	buf_init(&b, 4096);
	db_array_begin(&a, &b, DB_INT4);
	db_array_end(&a);
	ck_assert_view_eq(view(&b, &a), STR("\0\0\0\0\0\0\0\0\0\0\0\x17"));
	db_array_open(&r, view(&b, &a));
	ck_assert_uint_eq(r.count, 0);
	buf_dispose(&b);
}
END_TEST

START_TEST(header_is_what_postgres_expects)
{
	buf b;
	db_array_builder a;
	buf_init(&b, 4096);
	db_array_begin(&a, &b, DB_TEXT);
	db_array_add_str(&a, STR("x"));
	db_array_add_str(&a, STR_NONE);
	db_array_end(&a);
	ck_assert_view_eq(view(&b, &a), STR("\0\0\0\1"         /* dimensions */
										"\0\0\0\1"         /* some are NULL */
										"\0\0\0\x19"       /* text */
										"\0\0\0\2\0\0\0\1" /* two, numbered from 1 */
										"\0\0\0\1x\xff\xff\xff\xff"));
	buf_dispose(&b);
}
END_TEST

START_TEST(arrays_follow_one_another_in_one_buffer)
{
	buf b;
	db_array_builder first;
	db_array_builder second;
	db_array_reader r;
	str text;
	buf_init(&b, 4096);
	buf_append_str(&b, STR("before"));
	db_array_begin(&first, &b, DB_BYTEA);
	db_array_add_str(&first, STR("one"));
	db_array_end(&first);
	db_array_begin(&second, &b, DB_BYTEA);
	db_array_add_str(&second, STR("two"));
	db_array_end(&second);
	db_array_open(&r, (str){b.ptr + first.start, second.start - first.start});
	ck_assert(db_array_next_str(&r, &text));
	ck_assert_view_eq(text, STR("one"));
	db_array_open(&r, view(&b, &second));
	ck_assert(db_array_next_str(&r, &text));
	ck_assert_view_eq(text, STR("two"));
	buf_dispose(&b);
}
END_TEST

START_TEST(builder_without_room_fails_its_buffer_and_nothing_else)
{
	for (size_t room = 0; room < 64; room++) {
		buf b;
		db_array_builder a;
		buf_init(&b, room);
		db_array_begin(&a, &b, DB_BYTEA);
		db_array_add_str(&a, STR("0123456789"));
		db_array_add_i64(&a, 1);
		db_array_add_i32(&a, 2);
		db_array_add_str(&a, STR_NONE);
		db_array_end(&a);
		ck_assert_int_eq(b.failed, room < 20 + 14 + 12 + 8 + 4);
		ck_assert_uint_le(b.len, room);
		buf_dispose(&b);
	}
}
END_TEST

/* ---- what is not an array of ours ---- */

/* The bytes end where the process may read no further. */
typedef struct guarded {
	char *pages;
	size_t page_bytes;
} guarded;

static guarded guarded_new(void)
{
	guarded g = {.page_bytes = (size_t)sysconf(_SC_PAGESIZE)};
	g.pages = mmap(NULL, 2 * g.page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(g.pages, MAP_FAILED);
	ck_assert_int_eq(mprotect(g.pages + g.page_bytes, g.page_bytes, PROT_NONE), 0);
	return g;
}

static str guarded_put(const guarded *g, str bytes)
{
	char *at = g->pages + g->page_bytes - bytes.len;
	memcpy(at, bytes.ptr, bytes.len);
	return (str){at, bytes.len};
}

/* Elements read, each inside the bytes. */
static uint32_t walk(str bytes)
{
	db_array_reader r;
	str text;
	uint32_t count = 0;
	size_t sum = 0;
	db_array_open(&r, bytes);
	while (db_array_next_str(&r, &text)) {
		if (text.ptr != NULL) {
			ck_assert(text.ptr >= bytes.ptr && text.ptr + text.len <= bytes.ptr + bytes.len);
			for (size_t i = 0; i < text.len; i++) {
				sum += (unsigned char)text.ptr[i];
			}
		}
		count++;
	}
	ck_assert_uint_eq(r.count, 0);
	ck_assert_uint_ge(bytes.len * 255, sum);
	return count;
}

#define HEAD "\0\0\0\1\0\0\0\0\0\0\0\x11"

START_TEST(malformed_array_gives_what_is_whole_and_reads_nothing_beyond)
{
	const struct {
		const char *what;
		str bytes;
		uint32_t elements;
	} table[] = {
		{"nothing", {"", 0}, 0},
		{"shorter than a header", STR("\0\0\0"), 0},
		{"one dimension announced and missing", STR(HEAD), 0},
		{"half a dimension", STR(HEAD "\0\0\0\1"), 0},
		{"two dimensions", STR("\0\0\0\2\0\0\0\0\0\0\0\x11\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\0"), 0},
		{"negative dimensions", STR("\xff\xff\xff\xff\0\0\0\0\0\0\0\x11\0\0\0\1\0\0\0\1\0\0\0\0"), 0},
		{"more elements than bytes", STR(HEAD "\0\0\0\2\0\0\0\1\0\0\0\0"), 0},
		{"a negative number of elements", STR(HEAD "\xff\xff\xff\xff\0\0\0\1\0\0\0\0"), 0},
		{"an element longer than the rest", STR(HEAD "\0\0\0\1\0\0\0\1\0\0\0\2x"), 0},
		{"an element of 4 GiB", STR(HEAD "\0\0\0\1\0\0\0\1\xff\xff\xff\xfex"), 0},
		{"a second element cut in its length", STR(HEAD "\0\0\0\2\0\0\0\1\0\0\0\4wxyz\0\0"), 1},
		{"a second element cut in its bytes", STR(HEAD "\0\0\0\2\0\0\0\1\0\0\0\1x\0\0\0\3yz"), 1},
		{"a second element missing", STR(HEAD "\0\0\0\2\0\0\0\1\0\0\0\4wxyz"), 1},
		{"bytes behind the last element", STR(HEAD "\0\0\0\1\0\0\0\1\0\0\0\1xrest"), 1},
	};
	guarded g = guarded_new();
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		uint32_t count = walk(guarded_put(&g, table[i].bytes));
		ck_assert_msg(count == table[i].elements, "%s: %u elements", table[i].what, count);
	}
	ck_assert_uint_eq(walk(STR_NONE), 0);
	munmap(g.pages, 2 * g.page_bytes);
}
END_TEST

START_TEST(array_cut_or_damaged_anywhere_is_read_inside_its_bytes)
{
	guarded g = guarded_new();
	buf b;
	db_array_builder a;
	buf_init(&b, 4096);
	db_array_begin(&a, &b, DB_BYTEA);
	db_array_add_str(&a, STR("first"));
	db_array_add_str(&a, STR_NONE);
	db_array_add_str(&a, STR(""));
	db_array_add_str(&a, STR("0123456789012345678901234567890123456789"));
	db_array_end(&a);
	ck_assert_uint_eq(walk(guarded_put(&g, buf_str(&b))), 4);
	for (size_t len = 0; len < b.len; len++) {
		ck_assert_uint_lt(walk(guarded_put(&g, str_take(buf_str(&b), len))), 4);
	}
	for (size_t at = 0; at < b.len; at++) {
		for (int bit = 0; bit < 8; bit++) {
			str bytes = guarded_put(&g, buf_str(&b));
			g.pages[g.page_bytes - b.len + at] ^= (char)(1 << bit);
			walk(bytes);
		}
	}
	buf_dispose(&b);
	munmap(g.pages, 2 * g.page_bytes);
}
END_TEST

START_TEST(number_of_another_width_is_refused_and_the_next_one_read)
{
	buf b;
	db_array_builder a;
	db_array_reader r;
	int64_t value = 7;
	int32_t small = 8;
	buf_init(&b, 4096);
	db_array_begin(&a, &b, DB_INT8);
	db_array_add_i32(&a, 1);
	db_array_add_str(&a, STR_NONE);
	db_array_add_i64(&a, 3);
	db_array_end(&a);
	db_array_open(&r, buf_str(&b));
	ck_assert(!db_array_next_i64(&r, &value));
	ck_assert(!db_array_next_i64(&r, &value));
	ck_assert_int_eq(value, 7);
	ck_assert(db_array_next_i64(&r, &value));
	ck_assert_int_eq(value, 3);
	db_array_open(&r, buf_str(&b));
	ck_assert(db_array_next_i32(&r, &small));
	ck_assert_int_eq(small, 1);
	ck_assert(!db_array_next_i32(&r, &small));
	ck_assert(!db_array_next_i32(&r, &small));
	ck_assert_int_eq(small, 1);
	buf_dispose(&b);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		texts_come_back_with_null_empty_and_zero_bytes,
		numbers_come_back_at_their_limits,
		array_without_elements_has_no_dimension,
		header_is_what_postgres_expects,
		arrays_follow_one_another_in_one_buffer,
		builder_without_room_fails_its_buffer_and_nothing_else,
		malformed_array_gives_what_is_whole_and_reads_nothing_beyond,
		array_cut_or_damaged_anywhere_is_read_inside_its_bytes,
		number_of_another_width_is_refused_and_the_next_one_read,
	};
	return SUITE_RUN("db/array", tests);
}
