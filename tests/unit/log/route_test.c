/*
 * Routers on a real Postgres: what arrives, in which order, and what a reader is told of the rest.
 */
#include "log/route.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log/log_fixture.h"
#include "log/private.h"
#include "postgres_fixture.h"

static log_router_spec spec_of(const char *name, const char *source, const char *dest)
{
	log_topic_spec topic = {.tenant_id = 1,
							.origin = LOG_TOPICS,
							.partitions = 1,
							.replication_factor = 1,
							.config = log_topic_config_default(LOG_DISK)};
	return (log_router_spec){.tenant_id = 1,
							 .router = {.name = str_from_c(name),
										.source = str_from_c(source),
										.dest = str_from_c(dest),
										.preserve_node = true,
										.preserve_tag = true},
							 .create_dest = true,
							 .topic = topic};
}

static void put(log_fixture *f, const log_router_spec *spec)
{
	err e;
	bool created = false;
	ck_assert_msg(log_router_put(f->engine, f->conn, spec, &created, &e), "%s", e.message);
	ck_assert(created);
}

static void join(log_fixture *f, const char *name, const char *source, const char *dest)
{
	log_router_spec spec = spec_of(name, source, dest);
	put(f, &spec);
}

static void refuse(log_fixture *f, const log_router_spec *spec, err_code code, const char *detail)
{
	err e;
	bool created = false;
	ck_assert(!log_router_put(f->engine, f->conn, spec, &created, &e));
	ck_assert_int_eq(e.code, code);
	ck_assert_str_eq(e.detail, detail);
}

static const log_topic *find(log_fixture *f, const char *name)
{
	err e;
	const log_topic *t = NULL;
	ck_assert_msg(log_topic_find(f->engine, f->conn, 1, str_from_c(name), &t, &e), "%s", e.message);
	return t;
}

/* "…" as fixture_page. */
static const char *page_of(log_fixture *f, const char *topic, int64_t from)
{
	const log_topic *t = find(f, topic);
	log_read_request q = {.topic = t, .from = from, .max_records = 10000, .max_bytes = 8 << 20};
	const char *text = fixture_page(f, &q);
	log_topic_unref(t);
	return text;
}

static void add(log_fixture *f, const char *topic, const char *prefix, uint32_t count)
{
	err e;
	const log_topic *t = find(f, topic);
	err_clear(&e);
	ck_assert_msg(fixture_append_texts(f, t, 0, prefix, count, &e) >= 0, "%s", e.message);
	log_topic_unref(t);
}

static int64_t forwarded(log_fixture *f, const char *name)
{
	err e;
	log_router router;
	ck_assert_msg(log_router_get(f->engine, f->conn, 1, str_from_c(name), f->arena, &router, &e), "%s", e.message);
	return router.forwarded_total;
}

START_TEST(a_copy_is_there_when_it_is_read)
{
	log_fixture f;
	fixture_open(&f);
	join(&f, "r", "a", "b");
	add(&f, "a", "x", 3);
	ck_assert_str_eq(page_of(&f, "b", 0), "0:x0,1:x1,2:x2|3");
	ck_assert_int_eq(forwarded(&f, "r"), 3);
	fixture_close(&f);
}
END_TEST

START_TEST(a_router_begins_at_the_sources_end)
{
	log_fixture f;
	log_router_spec spec = spec_of("r", "a", "b");
	err e;
	bool created = true;
	fixture_open(&f);
	log_topic_unref(fixture_topic(&f, "a", 1));
	add(&f, "a", "old", 2);
	put(&f, &spec);
	add(&f, "a", "new", 1);
	ck_assert(log_router_put(f.engine, f.conn, &spec, &created, &e));
	ck_assert(!created);
	ck_assert_str_eq(page_of(&f, "b", 0), "0:new0|1");
	fixture_close(&f);
}
END_TEST

START_TEST(chains_are_followed_to_their_beginning)
{
	log_fixture f;
	fixture_open(&f);
	join(&f, "1", "a", "b");
	join(&f, "2", "b", "c");
	join(&f, "3", "c", "d");
	add(&f, "a", "x", 2);
	ck_assert_str_eq(page_of(&f, "d", 0), "0:x0,1:x1|2");
	fixture_close(&f);
}
END_TEST

START_TEST(a_loop_ends_after_eight_hops)
{
	log_fixture f;
	log_router_spec back = spec_of("2", "b", "a");
	fixture_open(&f);
	join(&f, "1", "a", "b");
	refuse(&f, &back, ERR_ROUTER_CYCLE, "{\"cycle\":[\"b\",\"a\",\"b\"]}");
	back.router.allow_cycle = true;
	put(&f, &back);
	add(&f, "a", "x", 1);
	/* The record itself and its copies with 2, 4, 6 and 8 hops; those with 1, 3, 5 and 7 are in b. */
	for (int i = 0; i < 1500 && strcmp(page_of(&f, "a", 0), "0:x0,1:x0,2:x0,3:x0,4:x0|5") != 0; i++) {
		usleep(20000);
	}
	ck_assert_str_eq(page_of(&f, "a", 0), "0:x0,1:x0,2:x0,3:x0,4:x0|5");
	ck_assert_str_eq(page_of(&f, "b", 0), "0:x0,1:x0,2:x0,3:x0|4");
	fixture_close(&f);
}
END_TEST

START_TEST(what_the_source_lost_is_told)
{
	log_fixture f;
	log_topic_config config = log_topic_config_default(LOG_FSYNC);
	fixture_open(&f);
	config.cap_records = 3;
	log_topic_unref(fixture_topic_with(&f, "a", 1, config));
	join(&f, "r", "a", "b");
	add(&f, "a", "x", 10);
	ck_assert_str_eq(page_of(&f, "b", 0), "[0-7s)7:x7,8:x8,9:x9|10");
	ck_assert_int_eq(forwarded(&f, "r"), 3);
	ck_assert_str_eq(page_of(&f, "b", 7), "7:x7,8:x8,9:x9|10");
	/* A gap in the middle takes what was before it along, announced. */
	add(&f, "a", "y", 5);
	ck_assert_str_eq(page_of(&f, "b", 10), "[10-12s)12:y2,13:y3,14:y4|15");
	ck_assert_str_eq(page_of(&f, "b", 0), "[0-12s)12:y2,13:y3,14:y4|15");
	fixture_close(&f);
}
END_TEST

START_TEST(jobs_are_kept_when_the_source_loses_records)
{
	log_fixture f;
	log_topic_config config = log_topic_config_default(LOG_FSYNC);
	fixture_open(&f);
	config.kind = LOG_KIND_QUEUE;
	log_topic_unref(fixture_topic_with(&f, "b", 1, config));
	config = log_topic_config_default(LOG_FSYNC);
	config.cap_records = 1;
	log_topic_unref(fixture_topic_with(&f, "a", 1, config));
	join(&f, "r", "a", "b");
	add(&f, "a", "x", 1);
	ck_assert_str_eq(page_of(&f, "b", 0), "0:x0|1");
	add(&f, "a", "y", 3);
	ck_assert_str_eq(page_of(&f, "b", 0), "0:x0,3:y2|4");
	fixture_close(&f);
}
END_TEST

START_TEST(a_full_destination_holds_its_router)
{
	log_fixture f;
	log_topic_config config = log_topic_config_default(LOG_FSYNC);
	fixture_open(&f);
	config.cap_records = 2;
	config.discard_old = false;
	log_topic_unref(fixture_topic_with(&f, "b", 1, config));
	join(&f, "r", "a", "b");
	join(&f, "free", "a", "c");
	add(&f, "a", "x", 5);
	ck_assert_str_eq(page_of(&f, "b", 0), "0:x0,1:x1|2");
	ck_assert_str_eq(page_of(&f, "c", 0), "0:x0,1:x1,2:x2,3:x3,4:x4|5");
	ck_assert_int_eq(forwarded(&f, "r"), 2);
	/* Room, by another rule. */
	const log_topic *b = find(&f, "b");
	const log_topic *changed = NULL;
	err e;
	config.cap_records = 4;
	ck_assert(log_topic_alter(f.engine, f.conn, b, &config, 0, &changed, &e));
	ck_assert_str_eq(page_of(&f, "b", 0), "0:x0,1:x1,2:x2,3:x3|4");
	log_topic_unref(b);
	log_topic_unref(changed);
	fixture_close(&f);
}
END_TEST

START_TEST(a_key_that_is_there_is_counted_and_skipped)
{
	log_fixture f;
	log_router_spec spec = spec_of("r", "a", "b");
	char key[128];
	fixture_open(&f);
	spec.router.exactly_once = true;
	put(&f, &spec);
	const log_topic *a = find(&f, "a");
	const log_topic *b = find(&f, "b");
	str value = STR("mine");
	snprintf(key, sizeof key, "router:r:%lld:%lld:2", (long long)a->topic_id, (long long)a->created_ms);
	log_append op = {
		.topic = b, .columns = {.count = 1, .values = &value}, .idempotency_key = str_from_c(key), .arena = f.arena};
	fixture_append(&f, &op);
	ck_assert_int_eq(op.error.code, ERR_NONE);
	add(&f, "a", "x", 3);
	ck_assert_str_eq(page_of(&f, "b", 0), "0:mine,1:x0,2:x2|3");
	ck_assert_int_eq(forwarded(&f, "r"), 3);
	/* And the other way round. */
	key[strlen(key) - 1] = '3';
	log_append again = {
		.topic = b, .columns = {.count = 1, .values = &value}, .idempotency_key = str_from_c(key), .arena = f.arena};
	fixture_append(&f, &again);
	ck_assert(again.is_duplicate);
	ck_assert_int_eq(again.results[0].base_offset, 2);
	log_topic_unref(a);
	log_topic_unref(b);
	fixture_close(&f);
}
END_TEST

START_TEST(every_partition_is_copied_in_order)
{
	log_fixture f;
	err e;
	err_clear(&e);
	fixture_open(&f);
	const log_topic *a = fixture_topic(&f, "a", 3);
	log_topic_unref(fixture_topic(&f, "b", 2));
	join(&f, "r", "a", "b");
	for (int32_t p = 0; p < 3; p++) {
		ck_assert_int_eq(fixture_append_texts(&f, a, p, p == 0 ? "x" : p == 1 ? "y" : "z", 2, &e), 0);
	}
	/* Between two partitions of the source no order is promised. */
	const char *both = page_of(&f, "b", 0);
	ck_assert_msg(strcmp(both, "0:x0,1:x1,2:z0,3:z1|4") == 0 || strcmp(both, "0:z0,1:z1,2:x0,3:x1|4") == 0, "%s", both);
	const log_topic *b = find(&f, "b");
	ck_assert_str_eq(fixture_read(&f, b, 1, 0, 100), "y0,y1");
	log_topic_unref(a);
	log_topic_unref(b);
	fixture_close(&f);
}
END_TEST

START_TEST(a_deleted_topic_takes_its_routers_along)
{
	log_fixture f;
	err e;
	log_topic_removal removed;
	log_router *left = NULL;
	size_t count = 0;
	fixture_open(&f);
	join(&f, "2", "a", "b");
	join(&f, "1", "b", "c");
	join(&f, "3", "a", "d");
	const log_topic *b = find(&f, "b");
	ck_assert(log_topic_remove(f.engine, f.conn, b, false, f.arena, &removed, &e));
	log_topic_unref(b);
	ck_assert(removed.deleted);
	ck_assert_uint_eq(removed.router_count, 2);
	ck_assert_view_eq(removed.routers[0], STR("1"));
	ck_assert_view_eq(removed.routers[1], STR("2"));
	log_router_query all = {.tenant_id = 1, .limit = 10};
	ck_assert(log_router_list(f.engine, f.conn, &all, f.arena, &left, &count, &e));
	ck_assert_uint_eq(count, 1);
	ck_assert_view_eq(left[0].name, STR("3"));
	add(&f, "a", "x", 1);
	ck_assert_str_eq(page_of(&f, "d", 0), "0:x0|1");
	fixture_close(&f);
}
END_TEST

START_TEST(more_records_than_a_page_and_more_routers_than_a_group)
{
	enum { ROUTERS = 150, RECORDS = 1200 };
	log_fixture f;
	char name[32];
	fixture_open(&f);
	for (int i = 0; i < ROUTERS; i++) {
		snprintf(name, sizeof name, "d%d", i);
		join(&f, name, "a", name);
	}
	add(&f, "a", "x", RECORDS);
	for (int i = 0; i < ROUTERS; i += 37) {
		snprintf(name, sizeof name, "d%d", i);
		ck_assert_ptr_nonnull(strstr(page_of(&f, name, 0), ",1199:x1199|1200"));
		ck_assert_int_eq(forwarded(&f, name), RECORDS);
	}
	/* The clerk brings the others what they were not asked for. */
	for (int i = 0; i < 1500; i++) {
		const log_topic *a = find(&f, "a");
		int64_t behind =
			fixture_i64(&f, 0, "SELECT count(*) FROM tidegate.router WHERE topic_id = $1 AND positions[1] < 1200", a);
		log_topic_unref(a);
		if (behind == 0) {
			break;
		}
		ck_assert_int_lt(i, 1499);
		usleep(20000);
	}
	fixture_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_copy_is_there_when_it_is_read,
		a_router_begins_at_the_sources_end,
		chains_are_followed_to_their_beginning,
		a_loop_ends_after_eight_hops,
		what_the_source_lost_is_told,
		jobs_are_kept_when_the_source_loses_records,
		a_full_destination_holds_its_router,
		a_key_that_is_there_is_counted_and_skipped,
		every_partition_is_copied_in_order,
		a_deleted_topic_takes_its_routers_along,
		more_records_than_a_page_and_more_routers_than_a_group,
	};
	postgres_fixture_url();
	return SUITE_RUN("log/route", tests);
}
