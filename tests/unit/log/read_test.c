#include "log/read.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "db/db_fixture.h"
#include "log/log_fixture.h"
#include "log/page.h"
#include "postgres_fixture.h"

enum { MANY_BYTES = 1 << 30 };

static log_read_request from(const log_topic *t, int64_t offset)
{
	return (log_read_request){.topic = t, .from = offset, .max_records = 100000, .max_bytes = MANY_BYTES};
}

/* Rows as many appends would have left them: `rows` of `each` records, "<offset>" their values, at the partition's end.
 */
static void put_rows(log_fixture *f, const log_topic *t, int rows, int each)
{
	db_fixture_sql(
		f->url,
		"WITH h AS (SELECT * FROM tidegate.head WHERE topic_id = %lld AND partition = 0), "
		"r AS (SELECT b, h.next_offset + b * %d AS base, array_agg((h.next_offset + b * %d + i)::text::bytea ORDER BY "
		"i) AS vals "
		"      FROM h, generate_series(0, %d - 1) AS b, generate_series(0, %d - 1) AS i GROUP BY b, h.next_offset), "
		"put AS (INSERT INTO tidegate.batch (topic_id, partition, last_offset, base_offset, base_byte, committed_ms, "
		"records, "
		"  bytes, vals) SELECT %lld, 0, base + %d - 1, base, 0, (extract(epoch FROM clock_timestamp()) * "
		"1000)::bigint, %d, "
		"  (SELECT sum(octet_length(v)) FROM unnest(vals) v), vals FROM r RETURNING bytes) "
		"UPDATE tidegate.head SET next_offset = next_offset + %d * %d, live_records = live_records + %d * %d, "
		"  live_bytes = live_bytes + (SELECT sum(bytes) FROM put) WHERE topic_id = %lld AND partition = 0",
		(long long)t->topic_id, each, each, rows, each, (long long)t->topic_id, each, each, rows, each, rows, each,
		(long long)t->topic_id);
}

/* Walks pages of a size from `at` to the end; every offset once, in order. The number of records. */
static int64_t walk(log_fixture *f, const log_topic *t, int64_t at, int64_t until, uint32_t max_records,
					uint64_t max_bytes, uint32_t *largest)
{
	int64_t count = 0;
	int64_t last = at - 1;
	*largest = 0;
	for (;;) {
		err e;
		log_page *page = NULL;
		log_record r;
		uint32_t here = 0;
		uint64_t bytes = 0;
		char value[32];
		log_read_request q = from(t, at);
		q.until = until;
		q.max_records = max_records;
		q.max_bytes = max_bytes;
		db_fixture_must(log_read(f->engine, f->conn, &q, &page, &e), &e, "read");
		while (log_page_next(page, &r)) {
			ck_assert_int_gt(r.offset, last);
			ck_assert_int_eq(log_page_position(page), r.offset + 1);
			snprintf(value, sizeof value, "%lld", (long long)r.offset);
			ck_assert_view_eq(r.value, str_from_c(value));
			last = r.offset;
			bytes += r.value.len;
			here++;
		}
		ck_assert(!log_page_next(page, &r));
		ck_assert_uint_le(here, max_records);
		ck_assert(here <= 1 || bytes <= max_bytes);
		int64_t end = log_page_end_offset(page);
		int64_t position = log_page_position(page);
		log_page_free(page);
		count += here;
		*largest = here > *largest ? here : *largest;
		end = until != 0 && until < end ? until : end;
		ck_assert_int_le(position, end);
		if (position == end) {
			return count;
		}
		ck_assert_int_gt(position, at);
		at = position;
	}
}

/* ---- limits ---- */

START_TEST(page_holds_no_more_records_than_asked_for)
{
	const uint32_t sizes[] = {1, 7, 511, 512, 513, 700, 2999, 3000, 5000};
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	put_rows(&f, t, 2, 512);
	put_rows(&f, t, 100, 1);
	put_rows(&f, t, 5, 30);
	put_rows(&f, t, 3, 500);
	const int64_t all = 1024 + 100 + 150 + 1500;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		uint32_t largest = 0;
		int64_t start = sizes[i] == 1 ? 2500 : 0;
		ck_assert_int_eq(walk(&f, t, start, 0, sizes[i], MANY_BYTES, &largest), all - start);
		ck_assert_uint_eq(largest, sizes[i] < all ? sizes[i] : (uint32_t)all);
	}
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(page_holds_no_more_bytes_than_asked_for_but_one_record_always)
{
	log_fixture f;
	const char *long_value = "0123456789012345678901234567890123456789";
	str values[3] = {STR("aaaa"), {long_value, 40}, STR("bbbb")};
	str keys[3] = {STR("k"), STR_NONE, STR("kk")};
	str headers[3] = {STR("hh"), STR_NONE, STR_NONE};
	str metas[3] = {STR("mmm"), STR_NONE, STR_NONE};
	str tags[3] = {STR("a tag counts nothing"), STR_NONE, STR_NONE};
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	log_append op = {
		.topic = t,
		.columns = {.count = 3, .values = values, .keys = keys, .headers = headers, .metas = metas, .tags = tags},
		.arena = f.arena};
	fixture_append(&f, &op);
	/* 10, 40 and 6 bytes. */
	const struct {
		uint64_t max_bytes;
		int64_t from;
		const char *expected;
	} table[] = {
		{1, 0, "0:aaaa|1"},
		{10, 0, "0:aaaa|1"},
		{49, 0, "0:aaaa|1"},
		{50, 0, "0:aaaa,1:0123456789012345678901234567890123456789|2"},
		{55, 0, "0:aaaa,1:0123456789012345678901234567890123456789|2"},
		{56, 0, "0:aaaa,1:0123456789012345678901234567890123456789,2:bbbb|3"},
		{1, 1, "1:0123456789012345678901234567890123456789|2"},
		{45, 1, "1:0123456789012345678901234567890123456789|2"},
		{46, 1, "1:0123456789012345678901234567890123456789,2:bbbb|3"},
		{1, 2, "2:bbbb|3"},
		{1, 3, "|3"},
	};
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		log_read_request q = from(t, table[i].from);
		q.max_bytes = table[i].max_bytes;
		ck_assert_str_eq(fixture_page(&f, &q), table[i].expected);
	}
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(bytes_limit_holds_over_many_rows)
{
	const uint64_t limits[] = {1, 100, 4096, 65536, 100000};
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	put_rows(&f, t, 300, 1);
	put_rows(&f, t, 40, 100);
	for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
		uint32_t largest = 0;
		int64_t start = limits[i] == 1 ? 3900 : 0;
		ck_assert_int_eq(walk(&f, t, start, 0, 100000, limits[i], &largest), 4300 - start);
	}
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(record_of_a_mebibyte_comes_back_whole)
{
	log_fixture f;
	err e;
	log_page *page = NULL;
	log_record r;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	char *bytes = malloc(LOG_RECORD_BYTES_MAX);
	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < LOG_RECORD_BYTES_MAX; i++) {
		bytes[i] = (char)(i * 2654435761u >> 24);
	}
	str values[] = {STR("before"), {bytes, LOG_RECORD_BYTES_MAX}, STR("behind")};
	log_append op = {.topic = t, .columns = {.count = 3, .values = values}, .arena = f.arena};
	fixture_append(&f, &op);
	log_read_request q = from(t, 0);
	q.max_bytes = 1000;
	ck_assert_str_eq(fixture_page(&f, &q), "0:before|1");
	q.from = 1;
	db_fixture_must(log_read(f.engine, f.conn, &q, &page, &e), &e, "read");
	ck_assert(log_page_next(page, &r));
	ck_assert_uint_eq(r.value.len, LOG_RECORD_BYTES_MAX);
	ck_assert_int_eq(memcmp(r.value.ptr, bytes, LOG_RECORD_BYTES_MAX), 0);
	ck_assert(!log_page_next(page, &r));
	log_page_free(page);
	q.from = 2;
	ck_assert_str_eq(fixture_page(&f, &q), "2:behind|3");
	free(bytes);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- where a page begins and ends ---- */

START_TEST(page_begins_inside_a_row_and_ends_before_until)
{
	const struct {
		int64_t from;
		int64_t until;
		const char *expected;
	} table[] = {
		{0, 0, "0:a0,1:a1,2:a2,3:b0,4:b1,5:c0|6"},
		{1, 0, "1:a1,2:a2,3:b0,4:b1,5:c0|6"},
		{2, 4, "2:a2,3:b0|4"},
		{0, 3, "0:a0,1:a1,2:a2|3"},
		{3, 5, "3:b0,4:b1|5"},
		{4, 5, "4:b1|5"},
		{4, 4, "|4"},
		{5, 2, "|5"},
		{5, 6, "5:c0|6"},
		{5, 100, "5:c0|6"},
		{6, 0, "|6"},
		{6, 100, "|6"},
	};
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 3, NULL);
	fixture_append_texts(&f, t, 0, "b", 2, NULL);
	fixture_append_texts(&f, t, 0, "c", 1, NULL);
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		log_read_request q = from(t, table[i].from);
		q.until = table[i].until;
		ck_assert_msg(strcmp(fixture_page(&f, &q), table[i].expected) == 0, "from %lld until %lld: %s instead of %s",
					  (long long)table[i].from, (long long)table[i].until, fixture_page(&f, &q), table[i].expected);
	}
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(reading_from_beyond_the_end_gives_nothing_and_stays_there)
{
	log_fixture f;
	err e;
	log_page *page = NULL;
	log_gap gap;
	log_record r;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 2);
	fixture_append_texts(&f, t, 0, "a", 3, NULL);
	const int64_t starts[] = {3, 4, 1000000, INT64_MAX};
	for (size_t i = 0; i < 4; i++) {
		log_read_request q = from(t, starts[i]);
		db_fixture_must(log_read(f.engine, f.conn, &q, &page, &e), &e, "read");
		ck_assert(!log_page_next(page, &r));
		ck_assert(!log_page_gap(page, &gap));
		ck_assert_int_eq(log_page_position(page), starts[i]);
		ck_assert_int_eq(log_page_end_offset(page), 3);
		ck_assert_int_eq(log_page_start_offset(page), 0);
		ck_assert(!log_page_is_closed(page));
		log_page_free(page);
	}
	/* An empty partition, and none at all. */
	log_read_request q = from(t, 0);
	q.partition = 1;
	ck_assert_str_eq(fixture_page(&f, &q), "|0");
	q.partition = 2;
	ck_assert(!log_read(f.engine, f.conn, &q, &page, &e));
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(three_thousand_rows_of_one_record_fit_one_page)
{
	log_fixture f;
	uint32_t largest = 0;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	put_rows(&f, t, 3000, 1);
	ck_assert_int_eq(walk(&f, t, 0, 0, 5000, MANY_BYTES, &largest), 3000);
	ck_assert_uint_eq(largest, 3000);
	ck_assert_int_eq(walk(&f, t, 7, 2990, 5000, MANY_BYTES, &largest), 2983);
	ck_assert_int_eq(walk(&f, t, 0, 0, 999, MANY_BYTES, &largest), 3000);
	ck_assert_uint_eq(largest, 999);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* More than one page has statements for: it ends early, and the next goes on. */
START_TEST(twenty_thousand_rows_of_one_record_take_a_second_page)
{
	log_fixture f;
	uint32_t largest = 0;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	put_rows(&f, t, 20000, 1);
	ck_assert_int_eq(walk(&f, t, 0, 0, 100000, MANY_BYTES, &largest), 20000);
	ck_assert_uint_lt(largest, 20000);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- what a record carries ---- */

START_TEST(every_feature_of_a_record_comes_back)
{
	log_fixture f;
	err e;
	log_page *page = NULL;
	log_record r;
	const str values[] = {STR("\0\xff"), STR(""), STR("v")};
	const str keys[] = {STR("key"), STR_NONE, STR("")};
	const str headers[] = {STR("[[\"a\",\"b\"]]"), STR_NONE, STR_NONE};
	const str tags[] = {STR_NONE, STR("tag"), STR_NONE};
	const str nodes[] = {STR("node"), STR_NONE, STR_NONE};
	const str metas[] = {STR_NONE, STR_NONE, STR("{}")};
	const int64_t times[] = {1234567890123, 0, -5};
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 2);
	log_append op = {
		.topic = t, .partition = 1, .columns = {3, keys, values, headers, tags, nodes, metas, times}, .arena = f.arena};
	fixture_append(&f, &op);
	fixture_append_texts(&f, t, 1, "plain", 1, NULL);
	log_read_request q = from(t, 0);
	q.partition = 1;
	db_fixture_must(log_read(f.engine, f.conn, &q, &page, &e), &e, "read");
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < 3; i++) {
			ck_assert(log_page_next(page, &r));
			ck_assert_int_eq(r.offset, (int64_t)i);
			ck_assert_int_eq(r.partition, 1);
			ck_assert_int_eq(r.committed_ms, op.committed_ms);
			ck_assert_int_eq(r.timestamp_ms, times[i] != 0 ? times[i] : op.committed_ms);
			ck_assert_ptr_nonnull(r.value.ptr);
			ck_assert_view_eq(r.value, values[i]);
			const str *given[] = {&keys[i], &headers[i], &tags[i], &nodes[i], &metas[i]};
			const str *read[] = {&r.key, &r.headers, &r.tag, &r.node, &r.meta};
			for (size_t k = 0; k < 5; k++) {
				ck_assert_int_eq(read[k]->ptr == NULL, given[k]->ptr == NULL);
				ck_assert_view_eq(*read[k], *given[k]);
			}
		}
		ck_assert(log_page_next(page, &r));
		ck_assert_view_eq(r.value, STR("plain0"));
		ck_assert_ptr_null(r.key.ptr);
		ck_assert_ptr_null(r.meta.ptr);
		ck_assert_int_eq(r.timestamp_ms, r.committed_ms);
		ck_assert(!log_page_next(page, &r));
		page_rewind(page);
	}
	log_page_free(page);
	log_page_free(NULL);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(closed_partition_says_so)
{
	log_fixture f;
	err e;
	log_page *page = NULL;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	log_append op = {.topic = t, .close = true, .arena = f.arena};
	fixture_append(&f, &op);
	ck_assert_int_eq(op.error.code, ERR_NONE);
	log_read_request q = from(t, 0);
	db_fixture_must(log_read(f.engine, f.conn, &q, &page, &e), &e, "read");
	ck_assert(log_page_is_closed(page));
	log_page_free(page);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(topic_that_is_gone_is_not_found)
{
	log_fixture f;
	err e;
	bool deleted = false;
	log_page *page = NULL;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 3, NULL);
	db_fixture_must(log_topic_delete(f.engine, f.conn, 1, STR("orders"), &deleted, &e), &e, "delete");
	log_read_request q = from(t, 0);
	ck_assert(!log_read(f.engine, f.conn, &q, &page, &e));
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	ck_assert_ptr_null(page);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- deleted records ---- */

/* As an erasure does: NULL elements, and what the row and the head count. */
static void erase(log_fixture *f, const log_topic *t, int64_t first, int64_t end)
{
	for (int64_t offset = first; offset < end; offset++) {
		db_fixture_sql(
			f->url,
			"WITH b AS (SELECT * FROM tidegate.batch WHERE topic_id = %lld AND %lld BETWEEN base_offset AND "
			"last_offset), "
			"d AS (UPDATE tidegate.batch u SET vals[%lld - b.base_offset + 1] = NULL, records = u.records - 1, "
			"  bytes = u.bytes - octet_length(b.vals[%lld - b.base_offset + 1]) FROM b "
			"  WHERE u.topic_id = b.topic_id AND u.last_offset = b.last_offset) "
			"UPDATE tidegate.head h SET live_records = live_records - 1, "
			"  live_bytes = live_bytes - octet_length(b.vals[%lld - b.base_offset + 1]) FROM b "
			"WHERE h.topic_id = b.topic_id AND h.partition = b.partition",
			(long long)t->topic_id, (long long)offset, (long long)offset, (long long)offset, (long long)offset);
	}
}

START_TEST(deleted_records_are_passed_over_in_silence)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 5, NULL);
	fixture_append_texts(&f, t, 0, "b", 3, NULL);
	erase(&f, t, 1, 3);
	log_read_request q = from(t, 0);
	ck_assert_str_eq(fixture_page(&f, &q), "0:a0,3:a3,4:a4,5:b0,6:b1,7:b2|8");
	q.max_records = 1;
	ck_assert_str_eq(fixture_page(&f, &q), "0:a0|1");
	q.from = 1;
	ck_assert_str_eq(fixture_page(&f, &q), "3:a3|4");
	q.until = 3;
	ck_assert_str_eq(fixture_page(&f, &q), "|3");
	/* At the end of a row, and at the end of the log. */
	erase(&f, t, 3, 5);
	erase(&f, t, 6, 8);
	q = from(t, 0);
	ck_assert_str_eq(fixture_page(&f, &q), "0:a0,5:b0|8");
	q.from = 6;
	ck_assert_str_eq(fixture_page(&f, &q), "|8");
	erase(&f, t, 0, 1);
	erase(&f, t, 5, 6);
	q = from(t, 0);
	ck_assert_str_eq(fixture_page(&f, &q), "|8");
	fixture_append_texts(&f, t, 0, "c", 1, NULL);
	ck_assert_str_eq(fixture_page(&f, &q), "8:c0|9");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(deleted_rows_are_passed_over_in_silence)
{
	log_fixture f;
	uint32_t largest = 0;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	put_rows(&f, t, 1000, 3);
	db_fixture_sql(
		f.url, "DELETE FROM tidegate.batch WHERE base_offset BETWEEN 3 AND 2690 OR base_offset BETWEEN 2700 AND 2990");
	log_read_request q = from(t, 0);
	ck_assert_str_eq(fixture_page(&f, &q), "0:0,1:1,2:2,2691:2691,2692:2692,2693:2693,2694:2694,2695:2695,2696:2696,"
										   "2697:2697,2698:2698,2699:2699,2991:2991,2992:2992,2993:2993,2994:2994,2995:"
										   "2995,2996:2996,2997:2997,2998:2998,2999:2999|3000");
	ck_assert_int_eq(walk(&f, t, 0, 0, 2, MANY_BYTES, &largest), 21);
	q.from = 5;
	q.until = 100;
	ck_assert_str_eq(fixture_page(&f, &q), "|100");
	db_fixture_sql(f.url, "DELETE FROM tidegate.batch");
	q = from(t, 0);
	ck_assert_str_eq(fixture_page(&f, &q), "|3000");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* Somebody wrote into the table by hand. */
START_TEST(row_that_does_not_fit_its_offsets_is_read_as_far_as_it_goes)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 3, NULL);
	fixture_append_texts(&f, t, 0, "b", 2, NULL);
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET vals = vals[1:2] WHERE base_offset = 0");
	log_read_request q = from(t, 0);
	ck_assert_str_eq(fixture_page(&f, &q), "0:a0,1:a1,3:b0,4:b1|5");
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET vals = ARRAY[ARRAY['\\x61'::bytea]] WHERE base_offset = 0");
	ck_assert_str_eq(fixture_page(&f, &q), "3:b0,4:b1|5");
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET vals = ARRAY['\\x61', '\\x62', '\\x63', '\\x64']::bytea[], "
						  "keys = ARRAY['\\x61']::bytea[], ts = '{}' WHERE base_offset = 0");
	ck_assert_str_eq(fixture_page(&f, &q), "0:a,1:b,2:c,3:b0,4:b1|5");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- expiry ---- */

static const char COUNT_IS_TRUE[] =
	"SELECT (h.live_records = coalesce(x.n, 0) AND h.live_bytes = coalesce(x.bytes, 0))::int::bigint FROM "
	"tidegate.head h "
	"LEFT JOIN LATERAL (SELECT count(*) AS n, sum(octet_length(v)) AS bytes FROM tidegate.batch b "
	"  CROSS JOIN LATERAL unnest(b.vals) WITH ORDINALITY u(v, i) WHERE b.topic_id = h.topic_id AND v IS NOT NULL "
	"  AND b.base_offset + i - 1 >= greatest(h.cap_floor, h.ttl_floor)) x ON true WHERE h.topic_id = $1";

static void age(log_fixture *f, int64_t below, int64_t ms)
{
	db_fixture_sql(f->url, "UPDATE tidegate.batch SET committed_ms = committed_ms - %lld WHERE last_offset < %lld",
				   (long long)ms, (long long)below);
}

START_TEST(expiry_is_announced_by_a_gap_exactly)
{
	log_fixture f;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.ttl_ms = 60000;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	for (int i = 0; i < 4; i++) {
		fixture_append_texts(&f, t, 0, "a", 3, NULL);
	}
	age(&f, 6, 50000); /* not yet */
	log_read_request q = from(t, 0);
	ck_assert_str_eq(fixture_page(&f, &q), "0:a0,1:a1,2:a2,3:a0,4:a1,5:a2,6:a0,7:a1,8:a2,9:a0,10:a1,11:a2|12");
	age(&f, 6, 20000);
	q.from = 2; /* before anybody has noticed */
	ck_assert_str_eq(fixture_page(&f, &q), "[2-6t)6:a0,7:a1,8:a2,9:a0,10:a1,11:a2|12");
	ck_assert_int_eq(fixture_i64(&f, 0, COUNT_IS_TRUE, t), 1);
	q.from = 0;
	ck_assert_str_eq(fixture_page(&f, &q), "[0-6t)6:a0,7:a1,8:a2,9:a0,10:a1,11:a2|12");
	q.from = 5;
	q.max_records = 1;
	ck_assert_str_eq(fixture_page(&f, &q), "[5-6t)6:a0|7");
	q.from = 6;
	ck_assert_str_eq(fixture_page(&f, &q), "6:a0|7");
	q.from = 7;
	ck_assert_str_eq(fixture_page(&f, &q), "7:a1|8");
	q.from = 0;
	q.until = 4;
	ck_assert_str_eq(fixture_page(&f, &q), "[0-6t)|6");
	age(&f, 12, 100000);
	q = from(t, 3);
	ck_assert_str_eq(fixture_page(&f, &q), "[3-12t)|12");
	q.from = 12;
	ck_assert_str_eq(fixture_page(&f, &q), "|12");
	ck_assert_int_eq(fixture_i64(&f, 0, COUNT_IS_TRUE, t), 1);
	fixture_append_texts(&f, t, 0, "b", 1, NULL);
	q.from = 11;
	ck_assert_str_eq(fixture_page(&f, &q), "[11-12t)12:b0|13");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(gap_tells_cap_and_ttl_apart)
{
	log_fixture f;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.ttl_ms = 60000;
	c.cap_records = 8;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	for (int i = 0; i < 4; i++) {
		fixture_append_texts(&f, t, 0, "a", 3, NULL); /* 12, of which 8 are kept: 4 to 11 */
	}
	log_read_request q = from(t, 0);
	q.max_records = 2;
	ck_assert_str_eq(fixture_page(&f, &q), "[0-4c)4:a1,5:a2|6");
	age(&f, 9, 100000);
	ck_assert_str_eq(fixture_page(&f, &q), "[0-9ct)9:a0,10:a1|11");
	q.from = 4;
	ck_assert_str_eq(fixture_page(&f, &q), "[4-9t)9:a0,10:a1|11");
	ck_assert_int_eq(fixture_i64(&f, 0, COUNT_IS_TRUE, t), 1);
	fixture_append_texts(&f, t, 0, "b", 7, NULL); /* 9 to 18, of which 8: 11 to 18 */
	q.from = 0;
	ck_assert_str_eq(fixture_page(&f, &q), "[0-11ct)11:a2,12:b0|13");
	q.from = 9;
	ck_assert_str_eq(fixture_page(&f, &q), "[9-11c)11:a2,12:b0|13");
	ck_assert_int_eq(fixture_i64(&f, 0, COUNT_IS_TRUE, t), 1);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(expired_rows_that_hold_deleted_records_go_as_well)
{
	log_fixture f;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.ttl_ms = 60000;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	for (int i = 0; i < 4; i++) {
		fixture_append_texts(&f, t, 0, "a", 2, NULL);
	}
	erase(&f, t, 0, 2);
	erase(&f, t, 3, 4);
	erase(&f, t, 6, 8);
	age(&f, 6, 100000);
	log_read_request q = from(t, 0);
	ck_assert_str_eq(fixture_page(&f, &q), "[0-6t)|8");
	ck_assert_int_eq(fixture_i64(&f, 0, COUNT_IS_TRUE, t), 1);
	age(&f, 8, 100000); /* nothing live is lost with the last row */
	ck_assert_str_eq(fixture_page(&f, &q), "[0-6t)|8");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* As leased delivery does: its locks hold until the caller's own commit. */
START_TEST(reading_inside_a_transaction_neither_ends_it_nor_writes)
{
	for (int ephemeral = 0; ephemeral < 2; ephemeral++) {
		log_fixture f;
		err e;
		fixture_open(&f);
		log_topic_config c = log_topic_config_default(ephemeral == 1 ? LOG_EPHEMERAL : LOG_FSYNC);
		c.ttl_ms = 60000;
		const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
		for (int i = 0; i < 20; i++) {
			fixture_append_texts(&f, t, 0, "a", 2, NULL);
		}
		db_fixture_sql(
			f.url, "UPDATE tidegate.batch SET committed_ms = committed_ms - 100000 WHERE last_offset < 36; "
				   "UPDATE tidegate.batch_ephemeral SET committed_ms = committed_ms - 100000 WHERE last_offset < 36");
		db_fixture_must(db_begin(f.conn, &e) && db_run_script(f.conn, "SELECT pg_advisory_xact_lock(1, 2)", &e), &e,
						"begin");
		log_read_request q = from(t, 5);
		ck_assert_str_eq(fixture_page(&f, &q), "[5-36t)36:a0,37:a1,38:a0,39:a1|40");
		q.from = 37;
		ck_assert_str_eq(fixture_page(&f, &q), "37:a1,38:a0,39:a1|40");
		db_fixture_sql(f.url, "UPDATE tidegate.batch SET committed_ms = committed_ms - 100000; "
							  "UPDATE tidegate.batch_ephemeral SET committed_ms = committed_ms - 100000");
		q.from = 0;
		ck_assert_str_eq(fixture_page(&f, &q), "[0-40t)|40");
		ck_assert(db_in_transaction(f.conn));
		ck_assert_int_eq(
			db_fixture_i64(f.url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 2"), 1);
		ck_assert_int_eq(db_fixture_i64(f.url, "SELECT ttl_floor FROM tidegate.head"), 0);
		db_rollback(f.conn);
		ck_assert_str_eq(fixture_page(&f, &q), "[0-40t)|40");
		ck_assert_int_eq(db_fixture_i64(f.url, "SELECT ttl_floor FROM tidegate.head"), 40);
		log_topic_unref(t);
		fixture_close(&f);
	}
}
END_TEST

/* "offset:end byte", "!" behind the last record of an append, then where the page ends. */
static const char *bytes_of(log_fixture *f, const log_topic *t, int64_t at, uint32_t max_records)
{
	err e;
	log_page *page = NULL;
	log_record r;
	log_read_request q = from(t, at);
	char *text = arena_alloc_zero(f->arena, 1024);
	size_t n = 0;
	q.max_records = max_records;
	db_fixture_must(log_read(f->engine, f->conn, &q, &page, &e), &e, "read");
	while (log_page_next(page, &r)) {
		n += (size_t)snprintf(text + n, 1024 - n, "%lld:%lld%s ", (long long)r.offset, (long long)r.end_byte,
							  r.ends_append ? "!" : "");
	}
	snprintf(text + n, 1024 - n, "|%lld:%lld of %lld", (long long)log_page_position(page),
			 (long long)log_page_byte(page), (long long)log_page_end_byte(page));
	log_page_free(page);
	return text;
}

START_TEST(bytes_and_ends_of_appends_are_told)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	ck_assert_str_eq(bytes_of(&f, t, 0, 100), "|0:0 of 0");
	fixture_append_texts(&f, t, 0, "a", 2, NULL);
	fixture_append_texts(&f, t, 0, "bbb", 3, NULL);
	ck_assert_str_eq(bytes_of(&f, t, 0, 100), "0:2 1:4! 2:8 3:12 4:16! |5:16 of 16");
	ck_assert_str_eq(bytes_of(&f, t, 1, 2), "1:4! 2:8 |3:8 of 16");
	ck_assert_str_eq(bytes_of(&f, t, 4, 2), "4:16! |5:16 of 16");
	ck_assert_str_eq(bytes_of(&f, t, 5, 2), "|5:16 of 16");
	/* One row for two appends; a row that an append goes on behind; a deleted record at the end. */
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET appends = '{1}' WHERE last_offset = 1; "
						  "UPDATE tidegate.batch SET appends = '{}' WHERE last_offset = 4");
	ck_assert_str_eq(bytes_of(&f, t, 0, 100), "0:2! 1:4 2:8 3:12 4:16 |5:16 of 16");
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET appends = '{1,3}', vals[3] = NULL WHERE last_offset = 4");
	ck_assert_str_eq(bytes_of(&f, t, 2, 100), "2:8! 3:12 |5:16 of 16");
	ck_assert_str_eq(bytes_of(&f, t, 3, 100), "3:12 |5:16 of 16");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		bytes_and_ends_of_appends_are_told,
		page_holds_no_more_records_than_asked_for,
		page_holds_no_more_bytes_than_asked_for_but_one_record_always,
		bytes_limit_holds_over_many_rows,
		record_of_a_mebibyte_comes_back_whole,
		page_begins_inside_a_row_and_ends_before_until,
		reading_from_beyond_the_end_gives_nothing_and_stays_there,
		three_thousand_rows_of_one_record_fit_one_page,
		twenty_thousand_rows_of_one_record_take_a_second_page,
		every_feature_of_a_record_comes_back,
		closed_partition_says_so,
		topic_that_is_gone_is_not_found,
		deleted_records_are_passed_over_in_silence,
		deleted_rows_are_passed_over_in_silence,
		row_that_does_not_fit_its_offsets_is_read_as_far_as_it_goes,
		expiry_is_announced_by_a_gap_exactly,
		gap_tells_cap_and_ttl_apart,
		expired_rows_that_hold_deleted_records_go_as_well,
		reading_inside_a_transaction_neither_ends_it_nor_writes,
	};
	postgres_fixture_url();
	return SUITE_RUN("log/read", tests);
}
