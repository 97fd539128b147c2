/*
 * What was acknowledged is there, where it was said to be, once; whatever dies meanwhile.
 *
 * Writers append under names that tell writer, sequence and record apart, and remember what they were told. In the end
 * the log is read from its start and compared with that.
 */
#include "suite.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "db/db_fixture.h"
#include "log/log_fixture.h"
#include "postgres_fixture.h"

enum { ENGINES = 2, WRITERS = 9, ATTEMPTS_MAX = 20000, RECORDS = 3, PARTITIONS = 2 };

typedef enum outcome { NOT_SENT, ACKNOWLEDGED, NOTHING_WRITTEN, UNKNOWN } outcome;

/* How a writer deals with an error. */
typedef enum kind { PLAIN, KEYED, PRODUCER } kind;

typedef struct attempt {
	uint8_t outcome;
	int8_t partition;
	int64_t base;
	int64_t found[RECORDS]; /* offsets, -1 = nowhere */
	uint8_t copies;         /* of the first record */
} attempt;

typedef struct writer {
	struct trial *trial;
	log_fixture *f;
	int number;
	kind kind;
	pthread_t thread;
	attempt *attempts;
	int count;
	int retries;
	err_code strange; /* an error that no outage explains */
	char strange_text[128];
} writer;

typedef struct trial {
	log_fixture f[ENGINES];
	const log_topic *t;
	atomic_bool is_over;
	atomic_int acknowledged;
	writer writers[WRITERS];
} trial;

static void post(log_append *op)
{
	sem_post(op->context);
}

/* Submits and waits; a refused submission is an answer as well. */
static void append(log_fixture *f, log_append *op)
{
	err e;
	sem_t done;
	sem_init(&done, 0, 0);
	op->done = post;
	op->context = &done;
	if (log_append_submit(f->engine, op, &e)) {
		while (sem_wait(&done) != 0) {
		}
	} else {
		op->error = e;
	}
	sem_destroy(&done);
}

static bool is_outage(err_code code)
{
	return code == ERR_UNAVAILABLE || code == ERR_OUTCOME_UNKNOWN;
}

/* One append, repeated by those who may until it is acknowledged. */
static void write_one(writer *w, attempt *a, int sequence)
{
	char texts[RECORDS][32];
	char key[32];
	str values[RECORDS];
	arena *memory = arena_new(1 << 20);
	for (int i = 0; i < RECORDS; i++) {
		int n = snprintf(texts[i], sizeof texts[i], "%d/%d/%d", w->number, sequence, i);
		values[i] = (str){texts[i], (size_t)n};
	}
	snprintf(key, sizeof key, "%d/%d", w->number, sequence);
	*a = (attempt){.partition = (int8_t)(sequence % PARTITIONS), .found = {-1, -1, -1}};
	for (bool again = true; again;) {
		log_append op = {.topic = w->trial->t,
						 .columns = {.count = RECORDS, .values = values},
						 .partition = a->partition,
						 .idempotency_key = w->kind == KEYED ? str_from_c(key) : STR_NONE,
						 .arena = memory};
		if (w->kind == PRODUCER) {
			snprintf(key, sizeof key, "p%d", w->number);
			op.producer = (log_producer){str_from_c(key), 0, sequence};
		}
		append(w->f, &op);
		if (op.error.code == ERR_NONE) {
			a->outcome = ACKNOWLEDGED;
			atomic_fetch_add(&w->trial->acknowledged, 1);
			a->base = op.result_count == 1 ? op.results[0].base_offset : -2;
		} else {
			a->outcome = op.error.code == ERR_OUTCOME_UNKNOWN || a->outcome == UNKNOWN ? UNKNOWN : NOTHING_WRITTEN;
		}
		if (op.error.code != ERR_NONE && !is_outage(op.error.code) && w->strange == ERR_NONE) {
			w->strange = op.error.code;
			snprintf(w->strange_text, sizeof w->strange_text, "%.60s (%.60s)", op.error.message, op.error.log);
		}
		again = op.error.code != ERR_NONE && w->kind != PLAIN && w->strange == ERR_NONE;
		if (op.error.code != ERR_NONE) {
			w->retries++;
			usleep(5000);
		}
	}
	arena_free(memory);
}

static void *write_until_over(void *context)
{
	writer *w = context;
	while (!atomic_load(&w->trial->is_over) && w->count < ATTEMPTS_MAX && w->strange == ERR_NONE) {
		write_one(w, &w->attempts[w->count], w->count);
		w->count++;
	}
	return NULL;
}

/* ---- what is in the log ---- */

static void note_record(trial *x, int32_t partition, const log_record *r)
{
	int number = -1;
	int sequence = -1;
	int record = -1;
	char text[32];
	snprintf(text, sizeof text, "%.*s", STR_ARG(r->value));
	ck_assert_int_eq(sscanf(text, "%d/%d/%d", &number, &sequence, &record), 3);
	ck_assert(number >= 0 && number < WRITERS && sequence >= 0 && sequence < x->writers[number].count);
	attempt *a = &x->writers[number].attempts[sequence];
	ck_assert_int_eq(a->partition, partition);
	a->copies = (uint8_t)(a->copies + (record == 0 ? 1 : 0));
	a->found[record] = r->offset;
}

static void read_everything(trial *x)
{
	for (int32_t p = 0; p < PARTITIONS; p++) {
		int64_t next = 0;
		int64_t end = 1;
		while (next < end) {
			err e;
			log_page *page = NULL;
			log_record r;
			log_gap gap;
			log_read_request q = {
				.topic = x->t, .partition = p, .from = next, .max_records = 5000, .max_bytes = 1 << 20};
			db_fixture_must(log_read(x->f[0].engine, x->f[0].conn, &q, &page, &e), &e, "read");
			ck_assert(!log_page_gap(page, &gap));
			while (log_page_next(page, &r)) {
				ck_assert_int_eq(r.offset, next); /* dense, and in order */
				note_record(x, p, &r);
				next++;
			}
			ck_assert_int_eq(log_page_position(page), next);
			end = log_page_end_offset(page);
			log_page_free(page);
		}
	}
}

static void check_writer(const writer *w)
{
	int64_t last[PARTITIONS] = {-1, -1};
	for (int i = 0; i < w->count; i++) {
		const attempt *a = &w->attempts[i];
		char what[48];
		snprintf(what, sizeof what, "writer %d append %d", w->number, i);
		ck_assert_msg(a->copies <= 1, "%s is there %u times", what, a->copies);
		/* All of it or nothing, side by side. */
		for (int k = 1; k < RECORDS; k++) {
			ck_assert_msg(a->found[k] == (a->copies == 0 ? -1 : a->found[0] + k), "%s is torn", what);
		}
		if (a->outcome == ACKNOWLEDGED) {
			ck_assert_msg(a->copies == 1, "%s was acknowledged and is lost", what);
			ck_assert_msg(a->found[0] == a->base, "%s is at %lld, not at %lld", what, (long long)a->found[0],
						  (long long)a->base);
		} else if (a->outcome == NOTHING_WRITTEN) {
			ck_assert_msg(a->copies == 0, "%s was refused and is there", what);
		}
		if (a->copies == 1) {
			ck_assert_msg(a->found[0] > last[a->partition], "%s is before the one before it", what);
			last[a->partition] = a->found[0];
		}
	}
}

/* ---- a trial ---- */

static void trial_open(trial *x)
{
	memset(x, 0, sizeof *x);
	fixture_open(&x->f[0]);
	fixture_open_on(&x->f[1], x->f[0].url);
	x->t = fixture_topic(&x->f[0], "orders", PARTITIONS);
	for (int i = 0; i < WRITERS; i++) {
		writer *w = &x->writers[i];
		*w = (writer){.trial = x, .f = &x->f[i % ENGINES], .number = i, .kind = (kind)(i % 3)};
		w->attempts = calloc(ATTEMPTS_MAX, sizeof *w->attempts);
		ck_assert_ptr_nonnull(w->attempts);
		ck_assert_int_eq(pthread_create(&w->thread, NULL, write_until_over, w), 0);
	}
}

static const char COUNTS_ARE_TRUE[] =
	"SELECT count(*) FROM tidegate.head h WHERE topic_id = $1 AND (live_records, live_bytes, next_offset) <> "
	"(SELECT coalesce(sum(records), 0), coalesce(sum(bytes), 0), coalesce(max(last_offset) + 1, 0) FROM tidegate.batch "
	"b "
	" WHERE b.topic_id = h.topic_id AND b.partition = h.partition)";

static void trial_close(trial *x)
{
	atomic_store(&x->is_over, true);
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(x->writers[i].thread, NULL);
	}
	for (int i = 0; i < WRITERS; i++) {
		const writer *w = &x->writers[i];
		ck_assert_msg(w->strange == ERR_NONE, "writer %d: %s: %s", i, err_wire_code(w->strange), w->strange_text);
	}
	read_everything(x);
	int64_t failures = 0;
	for (int i = 0; i < WRITERS; i++) {
		check_writer(&x->writers[i]);
		failures += x->writers[i].retries;
	}
	ck_assert_int_eq(fixture_i64(&x->f[0], 0, COUNTS_ARE_TRUE, x->t), 0);
	ck_assert_int_gt(failures, 0); /* or nothing was tried */
	for (int i = 0; i < WRITERS; i++) {
		free(x->writers[i].attempts);
	}
	log_topic_unref(x->t);
	fixture_close(&x->f[1]);
	fixture_close(&x->f[0]);
}

/* Until the time is over and so much is acknowledged, on a slow machine too. */
static bool goes_on(trial *x, int64_t until_ms, int least_acknowledged)
{
	return clock_now_ms() < until_ms || atomic_load(&x->acknowledged) < least_acknowledged;
}

static trial the_trial;

START_TEST(killed_backends_lose_and_repeat_nothing)
{
	trial *x = &the_trial;
	trial_open(x);
	err e;
	db_conn *admin = db_fixture_conn(x->f[0].url, 30000);
	for (int64_t until_ms = clock_now_ms() + 4000; goes_on(x, until_ms, 200);) {
		db_fixture_must(
			db_run_script(admin,
						  "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE "
						  "datname = current_database() AND application_name LIKE 'tidegate %' AND pid <> "
						  "pg_backend_pid() ORDER BY application_name <> 'tidegate lane', random() LIMIT 1) x",
						  &e),
			&e, "kill");
		usleep(10000);
	}
	db_conn_free(admin);
	trial_close(x);
}
END_TEST

START_TEST(crashed_server_loses_and_repeats_nothing)
{
	trial *x = &the_trial;
	if (!postgres_fixture_can_stop()) {
		return;
	}
	trial_open(x);
	for (int i = 0; i < 4; i++) {
		usleep(400000);
		postgres_fixture_stop();
		usleep(i % 2 == 0 ? 0 : 300000);
		postgres_fixture_start();
	}
	for (int64_t until_ms = clock_now_ms() + 1000; goes_on(x, until_ms, 50);) {
		usleep(10000);
	}
	trial_close(x);
}
END_TEST

/* A shutdown that lets transactions finish is where a commit may go through and its connection not. */
START_TEST(shut_down_sessions_never_call_a_commit_nothing)
{
	trial *x = &the_trial;
	trial_open(x);
	err e;
	db_conn *admin = db_fixture_conn(x->f[0].url, 30000);
	for (int64_t until_ms = clock_now_ms() + 3000; goes_on(x, until_ms, 100);) {
		db_fixture_must(db_run_script(admin,
									  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
									  "current_database() AND application_name = 'tidegate lane'",
									  &e),
						&e, "kill");
		usleep(15000);
	}
	db_conn_free(admin);
	trial_close(x);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		killed_backends_lose_and_repeat_nothing,
		shut_down_sessions_never_call_a_commit_nothing,
		crashed_server_loses_and_repeats_nothing,
	};
	postgres_fixture_url();
	return SUITE_RUN("log/crash", tests);
}
