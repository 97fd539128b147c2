/*
 * Retention against a model: whatever mixture of appends, erasures, ageing and changed rules, a reader gets exactly the
 * records that the rules keep, and is told of exactly the rest; the head's counts are what SQL counts.
 */
#include "log/retain.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

#include "db/db_fixture.h"
#include "log/log_fixture.h"
#include "postgres_fixture.h"

/* A record expires with its third ageing; what the test itself takes does not matter beside it. */
enum { TTL_MS = 10000000, AGEING_MS = 4000000, AGEINGS = 3 };
enum { RECORDS_MAX = 200000, APPEND_MAX = 1300 };

typedef enum fate { KEPT, ERASED, LOST } fate;

typedef struct model_record {
	uint32_t bytes;
	uint8_t ageings;
	uint8_t fate;
} model_record;

typedef struct model {
	log_fixture f;
	const log_topic *t;
	log_topic_config config;
	uint64_t random;
	model_record *records;
	int64_t next;
	int64_t live_records;
	int64_t live_bytes;
	int64_t last_lost; /* offset, or -1 */
	char *blob;
} model;

static uint32_t below(model *m, uint32_t limit)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->random >> 33) % limit;
}

/* ---- what the rules say ---- */

static void lose(model *m, int64_t offset)
{
	m->records[offset].fate = LOST;
	m->live_records--;
	m->live_bytes -= m->records[offset].bytes;
	m->last_lost = offset;
}

static void model_expire(model *m)
{
	for (int64_t i = 0; m->config.ttl_ms > 0 && i < m->next; i++) {
		if (m->records[i].fate == KEPT && m->records[i].ageings >= AGEINGS) {
			lose(m, i);
		}
	}
}

static bool is_over(const model *m)
{
	return (m->config.cap_records > 0 && m->live_records > m->config.cap_records) ||
		   (m->config.cap_bytes > 0 && m->live_bytes > m->config.cap_bytes);
}

static void model_evict(model *m)
{
	for (int64_t i = 0; m->config.discard_old && is_over(m); i++) {
		if (m->records[i].fate == KEPT) {
			lose(m, i);
		}
	}
}

static err_code model_append(model *m, uint32_t count, const uint32_t *sizes)
{
	int64_t bytes = 0;
	bool has_caps = m->config.cap_records > 0 || m->config.cap_bytes > 0;
	for (uint32_t i = 0; i < count; i++) {
		bytes += sizes[i];
	}
	if (has_caps) {
		model_expire(m);
	}
	if (has_caps && !m->config.discard_old) {
		if ((m->config.cap_records > 0 && count > m->config.cap_records) ||
			(m->config.cap_bytes > 0 && bytes > m->config.cap_bytes)) {
			return ERR_RECORD_TOO_LARGE;
		}
		if ((m->config.cap_records > 0 && m->live_records + count > m->config.cap_records) ||
			(m->config.cap_bytes > 0 && m->live_bytes + bytes > m->config.cap_bytes)) {
			return ERR_TOPIC_FULL;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		m->records[m->next++] = (model_record){.bytes = sizes[i]};
	}
	m->live_records += count;
	m->live_bytes += bytes;
	model_evict(m);
	return ERR_NONE;
}

/* ---- what is checked ---- */

#define BOTH_TABLES                                                                                                    \
	"(SELECT partition, base_offset, last_offset, vals, keys, topic_id FROM tidegate.batch UNION ALL "                 \
	" SELECT partition, base_offset, last_offset, vals, keys, topic_id FROM tidegate.batch_ephemeral)"

/* Bit 0: the records are counted right; bit 1: the bytes. */
static const char TRUTH[] =
	"SELECT (h.live_records = x.n)::int::bigint + 2 * (h.live_bytes = x.bytes)::int FROM tidegate.head h "
	"CROSS JOIN LATERAL (SELECT count(*) AS n, coalesce(sum(octet_length(v) + coalesce(octet_length(k), 0)), 0) AS "
	"bytes "
	"  FROM " BOTH_TABLES " b CROSS JOIN LATERAL unnest(b.vals, b.keys) WITH ORDINALITY u(v, k, i) "
	"  WHERE b.topic_id = $1 AND b.last_offset >= greatest(h.cap_floor, h.ttl_floor) AND v IS NOT NULL "
	"  AND b.base_offset + i - 1 >= greatest(h.cap_floor, h.ttl_floor)) x WHERE h.topic_id = $1";

static void check_counts(model *m, const char *after)
{
	int64_t truth = fixture_i64(&m->f, 0, TRUTH, m->t);
	ck_assert_msg((truth & 1) != 0, "after %s: live_records is wrong", after);
	ck_assert_msg((truth & 2) != 0, "after %s: live_bytes is wrong", after);
}

/* From `from` to the end: the gap, then every kept record and no other. */
static void check_read(model *m, int64_t from)
{
	err e;
	log_page *page = NULL;
	log_record r;
	log_gap gap;
	int64_t at = from;
	model_expire(m);
	log_read_request q = {.topic = m->t, .from = from, .max_records = RECORDS_MAX, .max_bytes = 1 << 30};
	db_fixture_must(log_read(m->f.engine, m->f.conn, &q, &page, &e), &e, "read");
	ck_assert_int_eq(log_page_end_offset(page), m->next);
	if (log_page_gap(page, &gap)) {
		ck_assert_int_eq(gap.from, from);
		ck_assert(gap.by_cap || gap.by_ttl);
		ck_assert_int_gt(gap.to, m->last_lost);
		ck_assert_int_le(gap.to, m->next);
		for (; at < gap.to; at++) {
			ck_assert_msg(m->records[at].fate != KEPT, "kept record %lld in the gap %lld-%lld", (long long)at,
						  (long long)gap.from, (long long)gap.to);
		}
	} else {
		ck_assert_int_lt(m->last_lost, from);
	}
	while (log_page_next(page, &r)) {
		for (; at < r.offset; at++) {
			ck_assert_msg(m->records[at].fate == ERASED, "record %lld is missing", (long long)at);
		}
		ck_assert_msg(m->records[at].fate == KEPT, "record %lld should be gone", (long long)at);
		ck_assert_uint_eq(r.value.len + r.key.len, m->records[at].bytes);
		at++;
	}
	int64_t position = log_page_position(page);
	log_page_free(page);
	if (position < m->next) {
		/* A long log takes several pages. */
		ck_assert_int_gt(position, from);
		check_read(m, position);
		return;
	}
	for (; at < m->next; at++) {
		ck_assert_msg(m->records[at].fate == ERASED, "record %lld is missing at the end", (long long)at);
	}
}

static void check_everything(model *m, const char *after)
{
	check_counts(m, after);
	check_read(m, 0);
	if (m->next > 0) {
		check_read(m, below(m, (uint32_t)m->next));
	}
	check_counts(m, "a read");
	ck_assert_int_eq(fixture_i64(&m->f, 1, "SELECT live_records FROM tidegate.head WHERE topic_id = $1", m->t),
					 m->live_records);
	ck_assert_int_eq(fixture_i64(&m->f, 2, "SELECT live_bytes FROM tidegate.head WHERE topic_id = $1", m->t),
					 m->live_bytes);
}

/* ---- steps ---- */

static void step_append(model *m)
{
	static uint32_t sizes[APPEND_MAX];
	arena *a = arena_new(16 << 20);
	uint32_t count = below(m, 40) == 0 ? 400 + below(m, APPEND_MAX - 400) : 1 + below(m, 20);
	uint32_t kind = below(m, 4);
	str *values = arena_alloc_array(a, count, sizeof *values);
	str *keys = arena_alloc_zero(a, count * sizeof *keys);
	bool has_keys = below(m, 2) == 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t len = kind == 0 ? 0 : kind == 1 ? below(m, 2) : below(m, below(m, 100) == 0 ? 40000 : 300);
		values[i] = (str){m->blob, len};
		sizes[i] = len;
		if (has_keys && below(m, 2) == 0) {
			keys[i] = (str){m->blob, below(m, 20)};
			sizes[i] += (uint32_t)keys[i].len;
		}
	}
	log_append op = {
		.topic = m->t, .columns = {.count = count, .values = values, .keys = has_keys ? keys : NULL}, .arena = a};
	int64_t base = m->next;
	fixture_append(&m->f, &op);
	err_code expected = model_append(m, count, sizes);
	ck_assert_msg(op.error.code == expected, "%s instead of %s: %s", err_wire_code(op.error.code),
				  err_wire_code(expected), op.error.message);
	if (expected == ERR_NONE) {
		ck_assert_int_eq(op.results[0].base_offset, base);
		ck_assert_int_eq(op.end_offset, m->next);
	}
	arena_free(a);
}

static void step_age(model *m)
{
	fixture_sql(&m->f,
				"UPDATE tidegate.batch SET committed_ms = committed_ms - %d; "
				"UPDATE tidegate.batch_ephemeral SET committed_ms = committed_ms - %d; "
				"UPDATE tidegate.head SET last_ms = last_ms - %d",
				AGEING_MS, AGEING_MS, AGEING_MS);
	for (int64_t i = 0; i < m->next; i++) {
		m->records[i].ageings = (uint8_t)(m->records[i].ageings < 100 ? m->records[i].ageings + 1 : 100);
	}
}

static const char *table_of(const model *m)
{
	return m->config.durability == LOG_EPHEMERAL ? "tidegate.batch_ephemeral" : "tidegate.batch";
}

/* As an erasure does. Expiry first: what is past its time cannot be erased any more. */
static void step_erase(model *m)
{
	check_read(m, 0);
	if (m->live_records == 0) {
		return;
	}
	for (uint32_t left = 1 + below(m, 4); left > 0 && m->live_records > 0; left--) {
		int64_t offset = below(m, (uint32_t)m->next);
		while (m->records[offset].fate != KEPT) {
			offset = (offset + 1) % m->next;
		}
		fixture_sql(&m->f,
					"UPDATE %s SET keys[%lld - base_offset + 1] = NULL "
					"WHERE %lld BETWEEN base_offset AND last_offset AND keys IS NOT NULL; "
					"UPDATE %s SET vals[%lld - base_offset + 1] = NULL, records = records - 1, bytes = bytes - %u "
					"WHERE %lld BETWEEN base_offset AND last_offset; "
					"DELETE FROM %s WHERE records = 0; "
					"UPDATE tidegate.head SET live_records = live_records - 1, live_bytes = live_bytes - %u",
					table_of(m), (long long)offset, (long long)offset, table_of(m), (long long)offset,
					m->records[offset].bytes, (long long)offset, table_of(m), m->records[offset].bytes);
		m->records[offset].fate = ERASED;
		m->live_records--;
		m->live_bytes -= m->records[offset].bytes;
	}
}

static void step_alter(model *m)
{
	err e;
	log_topic_config c = m->config;
	const log_topic *altered = NULL;
	uint32_t what = below(m, 7);
	c.cap_records = what == 0 ? 0 : what == 1 ? 1 + below(m, 300) : c.cap_records;
	c.cap_bytes = what == 2 ? 0 : what == 3 ? 1 + below(m, 30000) : c.cap_bytes;
	c.ttl_ms = what == 4 ? TTL_MS - c.ttl_ms : c.ttl_ms;
	c.discard_old = what == 5 ? !c.discard_old : c.discard_old;
	c.durability = what == 6 ? (c.durability == LOG_FSYNC ? LOG_EPHEMERAL : LOG_FSYNC) : c.durability;
	model_expire(m);
	db_fixture_must(log_topic_alter(m->f.engine, m->f.conn, m->t, &c, 0, &altered, &e), &e, "alter");
	log_topic_unref(m->t);
	m->t = altered;
	m->config = c;
	ck_assert(log_topic_config_equal(&altered->config, &c));
	model_expire(m);
	model_evict(m);
}

static void run(log_topic_config config, uint64_t seed, int steps)
{
	model m = {.config = config, .random = seed, .last_lost = -1};
	fixture_open(&m.f);
	m.records = calloc(RECORDS_MAX, sizeof *m.records);
	m.blob = calloc(1, 65536);
	m.t = fixture_topic_with(&m.f, "orders", 1, config);
	for (int i = 0; i < steps && m.next < RECORDS_MAX - APPEND_MAX; i++) {
		uint32_t what = below(&m, 100);
		const char *after = "an append";
		if (what < 80) {
			step_append(&m);
		} else if (what < 87) {
			step_age(&m);
			after = "ageing";
		} else if (what < 94) {
			step_erase(&m);
			after = "an erasure";
		} else {
			step_alter(&m);
			after = "a change of rules";
		}
		if (i % 5 == 0) {
			check_everything(&m, after);
		} else {
			check_counts(&m, after);
		}
	}
	check_everything(&m, "all of it");
	log_topic_unref(m.t);
	free(m.records);
	free(m.blob);
	fixture_close(&m.f);
}

enum { STEPS = 250 };

START_TEST(log_without_rules_keeps_everything)
{
	run(log_topic_config_default(LOG_FSYNC), 1, STEPS);
}
END_TEST

START_TEST(caps_that_evict_keep_the_newest)
{
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_records = 100;
	run(c, 2, STEPS);
	c.cap_records = 0;
	c.cap_bytes = 10000;
	run(c, 3, STEPS);
	c.cap_records = 50;
	run(c, 4, STEPS);
}
END_TEST

START_TEST(caps_that_refuse_keep_the_oldest)
{
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.discard_old = false;
	c.cap_records = 500;
	run(c, 5, STEPS);
	c.cap_bytes = 30000;
	c.ttl_ms = TTL_MS;
	run(c, 6, STEPS);
}
END_TEST

START_TEST(age_and_caps_together_lose_what_either_does)
{
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.ttl_ms = TTL_MS;
	run(c, 7, STEPS);
	c.cap_records = 200;
	c.cap_bytes = 20000;
	run(c, 8, STEPS);
	c = log_topic_config_default(LOG_EPHEMERAL);
	c.ttl_ms = TTL_MS;
	c.cap_records = 200;
	run(c, 9, STEPS);
}
END_TEST

/* A cap of bytes does not care for records without any, and a cap of records counts each. */
START_TEST(empty_records_are_evicted_one_by_one)
{
	log_fixture f;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_records = 10;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	const str empty[10] = {STR(""), STR(""), STR(""), STR(""), STR(""), STR(""), STR(""), STR(""), STR(""), STR("")};
	log_append op = {.topic = t, .columns = {.count = 10, .values = empty}, .arena = f.arena};
	fixture_append(&f, &op);
	op.columns.count = 1;
	fixture_append(&f, &op);
	ck_assert_str_eq(fixture_page(&f, &(log_read_request){.topic = t, .max_records = 3, .max_bytes = 100}),
					 "[0-1c)1:,2:,3:|4");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(records_without_bytes_stay_when_a_cap_of_bytes_evicts)
{
	log_fixture f;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_bytes = 4;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	const str values[] = {STR("aaaa"), STR(""), STR("")};
	log_append op = {.topic = t, .columns = {.count = 3, .values = values}, .arena = f.arena};
	fixture_append(&f, &op);
	op.columns.count = 1;
	fixture_append(&f, &op);
	ck_assert_str_eq(fixture_page(&f, &(log_read_request){.topic = t, .max_records = 9, .max_bytes = 100}),
					 "[0-1c)1:,2:,3:aaaa|4");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		empty_records_are_evicted_one_by_one, records_without_bytes_stay_when_a_cap_of_bytes_evicts,
		log_without_rules_keeps_everything,   caps_that_evict_keep_the_newest,
		caps_that_refuse_keep_the_oldest,     age_and_caps_together_lose_what_either_does,
	};
	postgres_fixture_url();
	return SUITE_RUN("log/retain", tests);
}
