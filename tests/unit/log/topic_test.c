#include "log/topic.h"

#include "suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "db/db_fixture.h"
#include "log/log_fixture.h"
#include "log/private.h"
#include "postgres_fixture.h"

static log_topic_spec spec_of(const char *name, int32_t partitions)
{
	return (log_topic_spec){.tenant_id = 1,
							.name = str_from_c(name),
							.origin = LOG_STREAMING,
							.partitions = partitions,
							.replication_factor = 1,
							.config = log_topic_config_default(LOG_FSYNC)};
}

static const char *page(log_fixture *f, const log_topic *t, int32_t partition, int64_t from)
{
	return fixture_page(
		f, &(log_read_request){
			   .topic = t, .partition = partition, .from = from, .max_records = 1000, .max_bytes = 1 << 20});
}

/* Changes the topic and takes the new state in its place. */
static void alter(log_fixture *f, const log_topic **t, const log_topic_config *c, int32_t partitions)
{
	err e;
	const log_topic *altered = NULL;
	db_fixture_must(log_topic_alter(f->engine, f->conn, *t, c, partitions, &altered, &e), &e, "alter");
	ck_assert_int_eq(altered->topic_id, (*t)->topic_id);
	ck_assert(log_topic_config_equal(&altered->config, c));
	log_topic_unref(*t);
	*t = altered;
}

/* ---- creating ---- */

enum { RACERS = 8 };

typedef struct racer {
	log_fixture *f;
	pthread_t thread;
	char name[32];
	int64_t topic_id;
	bool ok;
	bool created;
	err e;
} racer;

static void *race_to_create(void *context)
{
	racer *r = context;
	db_conn_options options = {.url = str_from_c(r->f->url), .role = "test", .timeout_ms = 30000};
	db_conn *c = db_conn_new(&options);
	const log_topic *t = NULL;
	log_topic_spec spec = spec_of(r->name, 5);
	r->ok = log_topic_create(r->f->engine, c, &spec, &t, &r->created, &r->e);
	r->topic_id = r->ok ? t->topic_id : 0;
	log_topic_unref(t);
	db_conn_free(c);
	return NULL;
}

static void race(log_fixture *f, racer racers[RACERS], bool same_name)
{
	for (int i = 0; i < RACERS; i++) {
		racers[i] = (racer){.f = f};
		snprintf(racers[i].name, sizeof racers[i].name, "topic-%d", same_name ? 0 : i);
		ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race_to_create, &racers[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(racers[i].thread, NULL);
	}
}

START_TEST(of_eight_creators_exactly_one_creates)
{
	log_fixture f;
	racer racers[RACERS];
	int created = 0;
	fixture_open(&f);
	race(&f, racers, true);
	for (int i = 0; i < RACERS; i++) {
		db_fixture_must(racers[i].ok, &racers[i].e, "create");
		ck_assert_int_eq(racers[i].topic_id, racers[0].topic_id);
		created += racers[i].created ? 1 : 0;
	}
	ck_assert_int_eq(created, 1);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.topic"), 1);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.head"), 5);
	fixture_close(&f);
}
END_TEST

START_TEST(limit_of_topics_holds_exactly)
{
	log_fixture f;
	racer racers[RACERS];
	int created = 0;
	fixture_open_as(&f, NULL, &(fixture_options){.max_topics = 5});
	race(&f, racers, false);
	for (int i = 0; i < RACERS; i++) {
		created += racers[i].ok && racers[i].created ? 1 : 0;
		if (!racers[i].ok) {
			ck_assert_int_eq(racers[i].e.code, ERR_THROTTLED);
			ck_assert_str_eq(racers[i].e.detail, "{\"limit\":\"max_topics\",\"max\":5}");
		}
	}
	ck_assert_int_eq(created, 5);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.topic"), 5);
	/* Finding one that is there needs no room; another tenant has room of its own. */
	race(&f, racers, false);
	for (int i = 0; i < RACERS; i++) {
		ck_assert(!racers[i].created);
		created -= racers[i].ok ? 1 : 0;
	}
	ck_assert_int_eq(created, 0);
	err e;
	bool made = false;
	const log_topic *t = NULL;
	log_topic_spec spec = spec_of("other", 1);
	spec.tenant_id = 2;
	db_fixture_must(log_topic_create(f.engine, f.conn, &spec, &t, &made, &e), &e, "create");
	ck_assert(made);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(configuration_comes_back_as_it_was_given)
{
	log_fixture f;
	err e;
	bool created = false;
	const log_topic *t = NULL;
	const log_topic *found = NULL;
	fixture_open(&f);
	log_topic_spec spec = {.tenant_id = 7,
						   .name = STR("t\xc3\xa4gli/ch %_\"'\\"),
						   .origin = LOG_HTTPMQ,
						   .partitions = 3,
						   .replication_factor = 2,
						   .config = {LOG_KIND_QUEUE, LOG_DISK, false, true, false, true, true, true, -5, 1, 2, 3, 4, 5,
									  6, 7, STR("dead")}};
	db_fixture_must(log_topic_create(f.engine, f.conn, &spec, &t, &created, &e), &e, "create");
	ck_assert(created);
	db_fixture_must(log_topic_find(f.engine, f.conn, 7, spec.name, &found, &e), &e, "find");
	const log_topic *cached = fixture_cached_topic(&f, 7, spec.name);
	const log_topic *all[] = {t, found, cached};
	int64_t topic_id = t->topic_id;
	for (size_t i = 0; i < 3; i++) {
		ck_assert_ptr_nonnull(all[i]);
		ck_assert_int_eq(all[i]->topic_id, topic_id);
		ck_assert_int_eq(all[i]->tenant_id, 7);
		ck_assert_view_eq(all[i]->name, spec.name);
		ck_assert_int_eq(all[i]->origin, LOG_HTTPMQ);
		ck_assert_int_eq(all[i]->partitions, 3);
		ck_assert_int_eq(all[i]->replication_factor, 2);
		ck_assert_int_gt(all[i]->created_ms, 1600000000000);
		ck_assert(log_topic_config_equal(&all[i]->config, &spec.config));
		log_topic_unref(all[i]);
	}
	fixture_close(&f);
}
END_TEST

START_TEST(unequal_configurations_are_told_apart)
{
	log_topic_config base = log_topic_config_default(LOG_FSYNC);
	log_topic_config changed[16];
	for (size_t i = 0; i < 16; i++) {
		changed[i] = base;
	}
	changed[0].kind = LOG_KIND_QUEUE;
	changed[1].durability = LOG_DISK;
	changed[2].discard_old = !base.discard_old;
	changed[3].auto_priority = !base.auto_priority;
	changed[4].auto_create = !base.auto_create;
	changed[5].dedupe_node = !base.dedupe_node;
	changed[6].leases_durable = !base.leases_durable;
	changed[7].has_priority = true;
	changed[8].ttl_ms++;
	changed[9].cap_records++;
	changed[10].cap_bytes++;
	changed[11].idempotency_window_ms++;
	changed[12].lease_ms++;
	changed[13].claim_jitter_ms++;
	changed[14].max_deliveries++;
	changed[15].dead_letter = STR("");
	ck_assert(log_topic_config_equal(&base, &base));
	for (size_t i = 0; i < 16; i++) {
		ck_assert_msg(!log_topic_config_equal(&base, &changed[i]), "change %zu", i);
	}
	changed[0] = base;
	changed[0].priority = 5; /* means nothing without has_priority */
	ck_assert(log_topic_config_equal(&base, &changed[0]));
}
END_TEST

START_TEST(name_that_nobody_has_is_not_found)
{
	log_fixture f;
	err e;
	const log_topic *t = NULL;
	fixture_open(&f);
	const log_topic *mine = fixture_topic(&f, "orders", 1);
	ck_assert(!log_topic_find(f.engine, f.conn, 1, STR("no \"such\""), &t, &e));
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	ck_assert_str_eq(e.detail, "{\"topic\":\"no \\\"such\\\"\"}");
	ck_assert(!log_topic_find(f.engine, f.conn, 1, STR("orders\0"), &t, &e));
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	ck_assert(!log_topic_find(f.engine, f.conn, 2, STR("orders"), &t, &e)); /* another tenant */
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	ck_assert(!log_topic_find(f.engine, f.conn, 1, STR_NONE, &t, &e));
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	ck_assert_ptr_null(t);
	ck_assert_ptr_null(log_topic_cached(f.engine, 2, STR("orders")));
	log_topic_unref(mine);
	log_topic_unref(NULL);
	fixture_close(&f);
}
END_TEST

/* ---- the cache ---- */

START_TEST(forgotten_topic_is_looked_up_again)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const log_topic *cached = fixture_cached_topic(&f, 1, STR("orders"));
	log_topic_forget(f.engine, t);
	ck_assert_ptr_null(log_topic_cached(f.engine, 1, STR("orders")));
	log_topic_forget(f.engine, t);
	ck_assert_view_eq(cached->name, STR("orders")); /* its reference keeps it */
	log_topic_unref(cached);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- altering ---- */

START_TEST(partitions_grow_and_never_shrink)
{
	log_fixture f;
	err e;
	const log_topic *none = NULL;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 2);
	fixture_append_texts(&f, t, 1, "a", 2, NULL);
	const log_topic *old = log_topic_ref(t);
	log_topic_config c = t->config;
	alter(&f, &t, &c, 0);
	ck_assert_int_eq(t->partitions, 2);
	alter(&f, &t, &c, 5);
	ck_assert_int_eq(t->partitions, 5);
	ck_assert_int_eq(fixture_append_texts(&f, t, 4, "b", 3, NULL), 0);
	ck_assert_str_eq(page(&f, t, 1, 0), "0:a0,1:a1|2");
	ck_assert_str_eq(page(&f, t, 4, 0), "0:b0,1:b1,2:b2|3");
	ck_assert_int_eq(fixture_append_texts(&f, old, 0, "c", 1, NULL), 0); /* those who have not heard of it go on */
	ck_assert(!log_topic_alter(f.engine, f.conn, t, &c, 4, &none, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	c.kind = LOG_KIND_QUEUE;
	ck_assert(!log_topic_alter(f.engine, f.conn, t, &c, 0, &none, &e));
	ck_assert_int_eq(e.code, ERR_INVALID_REQUEST);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.head"), 5);
	log_topic_unref(old);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(tighter_cap_acts_at_once_and_a_looser_one_brings_nothing_back)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 2);
	fixture_append_texts(&f, t, 0, "a", 10, NULL);
	fixture_append_texts(&f, t, 1, "b", 3, NULL);
	log_topic_config c = t->config;
	c.cap_records = 4;
	alter(&f, &t, &c, 0);
	ck_assert_str_eq(page(&f, t, 0, 0), "[0-6c)6:a6,7:a7,8:a8,9:a9|10");
	ck_assert_str_eq(page(&f, t, 1, 0), "0:b0,1:b1,2:b2|3");
	c.cap_records = 0;
	alter(&f, &t, &c, 0);
	ck_assert_str_eq(page(&f, t, 0, 0), "[0-6c)6:a6,7:a7,8:a8,9:a9|10");
	fixture_append_texts(&f, t, 0, "c", 3, NULL);
	ck_assert_str_eq(page(&f, t, 0, 5), "[5-6c)6:a6,7:a7,8:a8,9:a9,10:c0,11:c1,12:c2|13");
	c.cap_bytes = 5;
	alter(&f, &t, &c, 0);
	ck_assert_str_eq(page(&f, t, 0, 12), "12:c2|13");
	ck_assert_str_eq(page(&f, t, 1, 0), "[0-1c)1:b1,2:b2|3");
	/* A cap that refuses evicts nothing. */
	c.cap_bytes = 1;
	c.discard_old = false;
	alter(&f, &t, &c, 0);
	ck_assert_str_eq(page(&f, t, 1, 1), "1:b1,2:b2|3");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(shorter_ttl_acts_at_once_and_a_longer_one_brings_nothing_back)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	fixture_append_texts(&f, t, 0, "a", 2, NULL);
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET committed_ms = committed_ms - 100000");
	fixture_append_texts(&f, t, 0, "b", 1, NULL);
	log_topic_config c = t->config;
	c.ttl_ms = 1000000;
	alter(&f, &t, &c, 0);
	ck_assert_str_eq(page(&f, t, 0, 0), "0:a0,1:a1,2:b0|3");
	c.ttl_ms = 50000;
	alter(&f, &t, &c, 0);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT ttl_floor FROM tidegate.head"), 2);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT live_records FROM tidegate.head"), 1);
	c.ttl_ms = 0;
	alter(&f, &t, &c, 0);
	ck_assert_str_eq(page(&f, t, 0, 0), "[0-2t)2:b0|3");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* What had expired under the old rule is lost, though nobody had looked. */
START_TEST(expiry_that_nobody_saw_counts_when_the_rule_is_loosened)
{
	log_fixture f;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.ttl_ms = 50000;
	const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
	fixture_append_texts(&f, t, 0, "a", 2, NULL);
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET committed_ms = committed_ms - 100000");
	c.ttl_ms = 0;
	alter(&f, &t, &c, 0);
	ck_assert_str_eq(page(&f, t, 0, 0), "[0-2t)|2");
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* A worker that has not heard of the change appends by its old idea of the topic. */
START_TEST(append_through_a_stale_topic_keeps_the_new_rules)
{
	log_fixture f;
	err e;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const log_topic *stale = log_topic_ref(t);
	log_topic_config c = t->config;
	c.cap_records = 3;
	alter(&f, &t, &c, 0);
	ck_assert_int_eq(fixture_append_texts(&f, stale, 0, "a", 5, &e), 0);
	ck_assert_str_eq(page(&f, t, 0, 0), "[0-2c)2:a2,3:a3,4:a4|5");
	c.durability = LOG_EPHEMERAL;
	c.discard_old = false;
	alter(&f, &t, &c, 0);
	ck_assert_int_eq(fixture_append_texts(&f, stale, 0, "b", 1, &e), -1);
	ck_assert_int_eq(e.code, ERR_TOPIC_FULL);
	c.cap_records = 4;
	alter(&f, &t, &c, 0);
	ck_assert_int_eq(fixture_append_texts(&f, stale, 0, "b", 1, &e), 5);
	ck_assert_str_eq(page(&f, stale, 0, 0), "[0-2c)2:a2,3:a3,4:a4,5:b0|6");
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.batch"), 0);
	log_topic_unref(stale);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(altering_a_deleted_topic_is_not_found)
{
	log_fixture f;
	err e;
	bool deleted = false;
	const log_topic *none = NULL;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	db_fixture_must(log_topic_delete(f.engine, f.conn, 1, STR("orders"), &deleted, &e), &e, "delete");
	ck_assert(!log_topic_alter(f.engine, f.conn, t, &t->config, 3, &none, &e));
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	/* The connection is fit for use. */
	const log_topic *again = fixture_topic(&f, "orders", 1);
	log_topic_unref(again);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- ephemeral topics ---- */

START_TEST(change_to_ephemeral_and_back_keeps_every_record)
{
	log_fixture f;
	fixture_open(&f);
	const log_topic *other = fixture_topic(&f, "other", 1);
	const log_topic *t = fixture_topic(&f, "orders", 2);
	fixture_append_texts(&f, other, 0, "o", 2, NULL);
	fixture_append_texts(&f, t, 0, "a", 2, NULL);
	fixture_append_texts(&f, t, 1, "b", 1, NULL);
	log_topic_config c = t->config;
	c.durability = LOG_EPHEMERAL;
	alter(&f, &t, &c, 3);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "c", 2, NULL), 2);
	ck_assert_int_eq(fixture_append_texts(&f, t, 2, "d", 1, NULL), 0);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.batch"), 1); /* the other topic's */
	ck_assert_str_eq(page(&f, t, 0, 0), "0:a0,1:a1,2:c0,3:c1|4");
	ck_assert_str_eq(page(&f, t, 1, 0), "0:b0|1");
	ck_assert_str_eq(page(&f, t, 2, 0), "0:d0|1");
	c.durability = LOG_DISK;
	alter(&f, &t, &c, 0);
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "e", 1, NULL), 4);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.batch_ephemeral"), 0);
	ck_assert_str_eq(page(&f, t, 0, 0), "0:a0,1:a1,2:c0,3:c1,4:e0|5");
	ck_assert_str_eq(page(&f, t, 2, 0), "0:d0|1");
	ck_assert_str_eq(page(&f, other, 0, 0), "0:o0,1:o1|2");
	/* Bytes go on where they were. */
	ck_assert_int_eq(db_fixture_i64(f.url,
									"SELECT count(*) FROM tidegate.batch b WHERE topic_id = %lld AND partition = 0 AND "
									"base_byte <> 2 * base_offset",
									(long long)t->topic_id),
					 0);
	log_topic_unref(other);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* As after a crash of Postgres. */
static void lose_unlogged(log_fixture *f)
{
	db_fixture_sql(f->url, "TRUNCATE tidegate.batch_ephemeral, tidegate.ephemeral_mark");
}

START_TEST(crash_is_announced_in_every_partition_of_an_ephemeral_topic)
{
	log_fixture f;
	err e;
	log_partition_info *info = NULL;
	size_t count = 0;
	fixture_open(&f);
	const log_topic *t = fixture_topic_with(&f, "orders", 3, log_topic_config_default(LOG_EPHEMERAL));
	fixture_append_texts(&f, t, 0, "a", 2, NULL);
	fixture_append_texts(&f, t, 1, "b", 3, NULL);
	lose_unlogged(&f);
	/* The first append after it goes to one of them; the others have lost theirs just as well. */
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "c", 1, NULL), 2);
	ck_assert_str_eq(page(&f, t, 0, 0), "[0-2c)2:c0|3");
	ck_assert_str_eq(page(&f, t, 1, 0), "[0-3c)|3");
	ck_assert_str_eq(page(&f, t, 2, 0), "|0");
	ck_assert_int_eq(fixture_append_texts(&f, t, 1, "d", 1, NULL), 3);
	ck_assert_str_eq(page(&f, t, 1, 1), "[1-3c)3:d0|4");
	ck_assert_str_eq(page(&f, t, 0, 0), "[0-2c)2:c0|3");
	ck_assert_int_eq(db_fixture_i64(f.url,
									"SELECT count(*) FROM tidegate.head WHERE live_records <> (SELECT "
									"coalesce(sum(b.records), 0) FROM tidegate.batch_ephemeral b WHERE b.topic_id = "
									"head.topic_id AND b.partition = head.partition)"),
					 0);
	lose_unlogged(&f);
	db_fixture_must(log_topic_partitions(f.engine, f.conn, t, f.arena, &info, &count, &e), &e, "partitions");
	ck_assert_uint_eq(count, 3);
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(info[i].records, 0);
		ck_assert_int_eq(info[i].bytes, 0);
		ck_assert_int_eq(info[i].start_offset, info[i].end_offset);
	}
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(crash_is_announced_though_the_topic_is_changed_first)
{
	for (int what = 0; what < 3; what++) {
		log_fixture f;
		fixture_open(&f);
		const log_topic *t = fixture_topic_with(&f, "orders", 2, log_topic_config_default(LOG_EPHEMERAL));
		fixture_append_texts(&f, t, 0, "a", 2, NULL);
		lose_unlogged(&f);
		log_topic_config c = t->config;
		c.durability = what == 0 ? LOG_FSYNC : LOG_EPHEMERAL;
		c.cap_records = what == 1 ? 10 : 0;
		alter(&f, &t, &c, what == 2 ? 4 : 0);
		ck_assert_str_eq(page(&f, t, 0, 0), "[0-2c)|2");
		ck_assert_int_eq(fixture_append_texts(&f, t, 0, "b", 1, NULL), 2);
		ck_assert_str_eq(page(&f, t, 0, 1), "[1-2c)2:b0|3");
		ck_assert_int_eq(db_fixture_i64(f.url, "SELECT sum(live_records)::bigint FROM tidegate.head"), 1);
		log_topic_unref(t);
		fixture_close(&f);
	}
}
END_TEST

START_TEST(crash_of_the_server_itself_empties_ephemeral_topics_only)
{
	log_fixture f;
	err e;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const log_topic *loose = fixture_topic_with(&f, "loose", 2, log_topic_config_default(LOG_EPHEMERAL));
	fixture_append_texts(&f, t, 0, "a", 2, NULL);
	fixture_append_texts(&f, loose, 0, "b", 2, NULL);
	fixture_append_texts(&f, loose, 1, "c", 1, NULL);
	/* What was not yet on the disk is lost with its offsets: not what this test is about. */
	db_fixture_sql(f.url, "CHECKPOINT");
	postgres_fixture_stop();
	postgres_fixture_start();
	while (fixture_append_texts(&f, loose, 1, "d", 1, &e) < 0) {
		usleep(50000);
	}
	ck_assert_str_eq(page(&f, t, 0, 0), "0:a0,1:a1|2");
	ck_assert_str_eq(page(&f, loose, 0, 0), "[0-2c)|2");
	ck_assert_str_eq(page(&f, loose, 1, 0), "[0-1c)1:d0|2");
	log_topic_unref(loose);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- listing ---- */

static void expect_list(log_fixture *f, const char *prefix, const char *after, uint32_t limit, const char *expected)
{
	err e;
	const log_topic **list = NULL;
	size_t count = 0;
	buf text;
	buf_init(&text, 65536);
	db_fixture_must(log_topic_list(f->engine, f->conn, 1, str_from_c(prefix), str_from_c(after), limit, f->arena, &list,
								   &count, &e),
					&e, "list");
	ck_assert_uint_le(count, limit);
	for (size_t i = 0; i < count; i++) {
		buf_printf(&text, "%s%.*s", i > 0 ? " " : "", STR_ARG(list[i]->name));
		log_topic_unref(list[i]);
	}
	ck_assert_view_eq(buf_str(&text), str_from_c(expected));
	buf_dispose(&text);
}

START_TEST(list_is_paged_in_the_order_of_bytes)
{
	const char *const names[] = {"b", "a/2", "a/10", "a", "B", "a%", "a_", "\xc3\xa4", "ab", "z"};
	log_fixture f;
	err e;
	bool created = false;
	const log_topic *t = NULL;
	fixture_open(&f);
	expect_list(&f, NULL, NULL, 10, "");
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		log_topic_unref(fixture_topic(&f, names[i], 1));
	}
	log_topic_spec foreign = spec_of("a/foreign", 1);
	foreign.tenant_id = 2;
	db_fixture_must(log_topic_create(f.engine, f.conn, &foreign, &t, &created, &e), &e, "create");
	log_topic_unref(t);
	expect_list(&f, NULL, NULL, 100, "B a a% a/10 a/2 a_ ab b z \xc3\xa4");
	expect_list(&f, "", "", 3, "B a a%");
	expect_list(&f, "", "a%", 3, "a/10 a/2 a_");
	expect_list(&f, "", "a%zzz", 2, "a/10 a/2"); /* after one that is not there */
	expect_list(&f, "", "z", 100, "\xc3\xa4");
	expect_list(&f, "", "\xc3\xa4", 100, "");
	expect_list(&f, "a", NULL, 100, "a a% a/10 a/2 a_ ab");
	expect_list(&f, "a/", NULL, 100, "a/10 a/2");
	expect_list(&f, "a/", "a/10", 100, "a/2");
	expect_list(&f, "a%", NULL, 100, "a%");
	expect_list(&f, "a_", NULL, 100, "a_");
	expect_list(&f, "a", "b", 100, "");
	expect_list(&f, "nothing", NULL, 100, "");
	fixture_close(&f);
}
END_TEST

/* ---- what it holds ---- */

START_TEST(partitions_tell_what_they_hold)
{
	log_fixture f;
	err e;
	log_partition_info *info = NULL;
	size_t count = 0;
	fixture_open(&f);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.ttl_ms = 50000;
	const log_topic *t = fixture_topic_with(&f, "orders", 3, c);
	fixture_append_texts(&f, t, 0, "aa", 4, NULL);
	fixture_append_texts(&f, t, 2, "b", 2, NULL);
	db_fixture_sql(f.url, "UPDATE tidegate.batch SET committed_ms = committed_ms - 100000 WHERE partition = 0");
	fixture_append_texts(&f, t, 0, "cc", 3, NULL);
	log_append closing = {.topic = t, .partition = 2, .close = true, .arena = f.arena};
	fixture_append(&f, &closing);
	db_fixture_must(log_topic_partitions(f.engine, f.conn, t, f.arena, &info, &count, &e), &e, "partitions");
	ck_assert_uint_eq(count, 3);
	const log_partition_info expected[] = {
		{0, 4, 7, 3, 9, info[0].last_append_ms, false},
		{1, 0, 0, 0, 0, 0, false},
		{2, 0, 2, 2, 4, info[2].last_append_ms, true},
	};
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(info[i].partition, expected[i].partition);
		ck_assert_int_eq(info[i].start_offset, expected[i].start_offset);
		ck_assert_int_eq(info[i].end_offset, expected[i].end_offset);
		ck_assert_int_eq(info[i].records, expected[i].records);
		ck_assert_int_eq(info[i].bytes, expected[i].bytes);
		ck_assert_int_eq(info[i].last_append_ms, expected[i].last_append_ms);
		ck_assert_int_eq(info[i].is_closed, expected[i].is_closed);
	}
	ck_assert_int_gt(info[0].last_append_ms, 1600000000000);
	bool deleted = false;
	db_fixture_must(log_topic_delete(f.engine, f.conn, 1, STR("orders"), &deleted, &e), &e, "delete");
	ck_assert(!log_topic_partitions(f.engine, f.conn, t, f.arena, &info, &count, &e));
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(offset_at_a_time_is_that_of_the_first_record_not_before_it)
{
	for (int ephemeral = 0; ephemeral < 2; ephemeral++) {
		log_fixture f;
		err e;
		fixture_open(&f);
		log_topic_config c = log_topic_config_default(ephemeral == 1 ? LOG_EPHEMERAL : LOG_FSYNC);
		c.cap_records = 7;
		const log_topic *t = fixture_topic_with(&f, "orders", 1, c);
		for (int i = 0; i < 3; i++) {
			fixture_append_texts(&f, t, 0, "a", 3, NULL); /* 9, of which the first two are lost to the cap */
		}
		db_fixture_sql(f.url, "UPDATE tidegate.batch SET committed_ms = 1000 + base_offset; "
							  "UPDATE tidegate.batch_ephemeral SET committed_ms = 1000 + base_offset");
		const struct {
			int64_t ms;
			int64_t offset;
		} table[] = {{0, 2}, {1000, 2}, {1001, 3}, {1003, 3}, {1004, 6}, {1006, 6}, {1007, 9}, {INT64_MAX, 9}};
		for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
			int64_t offset = -1;
			db_fixture_must(log_topic_offset_at(f.engine, f.conn, t, 0, table[i].ms, &offset, &e), &e, "offset_at");
			ck_assert_msg(offset == table[i].offset, "at %lld: %lld", (long long)table[i].ms, (long long)offset);
		}
		int64_t offset = -1;
		ck_assert(!log_topic_offset_at(f.engine, f.conn, t, 1, 0, &offset, &e));
		ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
		log_topic_unref(t);
		fixture_close(&f);
	}
}
END_TEST

/* ---- deleting ---- */

START_TEST(topic_made_again_under_its_name_is_another_one)
{
	log_fixture f;
	err e;
	bool deleted = false;
	const log_topic *none = NULL;
	fixture_open(&f);
	const log_topic *old = fixture_topic(&f, "orders", 2);
	const str v = STR("v");
	log_append keyed = {.topic = old,
						.columns = {.count = 1, .values = &v},
						.idempotency_key = STR("k"),
						.producer = {STR("p"), 3, 0},
						.arena = f.arena};
	fixture_append(&f, &keyed);
	ck_assert_int_eq(keyed.error.code, ERR_NONE);
	const log_group_offset offset = {0, 1};
	const log_group_commit_request position = {.topic = old, .group = STR("g"), .offsets = &offset, .count = 1};
	log_group_offset *stands = NULL;
	size_t stand_count = 0;
	db_fixture_must(log_group_commit(f.engine, f.conn, &position, f.arena, &stands, &stand_count, &e), &e, "commit");
	db_fixture_must(log_topic_delete(f.engine, f.conn, 1, STR("orders"), &deleted, &e), &e, "delete");
	ck_assert(deleted);
	ck_assert_ptr_null(log_topic_cached(f.engine, 1, STR("orders")));
	db_fixture_must(log_topic_delete(f.engine, f.conn, 1, STR("orders"), &deleted, &e), &e, "delete again");
	ck_assert(!deleted);
	ck_assert(!log_topic_find(f.engine, f.conn, 1, STR("orders"), &none, &e));
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	/* All that was keyed by it is gone; its rows go in the background. */
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT (SELECT count(*) FROM tidegate.head) + (SELECT count(*) FROM "
										   "tidegate.idempotency) + (SELECT count(*) FROM tidegate.producer) + (SELECT "
										   "count(*) FROM tidegate.consumer_group) + (SELECT count(*) FROM "
										   "tidegate.group_partition)"),
					 0);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.discarded"), 1);
	const log_topic *new = fixture_topic(&f, "orders", 1);
	ck_assert_int_ne(new->topic_id, old->topic_id);
	ck_assert_str_eq(page(&f, new, 0, 0), "|0");
	keyed.topic = new;
	fixture_append(&f, &keyed); /* the same key and producer: the first time here */
	ck_assert_int_eq(keyed.error.code, ERR_NONE);
	ck_assert(!keyed.is_duplicate);
	ck_assert_str_eq(page(&f, new, 0, 0), "0:v|1");
	ck_assert_int_eq(fixture_append_texts(&f, old, 0, "a", 1, &e), -1);
	ck_assert_int_eq(e.code, ERR_TOPIC_NOT_FOUND);
	log_topic_unref(new);
	log_topic_unref(old);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		of_eight_creators_exactly_one_creates,
		limit_of_topics_holds_exactly,
		configuration_comes_back_as_it_was_given,
		unequal_configurations_are_told_apart,
		name_that_nobody_has_is_not_found,
		forgotten_topic_is_looked_up_again,
		partitions_grow_and_never_shrink,
		tighter_cap_acts_at_once_and_a_looser_one_brings_nothing_back,
		shorter_ttl_acts_at_once_and_a_longer_one_brings_nothing_back,
		expiry_that_nobody_saw_counts_when_the_rule_is_loosened,
		append_through_a_stale_topic_keeps_the_new_rules,
		altering_a_deleted_topic_is_not_found,
		change_to_ephemeral_and_back_keeps_every_record,
		crash_is_announced_in_every_partition_of_an_ephemeral_topic,
		crash_is_announced_though_the_topic_is_changed_first,
		crash_of_the_server_itself_empties_ephemeral_topics_only,
		list_is_paged_in_the_order_of_bytes,
		partitions_tell_what_they_hold,
		offset_at_a_time_is_that_of_the_first_record_not_before_it,
		topic_made_again_under_its_name_is_another_one,
	};
	postgres_fixture_url();
	return SUITE_RUN("log/topic", tests);
}
