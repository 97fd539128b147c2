/*
 * Drives the library for tests/integration/test_client_c.py: tg_probe VERB URL TOPIC [ARGUMENTS]; a key in TIDEGATE_API_KEY.
 *
 *   produce COUNT [NAME=VALUE …]   sends "NAME-0" … one by one, "key" or binary values by option; prints a line
 *                                  "PARTITION OFFSET VALUE" a record that is stored, then "flush STATUS"
 *   consume COUNT [NAME=VALUE …]   prints "PARTITION OFFSET TIMESTAMP KEY VALUE" a record, then the status that ended it
 *   errors                         tries what must fail; prints "WHAT STATUS HTTP CODE MESSAGE"
 *   queue                          fills a queue while nobody answers
 *   position                       sets, reads and forgets positions of a named consumer
 *   admin                          makes, lists, describes and deletes a topic
 *   keyed KEY …                    sends one record a key, prints "KEY PARTITION"
 *
 * Exit code 0 unless the verb could not be carried out; the last line is "threads N": those left after all was closed.
 */
#include "tidegate.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct options {
	char **first;
	int count;
} options;

static const char *text_of(const options *o, const char *name, const char *otherwise)
{
	size_t len = strlen(name);
	for (int i = 0; i < o->count; i++) {
		if (strncmp(o->first[i], name, len) == 0 && o->first[i][len] == '=') {
			return o->first[i] + len + 1;
		}
	}
	return otherwise;
}

static long number_of(const options *o, const char *name, long otherwise)
{
	const char *text = text_of(o, name, NULL);
	return text != NULL ? strtol(text, NULL, 10) : otherwise;
}

static void die(const char *what, const tg_error *error)
{
	fprintf(stderr, "%s: %s: %s\n", what, tg_status_str(error->kind), error->message);
	printf("%s %d %d %d %s\n", what, error->kind, error->http, error->code, error->message);
	exit(1);
}

static tg_client *connect_to(const char *url)
{
	tg_config *config;
	tg_client *client;
	tg_error error;
	if (tg_config_load(NULL, &config, &error) != TG_OK) {
		die("config", &error);
	}
	tg_config_set_endpoint(config, url);
	if (tg_connect(config, &client, &error) != TG_OK) {
		tg_config_free(config);
		die("connect", &error);
	}
	tg_config_free(config);
	return client;
}

/* ---- produce ---- */

static tg_compression compression_of(const char *name)
{
	static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
	for (int i = 0; i < 5; i++) {
		if (strcmp(names[i], name) == 0) {
			return (tg_compression)i;
		}
	}
	return TG_COMPRESSION_NONE;
}

static tg_producer_config *producer_config(const options *o)
{
	tg_producer_config *config = tg_producer_config_new();
	tg_retry_policy fast = {sizeof fast, TG_RETRY_FIXED, 100000, number_of(o, "fast_retry", 0), 1000, 300000};
	tg_producer_config_set_batch_size(config, (size_t)number_of(o, "batch_size", 16384));
	tg_producer_config_set_linger_ms(config, number_of(o, "linger_ms", 5));
	tg_producer_config_set_compression(config, compression_of(text_of(o, "compression", "none")));
	tg_producer_config_set_hash_empty_key(config, number_of(o, "hash_empty_key", 0) != 0);
	if (number_of(o, "fast_retry", 0) != 0) {
		tg_producer_config_set_retry(config, &fast);
	}
	return config;
}

/* The test prepares something before this goes on. */
static void await_word(void)
{
	puts("ready");
	fflush(stdout);
	if (getchar() == EOF) {
		exit(1);
	}
}

static void produce(tg_client *client, const char *topic, long count, const options *o)
{
	tg_producer_config *config = producer_config(o);
	tg_output **outputs = calloc((size_t)count, sizeof *outputs);
	const char *name = text_of(o, "name", "v");
	tg_producer *producer;
	tg_error error;
	if (tg_producer_open(client, topic, config, &producer, &error) != TG_OK) {
		die("open", &error);
	}
	tg_producer_config_free(config);
	if (number_of(o, "wait", 0) != 0) {
		await_word();
	}
	const struct timespec pace = {.tv_nsec = number_of(o, "pace_us", 0) * 1000};
	for (long i = 0; i < count; i++) {
		nanosleep(&pace, NULL);
		char value[128];
		int len = snprintf(value, sizeof value, "%s-%ld", name, i);
		if (tg_send(producer, NULL, 0, value, (size_t)len, &outputs[i], &error) != TG_OK) {
			die("send", &error);
		}
	}
	tg_status flushed = tg_flush(producer, 120000, &error);
	for (long i = 0; i < count; i++) {
		tg_record_metadata where;
		if (tg_output_wait(outputs[i], 0, &where, NULL) == TG_OK) {
			printf("%d %lld %s-%ld\n", where.partition, (long long)where.offset, name, i);
		}
		tg_output_free(outputs[i]);
	}
	free(outputs);
	tg_producer_close(producer, 1000, NULL);
	printf("flush %d%s%s\n", flushed, flushed != TG_OK ? " " : "", flushed != TG_OK ? error.message : "");
}

static void keyed(tg_client *client, const char *topic, const options *o)
{
	tg_producer_config *config = producer_config(o);
	tg_producer *producer;
	tg_error error;
	if (tg_producer_open(client, topic, config, &producer, &error) != TG_OK) {
		die("open", &error);
	}
	tg_producer_config_free(config);
	for (int i = 0; i < o->count; i++) {
		tg_output *output;
		tg_record_metadata where;
		const char *key = o->first[i];
		if (strchr(key, '=') != NULL) {
			continue;
		}
		if (tg_send(producer, key, strlen(key), "\xff\x00 bytes", 8, &output, &error) != TG_OK ||
			tg_output_wait(output, 20000, &where, &error) != TG_OK) {
			die("send", &error);
		}
		printf("key:%s %d\n", key, where.partition);
		tg_output_free(output);
	}
	tg_producer_close(producer, 10000, NULL);
}

/* ---- consume ---- */

static tg_offset start_of(const options *o)
{
	const char *start = text_of(o, "start", "beginning");
	long value = number_of(o, "value", 0);
	if (strcmp(start, "absolute") == 0) {
		return tg_offset_absolute(value);
	}
	if (strcmp(start, "end") == 0) {
		return tg_offset_from_end((uint32_t)value);
	}
	if (strcmp(start, "timestamp") == 0) {
		return tg_offset_timestamp(value);
	}
	return tg_offset_from_beginning((uint32_t)value);
}

static void print_bytes(const unsigned char *bytes, size_t len)
{
	if (bytes == NULL) {
		fputs("null", stdout);
		return;
	}
	putchar('"');
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] > ' ' && bytes[i] < 127 && bytes[i] != '%') {
			putchar(bytes[i]);
		} else {
			printf("%%%02x", bytes[i]);
		}
	}
	putchar('"');
}

static void print_record(const tg_record *record)
{
	size_t key_len;
	size_t value_len;
	tg_record *copy = tg_record_retain(record);
	const void *key = tg_record_key(copy, &key_len);
	const void *value = tg_record_value(copy, &value_len);
	printf("%d %lld %lld ", tg_record_partition(copy), (long long)tg_record_offset(copy),
		   (long long)tg_record_timestamp(copy));
	print_bytes(key, key_len);
	putchar(' ');
	print_bytes(value, value_len);
	putchar('\n');
	fflush(stdout);
	tg_record_free(copy);
}

static void print_gap(void *context, int32_t partition, int64_t from, int64_t to)
{
	(void)context;
	printf("gap %d %lld %lld\n", partition, (long long)from, (long long)to);
}

static void consume(tg_client *client, const char *topic, long count, const options *o)
{
	tg_consumer_config *config = tg_consumer_config_new(topic);
	tg_stream *stream;
	tg_error error = {.kind = TG_OK};
	tg_status status = TG_OK;
	tg_consumer_config_set_start(config, start_of(o));
	tg_consumer_config_set_id(config, text_of(o, "id", NULL));
	tg_consumer_config_set_strategy(config, (tg_strategy)number_of(o, "strategy", 0));
	tg_consumer_config_set_disable_continuous(config, number_of(o, "bounded", 0) != 0);
	tg_consumer_config_set_max_bytes(config, (size_t)number_of(o, "max_bytes", 1 << 20));
	tg_consumer_config_set_on_gap(config, print_gap, NULL);
	if (number_of(o, "no_retry", 0) != 0) {
		tg_consumer_config_set_retry(config, TG_RETRY_DISABLED, 0);
	}
	if (number_of(o, "partition", -1) >= 0) {
		tg_consumer_config_add_partition(config, (int32_t)number_of(o, "partition", 0));
	}
	if (tg_stream_open(client, config, &stream, &error) != TG_OK) {
		die("open", &error);
	}
	tg_consumer_config_free(config);
	puts("open");
	fflush(stdout);
	for (long i = 0; i < count && status == TG_OK; i++) {
		const tg_record *record;
		status = tg_stream_next(stream, number_of(o, "timeout_ms", 60000), &record, &error);
		if (status == TG_OK) {
			print_record(record);
		}
	}
	printf("next %d %s\n", status, status < 0 ? error.message : "");
	if (number_of(o, "commit", 0) != 0) {
		printf("commit %d\n", tg_offset_commit(stream, &error));
		printf("flush %d\n", tg_offset_flush(stream, &error));
	}
	printf("close %d\n", tg_stream_close(stream, &error));
}

/* ---- errors ---- */

static void told(const char *what, tg_status status, const tg_error *error)
{
	printf("%s %d %d %d %s\n", what, status, error->http, error->code, error->message);
}

static void errors(tg_client *client, const char *url, const char *topic)
{
	tg_config *config = tg_config_new();
	tg_producer_config *producing = tg_producer_config_new();
	tg_consumer_config *consuming = tg_consumer_config_new(topic);
	tg_client *other = NULL;
	tg_producer *producer = NULL;
	tg_stream *stream = NULL;
	tg_error error = {.kind = TG_OK};
	static char large[4096];
	tg_config_set_endpoint(config, url);
	tg_config_set_api_key(config, "tg_aaaaaaaaaaaa_wrong");
	told("bad_key", tg_connect(config, &other, &error), &error);
	told("unknown_topic", tg_producer_open(client, "no-such-topic", NULL, &producer, &error), &error);
	tg_producer_config_set_max_request_size(producing, 1000);
	told("sizes", tg_producer_open(client, topic, producing, &producer, &error), &error);
	tg_producer_config_set_batch_size(producing, 1000);
	if (tg_producer_open(client, topic, producing, &producer, &error) != TG_OK) {
		die("open", &error);
	}
	told("oversize", tg_send(producer, NULL, 0, large, sizeof large, NULL, &error), &error);
	tg_message elsewhere = TG_MESSAGE_INIT;
	elsewhere.partition = 77;
	told("partition", tg_send_ex(producer, &elsewhere, NULL, &error), &error);
	tg_producer_close(producer, 1000, NULL);
	tg_consumer_config_set_start(consuming, tg_offset_absolute(1000000));
	told("beyond", tg_stream_open(client, consuming, &stream, &error), &error);
	tg_consumer_config_set_strategy(consuming, TG_OFFSETS_AUTO);
	told("no_id", tg_stream_open(client, consuming, &stream, &error), &error);
	tg_consumer_config_set_strategy(consuming, TG_OFFSETS_NONE);
	tg_consumer_config_set_start(consuming, tg_offset_beginning());
	if (tg_stream_open(client, consuming, &stream, &error) != TG_OK) {
		die("open", &error);
	}
	told("no_strategy", tg_offset_commit(stream, &error), &error);
	tg_stream_close(stream, NULL);
	tg_consumer_config_free(consuming);
	tg_producer_config_free(producing);
	tg_config_free(config);
}

/* The test has stopped the server behind the proxy: what is sent stays in the queue. */
static void queue(tg_client *client, const char *topic)
{
	tg_producer_config *config = tg_producer_config_new();
	tg_producer *producer;
	tg_error error = {.kind = TG_OK};
	int sent = 0;
	tg_output *first = NULL;
	tg_producer_config_set_batch_size(config, 100);
	tg_producer_config_set_batch_queue_size(config, 3);
	tg_producer_config_set_queue_timeout_ms(config, 200);
	if (tg_producer_open(client, topic, config, &producer, &error) != TG_OK) {
		die("open", &error);
	}
	tg_producer_config_free(config);
	await_word();
	tg_status status = TG_OK;
	for (; status == TG_OK && sent < 100; sent += status == TG_OK ? 1 : 0) {
		char value[64] = {0};
		status = tg_send(producer, NULL, 0, value, sizeof value, sent == 0 ? &first : NULL, &error);
	}
	told("full", status, &error);
	printf("sent %d\n", sent);
	status = tg_producer_close(producer, 0, &error);
	told("close", status, &error);
	told("first", tg_output_wait(first, 0, NULL, &error), &error);
	tg_output_free(first);
}

/* ---- admin ---- */

static bool print_topic(void *context, const tg_topic_info *topic)
{
	if (context == NULL || strcmp(context, topic->name) == 0) {
		printf("topic %s %u\n", topic->name, topic->partition_count);
		for (uint32_t i = 0; topic->partitions != NULL && i < topic->partition_count; i++) {
			printf("partition %d %lld %lld\n", topic->partitions[i].partition,
				   (long long)topic->partitions[i].start_offset, (long long)topic->partitions[i].end_offset);
		}
	}
	return true;
}

static bool print_offset(void *context, const tg_consumer_offset *offset)
{
	(void)context;
	printf("position %s %d %lld\n", offset->consumer_id, offset->partition, (long long)offset->offset);
	return true;
}

static void admin(tg_client *client, const char *topic)
{
	tg_topic_spec spec = TG_TOPIC_SPEC_INIT;
	char name[256];
	tg_error error = {.kind = TG_OK};
	snprintf(name, sizeof name, "%s", topic);
	spec.partitions = 3;
	spec.retention_ms = 3600000;
	told("create", tg_topic_create(client, topic, &spec, &error), &error);
	told("again", tg_topic_create(client, topic, &spec, &error), &error);
	spec.partitions = 4;
	told("other", tg_topic_create(client, topic, &spec, &error), &error);
	tg_topic_list(client, print_topic, name, &error);
	tg_topic_describe(client, topic, print_topic, NULL, &error);
	told("delete", tg_topic_delete(client, topic, &error), &error);
	told("gone", tg_topic_describe(client, topic, print_topic, NULL, &error), &error);
}

/* Position: what stands after each way of setting one, read back, and after it was forgotten. */
static void position(tg_client *client, const char *topic)
{
	tg_error error = {.kind = TG_OK};
	int64_t stands = -2;
	int64_t offset = -2;
	told("none", tg_consumer_offset_get(client, "c", topic, 1, &offset, &error), &error);
	tg_consumer_offset_set(client, "c", topic, 1, 7, false, &stands, &error);
	printf("set %lld\n", (long long)stands);
	tg_consumer_offset_set(client, "c", topic, 1, 3, false, &stands, &error);
	printf("back %lld\n", (long long)stands);
	tg_consumer_offset_set(client, "c", topic, 1, 3, true, &stands, &error);
	printf("forced %lld\n", (long long)stands);
	tg_consumer_offset_set(client, "c", topic, 0, -1, false, &stands, &error);
	printf("before %lld\n", (long long)stands);
	tg_consumer_offset_get(client, "c", topic, 1, &offset, &error);
	printf("get %lld\n", (long long)offset);
	tg_consumer_offsets(client, "c", topic, print_offset, NULL, &error);
	told("forget", tg_consumer_offset_delete(client, "c", topic, 1, &error), &error);
	told("forgotten", tg_consumer_offset_get(client, "c", topic, 1, &offset, &error), &error);
	told("other", tg_consumer_offset_get(client, "c", topic, 0, &offset, &error), &error);
	told("bad", tg_consumer_offset_set(client, "c", topic, -1, 0, false, NULL, &error), &error);
}

static int thread_count(void)
{
	int count = 0;
	DIR *tasks = opendir("/proc/self/task");
	for (const struct dirent *entry; tasks != NULL && (entry = readdir(tasks)) != NULL;) {
		count += entry->d_name[0] != '.' ? 1 : 0;
	}
	if (tasks != NULL) {
		closedir(tasks);
	}
	return count;
}

static void *tell_id(void *id)
{
	*(pid_t *)id = gettid();
	return NULL;
}

static void pause_ms(long ms)
{
	const struct timespec pause = {.tv_nsec = ms * 1000000};
	nanosleep(&pause, NULL);
}

/* Under ThreadSanitizer the first thread of a program brings another one with it. One that was joined may be listed for a
 * moment yet. */
static int threads_at_start(void)
{
	pthread_t thread;
	pid_t id = 0;
	if (pthread_create(&thread, NULL, tell_id, &id) == 0) {
		pthread_join(thread, NULL);
	}
	for (int i = 0; i < 5000 && id != 0 && tgkill(getpid(), id, 0) == 0; i++) {
		pause_ms(1);
	}
	return thread_count();
}

static int threads_left(int before)
{
	for (int i = 0; i < 5000 && thread_count() > before; i++) {
		pause_ms(1);
	}
	return thread_count() - before;
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		return 2;
	}
	const char *verb = argv[1];
	const char *topic = argv[3];
	int before = threads_at_start();
	tg_error error = {.kind = TG_OK};
	const options all = {argv + 4, argc - 4};
	const options more = {argv + 5, argc > 5 ? argc - 5 : 0};
	long count = argc > 4 ? strtol(argv[4], NULL, 10) : 0;
	tg_client *client = connect_to(argv[2]);
	if (strcmp(verb, "produce") == 0) {
		produce(client, topic, count, &more);
	} else if (strcmp(verb, "keyed") == 0) {
		keyed(client, topic, &all);
	} else if (strcmp(verb, "consume") == 0) {
		consume(client, topic, count, &more);
	} else if (strcmp(verb, "errors") == 0) {
		errors(client, argv[2], topic);
	} else if (strcmp(verb, "queue") == 0) {
		queue(client, topic);
	} else if (strcmp(verb, "admin") == 0) {
		admin(client, topic);
	} else if (strcmp(verb, "position") == 0) {
		position(client, topic);
	} else if (strcmp(verb, "positions") == 0) {
		told("list", tg_consumer_offsets(client, NULL, topic, print_offset, NULL, &error), &error);
	} else if (strcmp(verb, "forget") == 0) {
		told("forget", tg_consumer_offset_delete(client, argv[4], topic, -1, &error), &error);
	} else {
		return 2;
	}
	tg_client_close(client);
	printf("threads %d\n", threads_left(before));
	return 0;
}
