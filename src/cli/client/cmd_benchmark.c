/*
 * tidegate benchmark producer: what a producer of libtidegate reaches against a server, with the options and defaults of
 * Fluvio's command of this name, so that figures can be compared. `tidegate bench` measures the server.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/client/amount.h"
#include "cli/client/session.h"

enum {
	RECORDS_DEFAULT = 10000,
	RECORDS_MAX = 10000000,
	RECORD_BYTES_DEFAULT = 5120,
	RECORD_BYTES_MAX = 1 << 20,
	REQUEST_BYTES_DEFAULT = 32 << 20,
	PRODUCERS_MAX = 64,
	PARTITIONS_MAX = 64,
};

/* The arguments as they are given. */
typedef struct arguments {
	session s;
	const char *topic;
	const char *records;
	const char *record_size;
	const char *producers;
	const char *partitions;
	const char *linger;
	const char *batch_size;
	const char *max_request_size;
	const char *compression;
	const char *delivery;
	bool keeps_topic;
} arguments;

/* What is to be done. */
typedef struct plan {
	char topic[80];
	int64_t records;
	int64_t record_bytes;
	int64_t producers;
	int64_t partitions;
	tg_producer_config *setup;
} plan;

/*
 * One producer. Its record j goes to partition j mod partitions, so the order in which batches of a partition are
 * answered tells which records they held. The producer's thread writes done_us and done, the main thread the rest; each
 * reads the other's after a call of the library that orders them.
 */
typedef struct worker {
	tg_producer *producer;
	int64_t partitions;
	int64_t sent;      /* records */
	int64_t *times_us; /* of sending, then how long it took */
	int64_t done[PARTITIONS_MAX];
	atomic_bool has_failed;
} worker;

static void take_report(void *context, const tg_batch_report *report)
{
	worker *w = context;
	int64_t now_us = clock_now_us();
	if (report->error != NULL) {
		atomic_store(&w->has_failed, true);
		return;
	}
	for (uint32_t i = 0; i < report->records; i++) {
		int64_t *time_us = &w->times_us[w->done[report->partition]++ * w->partitions + report->partition];
		*time_us = now_us - *time_us;
	}
}

/* ---- the run ---- */

static bool open_workers(const plan *p, const session *s, worker *workers, tg_error *error)
{
	for (int64_t i = 0; i < p->producers; i++) {
		worker *w = &workers[i];
		w->partitions = p->partitions;
		w->times_us = calloc((size_t)(p->records / p->producers + 1), sizeof *w->times_us);
		tg_producer_config_set_callback(p->setup, take_report, w);
		if (w->times_us == NULL) {
			snprintf(error->message, sizeof error->message, "there is no memory for so many records");
			return false;
		}
		if (tg_producer_open(s->client, p->topic, p->setup, &w->producer, error) != TG_OK) {
			return false;
		}
	}
	return true;
}

static bool send_all(const plan *p, worker *workers, const char *value, tg_error *error)
{
	for (int64_t i = 0; i < p->records; i++) {
		worker *w = &workers[i % p->producers];
		tg_message message = TG_MESSAGE_INIT;
		message.value = value;
		message.value_len = (size_t)p->record_bytes;
		message.partition = (int32_t)(w->sent % p->partitions);
		w->times_us[w->sent++] = clock_now_us();
		if (tg_send_ex(w->producer, &message, NULL, error) != TG_OK) {
			return false;
		}
	}
	for (int64_t i = 0; i < p->producers; i++) {
		if (tg_flush(workers[i].producer, -1, error) != TG_OK) {
			return false;
		}
		if (atomic_load(&workers[i].has_failed)) {
			snprintf(error->message, sizeof error->message, "a batch was not stored");
			return false;
		}
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	const int64_t *x = a;
	const int64_t *y = b;
	return *x < *y ? -1 : *x > *y ? 1 : 0;
}

static double ms_at(const int64_t *sorted_us, int64_t count, double share)
{
	int64_t at = (int64_t)(share * (double)count);
	return (double)sorted_us[at < count ? at : count - 1] / 1000;
}

static bool report(const plan *p, const worker *workers, int64_t elapsed_us)
{
	int64_t *all = malloc((size_t)p->records * sizeof *all);
	int64_t count = 0;
	double sum_us = 0;
	if (all == NULL) {
		return false;
	}
	for (int64_t i = 0; i < p->producers; i++) {
		memcpy(all + count, workers[i].times_us, (size_t)workers[i].sent * sizeof *all);
		count += workers[i].sent;
	}
	for (int64_t i = 0; i < count; i++) {
		sum_us += (double)all[i];
	}
	qsort(all, (size_t)count, sizeof *all, compare);
	double seconds = (double)(elapsed_us > 0 ? elapsed_us : 1) / 1e6;
	printf("%lld records sent, %.0f records/s (%.1f MB/s)\n", (long long)count, (double)count / seconds,
		   (double)(count * p->record_bytes) / seconds / 1e6);
	printf("latency: %.2f ms average, %.2f ms maximum, %.2f ms p50, %.2f ms p95, %.2f ms p99\n",
		   sum_us / (double)count / 1000, (double)all[count - 1] / 1000, ms_at(all, count, 0.50),
		   ms_at(all, count, 0.95), ms_at(all, count, 0.99));
	free(all);
	return true;
}

static int measure(const plan *p, const session *s)
{
	int status = CLI_FAILED;
	tg_error error = {.message = "there is no memory"};
	worker *workers = calloc((size_t)p->producers, sizeof *workers);
	char *value = malloc((size_t)p->record_bytes);
	if (workers == NULL || value == NULL || !open_workers(p, s, workers, &error)) {
		session_fail(s, &error);
		goto out;
	}
	for (int64_t i = 0; i < p->record_bytes; i++) {
		value[i] = (char)('a' + i % 26);
	}
	int64_t started_us = clock_now_us();
	if (!send_all(p, workers, value, &error) || !report(p, workers, clock_now_us() - started_us)) {
		session_fail(s, &error);
		goto out;
	}
	status = CLI_OK;
out:
	for (int64_t i = 0; workers != NULL && i < p->producers; i++) {
		if (workers[i].producer != NULL) {
			tg_producer_close(workers[i].producer, 0, NULL);
		}
		free(workers[i].times_us);
	}
	free(value);
	free(workers);
	return status;
}

/* In a topic of its own, unless one is named. */
static int run_in_topic(const plan *p, const arguments *a)
{
	tg_error error;
	tg_topic_spec spec = TG_TOPIC_SPEC_INIT;
	spec.partitions = (uint32_t)p->partitions;
	if (a->topic == NULL && tg_topic_create(a->s.client, p->topic, &spec, &error) != TG_OK) {
		return session_fail(&a->s, &error);
	}
	int status = measure(p, &a->s);
	if (a->topic == NULL && a->keeps_topic) {
		printf("topic \"%s\" kept\n", p->topic);
	} else if (a->topic == NULL && tg_topic_delete(a->s.client, p->topic, &error) != TG_OK) {
		status = session_fail(&a->s, &error);
	}
	return status;
}

/* ---- the command ---- */

static bool configure(const arguments *a, plan *p, err *e)
{
	int64_t linger_ms = 0;
	int64_t batch_bytes = -1;
	int64_t request_bytes = REQUEST_BYTES_DEFAULT;
	tg_compression compression = TG_COMPRESSION_NONE;
	tg_delivery delivery = TG_AT_LEAST_ONCE;
	if (!amount_integer("num-records", a->records, 1, RECORDS_MAX, &p->records, e) ||
		!amount_bytes("record-size", a->record_size, &p->record_bytes, e) ||
		!amount_integer("num-producers", a->producers, 1, PRODUCERS_MAX, &p->producers, e) ||
		!amount_integer("partitions", a->partitions, 1, PARTITIONS_MAX, &p->partitions, e) ||
		!amount_duration_ms("linger", a->linger, &linger_ms, e) ||
		!amount_bytes("batch-size", a->batch_size, &batch_bytes, e) ||
		!amount_bytes("max-request-size", a->max_request_size, &request_bytes, e) ||
		!amount_compression(a->compression, &compression, e) || !amount_delivery(a->delivery, &delivery, e)) {
		return false;
	}
	if (p->record_bytes < 1 || p->record_bytes > RECORD_BYTES_MAX) {
		return err_set(e, ERR_INVALID_REQUEST, "--record-size is 1 to %d bytes", RECORD_BYTES_MAX);
	}
	if (a->topic != NULL) {
		snprintf(p->topic, sizeof p->topic, "%s", a->topic);
	} else {
		snprintf(p->topic, sizeof p->topic, "benchmark-%llx", (unsigned long long)clock_wall_ms());
	}
	tg_producer_config_set_linger_ms(p->setup, linger_ms);
	if (batch_bytes >= 0) {
		tg_producer_config_set_batch_size(p->setup, (size_t)batch_bytes);
	}
	tg_producer_config_set_max_request_size(p->setup, (size_t)request_bytes);
	tg_producer_config_set_compression(p->setup, compression);
	tg_producer_config_set_delivery(p->setup, delivery);
	return true;
}

static int run_producer(cli_call *call)
{
	arguments a = {.s = {.call = call}};
	plan p = {.records = RECORDS_DEFAULT,
			  .record_bytes = RECORD_BYTES_DEFAULT,
			  .producers = 1,
			  .partitions = 1,
			  .setup = tg_producer_config_new()};
	int status = CLI_FAILED;
	err e;
	const cli_option options[] = {
		SESSION_OPTIONS(a.s),
		{.name = "topic", .letter = 't', .value = &a.topic},
		{.name = "num-records", .letter = 'n', .value = &a.records},
		{.name = "record-size", .letter = 'r', .value = &a.record_size},
		{.name = "num-producers", .value = &a.producers},
		{.name = "partitions", .letter = 'p', .value = &a.partitions},
		{.name = "linger", .value = &a.linger},
		{.name = "batch-size", .value = &a.batch_size},
		{.name = "max-request-size", .value = &a.max_request_size},
		{.name = "compression", .value = &a.compression},
		{.name = "delivery-semantic", .value = &a.delivery},
		{.name = "keep-topic", .flag = &a.keeps_topic},
	};
	if (p.setup == NULL) {
		return cli_fail(call, CLI_FAILED, "there is no memory");
	}
	if (!cli_parse(call, options, sizeof options / sizeof options[0], NULL, NULL, &e) || !configure(&a, &p, &e)) {
		status = cli_fail(call, CLI_USAGE, e.message);
	} else if (session_open(&a.s)) {
		status = run_in_topic(&p, &a);
	}
	session_close(&a.s);
	tg_producer_config_free(p.setup);
	return status;
}

static const cli_verb VERBS[] = {{"producer", run_producer}, {NULL, NULL}};

const cli_command CLI_BENCHMARK = {
	.name = "benchmark",
	.summary = "measure a producer against a server",
	.verbs = VERBS,
	.help = "Usage: tidegate benchmark producer [OPTIONS]\n\n"
			"Sends records as the client libraries do, into a topic that it makes and deletes, and tells how many a\n"
			"second were stored, and how long each took from sending to its answer. (`tidegate bench` measures the\n"
			"server, next to its Postgres.)\n\n"
			"  -n, --num-records N     how many (10000)\n"
			"  -r, --record-size S     bytes of a value (5120)\n"
			"  --num-producers N       which take turns (1)\n"
			"  -p, --partitions N      of the topic (1)\n"
			"  --linger D              how long a batch waits for more records (0)\n"
			"  --batch-size S          bytes of a batch (16384)\n"
			"  --max-request-size S    the largest record or batch (32MiB)\n"
			"  --compression C         none, gzip, snappy, lz4 or zstd\n"
			"  --delivery-semantic D   at-least-once or at-most-once\n"
			"  -t, --topic NAME        a topic that exists and has these partitions\n"
			"  --keep-topic            do not delete it\n" SESSION_HELP,
};
