/*
 * How many records a second the library moves: tg_bench URL TOPIC [CASE …], a key in TIDEGATE_API_KEY.
 *
 *   producer        records of 100 bytes without keys, defaults
 *   producer-zstd   the same with zstd
 *   producer-large  with batches of 1000 records, as in the requests of `tidegate bench --only batch`
 *   consumer        a bounded stream of all that is in the topic
 *   consumer-live   a live stream of as much
 *
 * Prints a line "CASE  N records/s" each; all cases in this order when none is named. The topic is made, with 4 partitions,
 * when it is not there. A producer runs for BENCH_SECONDS (5) seconds, its last flush included.
 */
#include "tidegate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VALUE_BYTES = 100, VALUES = 1024, PARTITIONS = 4, LARGE_RECORDS = 1000 };

typedef struct bench {
	tg_client *client;
	const char *topic;
	double seconds;
	char *values; /* VALUES of them, no two alike, of the letters that texts have: zstd halves them */
} bench;

static void die(const tg_error *error)
{
	fprintf(stderr, "tg_bench: %s: %s\n", tg_status_str(error->kind), error->message);
	exit(1);
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fill_values(char *values)
{
	static const char letters[] = "eeetaoinshr dlu ";
	uint64_t random = 88172645463325252U;
	for (size_t i = 0; i < (size_t)VALUES * VALUE_BYTES; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		values[i] = letters[random >> 60];
	}
}

static void print_rate(const char *name, uint64_t records, double seconds)
{
	printf("%-15s %.0f records/s\n", name, (double)records / seconds);
	fflush(stdout);
}

static void produce(const bench *b, const char *name, const tg_producer_config *config)
{
	tg_producer *producer;
	tg_error error;
	uint64_t records = 0;
	if (tg_producer_open(b->client, b->topic, config, &producer, &error) != TG_OK) {
		die(&error);
	}
	double began_s = now_s();
	while (now_s() - began_s < b->seconds) {
		for (size_t i = 0; i < VALUES; i++, records++) {
			if (tg_send(producer, NULL, 0, b->values + i * VALUE_BYTES, VALUE_BYTES, NULL, &error) != TG_OK) {
				die(&error);
			}
		}
	}
	if (tg_producer_close(producer, 60000, &error) != TG_OK) {
		die(&error);
	}
	print_rate(name, records, now_s() - began_s);
}

static void run_producer(const bench *b, const char *name)
{
	tg_producer_config *config = tg_producer_config_new();
	if (strcmp(name, "producer-zstd") == 0) {
		tg_producer_config_set_compression(config, TG_COMPRESSION_ZSTD);
	} else if (strcmp(name, "producer-large") == 0) {
		tg_producer_config_set_batch_size(config, (size_t)LARGE_RECORDS * (VALUE_BYTES + 11)); /* 11 around a record */
	}
	produce(b, name, config);
	tg_producer_config_free(config);
}

static bool add_up(void *context, const tg_topic_info *topic)
{
	uint64_t *records = context;
	for (uint32_t i = 0; i < topic->partition_count; i++) {
		*records += (uint64_t)(topic->partitions[i].end_offset - topic->partitions[i].start_offset);
	}
	return true;
}

static void run_consumer(const bench *b, const char *name)
{
	tg_consumer_config *config = tg_consumer_config_new(b->topic);
	tg_stream *stream;
	const tg_record *record;
	tg_error error;
	uint64_t wanted = 0;
	uint64_t records = 0;
	if (tg_topic_describe(b->client, b->topic, add_up, &wanted, &error) != TG_OK) {
		die(&error);
	}
	tg_consumer_config_set_disable_continuous(config, strcmp(name, "consumer") == 0);
	double began_s = now_s();
	if (tg_stream_open(b->client, config, &stream, &error) != TG_OK) {
		die(&error);
	}
	for (; records < wanted; records++) {
		if (tg_stream_next(stream, 60000, &record, &error) != TG_OK) {
			die(&error);
		}
	}
	print_rate(name, records, now_s() - began_s);
	tg_stream_close(stream, NULL);
	tg_consumer_config_free(config);
}

static void run(const bench *b, const char *name)
{
	if (strncmp(name, "producer", 8) == 0) {
		run_producer(b, name);
	} else if (strncmp(name, "consumer", 8) == 0) {
		run_consumer(b, name);
	} else {
		fprintf(stderr, "tg_bench: there is no case %s\n", name);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	static const char *const all[] = {"producer", "producer-zstd", "producer-large", "consumer", "consumer-live"};
	static char values[VALUES * VALUE_BYTES];
	const char *seconds = getenv("BENCH_SECONDS");
	tg_topic_spec spec = TG_TOPIC_SPEC_INIT;
	tg_config *config;
	tg_error error;
	if (argc < 3) {
		fprintf(stderr, "tg_bench URL TOPIC [CASE ...]\n");
		return 2;
	}
	bench b = {.topic = argv[2], .seconds = seconds != NULL ? strtod(seconds, NULL) : 5, .values = values};
	if (tg_config_load(NULL, &config, &error) != TG_OK || tg_config_set_endpoint(config, argv[1]) != TG_OK ||
		tg_connect(config, &b.client, &error) != TG_OK) {
		die(&error);
	}
	tg_config_free(config);
	fill_values(b.values);
	spec.partitions = PARTITIONS;
	tg_status made = tg_topic_create(b.client, b.topic, &spec, &error);
	if (made != TG_OK && made != TG_ERR_TOPIC_EXISTS) {
		die(&error);
	}
	for (int i = 3; i < argc; i++) {
		run(&b, argv[i]);
	}
	for (size_t i = 0; argc == 3 && i < sizeof all / sizeof all[0]; i++) {
		run(&b, all[i]);
	}
	tg_client_close(b.client);
	return 0;
}
