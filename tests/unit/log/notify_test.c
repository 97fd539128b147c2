/*
 * The ways by which a reader learns of new records: from this worker's memory, from another worker's NOTIFY, and from
 * the slow poll behind both.
 */
#include "log/wake.h"

#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/db_fixture.h"
#include "log/log_fixture.h"
#include "log/private.h"
#include "postgres_fixture.h"

/* A poll that never comes while a test runs. */
enum {
	NEVER_MS = 3600 * 1000,
	SOON_MS = 30000,
	QUIET_MS = 150,
	LONG_QUIET_MS = 2500, /* where a wake-up that is late would be taken for one too many */
};

typedef struct listener {
	atomic_int wakes;
	log_watch *watch;
} listener;

static void on_wake(void *context)
{
	listener *l = context;
	atomic_fetch_add(&l->wakes, 1);
}

static void listen_to(log_fixture *f, listener *l, const log_topic *t, int32_t partition)
{
	atomic_init(&l->wakes, 0);
	l->watch = log_watch_start(f->engine, t->topic_id, partition, on_wake, l);
	ck_assert_ptr_nonnull(l->watch);
}

static bool wait_for(atomic_int *value, int least)
{
	for (int64_t until_ms = clock_now_ms() + SOON_MS; atomic_load(value) < least && clock_now_ms() < until_ms;) {
		usleep(1000);
	}
	return atomic_load(value) >= least;
}

static void expect_wake(listener *l, int least)
{
	ck_assert_msg(wait_for(&l->wakes, least), "%d wake-ups instead of %d", atomic_load(&l->wakes), least);
}

static int64_t metric_of(log_fixture *f, const char *name)
{
	return metric_value(metric_counter(f->metrics, name, "", NULL));
}

static void count_start(void *context, str payload)
{
	if (payload.ptr == NULL) {
		atomic_fetch_add((atomic_int *)context, 1);
	}
}

/* Its listener's start wakes everybody: it is over when this returns. */
static void open_one(log_fixture *f, uint32_t lane_connections)
{
	static atomic_int starts;
	fixture_options o = {.poll_interval_ms = NEVER_MS,
						 .lane_connections = lane_connections,
						 .channel = {.name = "extra", .hear = count_start, .context = &starts}};
	atomic_store(&starts, 0);
	fixture_open_as(f, NULL, &o);
	ck_assert(wait_for(&starts, 1));
}

/* Both know of each other once a NOTIFY of either reaches the other. */
static void open_two(log_fixture f[2], uint32_t poll_interval_ms)
{
	fixture_options o = {.poll_interval_ms = poll_interval_ms};
	fixture_open_as(&f[0], NULL, &o);
	fixture_open_as(&f[1], f[0].url, &o);
	const log_topic *t = fixture_topic(&f[0], "meeting", 1);
	for (int i = 0; i < 2; i++) {
		listener l;
		listen_to(&f[1 - i], &l, t, 0);
		int64_t until_ms = clock_now_ms() + SOON_MS;
		while (atomic_load(&l.wakes) == 0 && clock_now_ms() < until_ms) {
			fixture_append_texts(&f[i], t, 0, "a", 1, NULL);
			usleep(5000);
		}
		ck_assert_int_gt(atomic_load(&l.wakes), 0);
		log_watch_stop(l.watch);
	}
	log_topic_unref(t);
}

/* Until nothing more comes. */
static int settled_for(listener *l, int quiet_ms)
{
	int seen = -1;
	while (seen != atomic_load(&l->wakes)) {
		seen = atomic_load(&l->wakes);
		usleep((useconds_t)quiet_ms * 1000);
	}
	return seen;
}

static int settled(listener *l)
{
	return settled_for(l, QUIET_MS);
}

/* ---- inside one worker ---- */

START_TEST(watcher_is_woken_for_its_partition_and_no_other)
{
	log_fixture f;
	listener one;
	listener any;
	listener other;
	open_one(&f, 0);
	const log_topic *t = fixture_topic(&f, "orders", 3);
	const log_topic *u = fixture_topic(&f, "other", 3);
	listen_to(&f, &one, t, 1);
	listen_to(&f, &any, t, LOG_ALL_PARTITIONS);
	listen_to(&f, &other, u, LOG_ALL_PARTITIONS);
	int one_before = settled(&one);
	int any_before = atomic_load(&any.wakes);
	int other_before = atomic_load(&other.wakes);
	fixture_append_texts(&f, t, 1, "a", 1, NULL);
	expect_wake(&one, one_before + 1);
	expect_wake(&any, any_before + 1);
	fixture_append_texts(&f, t, 2, "a", 1, NULL);
	expect_wake(&any, any_before + 2);
	ck_assert_int_eq(settled(&one), one_before + 1);
	ck_assert_int_eq(atomic_load(&other.wakes), other_before);
	log_watch_stop(one.watch);
	fixture_append_texts(&f, t, 1, "a", 1, NULL);
	expect_wake(&any, any_before + 3);
	ck_assert_int_eq(atomic_load(&one.wakes), one_before + 1); /* none after stop */
	log_watch_stop(any.watch);
	log_watch_stop(other.watch);
	log_watch_stop(NULL);
	log_topic_unref(u);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(append_to_several_partitions_wakes_the_watchers_of_each)
{
	log_fixture f;
	listener l[3];
	int before[3];
	const str values[] = {STR("a"), STR("b")};
	const uint32_t partitions[] = {2, 0};
	open_one(&f, 0);
	const log_topic *t = fixture_topic(&f, "orders", 3);
	for (int i = 0; i < 3; i++) {
		listen_to(&f, &l[i], t, i);
	}
	for (int i = 0; i < 3; i++) {
		before[i] = settled(&l[i]);
	}
	log_append op = {
		.topic = t, .columns = {.count = 2, .values = values}, .partition_of = partitions, .arena = f.arena};
	fixture_append(&f, &op);
	expect_wake(&l[0], before[0] + 1);
	expect_wake(&l[2], before[2] + 1);
	ck_assert_int_eq(settled(&l[1]), before[1]);
	for (int i = 0; i < 3; i++) {
		log_watch_stop(l[i].watch);
	}
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* Many operations, gathered behind one that waits for the head. */
typedef struct gathered {
	log_append ops[3];
	atomic_int done;
} gathered;

static void count_done(log_append *op)
{
	gathered *g = op->context;
	atomic_fetch_add(&g->done, 1);
}

/* A duplicate answered in the same group must not stand for the records beside it. */
START_TEST(duplicate_beside_new_records_does_not_hide_them)
{
	log_fixture f;
	listener l;
	err e;
	gathered g = {0};
	const str v = STR("v");
	open_one(&f, 1);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	log_append first = {
		.topic = t, .columns = {.count = 1, .values = &v}, .idempotency_key = STR("k"), .arena = f.arena};
	fixture_append(&f, &first);
	listen_to(&f, &l, t, 0);
	int before = settled(&l);
	/* Another session holds the head: the first append waits for it, the two behind it form a group. */
	db_conn *holder = db_fixture_conn(f.url, 30000);
	db_fixture_must(db_begin(holder, &e) && db_run_script(holder, "SELECT * FROM tidegate.head FOR UPDATE", &e), &e,
					"hold");
	for (int i = 0; i < 3; i++) {
		g.ops[i] = (log_append){.topic = t,
								.columns = {.count = 1, .values = &v},
								.idempotency_key = i == 2 ? STR("k") : STR_NONE,
								.arena = f.arena,
								.done = count_done,
								.context = &g};
		db_fixture_must(log_append_submit(f.engine, &g.ops[i], &e), &e, "submit");
		if (i == 0) {
			fixture_wait_for_lock(&f);
		}
	}
	db_rollback(holder);
	ck_assert(wait_for(&g.done, 3));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(g.ops[i].error.code, ERR_NONE);
		ck_assert_int_eq(g.ops[i].is_duplicate, i == 2);
	}
	/* They were two groups, besides the first append of all. */
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(DISTINCT xmin::text) FROM tidegate.batch"), 3);
	expect_wake(&l, before + 2);
	log_watch_stop(l.watch);
	db_conn_free(holder);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(closing_without_records_wakes)
{
	log_fixture f;
	listener l;
	open_one(&f, 0);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	listen_to(&f, &l, t, 0);
	int before = settled(&l);
	log_append op = {.topic = t, .close = true, .arena = f.arena};
	fixture_append(&f, &op);
	ck_assert_int_eq(op.error.code, ERR_NONE);
	expect_wake(&l, before + 1);
	log_watch_stop(l.watch);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- between workers ---- */

START_TEST(wake_ups_cross_between_two_workers)
{
	log_fixture f[2];
	open_two(f, NEVER_MS);
	const log_topic *t = fixture_topic(&f[0], "orders", 2);
	for (int i = 0; i < 2; i++) {
		listener mine;
		listener not_mine;
		listen_to(&f[1 - i], &mine, t, 1);
		listen_to(&f[1 - i], &not_mine, t, 0);
		int not_before = settled(&not_mine);
		int before = settled(&mine);
		fixture_append_texts(&f[i], t, 1, "a", 1, NULL);
		expect_wake(&mine, before + 1);
		ck_assert_int_eq(settled(&not_mine), not_before);
		log_watch_stop(mine.watch);
		log_watch_stop(not_mine.watch);
	}
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

START_TEST(worker_that_is_alone_sends_nothing_and_one_that_left_is_forgotten)
{
	log_fixture f[2];
	open_two(f, NEVER_MS);
	const log_topic *t = fixture_topic(&f[0], "orders", 1);
	fixture_close(&f[1]); /* says goodbye */
	int64_t before = -1;
	for (int64_t until_ms = clock_now_ms() + SOON_MS;
		 before != metric_of(&f[0], "tidegate_notify_total") && clock_now_ms() < until_ms;) {
		before = metric_of(&f[0], "tidegate_notify_total");
		fixture_append_texts(&f[0], t, 0, "a", 1, NULL);
		usleep(QUIET_MS * 1000);
	}
	for (int i = 0; i < 20; i++) {
		fixture_append_texts(&f[0], t, 0, "a", 1, NULL);
	}
	usleep(QUIET_MS * 1000);
	ck_assert_int_eq(metric_of(&f[0], "tidegate_notify_total"), before);
	log_topic_unref(t);
	fixture_close(&f[0]);
}
END_TEST

/* How often "everything" is said on the channel until nothing more comes. */
static int looks_asked_for(db_conn *c)
{
	err e;
	str channel;
	str payload;
	int count = 0;
	while (db_wait_notification(c, clock_now_ms() + LONG_QUIET_MS, -1, &channel, &payload, &e)) {
		count += str_ends_with(payload, STR(" *")) ? 1 : 0;
	}
	ck_assert_int_eq(e.code, ERR_TIMEOUT);
	return count;
}

/* What it appended before is nothing that the other one was told. */
START_TEST(worker_that_hears_of_a_new_one_tells_it_to_look_at_everything_once)
{
	log_fixture f;
	err e;
	open_one(&f, 1);
	db_conn *c = db_fixture_conn(f.url, SOON_MS);
	db_fixture_must(db_listen(c, "tidegate", &e), &e, "listen");
	db_fixture_sql(f.url, "NOTIFY tidegate, '00000000000000aa hello'");
	ck_assert_int_eq(looks_asked_for(c), 1);
	db_fixture_sql(f.url, "NOTIFY tidegate, '00000000000000aa here'");
	ck_assert_int_eq(looks_asked_for(c), 0);
	db_fixture_sql(f.url, "NOTIFY tidegate, '00000000000000bb here'");
	ck_assert_int_eq(looks_asked_for(c), 1);
	db_conn_free(c);
	fixture_close(&f);
}
END_TEST

START_TEST(change_of_a_topic_reaches_the_caches_of_other_workers)
{
	log_fixture f[2];
	err e;
	bool deleted = false;
	const log_topic *found = NULL;
	const log_topic *altered = NULL;
	open_two(f, NEVER_MS);
	const log_topic *t = fixture_topic(&f[0], "orders", 1);
	log_topic_config c = t->config;
	c.cap_records = 9;
	for (int what = 0; what < 2; what++) {
		listener l;
		log_topic_unref(fixture_cached_topic(&f[1], 1, STR("orders")));
		listen_to(&f[1], &l, t, 0);
		int before = settled(&l);
		if (what == 0) {
			db_fixture_must(log_topic_alter(f[0].engine, f[0].conn, t, &c, 0, &altered, &e), &e, "alter");
		} else {
			db_fixture_must(log_topic_delete(f[0].engine, f[0].conn, 1, STR("orders"), &deleted, &e), &e, "delete");
		}
		expect_wake(&l, before + 1); /* whoever watches has to look again */
		ck_assert_ptr_null(log_topic_cached(f[1].engine, 1, STR("orders")));
		log_watch_stop(l.watch);
		if (what == 0) {
			db_fixture_must(log_topic_find(f[1].engine, f[1].conn, 1, STR("orders"), &found, &e), &e, "find");
			ck_assert_int_eq(found->config.cap_records, 9);
			log_topic_unref(found);
		}
	}
	log_topic_unref(altered);
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

/* More topics at once than a worker remembers one by one. */
START_TEST(flood_of_news_arrives_as_look_at_everything)
{
	enum { FLOOD = 5000 };
	log_fixture f[2];
	listener l;
	open_two(f, NEVER_MS);
	const log_topic *t = fixture_topic(&f[0], "orders", 1);
	listen_to(&f[1], &l, t, 0);
	int before = settled(&l);
	for (int64_t i = 1; i <= FLOOD; i++) {
		notify_appended(f[0].engine->link, t->topic_id + i, 0);
	}
	notify_appended(f[0].engine->link, t->topic_id, 0);
	expect_wake(&l, before + 1);
	/* And afterwards one by one again. */
	before = settled_for(&l, LONG_QUIET_MS);
	notify_appended(f[0].engine->link, t->topic_id + 1, 0);
	ck_assert_int_eq(settled(&l), before);
	notify_appended(f[0].engine->link, t->topic_id, 0);
	expect_wake(&l, before + 1);
	log_watch_stop(l.watch);
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

START_TEST(strange_payloads_are_passed_over)
{
	log_fixture f;
	listener l;
	open_one(&f, 0);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	listen_to(&f, &l, t, 0);
	int before = settled(&l);
	const char *const payloads[] = {"",
									" ",
									"x",
									"0123456789abcdef",
									"0123456789ABCDEF a 1:0",
									"0123456789abcdef a",
									"0123456789abcdef a :",
									"0123456789abcdef a 1",
									"0123456789abcdef a 1:",
									"0123456789abcdef a :1",
									"0123456789abcdef a -1:0 0:0 99999999999999999999:0 1:99999 1:-2 1:x",
									"0123456789abcdef unheard of",
									"0123456789abcdef0 a 1:0"};
	for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
		db_fixture_sql(f.url, "SELECT pg_notify('tidegate', '%s')", payloads[i]);
	}
	ck_assert_int_eq(settled(&l), before);
	db_fixture_sql(f.url, "SELECT pg_notify('tidegate', '0123456789abcdef a 99:x  %lld:0')", (long long)t->topic_id);
	expect_wake(&l, before + 1);
	log_watch_stop(l.watch);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- what is lost on the way ---- */

static void kill_role(const char *url, const char *role)
{
	db_fixture_sql(
		url,
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND "
		"application_name = 'tidegate %s'",
		role);
}

START_TEST(lost_notification_is_repaired_by_the_poll)
{
	log_fixture f[2];
	listener l;
	open_two(f, 200);
	const log_topic *t = fixture_topic(&f[0], "orders", 1);
	listen_to(&f[1], &l, t, 0);
	int before = settled(&l);
	kill_role(f[0].url, "listener"); /* of both; for half a second nobody hears anything */
	fixture_append_texts(&f[0], t, 0, "a", 1, NULL);
	expect_wake(&l, before + 1);
	/* Records that came past every worker, by the poll alone. */
	before = settled_for(&l, LONG_QUIET_MS);
	db_fixture_sql(f[0].url, "UPDATE tidegate.head SET next_offset = next_offset + 1 WHERE topic_id = %lld",
				   (long long)t->topic_id);
	expect_wake(&l, before + 1);
	ck_assert_int_eq(settled_for(&l, 500), before + 1); /* once */
	log_watch_stop(l.watch);
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

START_TEST(listener_that_comes_back_looks_at_everything)
{
	log_fixture f[2];
	listener l;
	err e;
	const log_topic *found = NULL;
	open_two(f, NEVER_MS);
	const log_topic *t = fixture_topic(&f[0], "orders", 1);
	db_fixture_must(log_topic_find(f[1].engine, f[1].conn, 1, STR("orders"), &found, &e), &e, "find");
	log_topic_unref(found);
	listen_to(&f[1], &l, t, 0);
	int before = settled(&l);
	kill_role(f[0].url, "listener");
	expect_wake(&l, before + 1);
	before = settled_for(&l, LONG_QUIET_MS);
	ck_assert_ptr_null(log_topic_cached(f[1].engine, 1, STR("orders")));
	/* And hears again. */
	fixture_append_texts(&f[0], t, 0, "a", 1, NULL);
	expect_wake(&l, before + 1);
	log_watch_stop(l.watch);
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

START_TEST(notifier_whose_connection_dies_tells_later)
{
	log_fixture f[2];
	listener l;
	open_two(f, NEVER_MS);
	const log_topic *t = fixture_topic(&f[0], "orders", 1);
	listen_to(&f[1], &l, t, 0);
	for (int i = 0; i < 3; i++) {
		int before = settled(&l);
		kill_role(f[0].url, "notifier");
		fixture_append_texts(&f[0], t, 0, "a", 1, NULL);
		expect_wake(&l, before + 1);
	}
	log_watch_stop(l.watch);
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

START_TEST(workers_find_each_other_again_after_an_outage)
{
	log_fixture f[2];
	listener l;
	err e;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	open_two(f, NEVER_MS);
	const log_topic *t = fixture_topic(&f[0], "orders", 1);
	ck_assert(log_engine_is_ready(f[0].engine));
	postgres_fixture_stop();
	int64_t until_ms = clock_now_ms() + SOON_MS;
	while (log_engine_is_ready(f[0].engine) && clock_now_ms() < until_ms) {
		usleep(1000);
	}
	ck_assert(!log_engine_is_ready(f[0].engine));
	ck_assert_int_eq(fixture_append_texts(&f[0], t, 0, "a", 1, &e), -1);
	ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
	postgres_fixture_start();
	until_ms = clock_now_ms() + 2 * SOON_MS;
	while ((!log_engine_is_ready(f[0].engine) || !log_engine_is_ready(f[1].engine)) && clock_now_ms() < until_ms) {
		usleep(1000);
	}
	ck_assert(log_engine_is_ready(f[0].engine) && log_engine_is_ready(f[1].engine));
	listen_to(&f[1], &l, t, 0);
	int before = settled(&l);
	fixture_append_texts(&f[0], t, 0, "a", 1, &e);
	ck_assert_int_eq(e.code, ERR_NONE);
	expect_wake(&l, before + 1);
	log_watch_stop(l.watch);
	log_topic_unref(t);
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

/* ---- the channel of others ---- */

typedef struct heard {
	pthread_mutex_t lock;
	atomic_int starts;
	atomic_int payloads;
	char last[64];
} heard;

static void hear(void *context, str payload)
{
	heard *h = context;
	pthread_mutex_lock(&h->lock);
	snprintf(h->last, sizeof h->last, "%.*s", STR_ARG(payload));
	pthread_mutex_unlock(&h->lock);
	atomic_fetch_add(payload.ptr == NULL ? &h->starts : &h->payloads, 1);
}

START_TEST(extra_channel_is_heard_and_each_reconnect_is_told)
{
	log_fixture f;
	heard h = {.lock = PTHREAD_MUTEX_INITIALIZER};
	fixture_open_as(
		&f, NULL,
		&(fixture_options){.poll_interval_ms = NEVER_MS, .channel = {.name = "extra", .hear = hear, .context = &h}});
	ck_assert(wait_for(&h.starts, 1));
	db_fixture_sql(f.url, "NOTIFY extra, 'news'");
	ck_assert(wait_for(&h.payloads, 1));
	pthread_mutex_lock(&h.lock);
	ck_assert_str_eq(h.last, "news");
	pthread_mutex_unlock(&h.lock);
	kill_role(f.url, "listener");
	ck_assert(wait_for(&h.starts, 2));
	db_fixture_sql(f.url, "NOTIFY extra, ''");
	ck_assert(wait_for(&h.payloads, 2));
	fixture_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		watcher_is_woken_for_its_partition_and_no_other,
		append_to_several_partitions_wakes_the_watchers_of_each,
		duplicate_beside_new_records_does_not_hide_them,
		closing_without_records_wakes,
		wake_ups_cross_between_two_workers,
		worker_that_is_alone_sends_nothing_and_one_that_left_is_forgotten,
		worker_that_hears_of_a_new_one_tells_it_to_look_at_everything_once,
		change_of_a_topic_reaches_the_caches_of_other_workers,
		flood_of_news_arrives_as_look_at_everything,
		strange_payloads_are_passed_over,
		lost_notification_is_repaired_by_the_poll,
		listener_that_comes_back_looks_at_everything,
		notifier_whose_connection_dies_tells_later,
		workers_find_each_other_again_after_an_outage,
		extra_channel_is_heard_and_each_reconnect_is_told,
	};
	postgres_fixture_url();
	return SUITE_RUN("log/notify", tests);
}
