/*
 * The lanes: what is gathered into one commit, what its members do to each other, and how much there may be.
 */
#include "suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/db_fixture.h"
#include "log/log_fixture.h"
#include "postgres_fixture.h"

enum { SOON_MS = 30000, MEBIBYTE = 1 << 20 };

/* Operations that nobody waits for one by one. */
typedef struct flock {
	atomic_int done;
	log_append ops[600];
} flock;

static void count_done(log_append *op)
{
	flock *k = op->context;
	atomic_fetch_add(&k->done, 1);
}

static bool submit(log_fixture *f, flock *k, int number, log_append op, err *e)
{
	k->ops[number] = op;
	k->ops[number].done = count_done;
	k->ops[number].context = k;
	return log_append_submit(f->engine, &k->ops[number], e);
}

static void wait_done(flock *k, int count)
{
	for (int64_t until_ms = clock_now_ms() + SOON_MS; atomic_load(&k->done) < count && clock_now_ms() < until_ms;) {
		usleep(1000);
	}
	usleep(20000);
	ck_assert_int_eq(atomic_load(&k->done), count); /* each once */
}

/* Another session holds every head, so that what comes now is gathered. */
static db_conn *hold_heads(log_fixture *f)
{
	err e;
	db_conn *c = db_fixture_conn(f->url, 30000);
	db_fixture_must(db_begin(c, &e) && db_run_script(c, "SELECT * FROM tidegate.head FOR UPDATE", &e), &e, "hold");
	return c;
}

static const char *page(log_fixture *f, const log_topic *t, int32_t partition, int64_t from)
{
	return fixture_page(
		f, &(log_read_request){
			   .topic = t, .partition = partition, .from = from, .max_records = 1000, .max_bytes = 1 << 20});
}

/* ---- how much there may be ---- */

/* Reads everything back and compares it. The number of records. */
static uint32_t compare(log_fixture *f, const log_append *op)
{
	const log_topic *t = op->topic;
	uint32_t *at = calloc((size_t)t->partitions, sizeof *at);
	uint32_t **order = calloc((size_t)t->partitions, sizeof *order);
	uint32_t found = 0;
	ck_assert(at != NULL && order != NULL);
	/* Which record is the n-th of its partition. */
	for (uint32_t i = 0; i < op->columns.count; i++) {
		uint32_t p = op->partition_of[i];
		if (order[p] == NULL) {
			order[p] = calloc(op->columns.count, sizeof *order[p]);
			ck_assert_ptr_nonnull(order[p]);
		}
		order[p][at[p]++] = i;
	}
	for (int32_t p = 0; p < t->partitions; p++) {
		int64_t next = 0;
		while (next < at[p]) {
			err e;
			log_page *page_read = NULL;
			log_record r;
			int64_t before = next;
			log_read_request q = {
				.topic = t, .partition = p, .from = next, .max_records = 10000, .max_bytes = 4 * MEBIBYTE};
			db_fixture_must(log_read(f->engine, f->conn, &q, &page_read, &e), &e, "read");
			while (log_page_next(page_read, &r)) {
				ck_assert_int_eq(r.offset, next);
				ck_assert_int_lt(next, at[p]);
				ck_assert(str_equal(r.value, op->columns.values[order[p][next]]));
				next++;
				found++;
			}
			ck_assert_int_eq(log_page_end_offset(page_read), at[p]);
			ck_assert_int_gt(next, before);
			log_page_free(page_read);
		}
		free(order[p]);
	}
	free(at);
	free(order);
	return found;
}

START_TEST(sixty_four_mebibytes_over_a_thousand_partitions_are_one_append)
{
	enum { COUNT = LOG_RECORDS_PER_APPEND_MAX, BYTES = 64 * MEBIBYTE / COUNT };
	const str keys[] = {STR_NONE, STR("once")};
	log_fixture f;
	/* A slow machine may take its time over 64 MiB. */
	fixture_open_as(&f, NULL, &(fixture_options){.timeout_ms = 30000});
	char *bytes = malloc(BYTES + COUNT);
	str *values = calloc(COUNT, sizeof *values);
	uint32_t *partition_of = calloc(COUNT, sizeof *partition_of);
	ck_assert(bytes != NULL && values != NULL && partition_of != NULL);
	for (size_t i = 0; i < BYTES + COUNT; i++) {
		bytes[i] = (char)(i * 2654435761u >> 23);
	}
	for (uint32_t i = 0; i < COUNT; i++) {
		values[i] = (str){bytes + i, BYTES};
		partition_of[i] = i * 7919 % LOG_PARTITIONS_MAX;
	}
	for (int i = 0; i < 2; i++) {
		/* What the engine allocates on the request's behalf is little beside the request. */
		arena *a = arena_new(MEBIBYTE);
		const log_topic *t = fixture_topic(&f, i == 0 ? "plain" : "keyed", LOG_PARTITIONS_MAX);
		log_append op = {.topic = t,
						 .columns = {.count = COUNT, .values = values},
						 .partition_of = partition_of,
						 .idempotency_key = keys[i],
						 .arena = a};
		fixture_append(&f, &op);
		ck_assert_msg(op.error.code == ERR_NONE, "%s (%s)", op.error.message, op.error.log);
		ck_assert_uint_eq(op.result_count, LOG_PARTITIONS_MAX);
		for (uint32_t k = 0; k < COUNT; k++) {
			ck_assert_int_eq(op.results[op.result_of[k]].partition, (int32_t)partition_of[k]);
		}
		ck_assert_uint_eq(compare(&f, &op), COUNT);
		if (i == 1) {
			fixture_append(&f, &op);
			ck_assert_int_eq(op.error.code, ERR_NONE);
			ck_assert(op.is_duplicate);
			ck_assert_uint_eq(op.result_count, LOG_PARTITIONS_MAX);
		}
		arena_free(a);
		log_topic_unref(t);
	}
	free(partition_of);
	free(values);
	free(bytes);
	fixture_close(&f);
}
END_TEST

/* Sizes that make as many rows as can be: every record needs one of its own. */
START_TEST(append_of_the_most_rows_there_can_be_is_taken)
{
	enum { EACH = 3, COUNT = EACH * LOG_PARTITIONS_MAX, LARGE = 65536 };
	log_fixture f;
	fixture_open_as(&f, NULL, &(fixture_options){.timeout_ms = 30000});
	char *bytes = calloc(1, LARGE);
	str *values = calloc(COUNT, sizeof *values);
	uint32_t *partition_of = calloc(COUNT, sizeof *partition_of);
	ck_assert(bytes != NULL && values != NULL && partition_of != NULL);
	for (uint32_t i = 0; i < COUNT; i++) {
		values[i] = (str){bytes, i % EACH == 1 ? LARGE : 1};
		partition_of[i] = i / EACH;
	}
	const log_topic *t = fixture_topic(&f, "orders", LOG_PARTITIONS_MAX);
	log_append op = {.topic = t,
					 .columns = {.count = COUNT, .values = values},
					 .partition_of = partition_of,
					 .idempotency_key = STR("once"),
					 .producer = {STR("p"), 0, 0},
					 .arena = f.arena};
	fixture_append(&f, &op);
	ck_assert_msg(op.error.code == ERR_NONE, "%s (%s)", op.error.message, op.error.log);
	ck_assert_int_eq(db_fixture_i64(f.url, "SELECT count(*) FROM tidegate.batch"), COUNT);
	log_topic_unref(t);
	free(partition_of);
	free(values);
	free(bytes);
	fixture_close(&f);
}
END_TEST

START_TEST(full_queue_is_throttled_and_drains)
{
	enum { PIECE = 8 * MEBIBYTE };
	log_fixture f;
	err e;
	flock k = {0};
	int submitted = 0;
	fixture_open(&f);
	char *bytes = calloc(1, PIECE);
	ck_assert_ptr_nonnull(bytes);
	str values[9];
	for (int i = 0; i < 9; i++) {
		values[i] = (str){bytes, MEBIBYTE - 100};
	}
	const log_topic *t = fixture_topic(&f, "orders", 1);
	db_conn *holder = hold_heads(&f);
	/* 128 MiB wait, besides what the two threads have taken. */
	while (submitted < 100 &&
		   submit(&f, &k, submitted,
				  (log_append){.topic = t, .columns = {.count = 8, .values = values}, .arena = f.arena}, &e)) {
		submitted++;
		usleep(submitted < 4 ? 50000 : 0);
	}
	ck_assert_int_eq(e.code, ERR_THROTTLED);
	ck_assert_int_ge(submitted, 15);
	ck_assert_int_le(submitted, 20);
	db_rollback(holder);
	wait_done(&k, submitted);
	for (int i = 0; i < submitted; i++) {
		ck_assert_int_eq(k.ops[i].error.code, ERR_NONE);
	}
	ck_assert_int_eq(fixture_append_texts(&f, t, 0, "a", 1, &e), 8 * submitted);
	db_conn_free(holder);
	free(bytes);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- two connections ---- */

/* Partition 0 is held by somebody else; what is for partition 1 does not wait for that. */
START_TEST(commit_that_takes_long_does_not_hold_up_the_lane)
{
	log_fixture f;
	err e;
	flock k = {0};
	const str v = STR("v");
	arena *arenas[2] = {arena_new(MEBIBYTE), arena_new(MEBIBYTE)};
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 2);
	db_conn *holder = db_fixture_conn(f.url, SOON_MS);
	db_fixture_must(db_begin(holder, &e) &&
						db_run_script(holder, "SELECT * FROM tidegate.head WHERE partition = 0 FOR UPDATE", &e),
					&e, "hold");
	for (int i = 0; i < 2; i++) {
		log_append op = {.topic = t, .partition = i, .columns = {.count = 1, .values = &v}, .arena = arenas[i]};
		db_fixture_must(submit(&f, &k, i, op, &e), &e, "submit");
		/* The second one comes when the first has just been taken: then it looks as if it could go with the next commit. */
		log_writer_stats stats = {.queued = 1};
		while (i == 0 && stats.queued > 0) {
			log_engine_writer_stats(f.engine, &stats);
		}
	}
	wait_done(&k, 1);
	ck_assert_str_eq(page(&f, t, 0, 0), "|0");
	ck_assert_str_eq(page(&f, t, 1, 0), "0:v|1");
	db_rollback(holder);
	wait_done(&k, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_msg(k.ops[i].error.code == ERR_NONE, "%d: %s", i, k.ops[i].error.message);
		arena_free(arenas[i]);
	}
	db_conn_free(holder);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- neighbours ---- */

START_TEST(append_that_fails_leaves_its_neighbours_alone)
{
	log_fixture f;
	err e;
	flock k = {0};
	bool deleted = false;
	const str v = STR("v");
	const str bad[] = {STR("x"), STR("y")};
	const uint32_t two[] = {0, 1};
	fixture_open_as(&f, NULL, &(fixture_options){.lane_connections = 1});
	const log_topic *t = fixture_topic(&f, "orders", 2);
	const log_topic *gone = fixture_topic(&f, "gone", 1);
	log_topic_config c = log_topic_config_default(LOG_FSYNC);
	c.cap_records = 1;
	c.discard_old = false;
	const log_topic *full = fixture_topic_with(&f, "full", 1, c);
	fixture_append_texts(&f, full, 0, "a", 1, NULL);
	db_fixture_must(log_topic_delete(f.engine, f.conn, 1, STR("gone"), &deleted, &e), &e, "delete");
	arena *tiny = arena_new(64);
	/* A sequence that no producer may begin with; and one statement that the server refuses: a row that is there. */
	db_fixture_sql(
		f.url,
		"INSERT INTO tidegate.batch (topic_id, partition, last_offset, base_offset, base_byte, committed_ms, records, "
		"bytes, vals) VALUES (%lld, 1, 0, 0, 0, 0, 1, 1, ARRAY['x'::bytea])",
		(long long)t->topic_id);
	db_conn *holder = hold_heads(&f);
	const struct {
		log_append op;
		err_code code;
	} table[] = {
		{{.topic = t, .columns = {.count = 1, .values = &v}}, ERR_NONE}, /* taken at once, and waits */
		{{.topic = t, .columns = {.count = 1, .values = &v}}, ERR_NONE},
		{{.topic = gone, .columns = {.count = 1, .values = &v}}, ERR_TOPIC_NOT_FOUND},
		{{.topic = t, .columns = {.count = 1, .values = &v}}, ERR_NONE},
		{{.topic = t, .columns = {.count = 2, .values = bad}, .partition_of = two}, ERR_INTERNAL},
		{{.topic = full, .columns = {.count = 1, .values = &v}}, ERR_TOPIC_FULL},
		{{.topic = t, .columns = {.count = 2, .values = bad}, .partition_of = two, .arena = tiny},
		 ERR_PAYLOAD_TOO_LARGE},
		{{.topic = t, .columns = {.count = 1, .values = &v}, .producer = {STR("p"), 0, 5}}, ERR_PRODUCER_SEQUENCE_GAP},
		{{.topic = t, .columns = {.count = 1, .values = &v}, .idempotency_key = STR("k")}, ERR_NONE},
		{{.topic = t, .columns = {.count = 1, .values = &v}, .idempotency_key = STR("k")}, ERR_NONE},
		{{.topic = t, .columns = {.count = 2, .values = bad}, .partition_of = two, .idempotency_key = STR("l")},
		 ERR_INTERNAL},
		{{.topic = t, .columns = {.count = 1, .values = &v}}, ERR_NONE},
	};
	const int count = sizeof table / sizeof table[0];
	arena *arenas[sizeof table / sizeof table[0]]; /* two threads may be at two operations */
	for (int i = 0; i < count; i++) {
		log_append op = table[i].op;
		arenas[i] = arena_new(MEBIBYTE);
		op.arena = op.arena != NULL ? op.arena : arenas[i];
		db_fixture_must(submit(&f, &k, i, op, &e), &e, "submit");
		if (i == 0) {
			fixture_wait_for_lock(&f);
		}
	}
	db_rollback(holder);
	wait_done(&k, count);
	for (int i = 0; i < count; i++) {
		ck_assert_msg(k.ops[i].error.code == table[i].code, "operation %d: %s (%s)", i,
					  err_wire_code(k.ops[i].error.code), k.ops[i].error.message);
		ck_assert_int_eq(k.ops[i].is_duplicate, i == 9);
	}
	ck_assert_str_eq(page(&f, t, 0, 0), "0:v,1:v,2:v,3:v,4:v|5");
	ck_assert_int_eq(db_fixture_i64(f.url,
									"SELECT next_offset FROM tidegate.head WHERE topic_id = %lld AND partition = 1",
									(long long)t->topic_id),
					 0);
	for (int i = 0; i < count; i++) {
		arena_free(arenas[i]);
	}
	arena_free(tiny);
	db_conn_free(holder);
	log_topic_unref(full);
	log_topic_unref(gone);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

START_TEST(values_without_bytes_are_kept)
{
	log_fixture f;
	err e;
	log_page *read = NULL;
	log_record r;
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const str values[] = {STR(""), STR_NONE, STR("x"), STR_NONE};
	log_append op = {.topic = t, .columns = {.count = 4, .values = values}, .arena = f.arena};
	fixture_append(&f, &op);
	log_read_request q = {.topic = t, .max_records = 100, .max_bytes = 100};
	db_fixture_must(log_read(f.engine, f.conn, &q, &read, &e), &e, "read");
	for (int64_t i = 0; i < 4; i++) {
		ck_assert(log_page_next(read, &r));
		ck_assert_int_eq(r.offset, i);
		ck_assert_view_eq(r.value, values[i]);
	}
	log_page_free(read);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- stopping ---- */

START_TEST(engine_that_stops_finishes_what_it_took_or_refuses_it)
{
	for (int patient = 0; patient < 2; patient++) {
		log_fixture f;
		err e;
		flock *k = calloc(1, sizeof *k);
		int submitted = 0;
		int written = 0;
		const str v = STR("v");
		ck_assert_ptr_nonnull(k);
		fixture_open(&f);
		const log_topic *t = fixture_topic(&f, "orders", 1);
		for (; submitted < 600; submitted++) {
			log_append op = {.topic = t, .columns = {.count = 1, .values = &v}, .arena = f.arena};
			op.idempotency_key = submitted % 3 == 0 ? STR("k") : STR_NONE;
			op.arena = arena_new(4096);
			db_fixture_must(submit(&f, k, submitted, op, &e), &e, "submit");
		}
		log_engine_stop(f.engine, patient == 1 ? clock_now_ms() + 20000 : 0);
		ck_assert_int_eq(atomic_load(&k->done), submitted);
		log_append late = {.topic = t, .columns = {.count = 1, .values = &v}, .arena = f.arena};
		late.done = count_done;
		late.context = k;
		ck_assert(!log_append_submit(f.engine, &late, &e));
		ck_assert_int_eq(e.code, ERR_SHUTTING_DOWN);
		for (int i = 0; i < submitted; i++) {
			err_code code = k->ops[i].error.code;
			ck_assert(code == ERR_NONE || (patient == 0 && code == ERR_SHUTTING_DOWN));
			written += code == ERR_NONE && !k->ops[i].is_duplicate ? 1 : 0;
			arena_free(k->ops[i].arena);
		}
		ck_assert_int_eq(db_fixture_i64(f.url, "SELECT next_offset FROM tidegate.head"), written);
		log_topic_unref(t);
		fixture_close(&f);
		free(k);
	}
}
END_TEST

/* At once: long before a statement is given up. */
START_TEST(database_that_is_away_is_told_at_once_and_forgotten_when_it_is_back)
{
	log_fixture f;
	err e;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	fixture_open(&f);
	const log_topic *t = fixture_topic(&f, "orders", 1);
	const log_topic *judged = fixture_topic_with(&f, "judged", 1, log_topic_config_default(LOG_EPHEMERAL));
	fixture_append_texts(&f, t, 0, "a", 1, NULL);
	fixture_append_texts(&f, judged, 0, "a", 1, NULL);
	postgres_fixture_stop();
	for (int64_t until_ms = clock_now_ms() + 1500; clock_now_ms() < until_ms;) {
		flock k = {0};
		const str v = STR("v");
		int64_t start_ms = clock_now_ms();
		log_append op = {
			.topic = start_ms % 2 == 0 ? t : judged, .columns = {.count = 1, .values = &v}, .arena = f.arena};
		if (submit(&f, &k, 0, op, &e)) {
			wait_done(&k, 1);
			e = k.ops[0].error;
		}
		ck_assert_int_eq(e.code, ERR_UNAVAILABLE);
		ck_assert_int_lt(clock_now_ms() - start_ms, SOON_MS / 2);
	}
	postgres_fixture_start();
	int64_t start_ms = clock_now_ms();
	bool back = false;
	while (!back && clock_now_ms() < start_ms + SOON_MS) {
		flock k = {0};
		const str v = STR("v");
		if (submit(&f, &k, 0, (log_append){.topic = t, .columns = {.count = 1, .values = &v}, .arena = f.arena}, &e)) {
			wait_done(&k, 1);
			back = k.ops[0].error.code == ERR_NONE;
		}
	}
	ck_assert(back);
	log_topic_unref(judged);
	log_topic_unref(t);
	fixture_close(&f);
}
END_TEST

/* ---- all at once ---- */

enum { MIXERS = 6, TOPICS = 3, MIX_MS = 4000, LEAST = 6 };

typedef struct mixer {
	log_fixture *f;
	const log_topic **topics;
	int number;
	pthread_t thread;
	int appends;
	err_code strange;
	char text[256];
} mixer;

static void *mix(void *context)
{
	mixer *m = context;
	uint64_t random = (uint64_t)m->number * 7919 + 1;
	for (int64_t until_ms = clock_now_ms() + MIX_MS;
		 (clock_now_ms() < until_ms || m->appends < LEAST) && m->strange == ERR_NONE;) {
		enum { COUNT = 12 };
		flock k = {0};
		err e;
		str values[COUNT];
		uint32_t partition_of[COUNT];
		char key[16];
		arena *a = arena_new(65536);
		random = random * 6364136223846793005u + 1442695040888963407u;
		for (uint32_t i = 0; i < COUNT; i++) {
			values[i] = STR("some value");
			partition_of[i] = (uint32_t)(random >> (20 + i)) % 4;
		}
		snprintf(key, sizeof key, "%u", (unsigned)(random >> 40) % 50);
		log_append op = {.topic = m->topics[(random >> 33) % TOPICS],
						 .columns = {.count = 1 + (uint32_t)(random >> 50) % COUNT, .values = values},
						 .partition_of = partition_of,
						 .idempotency_key = (random >> 60) % 3 == 0 ? str_from_c(key) : STR_NONE,
						 .arena = a};
		if (submit(m->f, &k, 0, op, &e)) {
			while (atomic_load(&k.done) == 0) {
				usleep(50);
			}
			e = k.ops[0].error;
		}
		if (e.code != ERR_NONE) {
			m->strange = e.code;
			snprintf(m->text, sizeof m->text, "%.120s (%.100s)", e.message, e.log);
		}
		m->appends++;
		arena_free(a);
	}
	return NULL;
}

/* Everybody locks heads in one order: nobody waits in a circle, and nobody times out. */
START_TEST(appends_changes_and_janitors_do_not_wait_in_a_circle)
{
	log_fixture f[2];
	mixer mixers[MIXERS];
	const log_topic *topics[TOPICS];
	err e;
	int changes = 0;
	fixture_options o = {.janitor = true};
	fixture_open_as(&f[0], NULL, &o);
	fixture_open_as(&f[1], f[0].url, &o);
	for (int i = 0; i < TOPICS; i++) {
		char name[32];
		snprintf(name, sizeof name, "topic-%d", i);
		log_topic_config c = log_topic_config_default(LOG_FSYNC);
		c.ttl_ms = i == 1 ? 50 : 0;
		c.cap_records = i == 2 ? 20 : 0;
		topics[i] = fixture_topic_with(&f[0], name, 4, c);
	}
	for (int i = 0; i < MIXERS; i++) {
		mixers[i] = (mixer){.f = &f[i % 2], .topics = topics, .number = i};
		ck_assert_int_eq(pthread_create(&mixers[i].thread, NULL, mix, &mixers[i]), 0);
	}
	for (int64_t until_ms = clock_now_ms() + MIX_MS; clock_now_ms() < until_ms || changes < LEAST; changes++) {
		const log_topic *altered = NULL;
		log_topic_config c = topics[changes % TOPICS]->config;
		c.lease_ms = 1000 + changes;
		db_fixture_must(log_topic_alter(f[0].engine, f[0].conn, topics[changes % TOPICS], &c, 0, &altered, &e), &e,
						"alter");
		log_topic_unref(altered);
		for (int32_t p = 0; p < 4; p++) {
			fixture_read(&f[1], topics[1], p, 0, 10);
		}
	}
	for (int i = 0; i < MIXERS; i++) {
		pthread_join(mixers[i].thread, NULL);
		ck_assert_msg(mixers[i].strange == ERR_NONE, "%s: %s", err_wire_code(mixers[i].strange), mixers[i].text);
	}
	db_fixture_sql(f[0].url, "SELECT pg_stat_clear_snapshot()");
	ck_assert_int_eq(
		db_fixture_i64(f[0].url, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"), 0);
	for (int i = 0; i < TOPICS; i++) {
		log_topic_unref(topics[i]);
	}
	fixture_close(&f[1]);
	fixture_close(&f[0]);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		sixty_four_mebibytes_over_a_thousand_partitions_are_one_append,
		append_of_the_most_rows_there_can_be_is_taken,
		full_queue_is_throttled_and_drains,
		commit_that_takes_long_does_not_hold_up_the_lane,
		append_that_fails_leaves_its_neighbours_alone,
		values_without_bytes_are_kept,
		engine_that_stops_finishes_what_it_took_or_refuses_it,
		database_that_is_away_is_told_at_once_and_forgotten_when_it_is_back,
		appends_changes_and_janitors_do_not_wait_in_a_circle,
	};
	postgres_fixture_url();
	return SUITE_RUN("log/lane", tests);
}
